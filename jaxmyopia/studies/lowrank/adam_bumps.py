# SPDX-License-Identifier: Apache-2.0
"""Where Adam's extra bumps come from: two predictions, made on one grid and to be judged on others.

Adam's first steps move every entry by about the learning rate, whatever the gradient. The hypothesis: where that is
more than the scale of the start, all learned columns are thrown onto one sign pattern, from which they part again; so
that what counts is the ratio of rate to scale, and nothing else about either.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from jaxmyopia.checks import require
from jaxmyopia.claims import Claim, Evidence, Quantity, claim, paired
from jaxmyopia.claims.conditions import named
from jaxmyopia.claims.controls import planted
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.report.figures import COLOURS, Caption, draw_intervals, panels
from jaxmyopia.report.page import Report
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.bump_claims import MOST as MOST_BUMPS
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell
from jaxmyopia.values import conform

SCALES, ADAM_RATES, SGD_RATE = (0.001, 0.01, 0.1, 1.0), (0.001, 0.003, 0.01, 0.03, 0.1), 1e-3
LOW, HIGH = 0.1, 1.0  # ratios of rate to scale up to which there is no excess, from which on there is
MARGIN = 0.1  # bumps a pair: what still counts as no excess
DEFINITIONS = ("inner", "cosine")  # of bumps: what an eye sees, and what the predictions were made of
CAPTION = Caption(
    name="excess",
    title="Bumps of Adam minus bumps of SGD, against the ratio of Adam's rate to the scale of the start",
    text="Square loss, a row a definition of bumps, a colour a scale; its points are Adam's rates. If the ratio is all "
    "that counts, the colours lie on one curve. Predicted: within the band left of the first line, above it right of "
    "the second.",
)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the experiment is; each field is a flag of the same name."""

    n: int = flag(100, "Side of the matrices.")
    ranks: tuple[int, ...] = flag((1, 2, 4), "Ranks of target and learned factors, at most 16.")
    seeds: int = flag(64, "Seeds in every cell: 0, 1, ...")
    steps: int = flag(3000, "Optimisation steps.")
    bump_delta: float = flag(0.1, "A bump: its prominence, over the greatest final inner product.")

    def __post_init__(self) -> None:
        conform(self)
        require(len(set(self.ranks)) == len(self.ranks), "ranks", self.ranks, "must be a list without repeats")
        for rank in self.ranks:
            most = f"n={self.n}" if self.n < ALIGNMENT_RANK else ALIGNMENT_RANK
            require(1 <= rank <= min(self.n, ALIGNMENT_RANK), "ranks", rank, f"must be between 1 and {most}")

    def cells(self) -> list[Cell]:
        """Adam over the grid of rates and scales, SGD over the scales; square loss. One of each a rank."""
        study, run = LowRank(n=self.n, thresholds=Thresholds(self.bump_delta)), {"seeds": self.seeds}
        rates, run = {"adam": ADAM_RATES, "sgd": SGD_RATE * 100 / self.n}, run | {"steps": self.steps}
        each = [dataclasses.replace(study, rank=rank, target_rank=rank, optimizer=name)
                for rank in self.ranks for name in rates]  # fmt: skip
        return [cell for one in each
                for cell in one.cells(learning_rate=rates[str(one.optimizer)], init_scale=SCALES, **run)]  # fmt: skip


def excess(adam: Trials, sgd: Trials, delta: float) -> Quantity:
    """Adam's bumps minus SGD's on the same seeds, one trial a seed on either side."""
    capped, most = functools.partial(np.minimum, MOST_BUMPS), (0, MOST_BUMPS)
    bumps = Thresholds(delta).bumps_by(*DEFINITIONS)
    difference = paired(adam, sgd, bumps, capped, range=most)
    return difference.named("bumps a pair, Adam minus SGD, same seed")


def _pieces(
    trials: Trials, delta: float, low: float, high: float, ask: Callable[[Quantity], Evidence]
) -> list[Evidence]:
    """One piece at each rank, rate of Adam and scale of the start that stand in a ratio from low to high."""
    found = []
    for rank, scale in itertools.product(trials.unique("rank"), trials.unique("init_scale")):
        mine = trials.where(rank=rank, init_scale=scale)
        adam, sgd = mine.where(optimizer="adam"), mine.where(optimizer="sgd")
        for rate in (each for each in adam.unique("learning_rate") if low * 0.999 <= each / scale <= high * 1.001):
            at = {"rank": rank, "adam_rate": rate, "init_scale": scale}
            found.append(ask(excess(adam.where(learning_rate=rate), sgd, delta)).at(named("", at), **at))
    return found


def make_claims(sweep: Sweep) -> list[Claim]:
    """Both predictions, judged at each rank, rate and scale that they speak of; controls are planted."""
    delta, columns = sweep.bump_delta, Thresholds(sweep.bump_delta).bumps_by(*DEFINITIONS).columns
    by_optimizer: Callable[[Trials], np.ndarray] = lambda rows: 1.0 * (rows["optimizer"] == "adam")
    plus_one = lambda trials: planted(trials.main, diverged=False, **dict.fromkeys(columns, by_optimizer))
    none = lambda trials: planted(trials.main, diverged=False, **dict.fromkeys(columns, 0.0))

    def below(trials: Trials) -> list[Evidence]:
        return _pieces(trials, delta, 0, LOW, lambda difference: difference.within(MARGIN))

    def above(trials: Trials) -> list[Evidence]:
        return _pieces(trials, delta, HIGH, np.inf, lambda difference: difference.above(0, least=MARGIN))

    make = functools.partial(claim, over=("budget",))
    return [
        make(
            f"With Adam's rate at most {LOW:g} of the start's scale, Adam has no more bumps than SGD.",
            id="no-excess-below",
            passes={"no bumps at all": lambda trials: below(none(trials))},
            fails={"a planted bump a pair under Adam": lambda trials: below(plus_one(trials))},
        )(below),
        make(
            "With Adam's rate at or above the start's scale, Adam has more bumps than SGD.",
            id="excess-above",
            passes={"a planted bump a pair under Adam": lambda trials: above(plus_one(trials))},
            fails={"no bumps at all": lambda trials: above(none(trials))},
        )(above),
    ]


def draw_excess(trials: Trials, delta: float) -> Figure:
    """The excess against the ratio of rate to scale: a row a definition, a panel a rank, a colour a scale."""
    ranks, ratios = trials.unique("rank"), np.array(ADAM_RATES)
    figure, axes = panels(len(DEFINITIONS), len(ranks), height=2.3, sharex=True, sharey="row")
    for column, rank in zip(axes.T, ranks, strict=True):
        for scale, colour in zip(SCALES, COLOURS, strict=False):
            mine = trials.where(rank=rank, init_scale=scale)
            adam, sgd = mine.where(optimizer="adam"), mine.where(optimizer="sgd")
            found = [_by_definition(excess(adam.where(learning_rate=rate), sgd, delta)) for rate in ADAM_RATES]
            for ax, name in zip(column, DEFINITIONS, strict=True):
                intervals = [each[name].above(0).interval for each in found]
                draw_intervals(ax, ratios / scale, intervals, colour, ls="-", marker="o", label=f"{scale:g}")
        for ax, name in zip(column, DEFINITIONS, strict=True):
            ax.axhspan(-MARGIN, MARGIN, color="0.9", zorder=0)
            for ratio in (LOW, HIGH):
                ax.axvline(ratio, color="0.5", lw=0.7, ls=":", label="asked up to, from" if ratio == LOW else None)
            ax.set(title=f"rank {rank}, {name}", xscale="log")
        column[-1].set_xlabel("Adam's rate / scale of the start")
    for ax in axes[:, 0]:
        ax.set_ylabel("bumps a pair, Adam minus SGD")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), title="scale of the start", loc="outside right center")
    return figure


def _by_definition(difference: Quantity) -> dict[object, Quantity]:
    return {at["definition"]: part for at, part in difference.parts(("budget",))}


ADAM_BUMPS = Experiment(
    name="adam_bumps",
    summary="Judges two predictions on where Adam's extra bumps come from: from rates above the scale of the start.",
    notes="A minute on two cores.",
    presets={"quick": Sweep(), "full": Sweep(seeds=1024)},
    cells=Sweep.cells,
    claims=make_claims,
    report=lambda run, sweep: Report("Adam's extra bumps", {CAPTION: draw_excess(run.trials, sweep.bump_delta)}),
)
