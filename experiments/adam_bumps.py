# SPDX-License-Identifier: Apache-2.0
"""Judges two predictions on where Adam's extra bumps come from: from rates above the scale of the start.

python -m experiments.adam_bumps --root_seed=1     a minute on two cores
"""

from jaxmyopia import cli
from jaxmyopia.studies.lowrank.adam_bumps import ADAM_BUMPS

main = cli.binary(ADAM_BUMPS)

if __name__ == "__main__":
    main.launch()
