# SPDX-License-Identifier: Apache-2.0
"""Judges claims about superposition: does the capability that can be understood have a valley and a peak?

python -m experiments.interpretability                  a minute on two cores
python -m experiments.interpretability --preset=full    an hour: 64 seeds a point, 4,096 of polygons
"""

from jaxmyopia import cli
from jaxmyopia.studies.interpretability import INTERPRETABILITY

main = cli.binary(INTERPRETABILITY)

if __name__ == "__main__":
    main.launch()
