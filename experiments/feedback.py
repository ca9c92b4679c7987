# SPDX-License-Identifier: Apache-2.0
"""Judges claims about feedback: how much of what a model knows of values do comparisons use, or principles?

python -m experiments.feedback                  a quarter of a minute on two cores
python -m experiments.feedback --preset=full    a few minutes: 512 seeds a condition
"""

from jaxmyopia import cli
from jaxmyopia.studies.feedback.experiment import FEEDBACK

main = cli.binary(FEEDBACK)

if __name__ == "__main__":
    main.launch()
