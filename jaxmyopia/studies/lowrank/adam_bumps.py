# SPDX-License-Identifier: Apache-2.0
"""Where Adam's extra bumps come from: two predictions, made on one grid and to be judged on others; and their figure.

Adam's first steps move every entry by about the learning rate, whatever the gradient. The hypothesis: where that is
more than the scale of the start, all learned columns are thrown onto one sign pattern, from which they part again; so
that what counts is the ratio of rate to scale, and nothing else about either.
"""

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims import Claim, Evidence, claim, paired
from jaxmyopia.report.figures import Caption
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

SCALES = (0.001, 0.01, 0.1, 1.0)
ADAM_RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SGD_RATE = 1e-3
LOW, HIGH = 0.1, 1.0  # ratios of rate to scale up to which there is no excess, from which on there is
MARGIN = 0.1  # bumps a pair: what still counts as no excess
CAPTION = Caption(
    name="excess",
    title="Bumps of Adam minus bumps of SGD, against the ratio of Adam's rate to the scale of the start",
    text="Square loss. Each colour is a scale; the points of one colour are Adam's rates. If the ratio is all that "
    "counts, the colours lie on one curve. Bars are 95 % intervals. Predicted: within the band left of the first line, "
    "above it right of the second.",
)


def make_cells(*, ranks: tuple[int, ...], n: int, seeds: int, steps: int, thresholds: Thresholds) -> list[Cell]:
    """Adam over the grid of rates and scales, SGD over the scales; square loss. One of each a rank."""
    for rank in ranks:
        require(1 <= rank <= min(n, ALIGNMENT_RANK), "ranks", rank, f"must be between 1 and {min(n, ALIGNMENT_RANK)}")
    cells = []
    for rank in ranks:
        for optimizer, rates in (("adam", ADAM_RATES), ("sgd", (SGD_RATE * 100 / n,))):
            study = LowRank(n=n, rank=rank, optimizer=optimizer, thresholds=thresholds)
            sweep = (("learning_rate", rates), ("init_scale", SCALES))
            cells.append(Cell(study=study, sweep=sweep, seeds=seeds, steps=steps))
    return cells


def _excess(trials: Trials, thresholds: Thresholds, low: float, high: float) -> Evidence:
    """Adam's bumps minus SGD's at the same scale, a mean over the combinations whose ratio lies in [low, high]."""
    adam, ratio = trials.where(optimizer="adam"), trials.where(optimizer="adam")
    ratio = adam["learning_rate"] / adam["init_scale"]
    adam = adam.keep((ratio >= low * 0.999) & (ratio <= high * 1.001))
    sides = adam, trials.where(optimizer="sgd"), thresholds.bumps
    return paired(*sides, over=("learning_rate",)).named("bumps a pair, Adam minus SGD, mean over the combinations")


def make_claims(thresholds: Thresholds) -> list[Claim]:
    """Both predictions, a piece a rank."""

    @claim(f"With Adam's rate at most {LOW:g} of the start's scale, Adam has no more bumps than SGD.")
    def no_excess_below(trials: Trials) -> dict[str, Evidence]:
        by_rank = {rank: _excess(trials.where(rank=rank), thresholds, 0, LOW) for rank in trials.unique("rank")}
        return {f"rank {rank}": excess.within(MARGIN) for rank, excess in by_rank.items()}

    @claim("With Adam's rate at or above the start's scale, Adam has more bumps than SGD.")
    def excess_above(trials: Trials) -> dict[str, Evidence]:
        by_rank = {rank: _excess(trials.where(rank=rank), thresholds, HIGH, np.inf) for rank in trials.unique("rank")}
        return {f"rank {rank}": excess.above(0) for rank, excess in by_rank.items()}

    return [no_excess_below, excess_above]
