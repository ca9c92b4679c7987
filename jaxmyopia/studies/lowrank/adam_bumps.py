# SPDX-License-Identifier: Apache-2.0
"""Where Adam's extra bumps come from: two predictions, made on one grid and to be judged on others.

Adam's first steps move every entry by about the learning rate, whatever the gradient. The hypothesis: where that is
more than the scale of the start, all learned columns are thrown onto one sign pattern, from which they part again; so
that what counts is the ratio of rate to scale, and nothing else about either.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims.verdicts import Claim, Evidence, GridPoint, combine, judge, judge_equivalence
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.report.page import write_page
from jaxmyopia.stats.comparisons import equivalence_test
from jaxmyopia.stats.intervals import RESAMPLES, Interval, bca_mean
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds, bumps_column
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

SCALES = (0.001, 0.01, 0.1, 1.0)
ADAM_RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SGD_RATE = 1e-3
LOW, HIGH = 0.1, 1.0  # ratios of rate to scale up to which there is no excess, from which on there is
MARGIN = 0.1  # bumps a pair: what still counts as no excess
_GRID_RESAMPLES = 999


def make_cells(*, ranks: tuple[int, ...], n: int, seeds: int, steps: int, thresholds: Thresholds) -> list[Cell]:
    """Adam over the grid of rates and scales, SGD over the scales; square loss. One of each a rank, shape `(2 m,)`."""
    for rank in ranks:
        require(1 <= rank <= min(n, ALIGNMENT_RANK), "ranks", rank, f"must be between 1 and {min(n, ALIGNMENT_RANK)}")
    cells = []
    for rank in ranks:
        for optimizer, rates in (("adam", ADAM_RATES), ("sgd", (SGD_RATE * 100 / n,))):
            study = LowRank(n=n, rank=rank, optimizer=optimizer, thresholds=thresholds)
            sweep = (("learning_rate", rates), ("init_scale", SCALES))
            cells.append(Cell(study=study, sweep=sweep, seeds=seeds, steps=steps))
    return cells


@dataclasses.dataclass(frozen=True)
class Excess:
    """Adam's bumps a pair minus SGD's in one combination: `difference` `(S,)`, NaN where a partner diverged."""

    learning_rate: float
    init_scale: float
    difference: np.ndarray

    @property
    def ratio(self) -> float:
        """Rate over scale, a scalar."""
        return self.learning_rate / self.init_scale


def excesses(table: Trials, rank: int, delta: float) -> list[Excess]:
    """The excess of every combination of rate and scale.

    Args:
      table: of all cells.
      rank: whose cells.
      delta: the threshold of a bump.

    Returns:
      One `Excess` a combination, `(combinations,)`, in order of their ratio.
    """
    found = []
    for scale in SCALES:
        rows = table.where(rank=rank, init_scale=scale)
        sgd = rows.where(optimizer="sgd").values(bumps_column(delta))
        adam = rows.where(optimizer="adam")
        for rate in ADAM_RATES:
            bumps = adam.where(learning_rate=rate).values(bumps_column(delta))
            found.append(Excess(learning_rate=rate, init_scale=scale, difference=bumps - sgd))
    return sorted(found, key=lambda excess: excess.ratio)


def _mean_over(table: Trials, rank: int, delta: float, wanted: Callable[[float], bool]) -> np.ndarray:
    """Each seed's mean excess over the combinations whose ratio is wanted, `(S,)`; NaN where one of them is missing."""
    return np.mean([each.difference for each in excesses(table, rank, delta) if wanted(each.ratio)], axis=0)


def _evidence(table: Trials, thresholds: Thresholds, rank: int, low: bool) -> Evidence:
    wanted = (lambda ratio: ratio <= LOW * 1.001) if low else (lambda ratio: ratio >= HIGH * 0.999)
    rng = np.random.default_rng([rank, low])

    def measure(delta: float, resamples: int) -> tuple[np.ndarray, Interval]:
        values = _mean_over(table, rank, delta, wanted)
        whole = values[np.isfinite(values)]
        return whole, bca_mean(whole, rng=rng, resamples=resamples)

    grid = []
    for delta in thresholds.bump_grid():
        _, interval = measure(delta, _GRID_RESAMPLES)
        grid.append(GridPoint({"bump_delta": delta}, interval.estimate, interval.low, interval.high))
    values, interval = measure(thresholds.bump_delta, RESAMPLES)
    if low:
        verdict, reason, holds = judge_equivalence(equivalence_test(values, MARGIN, rng=rng), grid=grid)
    else:
        verdict, reason, holds = judge(interval, null=0, direction=1, grid=grid)
    return Evidence(
        name=f"rank {rank}", statistic="bumps a pair, Adam minus SGD, mean over the combinations", interval=interval,
        null=0.0, direction=0 if low else 1, grid=tuple(grid), holds=holds, verdict=verdict, reason=reason,
        diverged=len(table.unique("seed")) - len(values), margin=MARGIN if low else None,
    )  # fmt: skip


def judge_predictions(table: Trials, thresholds: Thresholds) -> list[Claim]:
    """Judges both predictions.

    Args:
      table: of all cells, a row a seed and combination.
      thresholds: of bumps.

    Returns:
      Two `Claim`s, shape `(2,)`.
    """
    texts = {
        "no-excess-below": f"With Adam's rate at most {LOW:g} of the start's scale, Adam has no more bumps than SGD.",
        "excess-above": "With Adam's rate at or above the start's scale, Adam has more bumps than SGD.",
    }
    claims = []
    for low, (id, text) in zip((True, False), texts.items(), strict=True):
        evidence = tuple(_evidence(table, thresholds, rank, low) for rank in table.unique("rank"))
        verdict, reason = combine(evidence)
        claims.append(Claim(id=id, text=text, verdict=verdict, reason=reason, evidence=evidence))
    return claims


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the experiment is; each field is a flag of the same name."""

    n: int = flag(100, "Side of the matrices.")
    ranks: tuple[int, ...] = flag((1, 2, 4), "Ranks of target and learned factors.")
    seeds: int = flag(64, "Seeds in every cell: 0, 1, ...")
    steps: int = flag(3000, "Optimisation steps.")
    bump_delta: float = flag(0.1, "A bump: an alignment falls by this much after a maximum.")

    @property
    def thresholds(self) -> Thresholds:
        """Where counting starts."""
        return Thresholds(bump_delta=self.bump_delta)

    def cells(self) -> list[Cell]:
        """All cells, `(cells,)`."""
        return make_cells(ranks=self.ranks, n=self.n, seeds=self.seeds, steps=self.steps, thresholds=self.thresholds)


def report(folder: RunFolder, cells: Sequence[Cell], sweep: Sweep, claims: Sequence[Claim]) -> None:
    """Draws the figure and writes the page."""
    from jaxmyopia.studies.lowrank.adam_bumps_figure import CAPTION, plot_excess  # it needs this module

    plot_excess(folder, folder.table(), sweep.bump_delta)
    rows = [{"cell": str(cell.study), "seeds": cell.seeds, "steps": cell.steps} for cell in cells]
    write_page(folder, title="Adam's extra bumps", claims=claims, captions=[CAPTION], rows=rows, notes=[])


PRESETS: Mapping[str, Sweep] = {"quick": Sweep(), "full": Sweep(seeds=1024)}

ADAM_BUMPS = Experiment(
    name="adam_bumps",
    summary="Judges two predictions on where Adam's extra bumps come from: from rates above the scale of the start.",
    notes="A minute on two cores.",
    presets=PRESETS,
    cells=Sweep.cells,
    judge=lambda trials, sweep: judge_predictions(trials, sweep.thresholds),
    report=report,
)
