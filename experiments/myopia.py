# SPDX-License-Identifier: Apache-2.0
"""Judges claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and stop?

python -m experiments.myopia                  a minute on two cores, once its programs are compiled
python -m experiments.myopia --preset=full    twenty minutes
"""

from jaxmyopia import cli
from jaxmyopia.studies.myopia import MYOPIA

main = cli.binary(MYOPIA)

if __name__ == "__main__":
    main.launch()
