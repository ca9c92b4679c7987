# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the five claims: from settings to cells, with presets for minutes and for half an hour."""

import dataclasses
import itertools

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.learners import LEARNERS, Settings
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Cell

# By learner: its policy, optimisers' rates and the updates of a run, found on the default task under `run` credit.
_POLICY = {"reinforce": "mlp", "ppo": "mlp", "qlearning": "table"}
_RATES = {
    "reinforce": {"adam": 0.02, "sgd": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adamw": 0.02, "lion": 0.005},
    "ppo": {"adam": 0.02, "sgd": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adamw": 0.02, "lion": 0.005},
    "qlearning": {"adam": 0.1, "sgd": 0.9, "momentum": 0.2, "rmsprop": 0.1, "adamw": 0.1, "lion": 0.1},
}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run of the myopia experiment is; each field is a flag of the same name.

    `epochs`, `epoch_steps`, `cutoff`: E, L, K. `schedules`, `lures`, `credits`, `learners`, `optimizers`: names.
    `reveals`: how the index is shown. `learning_rates`: for every learner; empty for its own. `updates`: by learner,
    the budget; `steps`, if not 0, for all of them. `seeds`: in every cell. `populations`, `intervals`: of selection (a
    population of 0: none); `population_seeds`: the most seeds by population, all for those left out;
    `selection_steps`, `selection_rate`: the budget and the learning rate. Raises ValueError if a field is not allowed.
    """

    epochs: int = 8
    epoch_steps: int = 4
    cutoff: int = 4
    schedules: tuple[str, ...] = ("negative", "flat")
    lures: tuple[str, ...] = ("invest", "borrow")
    credits: tuple[str, ...] = ("epoch", "run")
    learners: tuple[str, ...] = LEARNERS
    optimizers: tuple[str, ...] = ("adam",)
    reveals: tuple[str, ...] = ("one_hot", "masked")
    learning_rates: tuple[float, ...] = ()
    discount: float = 1.0
    updates: tuple[int, ...] = (120, 60, 300)
    steps: int = 0
    records: int = 8
    seeds: int = 256
    populations: tuple[int, ...] = (10,)
    intervals: tuple[int, ...] = (10,)
    population_seeds: tuple[int, ...] = ()
    selection_steps: int = 200
    selection_rate: float = 0.1
    settings: Settings = dataclasses.field(default_factory=lambda: Settings(runs_a_batch=32, passes=2))
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        lists = ("schedules", "lures", "credits", "learners", "optimizers", "reveals")
        for name in (*lists, "learning_rates", "populations", "intervals"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), name, values, "must be a list without repeats")
            require(len(values) > 0 or name not in lists, name, values, "must be a list without repeats")
        for name in self.learners:
            require_one_of("learners", name, LEARNERS)
        for interval in self.intervals:
            require(interval >= 1, "intervals", interval, "must be at least 1")
        require(self.epochs >= 1, "epochs", self.epochs, "must be at least 1")
        require(self.steps >= 0, "steps", self.steps, "must be at least 1")
        require(0 <= self.cutoff <= self.epochs, "cutoff", self.cutoff, f"must be from 0 to epochs={self.epochs}")

    def cells(self) -> list[Cell]:
        """One cell per learner, optimiser and index shown; one that learns on while flat; one a population."""
        cells = []
        for learner, optimizer in itertools.product(self.learners, self.optimizers):
            budget = self.steps or self.updates[LEARNERS.index(learner)]
            for reveal in self.reveals:
                study, trials = (
                    self._study(learner, optimizer, reveal),
                    self._trials(learner, optimizer, self.schedules),
                )
                if reveal != "one_hot":  # what is asked of these agents is asked of the recipe alone
                    trials = self._trials(learner, optimizer, self._recipe())
                cells.append(self._cell(study, trials, budget))
            if "one_hot" in self.reveals and "negative" in self.schedules and "run" in self.credits:
                trials = self._trials(learner, optimizer, self._recipe()) | {"credit": (code("credit", "run"),)}
                study = self._study(learner, optimizer, "one_hot")
                cells.append(self._cell(study, trials | {"flat_from": (float(budget),)}, 2 * budget))
        return cells + [self._selection(size) for size in self.populations if size]

    def _recipe(self) -> tuple[str, ...]:
        """The recipe's schedule, or the first where the recipe is not asked for."""
        return ("negative",) if "negative" in self.schedules else self.schedules[:1]

    def _study(self, learner: str, optimizer: str, reveal: str) -> Myopia:
        return Myopia(
            epochs=self.epochs,
            epoch_steps=self.epoch_steps,
            learner=learner,
            policy=_POLICY[learner],
            optimizer=optimizer,
            reveal_epoch=reveal,
            settings_of_learner=self.settings,
        )

    def _trials(self, learner: str, optimizer: str, schedules: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
        rates = self.learning_rates or (_RATES[learner].get(optimizer, 0.02),)
        return {
            "schedule": tuple(code("schedule", name) for name in schedules),
            "lure": tuple(code("lure", name) for name in self.lures),
            "credit": tuple(code("credit", name) for name in self.credits),
            "cutoff": (float(self.cutoff),),
            "discount": (self.discount,),
            "learning_rate": rates,
        }

    def _cell(
        self, study: Myopia | Selection, trials: dict[str, tuple[float, ...]], steps: int, seeds: int = 0
    ) -> Cell:
        return Cell(
            study=study, sweep=tuple(trials.items()), seeds=seeds or self.seeds, steps=steps, records=self.records
        )

    def _selection(self, size: int) -> Cell:
        study = Selection(epochs=self.epochs, epoch_steps=self.epoch_steps, population=size)
        trials = {
            "schedule": (code("schedule", "negative"),),
            "lure": (code("lure", "invest"),),
            "credit": (code("credit", "epoch"),),
            "cutoff": (float(self.cutoff),),
            "learning_rate": (self.selection_rate,),
            "interval": (0.0, *map(float, self.intervals)),
            "swap": (0.0, 1.0),
        }
        most = dict(zip(self.populations, self.population_seeds, strict=False)).get(size, self.seeds)
        return self._cell(study, trials, self.selection_steps, min(most, self.seeds))


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(
        schedules=("negative", "zero", "flat"),
        reveals=("one_hot", "scalar", "masked"),
        updates=(240, 120, 600),
        records=16,
        seeds=2048,
        populations=(10, 100, 1000),
        intervals=(1, 10, 100),
        population_seeds=(2048, 64, 24),
    ),
}


def resolve(preset: str, given: dict[str, object]) -> Sweep:
    """A preset with what was given put in its place.

    Args:
      preset: a name of `PRESETS`.
      given: fields of `Sweep`, of `Settings` and of `Thresholds`, scalars or tuples.

    Returns:
      The `Sweep`.

    Raises:
      ValueError: if the preset is unknown or a value is not allowed.
    """
    require_one_of("preset", preset, PRESETS)
    base, given = PRESETS[preset], dict(given)
    require(given.get("steps") != 0, "steps", 0, "must be at least 1")
    require(given.get("seeds") != 0, "seeds", 0, "must be at least 1")
    for name in ("settings", "thresholds"):
        part = getattr(base, name)
        own = {field.name for field in dataclasses.fields(part)} & given.keys()
        given[name] = dataclasses.replace(part, **{field: given.pop(field) for field in own})
    return dataclasses.replace(base, **given)
