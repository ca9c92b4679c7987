# SPDX-License-Identifier: Apache-2.0
"""What is run of the dilemma: each learner with and without its past in view, Q-learners with and without swap."""

import dataclasses

from jaxmyopia.checks import require
from jaxmyopia.flags import flag, same_flag
from jaxmyopia.studies.dilemma.learners import LEARNERS
from jaxmyopia.studies.dilemma.study import SelfDilemma
from jaxmyopia.study import Cell
from jaxmyopia.values import check_settings, conform

EPSILON = 0.1  # of Q-learning, in claims
RATE = 0.01  # of the learners
POPULATION = 10  # agents that swap environments


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run is; each field is a flag of the same name. Raises ArgumentError if one is not allowed."""

    seeds: int = same_flag(256)
    dilemma_steps: int = flag(
        50_000, "Steps of the dilemma, where populations stop at 5,000; runs are judged at 5,000 and at the end."
    )
    epsilons: tuple[float, ...] = flag(
        (EPSILON,), f"The dilemma's shares of random actions; {EPSILON:g} is the one that is judged."
    )

    def __post_init__(self):
        conform(self)
        require(EPSILON in self.epsilons, "epsilons", self.epsilons, f"must hold {EPSILON:g}, the one that is judged")
        check_settings((("epsilons", self.epsilons),))
        for name in ("seeds", "dilemma_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")

    def cells(self) -> list[Cell]:
        """One cell a learner, and one a Q-learner whose agents are many."""
        q_learners = [learner for learner in LEARNERS if learner.startswith("q_")]
        plain = ("learning_rate", (RATE,)), ("cost", (1.0,)), ("gain", (3.0,))
        sweep: tuple[tuple[str, tuple[float, ...]], ...]
        cells = []
        for name in LEARNERS:
            epsilons = self.epsilons if name in q_learners else (EPSILON,)
            sweep = (*plain, ("epsilon", epsilons), ("seen", (0.0, 1.0)), ("swap", (0.0,)))
            cells.append(Cell(study=SelfDilemma(learner=name), sweep=sweep, steps=self.dilemma_steps, seeds=self.seeds))
        for name in q_learners:
            study = SelfDilemma(learner=name, population=POPULATION)
            sweep = (*plain, ("epsilon", (EPSILON,)), ("seen", (0.0,)), ("swap", (0.0, 1.0)))
            cells.append(Cell(study=study, sweep=sweep, steps=min(self.dilemma_steps, study.judged), seeds=self.seeds))
        return cells


PRESETS = {"quick": Sweep(seeds=96), "full": Sweep(seeds=512, epsilons=(0.02, EPSILON, 0.3))}
