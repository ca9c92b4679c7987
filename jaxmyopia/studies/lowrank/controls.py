# SPDX-License-Identifier: Apache-2.0
"""Cases whose answer is known, run beside the others for the controls of claims.

From a small start SGD on the square loss learns the singular values of the target one after another: as many that lie
apart, so many descents, and a plateau before each. From a large start, with as many columns as rows, it learns all of
them at once: the loss decays without a stage.
"""

from jaxmyopia.claims.controls import copies
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

RATE, HALF, SLOW = 0.02, 0.01, 0.0001
LEAP = 0.6  # Adam's rate, far above the small start's scale: bumps by all definitions, after a quarter of the steps too
SMALL, LARGE = 1e-3, 1.0
DECAY = 0.01  # of weights, where one strength stands for all: PyTorch's default
# Each mode takes at least 6 % of the first loss; all are learned in a tenth of the steps.
SPECTRA: dict[int, tuple[float, ...]] = {1: (8.0,), 2: (8.0, 2.0), 3: (6.0, 3.2, 1.8)}
SIDE, SEEDS, STEPS = 16, 64, 6000

__all__ = ["cells", "copies", "decay", "leaping", "staircase"]


def _cell(
    thresholds: Thresholds, modes: int, optimizer: str, rates: tuple[float, ...], scale: float, rank: int
) -> Cell:
    study = LowRank(
        n=SIDE, rank=rank, target_rank=modes, target="spectrum", spectrum=SPECTRA[modes], optimizer=optimizer,
        thresholds=thresholds,
    )  # fmt: skip
    sweep = (("learning_rate", rates), ("init_scale", (scale,)))
    return Cell(study=study, sweep=sweep, seeds=SEEDS, steps=STEPS, control=True)


def cells(thresholds: Thresholds) -> list[Cell]:
    """One, two and three modes under SGD, two under Adam, and a decay; small matrices, seconds in all."""
    staircases = [_cell(thresholds, modes, "sgd", (RATE, HALF, SLOW), SMALL, modes) for modes in SPECTRA]
    leap = _cell(thresholds, 2, "adam", (LEAP,), SMALL, 2)
    return [*staircases, leap, _cell(thresholds, 2, "sgd", (HALF,), LARGE, SIDE)]


def _of(trials: Trials, optimizer: str, rank: int, rate: float) -> Trials:
    return trials.of_controls.where(optimizer=optimizer, rank=rank).where(learning_rate=rate)


def staircase(trials: Trials, *, modes: int = 2, rate: float = RATE) -> Trials:
    """SGD from a small start: as many stages as modes, unless the rate is `SLOW`."""
    return _of(trials, "sgd", modes, rate)


def decay(trials: Trials) -> Trials:
    """SGD from a large start with as many columns as rows: the loss decays without a stage."""
    return _of(trials, "sgd", SIDE, HALF)


def leaping(trials: Trials) -> tuple[Trials, Trials]:
    """SGD, and Adam at a rate far above the start's scale, from the same starts."""
    return staircase(trials), _of(trials, "adam", 2, LEAP)
