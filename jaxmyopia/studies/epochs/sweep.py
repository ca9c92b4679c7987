# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the five claims: from settings to cells, with presets for minutes and for half an hour."""

import dataclasses
import itertools

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import When, flag
from jaxmyopia.studies.epochs.learners import LEARNERS, Settings
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

# By learner: its policy, optimisers' rates and the updates of a run, found on the default task under `run` credit.
_POLICY = {"reinforce": "mlp", "ppo": "mlp", "qlearning": "table"}
_RATES = {
    "reinforce": {"adam": 0.02, "sgd": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adamw": 0.02, "lion": 0.005},
    "ppo": {"adam": 0.02, "sgd": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adamw": 0.02, "lion": 0.005},
    "qlearning": {"adam": 0.1, "sgd": 0.9, "momentum": 0.2, "rmsprop": 0.1, "adamw": 0.1, "lion": 0.1},
}


_OWN_BUDGETS = When("without --steps", lambda sweep: sweep.steps is None)
_POPULATIONS = When("where --populations has another number than 0", lambda sweep: any(sweep.populations))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is run of the epoch environment; each field is a flag of the same name.

    `updates`: by learner, in the order of `LEARNERS`. `population_seeds`: by population; those left out have all.
    Raises ArgumentError if a field is not allowed.
    """

    epochs: int = flag(8, "Epochs of a run, E.")
    epoch_steps: int = flag(4, "Steps of an epoch, L.")
    cutoff: int = flag(4, "Epoch K from which the schedule holds.")
    schedules: tuple[str, ...] = flag(
        ("negative", "flat"), "What a step pays at most from K on: negative, zero, flat (no limit)."
    )
    lures: tuple[str, ...] = flag(("invest", "borrow"), "Lures: invest, borrow, none.")
    credits: tuple[str, ...] = flag(("epoch", "run"), "What an action is answerable for: run, epoch.")
    learners: tuple[str, ...] = flag(LEARNERS, "Learners: reinforce, ppo, qlearning.")
    optimizers: tuple[str, ...] = flag(("adam",), "Optimisers: sgd, momentum, adam, adamw, rmsprop, lion.")
    reveals: tuple[str, ...] = flag(("one_hot", "masked"), "How the epoch index is shown: one_hot, scalar, masked.")
    learning_rates: tuple[float, ...] = flag((), "Learning rates of every learner, in place of its own.")
    discount: float = flag(1.0, "Discount of a step.")
    updates: tuple[int, ...] = flag((120, 60, 300), "Updates of reinforce, ppo and qlearning.", when=_OWN_BUDGETS)
    steps: int | None = flag(None, "Updates of every learner, in place of its own budget.")
    records: int = flag(8, "How many records are taken of a run.")
    seeds: int = flag(256, "Seeds in every cell: 0, 1, ...")
    populations: tuple[int, ...] = flag((10,), "Agents in a population; 0 for no selection.")
    intervals: tuple[int, ...] = flag((10,), "Updates between selections.", when=_POPULATIONS)
    population_seeds: tuple[int, ...] = flag((), "The most seeds of each population.", when=_POPULATIONS)
    selection_steps: int = flag(200, "Updates of every population.", when=_POPULATIONS)
    selection_rate: float = flag(0.1, "Learning rate of every population.", when=_POPULATIONS)
    settings: Settings = dataclasses.field(default_factory=lambda: Settings(runs_a_batch=32, passes=2))
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        conform(self)
        lists = ("schedules", "lures", "credits", "learners", "optimizers", "reveals")
        for name in (*lists, "learning_rates", "populations", "intervals"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), name, values, "must be a list without repeats")
            require(len(values) > 0 or name not in lists, name, values, "must be a list without repeats")
        rates = ("learning_rates", self.learning_rates), ("selection_rate", (self.selection_rate,))
        check_settings((*rates, ("discount", (self.discount,)), ("intervals", self.intervals)))
        for name in self.learners:
            require_one_of("learners", name, LEARNERS)
        for interval in self.intervals:
            require(1 <= interval < 2**31, "intervals", interval, f"must be at least 1, at most {2**31 - 1}")
        for size in self.populations:
            require(0 <= size <= 2**16, "populations", size, f"must be at least 2, at most {2**16}; 0 for none")
        for most in self.population_seeds:
            require(1 <= most <= 2**32, "population_seeds", most, f"must be at least 1, at most {2**32}")
        fitting = len(self.population_seeds) <= len(self.populations)
        require(fitting, "population_seeds", self.population_seeds, "must be at most one for each of --populations")
        require(self.epochs >= 1, "epochs", self.epochs, "must be at least 1")
        require(self.steps is None or self.steps >= 1, "steps", self.steps, "must be at least 1")
        require(self.seeds >= 1, "seeds", self.seeds, "must be at least 1")
        each = f"must be {len(LEARNERS)} numbers, those of {', '.join(LEARNERS)}"
        require(len(self.updates) == len(LEARNERS), "updates", self.updates, each)
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
