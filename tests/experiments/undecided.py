# SPDX-License-Identifier: Apache-2.0
"""The binary of two cells, run in rounds: its claim is decided once there are so many seeds."""

import dataclasses

import jaxmyopia as jm
from jaxmyopia import cli
from jaxmyopia.claims import Evidence
from tests.experiments.two_cells import TWO_CELLS, Sweep

_ENOUGH = 18  # of looks at 12, 24, 40 and 48 seeds: the second has them


@jm.claim("A share of all seeds is below three quarters, once it is asked.")
def late(trials: jm.Trials) -> Evidence:
    """Undecided by its verdict alone, however intervals are made."""
    found = jm.share(trials.where(optimizer="sgd"), "seed", lambda seed: seed < 0).below(0.75)
    return dataclasses.replace(found, verdict="inconclusive" if len(trials) < 2 * _ENOUGH else "supported")


main = cli.binary(dataclasses.replace(TWO_CELLS, presets={"quick": Sweep(30_000)}, claims=lambda sweep: (late,)))

if __name__ == "__main__":
    main.launch()
