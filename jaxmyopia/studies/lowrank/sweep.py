# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the six claims: from settings to the runner's cells, with presets for a minute and for a night."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxmyopia.checks import require
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import When, flag, has
from jaxmyopia.studies.lowrank import controls
from jaxmyopia.studies.lowrank.claims import make_claims
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, NARROW, WIDE, Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

if TYPE_CHECKING:
    from jaxmyopia.answer import Answer
    from jaxmyopia.report.page import Report

# Log grids around each optimiser's best rate at n = 100, found in first runs, with outcomes in view. The best rate of
# plain gradient descent follows the gradient's scale: that of the square loss grows with n, that of cross-entropy
# falls with it. Optimisers that normalise the gradient share one grid.
_DESCENT_RATES = {"square": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "cross_entropy": (0.03, 0.1, 0.3, 1.0, 3.0)}
_NORMALISED_RATES = (0.002, 0.006, 0.02, 0.06, 0.2)
_DESCENT = {"sgd": 1.0, "momentum": 0.1, "noisy_sgd": 1.0}


def default_rates(loss: str, optimizer: str, n: int, count: int) -> tuple[float, ...]:
    """A log grid of learning rates that brackets the best one.

    Args:
      loss: a loss's name.
      optimizer: an optimiser's name.
      n: side of the matrices.
      count: how many rates, 3 or 5.

    Returns:
      Rates, shape `(count,)`.
    """
    if optimizer not in _DESCENT:
        return _NORMALISED_RATES[-count:]
    scale = _DESCENT[optimizer] * (100 / n if loss == "square" else n / 100)
    rates = _DESCENT_RATES[loss] if count == 5 else _DESCENT_RATES[loss][1:4]
    return tuple(float(f"{scale * rate:.6g}") for rate in rates)


_OWN_RATES = When("without --learning_rates", lambda sweep: not sweep.learning_rates)


def _narrow_or(name: str) -> When:
    """At ranks up to `ALIGNMENT_RANK`; above them too where it is what `wide_bounds` makes of it."""
    wide = f"wide_{name}"
    words = f"{NARROW.words}; above, --{wide} does"
    return When(words, lambda sweep: NARROW.holds(sweep) or getattr(sweep, name) == getattr(sweep, wide))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the plateaus experiment is; each field is a flag of the same name.

    Raises ArgumentError if a field is not allowed.
    """

    n: int = flag(100, "Side of the matrices.")
    ranks: tuple[int, ...] = flag((1, 2, 4, 10, 100), "Ranks of target and learned factors.")
    losses: tuple[str, ...] = flag(("square", "cross_entropy"), "Losses: square, cross_entropy.")
    targets: tuple[str, ...] = flag(("gaussian",), "Targets: gaussian, orthogonal, spectrum.")
    optimizers: tuple[str, ...] = flag(("sgd", "adam"), "Optimisers: momentum, or optax's by name.")
    learning_rates: tuple[float, ...] = flag((), "Rates of every cell, in place of each optimiser's own grid.")
    rates: int = flag(3, "How many rates each optimiser's own grid has: 3 or 5.", when=_OWN_RATES)
    spectrum: tuple[float, ...] = flag((), "Singular values of the target `spectrum`.", when=has("targets", "spectrum"))
    init_scale: float = flag(1.0, "Standard deviation of the learned factors' start.")
    steps: int = flag(1000, "Optimisation steps.", when=_narrow_or("steps"))
    records: int = flag(200, "How many records are taken of a run.")
    seeds: int = flag(80, "Seeds in every cell: 0, 1, ...; the first 16 choose rates.", when=_narrow_or("seeds"))
    wide_seeds: int = flag(40, "Seeds in cells of rank above 16, which cost more.", when=WIDE)
    wide_steps: int = flag(1000, "Optimisation steps in cells of rank above 16.", when=WIDE)
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        conform(self)
        for name in ("ranks", "losses", "targets", "optimizers"):
            values = getattr(self, name)
            require(len(values) > 0 and len(set(values)) == len(values), name, values, "must be a list without repeats")
        require(
            len(set(self.learning_rates)) == len(self.learning_rates),
            "learning_rates",
            self.learning_rates,
            "must be a list without repeats",
        )
        check_settings((("learning_rates", self.learning_rates), ("init_scale", (self.init_scale,))))
        require(self.rates in (3, 5), "rates", self.rates, "must be 3 or 5")
        for name, most in (("wide_seeds", 2**32), ("wide_steps", 2**31 - 1)):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
            require(getattr(self, name) <= most, name, getattr(self, name), f"must be at most {most}")

    def cells(self) -> list[Cell]:
        """One cell per target, rank, loss and optimiser; rates are trials of a cell."""
        cells = []
        for target, rank, loss, optimizer in itertools.product(self.targets, self.ranks, self.losses, self.optimizers):
            study = LowRank(
                n=self.n,
                rank=rank,
                target=target,
                spectrum=self.spectrum if target == "spectrum" else (),
                loss=loss,
                optimizer=optimizer,
                thresholds=self.thresholds,
            )
            rates = self.learning_rates or default_rates(loss, optimizer, self.n, self.rates)
            sweep = (("learning_rate", rates), ("init_scale", (self.init_scale,)))
            wide = rank > ALIGNMENT_RANK
            seeds, steps = (self.wide_seeds, self.wide_steps) if wide else (self.seeds, self.steps)
            cells.append(Cell(study=study, sweep=sweep, seeds=seeds, steps=steps, records=self.records))
        return [*cells, *controls.cells(self.thresholds)]


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(rates=5, steps=10_000, wide_steps=3000, seeds=1024, wide_seeds=1024, records=256),
}


def wide_bounds(base: Sweep, given: Mapping[str, Any]) -> dict[str, int]:
    """`seeds` and `steps` that are given alone also bound `wide_seeds` and `wide_steps` of the preset `base`."""
    most = {"seeds": base.wide_seeds, "steps": base.wide_steps}
    return {f"wide_{name}": max(min(given[name], most[name]), 1) for name in most if name in given}


def _report(run: "Answer", sweep: Sweep) -> "Report":
    from jaxmyopia.studies.lowrank.finished import FinishedRun
    from jaxmyopia.studies.lowrank.report import make_report

    shown = [cell for cell in run.studies if not cell.control]
    return make_report(FinishedRun(run.folder, shown, run.trials, sweep.thresholds))


PLATEAUS = Experiment(
    name="plateaus",
    summary="Judges six claims about the S-curves of low-rank learning under SGD and Adam.",
    notes="A minute on two cores; with --preset=full an hour or two.",
    presets=PRESETS,
    cells=Sweep.cells,
    claims=lambda sweep: make_claims(sweep.thresholds, sweep.ranks),
    report=_report,
    apart=lambda sweep: [{"target": target} for target in sweep.targets],
    implied=wide_bounds,
)
