# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the nine claims: from settings to the runner's cells, with presets for a minute and for an hour.

The quick preset holds what a minute can settle: at rank 10 and at full rank 1,000 steps say little.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
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

# Log grids around each optimiser's best rates at n = 100, found in first runs, with outcomes in view; at the highest,
# seeds oscillate. The best rate of plain gradient descent follows the gradient's scale: that of the square loss grows
# with n, that of cross-entropy falls with it. Optimisers that normalise the gradient share one grid.
_DESCENT_RATES: dict[str, tuple[float, ...]] = {
    "square": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
    "cross_entropy": (0.01, 0.03, 0.1, 0.3, 1.0),
}
_NORMALISED_RATES: tuple[float, ...] = (0.0006, 0.002, 0.006, 0.02, 0.06)
_DESCENT = {"sgd": 1.0, "momentum": 0.1, "noisy_sgd": 1.0}
_PLACES = {2: slice(2, 4), 3: slice(1, 4), 4: slice(1, 5), 5: slice(0, 5)}
_WIDE_PLACES = {2: slice(0, 2), 3: slice(0, 3), 4: slice(0, 4), 5: slice(0, 5)}  # more columns, larger gradients


def default_rates(loss: str, optimizer: str, n: int, count: int, *, wide: bool = False) -> tuple[float, ...]:
    """A log grid of learning rates that brackets the best one.

    Args:
      loss: a loss's name.
      optimizer: an optimiser's name.
      n: side of the matrices.
      count: how many rates, 2 to 5.
      wide: for ranks above `ALIGNMENT_RANK`, at which the lower rates are steady.

    Returns:
      Rates, shape `(count,)`.
    """
    places = (_WIDE_PLACES if wide else _PLACES)[count]
    if optimizer not in _DESCENT:
        return _NORMALISED_RATES[places]
    scale = _DESCENT[optimizer] * (100 / n if loss == "square" else n / 100)
    return tuple(float(f"{scale * rate:.6g}") for rate in _DESCENT_RATES[loss][places])


Settings = tuple[tuple[str, tuple[float, ...]], ...]
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
    ranks: tuple[int, ...] = flag((1, 2), "Ranks of target and learned factors.")
    losses: tuple[str, ...] = flag(("square", "cross_entropy"), "Losses: square, cross_entropy.")
    targets: tuple[str, ...] = flag(("gaussian",), "Targets: gaussian, orthogonal, spectrum.")
    optimizers: tuple[str, ...] = flag(("sgd", "adam", "adamw"), "Optimisers: momentum, or optax's by name.")
    learning_rates: tuple[float, ...] = flag((), "Rates of every cell, in place of each optimiser's own grid.")
    rates: int = flag(2, "How many rates each optimiser's own grid has: 2 to 5.", when=_OWN_RATES)
    weight_decay: tuple[float, ...] = flag((0.01,), "Weight decays of adamw.", when=has("optimizers", "adamw"))
    spectrum: tuple[float, ...] = flag((), "Singular values of the target `spectrum`.", when=has("targets", "spectrum"))
    init_scale: tuple[float, ...] = flag((1.0, 0.01), "Standard deviations of the learned factors' start.")
    steps: int = flag(1000, "Optimisation steps.", when=_narrow_or("steps"))
    records: int = flag(128, "How many records are taken of a run.")
    seeds: int = flag(40, "Seeds in every cell: 0, 1, ...; the first 16 choose rates.", when=_narrow_or("seeds"))
    wide_seeds: int = flag(40, "Seeds in cells of rank above 16, which cost more.", when=WIDE)
    wide_steps: int = flag(200, "Optimisation steps in cells of rank above 16.", when=WIDE)
    wide_scale: tuple[float, ...] = flag((1.0,), "Of init_scale, those in cells of rank above 16.", when=WIDE)
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        conform(self)
        for name in ("ranks", "losses", "targets", "optimizers", "init_scale", "wide_scale", "weight_decay"):
            require(len(getattr(self, name)) > 0, name, getattr(self, name), "must be a list, not an empty one")
        for name in ("ranks", "losses", "targets", "optimizers", "init_scale", "learning_rates", "weight_decay"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), name, values, "must be a list without repeats")
        check_settings((("learning_rates", self.learning_rates), ("init_scale", self.init_scale)))
        check_settings((("wide_scale", self.wide_scale), ("weight_decay", self.weight_decay)))
        for scale in self.wide_scale:
            require(scale in self.init_scale, "wide_scale", scale, f"must be among init_scale, {self.init_scale}")
        require(self.rates in _PLACES, "rates", self.rates, "must be from 2 to 5")
        for name, most in (("wide_seeds", 2**32), ("wide_steps", 2**31 - 1)):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
            require(getattr(self, name) <= most, name, getattr(self, name), f"must be at most {most}")

    def cells(self) -> list[Cell]:
        """One cell per target, rank, loss, optimiser, rate and scale, so that seeds are added to those alone that need
        them; and those of the controls."""
        cells = []
        for target, rank, loss, optimizer in itertools.product(self.targets, self.ranks, self.losses, self.optimizers):
            wide = rank > ALIGNMENT_RANK
            if wide and optimizer == "adamw":  # what is claimed of it is claimed of low ranks
                continue
            study = LowRank(
                n=self.n,
                rank=rank,
                target=target,
                spectrum=self.spectrum if target == "spectrum" else (),
                loss=loss,
                optimizer=optimizer,
                thresholds=self.thresholds,
            )
            seeds, steps = (self.wide_seeds, self.wide_steps) if wide else (self.seeds, self.steps)
            size: dict[str, Any] = {"seeds": seeds, "steps": steps, "records": self.records}
            cells += [Cell(study=study, sweep=sweep, **size) for sweep in self._sweeps(loss, optimizer, wide)]
        return [*cells, *controls.cells(self.thresholds)]

    def _sweeps(self, loss: str, optimizer: str, wide: bool) -> list[Settings]:
        """The settings of a study's cells, one value each."""
        rates = self.learning_rates or default_rates(loss, optimizer, self.n, self.rates, wide=wide)
        scales = [scale for scale in self.init_scale if not wide or scale in self.wide_scale]
        values: dict[str, Sequence[float]] = {"learning_rate": rates, "init_scale": scales}
        if optimizer == "adamw":
            values["weight_decay"] = self.weight_decay
        return [
            tuple((name, (value,)) for name, value in zip(values, chosen, strict=True))
            for chosen in itertools.product(*values.values())
        ]


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(
        ranks=(1, 2, 4, 10, 100),
        init_scale=(1.0, 0.3, 0.1, 0.03, 0.01),
        wide_scale=(1.0, 0.1, 0.01),
        rates=3,
        weight_decay=(0.01, 0.1),
        steps=10_000,
        wide_steps=3000,
        seeds=64,
        wide_seeds=48,
        records=256,
    ),
}


def wide_bounds(base: Sweep, given: Mapping[str, Any]) -> dict[str, Any]:
    """`seeds` and `steps` that are given alone also bound `wide_seeds` and `wide_steps` of the preset `base`; scales of
    the start that are given alone are those of all ranks."""
    most = {"seeds": base.wide_seeds, "steps": base.wide_steps}
    bounds: dict[str, Any] = {f"wide_{name}": max(min(given[name], most[name]), 1) for name in most if name in given}
    return bounds | ({"wide_scale": given["init_scale"]} if "init_scale" in given else {})


def _report(run: "Answer", sweep: Sweep) -> "Report":
    from jaxmyopia.studies.lowrank.finished import FinishedRun
    from jaxmyopia.studies.lowrank.report import make_report

    shown = [cell for cell in run.studies if not cell.control]
    return make_report(FinishedRun(run.folder, shown, run.trials, sweep.thresholds))


PLATEAUS = Experiment(
    name="plateaus",
    summary="Judges nine claims about the S-curves of low-rank learning under SGD, Adam and AdamW.",
    notes="A minute on two cores, for ranks 1 and 2; with --preset=full, for all claims, an hour.",
    presets=PRESETS,
    cells=Sweep.cells,
    claims=lambda sweep: make_claims(sweep.thresholds, sweep.ranks),
    report=_report,
    apart=lambda sweep: [{"target": target} for target in sweep.targets],
    implied=wide_bounds,
)
