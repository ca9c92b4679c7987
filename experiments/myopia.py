# SPDX-License-Identifier: Apache-2.0
"""Judges claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and stop?

python -m experiments.myopia                  a minute and a half on two cores
python -m experiments.myopia --preset=full    less than half an hour
"""

from jaxmyopia import cli
from jaxmyopia.studies.myopia import MYOPIA

main = cli.binary(MYOPIA)

if __name__ == "__main__":
    main.launch()
