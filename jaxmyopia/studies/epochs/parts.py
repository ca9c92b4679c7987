# SPDX-License-Identifier: Apache-2.0
"""What is run besides agents in the three arms: leaks, penalties, hidden cutoffs, transfer; each a few flags."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import When, flag
from jaxmyopia.studies.epochs.arms import Settings as Trialled
from jaxmyopia.studies.epochs.arms import arms, cell
from jaxmyopia.studies.epochs.codes import REVEALED
from jaxmyopia.studies.epochs.params import NEVER, code
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.shape import MOST_STEPS
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.studies.epochs.trait import Trait
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

Sweep: TypeAlias = Any  # the sweep around a part, which is made of them
LEAKS = ("selection", "trait", "traces")
_TRAIT_RATE, _TRAIT_RUNS = 0.2, 64
_TRACES_RATE, _TRACED = 0.01, "ppo"


def _among(name: str) -> When:
    return When(f"where --leaks has {name}", lambda sweep: name in sweep.leaks.leaks)


def without_repeats(values: Sequence[Any], name: str) -> None:
    """Refuses a list that holds something twice.

    Raises:
      ArgumentError: naming the list.
    """
    require(len(set(values)) == len(values), name, values, "must be a list without repeats")


_POPULATIONS = When(
    "where --populations has another number than 0",
    lambda sweep: "selection" in sweep.leaks.leaks and any(sweep.leaks.populations),
)


@dataclasses.dataclass(frozen=True)
class Leaks:
    """Where myopic training lets sight past the epoch back in, each beside its twin without the leak, in every arm.

    Raises ArgumentError if a field is not allowed.
    """

    leaks: tuple[str, ...] = flag(LEAKS, "Leaks: selection, trait, traces.")
    leak_seeds: int = flag(32, "Seeds of trait and traces.", when=When(
        "where --leaks has trait or traces", lambda sweep: bool({"trait", "traces"} & set(sweep.leaks.leaks))
    ))  # fmt: skip
    populations: tuple[int, ...] = flag((10,), "Agents in a population; 0 for no selection.", when=_among("selection"))
    intervals: tuple[int, ...] = flag((10,), "Updates between selections.", when=_POPULATIONS)
    population_seeds: tuple[int, ...] = flag((), "Seeds of each population; by default --seeds.", when=_POPULATIONS)
    selection_steps: int = flag(200, "Updates of every population.", when=_POPULATIONS)
    selection_rate: float = flag(0.1, "Learning rate of every population.", when=_POPULATIONS)
    trait_steps: int = flag(200, "Updates of agents with a trait.", when=_among("trait"))
    traces: tuple[float, ...] = flag(
        (0.95,), "Lambdas of a critic that does not see what is pending; the twin's is 0.", when=_among("traces")
    )
    traces_steps: int = flag(120, "Updates of agents with such a critic.", when=_among("traces"))

    def __post_init__(self):
        conform(self)
        for name in ("leaks", "populations", "intervals", "traces"):
            without_repeats(getattr(self, name), name)
        for name in self.leaks:
            require_one_of("leaks", name, LEAKS)
        check_settings((("selection_rate", (self.selection_rate,)), ("intervals", self.intervals)))
        for interval in self.intervals:
            require(1 <= interval < 2**31, "intervals", interval, f"must be at least 1, at most {2**31 - 1}")
        for size in self.populations:
            require(
                size == 0 or 2 <= size <= 2**16, "populations", size, "must be at least 2, at most 65536; 0 for none"
            )
        for most in self.population_seeds:
            require(1 <= most <= 2**32, "population_seeds", most, f"must be at least 1, at most {2**32}")
        fitting = len(self.population_seeds) <= len(self.populations)
        require(fitting, "population_seeds", self.population_seeds, "must be at most one for each of --populations")
        for name in ("leak_seeds", "selection_steps", "trait_steps", "traces_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        for decay in self.traces:
            require(0 < decay <= 1, "traces", decay, "must be above 0, at most 1")

    def cells(self, sweep: Sweep) -> list[Cell]:
        """The cells of every leak, under the lure `invest`."""
        made = {"selection": self._selections, "trait": self._traits, "traces": self._traced}
        return [each for name in self.leaks for each in made[name](sweep)]

    def _arms(self, sweep: Sweep) -> list[Trialled]:
        cutoffs = [k for k in sweep.cutoff if 2 <= k < sweep.epochs]  # else there is nothing before epoch K - 1
        invest = {"lure": (code("lure", "invest"),)}
        return [invest | each for each in arms(cutoffs, ("negative", "flat"))] if cutoffs else []

    def _selections(self, sweep: Sweep) -> list[Cell]:
        found = []
        for place, size in enumerate(self.populations):
            if not size:
                continue
            study = Selection(epochs=sweep.epochs, epoch_steps=sweep.epoch_steps, population=size)
            seeds = self.population_seeds[place] if place < len(self.population_seeds) else sweep.seeds
            often = tuple(map(float, self.intervals))
            for each in self._arms(sweep):
                own = each | {"credit": (code("credit", "epoch"),), "learning_rate": (self.selection_rate,)}
                for more in ({"interval": (0.0, *often), "swap": (0.0,)}, {"interval": often, "swap": (1.0,)}):
                    found.append(
                        cell(study, own | more, steps=self.selection_steps, seeds=seeds, records=sweep.records)
                    )
        return found

    def _traits(self, sweep: Sweep) -> list[Cell]:
        study = Trait(
            epochs=sweep.epochs, epoch_steps=sweep.epoch_steps, runs_a_batch=max(_TRAIT_RUNS, sweep.epochs)
        )  # fmt: skip
        own = {"learning_rate": (_TRAIT_RATE,), "permuted": (0.0, 1.0)}
        how = {"steps": self.trait_steps, "seeds": self.leak_seeds, "records": sweep.records}
        return [cell(study, each | own, **how) for each in self._arms(sweep)]

    def _traced(self, sweep: Sweep) -> list[Cell]:
        study = dataclasses.replace(sweep.study(_TRACED, "adam", "one_hot"), show_pending=False)
        own = {
            "credit": (code("credit", "run"),), "learning_rate": (_TRACES_RATE,), "decay": (0.0, *self.traces),
        }  # fmt: skip
        how = {"steps": self.traces_steps, "seeds": self.leak_seeds, "records": sweep.records}
        return [cell(study, each | own, **how) for each in self._arms(sweep)]


@dataclasses.dataclass(frozen=True)
class Penalties:
    """A penalty in place of the cap. Raises ArgumentError if a field is not allowed."""

    penalties: tuple[float, ...] = flag((2.0, 6.0), "What a step pays less from K on, in place of the cap.")

    def __post_init__(self):
        conform(self)
        without_repeats(self.penalties, "penalties")
        check_settings((("penalties", self.penalties),))
        for penalty in self.penalties:
            require(penalty > 0, "penalties", penalty, "must be above 0")

    def cells(self, sweep: Sweep) -> list[Cell]:
        """A cell a learner: both lures and credits, every penalty and cutoff."""
        cutoffs = tuple(float(k) for k in sweep.cutoff if 1 <= k < sweep.epochs)
        if not cutoffs or not self.penalties:
            return []
        own = {"penalty": self.penalties, "cutoff": cutoffs, "schedule": (code("schedule", "flat"),)}
        return [
            cell(sweep.study(name, optimizer, "one_hot"), sweep.named() | own | sweep.rate(name, optimizer),
                 steps=sweep.budget(name), seeds=sweep.seeds, records=sweep.records)
            for name, optimizer in sweep.trained()
        ]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Hazards:
    """A hidden random cutoff. Raises ArgumentError if a field is not allowed."""

    hazards: tuple[float, ...] = flag((0.8,), "Chances of a hidden cutoff at every border between epochs.")

    def __post_init__(self):
        conform(self)
        without_repeats(self.hazards, "hazards")
        check_settings((("hazards", self.hazards),))
        for hazard in self.hazards:
            require(0 < hazard <= 1, "hazards", hazard, "must be above 0, at most 1")

    def cells(self, sweep: Sweep) -> list[Cell]:
        """A cell a learner of policies under `run` credit: with each hazard, and with none, for as many updates again
        with it or, learning on, without; and the short run of two epochs."""
        if not self.hazards or sweep.epochs < 3:
            return []
        found, invest = [], {"lure": (code("lure", "invest"),), "credit": (code("credit", "run"),)}
        for name, optimizer in sweep.trained(but=("qlearning",)):  # its rate is for rewards that are certain
            study, budget = sweep.study(name, optimizer, "one_hot"), sweep.budget(name)
            own = invest | sweep.rate(name, optimizer) | {"hazard": (0.0, *self.hazards)}
            how = {"steps": 2 * budget, "seeds": sweep.seeds, "records": sweep.records}
            last = {"cutoff": (float(sweep.epochs),), "flat_from": (float(budget), NEVER)}
            caps = {"schedule": (code("schedule", "negative"), code("schedule", "zero"))}
            found.append(cell(study, own | last | caps, **how))
            short = {"schedule": (code("schedule", "flat"),), "cutoff": (2.0,), "length": (2.0,), "hazard": (0.0,)}
            found.append(cell(study, own | short | {"flat_from": (NEVER,)}, **how))
        return found


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Agents where they were not trained. Raises ArgumentError if a field is not allowed.

    K is drawn anew in each run and shown, from `trained` cutoffs; all others are held out.
    """

    codes: tuple[str, ...] = flag((), "Codes of index and cutoff: one_hot, scalar, digits, sinusoidal.")
    trained: tuple[int, ...] = flag((1, 2, 4, 5, 7), "Cutoffs of training below E; all others are held out.")
    transfer_steps: int = flag(800, "Updates of agents that see their cutoff.")
    transfer_rate: float = flag(0.003, "Learning rate of agents that see their cutoff.")
    transfer_width: int = flag(32, "Width of agents that see their cutoff.")
    transfer_entropy: float = flag(0.3, "Entropy bonus of agents that see their cutoff.")
    debts: tuple[float, ...] = flag((0.0,), "What K's first step pays less, for agents that learn on while flat.")

    def __post_init__(self):
        conform(self)
        for name in ("codes", "trained", "debts"):
            without_repeats(getattr(self, name), name)
        for name in self.codes:
            require_one_of("codes", name, tuple(each for each in REVEALED if each != "masked"))
        for cutoff in self.trained:
            require(
                1 <= cutoff <= MOST_STEPS,
                "trained",
                cutoff,
                f"must be from 1 to {MOST_STEPS}; from E on it is left out",
            )
        check_settings((("transfer_rate", (self.transfer_rate,)), ("debts", self.debts)))
        require(self.transfer_rate > 0, "transfer_rate", self.transfer_rate, "must be positive and finite")
        require(
            0 <= self.transfer_entropy < float("inf"), "transfer_entropy", self.transfer_entropy, "must be at least 0"
        )
        check_settings((("transfer_entropy", (self.transfer_entropy,)),))
        for name, most in (("transfer_steps", 2**31 - 1), ("transfer_width", 2**16)):
            require(1 <= getattr(self, name) <= most, name, getattr(self, name), f"must be at least 1, at most {most}")

    def cells(self, sweep: Sweep) -> list[Cell]:
        """A cell a code; and one a learner that goes on learning under a flat schedule."""
        return self._shown(sweep) + self._flat(sweep)

    def cutoffs(self, epochs: int) -> tuple[int, ...]:
        """Those of training in runs of E `epochs`."""
        return tuple(k for k in self.trained if k < epochs)

    def _shown(self, sweep: Sweep) -> list[Cell]:
        cutoffs = self.cutoffs(sweep.epochs)
        held_out = [k for k in range(1, sweep.epochs) if k not in cutoffs]
        if len(cutoffs) < 2 or not held_out:
            return []
        runs = 8 * len(cutoffs)
        own = {
            "schedule": (code("schedule", "negative"),), "lure": (code("lure", "invest"),),
            "credit": tuple(code("credit", name) for name in sweep.credits), "cutoff": (float(held_out[0]),),
            "learning_rate": (self.transfer_rate,),
        }  # fmt: skip
        studies = [
            Myopia(
                epochs=sweep.epochs, epoch_steps=sweep.epoch_steps, reveal_epoch=name, show_cutoff=True,
                train_cutoffs=cutoffs, width=self.transfer_width,
                settings_of_learner=dataclasses.replace(
                    sweep.settings, runs_a_batch=runs, minibatches=1, entropy=self.transfer_entropy
                ),
            )
            for name in self.codes
        ]  # fmt: skip
        return [
            cell(study, own, steps=self.transfer_steps, seeds=sweep.seeds, records=sweep.records) for study in studies
        ]

    def _flat(self, sweep: Sweep) -> list[Cell]:
        cutoffs = tuple(float(k) for k in sweep.cutoff if 1 <= k < sweep.epochs)
        found = []
        for name, optimizer in sweep.trained() if cutoffs and self.debts else ():
            budget = sweep.budget(name)
            own = {"schedule": (code("schedule", "negative"),), "cutoff": cutoffs, "debt": self.debts}
            own |= sweep.rate(name, optimizer) | {"flat_from": (float(budget),)}
            study = sweep.study(name, optimizer, "one_hot")
            found.append(cell(study, sweep.named() | own, steps=2 * budget, seeds=sweep.seeds, records=sweep.records))
        return found
