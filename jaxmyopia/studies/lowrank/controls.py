# SPDX-License-Identifier: Apache-2.0
"""Cases whose answer is known, run beside the others for the controls of claims.

From a small start SGD on the square loss learns the singular values of the target one after another: two that lie apart
make two descents and two plateaus, one makes one of each. From a start like the target most seeds show no plateau.
"""

from jaxmyopia.claims.controls import copies
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

RATE, HALF, SLOW = 0.02, 0.01, 0.0001
LEAP = 0.6  # Adam's rate, far above the small start's scale: bumps by all definitions, after a quarter of the steps too
SMALL, LARGE = 1e-3, 1.0
SPECTRUM = (8.0, 2.0)
SEEDS, STEPS = 64, 3000

__all__ = ["cells", "copies", "from_large_start", "leaping", "staircase"]


def cells(thresholds: Thresholds) -> list[Cell]:
    """Two modes under SGD and Adam, and one mode under SGD; small matrices, seconds in all."""
    made = []
    for modes, optimizer, rates in (
        (2, "sgd", (RATE, HALF, SLOW)),
        (1, "sgd", (RATE, HALF, SLOW)),
        (2, "adam", (LEAP,)),
    ):
        study = LowRank(
            n=16, rank=modes, target="spectrum", spectrum=SPECTRUM, optimizer=optimizer, thresholds=thresholds
        )
        sweep = (("learning_rate", rates), ("init_scale", (SMALL, LARGE)))
        made.append(Cell(study=study, sweep=sweep, seeds=SEEDS, steps=STEPS, control=True))
    return made


def _of(trials: Trials, optimizer: str, modes: int, rate: float, scale: float) -> Trials:
    mine = trials.of_controls.where(optimizer=optimizer, rank=modes)
    return mine.where(learning_rate=rate, init_scale=scale)


def staircase(trials: Trials, *, modes: int = 2, rate: float = RATE) -> Trials:
    """SGD from a small start: as many stages as modes, unless the rate is `SLOW`."""
    return _of(trials, "sgd", modes, rate, SMALL)


def from_large_start(trials: Trials) -> Trials:
    """SGD from a start like the target."""
    return _of(trials, "sgd", 2, RATE, LARGE)


def leaping(trials: Trials) -> tuple[Trials, Trials]:
    """SGD, and Adam at a rate far above the start's scale, from the same starts."""
    return staircase(trials), _of(trials, "adam", 2, LEAP, SMALL)
