# SPDX-License-Identifier: Apache-2.0
"""The runs of the two companions of the epoch environment: the dilemma against one's past, and shutdown neutrality."""

import dataclasses

from jaxmyopia.checks import require_one_of
from jaxmyopia.studies.dilemma.learners import LEARNERS
from jaxmyopia.studies.dilemma.study import SelfDilemma
from jaxmyopia.studies.neutrality.study import Neutrality
from jaxmyopia.study import Cell

EPSILON = 0.1  # of Q-learning, in claims
RATE = 0.01  # of the dilemma's learners
POPULATION = 10  # agents that swap environments
REPEAT_DISCOUNT, DISCOUNT = 0.9, 0.95  # lambda of DREST, and gamma
# The rates of the neutrality study: those of a log grid with the greatest mean usefulness over the four rewards after
# 2,048 meta-episodes, in a trial of 64 seeds of root 99 that looked at usefulness alone (2026-11-23).
NEUTRALITY_RATES = {"sgd": 1.0, "adam": 0.03}
REWARDS = {  # (lambda, per_length) of each reward
    "DREST": (REPEAT_DISCOUNT, 1.0),
    "ordinary, c/m(l)": (1.0, 1.0),
    "coins alone": (1.0, 0.0),
    "coins, repeats discounted": (REPEAT_DISCOUNT, 0.0),
}


@dataclasses.dataclass(frozen=True)
class Companions:
    """What is run of both. `seeds`: in every cell. `steps`: of the dilemma, ten times those at which runs are judged;
    populations stop there. `epsilons`: of Q-learning. `meta_episodes`: of the neutrality study, trained by each of
    `optimizers`."""

    seeds: int = 256
    steps: int = 50_000
    epsilons: tuple[float, ...] = (EPSILON,)
    meta_episodes: int = 1024
    optimizers: tuple[str, ...] = ("sgd",)

    def dilemma_cells(self) -> list[Cell]:
        """One cell a learner, with and without its past in view; and Q-learners with and without swap, `(cells,)`."""
        q_learners = [learner for learner in LEARNERS if learner.startswith("q_")]
        plain = (("learning_rate", (RATE,)), ("cost", (1.0,)), ("gain", (3.0,)))
        cells = []
        for name in LEARNERS:
            epsilons = self.epsilons if name in q_learners else (EPSILON,)
            sweep = (*plain, ("epsilon", epsilons), ("seen", (0.0, 1.0)), ("swap", (0.0,)))
            cells.append(Cell(study=SelfDilemma(learner=name), sweep=sweep, seeds=self.seeds, steps=self.steps))
        for name in q_learners:
            study = SelfDilemma(learner=name, population=POPULATION)
            sweep = (*plain, ("epsilon", (EPSILON,)), ("seen", (0.0,)), ("swap", (0.0, 1.0)))
            cells.append(Cell(study=study, sweep=sweep, seeds=self.seeds, steps=min(self.steps, study.judged)))
        return cells

    def neutrality_cells(self) -> list[Cell]:
        """One cell an optimiser, whose trials are the four rewards, shape `(optimizers,)`."""
        for name in self.optimizers:
            require_one_of("optimizers", name, NEUTRALITY_RATES)
        return [
            Cell(
                study=Neutrality(optimizer=name),
                sweep=(
                    ("learning_rate", (NEUTRALITY_RATES[name],)),
                    ("repeat_discount", (REPEAT_DISCOUNT, 1.0)),
                    ("discount", (DISCOUNT,)),
                    ("per_length", (1.0, 0.0)),
                ),
                seeds=self.seeds,
                steps=self.meta_episodes,
            )
            for name in self.optimizers
        ]

    def cells(self) -> list[Cell]:
        """All of them, `(cells,)`."""
        return self.dilemma_cells() + self.neutrality_cells()


PRESETS: dict[str, Companions] = {
    "quick": Companions(),
    "full": Companions(seeds=2048, epsilons=(0.02, EPSILON, 0.3), meta_episodes=2048, optimizers=("sgd", "adam")),
}
