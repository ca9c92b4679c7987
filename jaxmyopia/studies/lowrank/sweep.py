# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the six claims: from settings to the runner's cells, with presets for a minute and for a night."""

import dataclasses
import itertools

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

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


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the plateaus experiment is; each field is a flag of the same name.

    `learning_rates`: for every cell; empty for `rates` default ones a cell. `seeds`: seeds 0, 1, ... in every cell;
    `steps`: the budget of every seed; above rank 16, where both cost more, `wide_seeds` and `wide_steps`. Raises
    ValueError if a field is not allowed.
    """

    n: int = 100
    ranks: tuple[int, ...] = (1, 2, 4, 10, 100)
    losses: tuple[str, ...] = ("square", "cross_entropy")
    targets: tuple[str, ...] = ("gaussian",)
    optimizers: tuple[str, ...] = ("sgd", "adam")
    learning_rates: tuple[float, ...] = ()
    rates: int = 3
    spectrum: tuple[float, ...] = ()
    init_scale: float = 1.0
    steps: int = 1000
    records: int = 200
    seeds: int = 64
    wide_seeds: int = 32
    wide_steps: int = 1000
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        for name in ("ranks", "losses", "targets", "optimizers"):
            values = getattr(self, name)
            require(len(values) > 0 and len(set(values)) == len(values), name, values, "must be a list without repeats")
        require(
            len(set(self.learning_rates)) == len(self.learning_rates),
            "learning_rates",
            self.learning_rates,
            "must be a list without repeats",
        )
        for name in ("wide_seeds", "wide_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")

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
        return cells


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(rates=5, steps=10_000, wide_steps=3000, seeds=1024, wide_seeds=1024, records=256),
}


def resolve(preset: str, given: dict[str, object]) -> Sweep:
    """A preset with what was given put in its place.

    Args:
      preset: a name of `PRESETS`.
      given: fields of `Sweep` and of `Thresholds`, scalars or tuples. `seeds` and `steps` alone
        also bound `wide_seeds` and `wide_steps`.

    Returns:
      The `Sweep`.

    Raises:
      ValueError: if the preset is unknown or a value is not allowed.
    """
    require_one_of("preset", preset, PRESETS)
    base = PRESETS[preset]
    fields = {field.name for field in dataclasses.fields(Thresholds)}
    thresholds = Thresholds(**{name: value for name, value in given.items() if name in fields})
    settings = {name: value for name, value in given.items() if name not in fields}
    for name in ("seeds", "steps"):
        if name in settings:
            settings.setdefault(f"wide_{name}", max(min(settings[name], getattr(base, f"wide_{name}")), 1))
    return dataclasses.replace(base, thresholds=thresholds, **settings)
