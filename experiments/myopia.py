# SPDX-License-Identifier: Apache-2.0
"""Judges claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and stop?

python -m experiments.myopia                  two minutes on two cores
python -m experiments.myopia --preset=full    half an hour or more
"""

from jaxmyopia import cli
from jaxmyopia.studies.myopia import MYOPIA

main = cli.binary(MYOPIA)

if __name__ == "__main__":
    main.launch()
