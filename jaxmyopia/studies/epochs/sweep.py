# SPDX-License-Identifier: Apache-2.0
"""The sweep behind the eight claims: from settings to cells, with presets for a minute and for an hour."""

import dataclasses
import itertools

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import When, flag, has, only
from jaxmyopia.studies.epochs.arms import Settings as Trialled
from jaxmyopia.studies.epochs.arms import arms, cell
from jaxmyopia.studies.epochs.codes import REVEALED
from jaxmyopia.studies.epochs.learners import LEARNERS, Settings
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.parts import Hazards, Leaks, Penalties, Transfer, without_repeats
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

PARTS = ("recipe", "leaks", "penalties", "hazards", "transfer")
# By learner: its policy, optimisers' rates and the updates of a run, found on the default task under `run` credit.
_POLICY = {"reinforce": "mlp", "ppo": "mlp", "qlearning": "table"}
_OF_GRADIENTS = {"adam": 0.01, "sgd": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adamw": 0.01, "lion": 0.005}
_STEP_SIZE = 0.9  # of Q-learning, which averages what it sees: plain steps, whatever the optimiser of the others

_OWN_BUDGETS = When("without --steps", lambda sweep: sweep.steps is None)
_RECIPE = has("parts", "recipe")
_TRAINED = has("parts", "recipe", "penalties", "hazards", "transfer")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is run of the epoch environment; each field is a flag of the same name.

    `updates`: by learner, in the order of `LEARNERS`. Raises ArgumentError if a field is not allowed.
    """

    parts: tuple[str, ...] = flag(PARTS, "What is run of the epochs: recipe, leaks, penalties, hazards, transfer.")
    epochs: int = flag(8, "Epochs of a run, E.")
    epoch_steps: int = flag(4, "Steps of an epoch, L.")
    cutoff: tuple[int, ...] = flag((4,), "Epochs K from which the schedule holds.")
    schedules: tuple[str, ...] = flag(
        ("negative", "flat"), "What a step pays at most from K on: negative, zero, flat (no limit).", when=_RECIPE
    )
    lures: tuple[str, ...] = flag(("invest", "borrow"), "Lures: invest, borrow, none.", when=_TRAINED)
    credits: tuple[str, ...] = flag(("epoch", "run"), "What an action is answerable for: run, epoch.", when=_TRAINED)
    learners: tuple[str, ...] = flag(LEARNERS, "Learners: reinforce, ppo, qlearning.", when=_TRAINED)
    optimizers: tuple[str, ...] = flag(
        ("adam",), "Optimisers of reinforce and ppo: sgd, momentum, adam, adamw, rmsprop, lion.", when=_TRAINED
    )
    reveals: tuple[str, ...] = flag(
        ("one_hot", "masked"),
        "How the epoch index is shown: one_hot, scalar, digits, sinusoidal, masked.",
        when=_RECIPE,
    )
    lures_bind: bool = flag(False, "Whether agents are trained, too, where a lure disables shutdown.", when=_RECIPE)
    learning_rates: tuple[float, ...] = flag(
        (), "Learning rates of every learner, in place of its own; parts but the recipe take the first.", when=_TRAINED
    )
    discount: float = flag(1.0, "Discount of a step.", when=_TRAINED)
    updates: tuple[int, ...] = flag((300, 120, 120), "Updates of reinforce, ppo and qlearning.", when=_OWN_BUDGETS)
    steps: int | None = flag(None, "Updates of every learner, in place of its own budget.", when=_TRAINED)
    records: int = flag(8, "How many records are taken of a run.")
    seeds: int = flag(32, "Seeds in every cell: 0, 1, ...")
    leaks: Leaks = dataclasses.field(default_factory=Leaks, metadata=only(has("parts", "leaks")))
    penalties: Penalties = dataclasses.field(default_factory=Penalties, metadata=only(has("parts", "penalties")))
    hazards: Hazards = dataclasses.field(default_factory=Hazards, metadata=only(has("parts", "hazards")))
    transfer: Transfer = dataclasses.field(default_factory=Transfer, metadata=only(has("parts", "transfer")))
    settings: Settings = dataclasses.field(default_factory=lambda: Settings(runs_a_batch=32, passes=2, optimism=3.0))
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        conform(self)
        lists = ("parts", "schedules", "lures", "credits", "learners", "optimizers", "reveals", "cutoff")
        for name in (*lists, "learning_rates"):
            without_repeats(getattr(self, name), name)
            require(len(getattr(self, name)) > 0 or name not in lists, name, (), "must be a list, not an empty one")
        check_settings((("learning_rates", self.learning_rates), ("discount", (self.discount,))))
        for name, allowed in (("parts", PARTS), ("learners", LEARNERS), ("reveals", REVEALED)):
            for value in getattr(self, name):
                require_one_of(name, value, allowed)
        require(self.epochs >= 1, "epochs", self.epochs, "must be at least 1")
        require(self.steps is None or self.steps >= 1, "steps", self.steps, "must be at least 1")
        require(self.seeds >= 1, "seeds", self.seeds, "must be at least 1")
        each = f"must be {len(LEARNERS)} numbers, those of {', '.join(LEARNERS)}"
        require(len(self.updates) == len(LEARNERS), "updates", self.updates, each)
        for cutoff in self.cutoff:
            require(0 <= cutoff <= self.epochs, "cutoff", cutoff, f"must be from 0 to epochs={self.epochs}")

    def cells(self) -> list[Cell]:
        """The cells of every part."""
        found = self._recipe() if "recipe" in self.parts else []
        for name in PARTS[1:]:
            found += getattr(self, name).cells(self) if name in self.parts else []
        some = f"must leave something to run in {', '.join(self.parts)}: cutoffs from 1 or 2 to {self.epochs - 1}"
        require(bool(found), "cutoff", self.cutoff, some)
        return found

    def trained(self, but: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Learners and their optimisers; those named are left out."""
        pairs = itertools.product(self.learners, self.optimizers)
        found = [(learner, "sgd" if learner == "qlearning" else optimizer) for learner, optimizer in pairs]
        return [each for each in dict.fromkeys(found) if each[0] not in but]

    def budget(self, learner: str) -> int:
        """The updates of a learner."""
        return self.steps or self.updates[LEARNERS.index(learner)]

    def rate(self, learner: str, optimizer: str) -> Trialled:
        """The one rate of a learner, as a setting."""
        return {"learning_rate": self._rates(learner, optimizer)[:1]}

    def _rates(self, learner: str, optimizer: str) -> tuple[float, ...]:
        own = _STEP_SIZE if learner == "qlearning" else _OF_GRADIENTS.get(optimizer, 0.01)
        return self.learning_rates or (own,)

    def named(self) -> Trialled:
        """Every lure, credit and discount, as settings."""
        found = {
            "lure": tuple(code("lure", name) for name in self.lures),
            "credit": tuple(code("credit", name) for name in self.credits),
        }  # fmt: skip
        return found | {"discount": (self.discount,)}

    def study(self, learner: str, optimizer: str, reveal: str) -> Myopia:
        """The study of a learner that is shown the index so."""
        return Myopia(
            epochs=self.epochs, epoch_steps=self.epoch_steps, learner=learner, policy=_POLICY[learner],
            optimizer=optimizer, reveal_epoch=reveal, settings_of_learner=self.settings,
        )  # fmt: skip

    def _recipe(self) -> list[Cell]:
        """Every learner in the three arms; the recipe with the index shown in other ways, and where lures bind."""
        recipe = tuple(name for name in self.schedules if name == "negative") or self.schedules[:1]
        asked = {"schedule": tuple(code("schedule", name) for name in recipe), "cutoff": tuple(map(float, self.cutoff))}
        found = []
        for learner, optimizer in self.trained():
            own = self.named() | {"learning_rate": self._rates(learner, optimizer)}
            how = {"steps": self.budget(learner), "seeds": self.seeds, "records": self.records}
            for reveal in self.reveals:
                study = self.study(learner, optimizer, reveal)
                several = arms(self.cutoff, self.schedules) if reveal == "one_hot" else [asked]
                found += [cell(study, own | each, **how) for each in several]
            if self.lures_bind:
                study = dataclasses.replace(self.study(learner, optimizer, "one_hot"), lure_binds=True)
                found.append(cell(study, own | asked, **how))
        return found


PRESETS: dict[str, Sweep] = {
    "quick": Sweep(),
    "full": Sweep(
        cutoff=(2, 4, 6),
        lures_bind=True,
        updates=(600, 240, 400),
        records=16,
        seeds=64,
        leaks=Leaks(
            leak_seeds=192, populations=(10, 100), population_seeds=(192, 64), selection_steps=600,
            trait_steps=600, traces=(0.65, 0.95), traces_steps=480,
        ),
        penalties=Penalties((0.5, 0.75, 1.5, 2.0, 2.5, 4.0, 6.0, 8.0, 10.0, 12.0)),
        hazards=Hazards((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
        transfer=Transfer(
            codes=("one_hot", "scalar", "digits", "sinusoidal"), transfer_steps=8000, debts=(-6.0, 0.0, 2.0)
        ),
    ),
}  # fmt: skip
