# SPDX-License-Identifier: Apache-2.0
"""Judges nine claims about the S-curves of low-rank learning under SGD and Adam.

python -m experiments.plateaus                  a minute on two cores
python -m experiments.plateaus --preset=full    an hour or two
"""

from jaxmyopia import cli
from jaxmyopia.studies.lowrank.sweep import PLATEAUS

main = cli.binary(PLATEAUS)

if __name__ == "__main__":
    main.launch()
