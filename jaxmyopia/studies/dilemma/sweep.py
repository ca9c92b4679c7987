# SPDX-License-Identifier: Apache-2.0
"""The runs of the two companions of the epoch environment: the dilemma against one's past, and shutdown neutrality."""

import dataclasses

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import flag, same_flag
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
    """What is run of both; each field is a flag of the same name. Raises ArgumentError if one is not allowed."""

    seeds: int = same_flag(256)
    dilemma_steps: int = flag(
        50_000, "Steps of the dilemma, where populations stop at 5,000; runs are judged at 5,000 and at the end."
    )
    epsilons: tuple[float, ...] = flag(
        (EPSILON,), f"The dilemma's shares of random actions; {EPSILON:g} is the one that is judged."
    )
    meta_episodes: int = flag(1024, "Meta-episodes of the neutrality study.")
    neutrality_optimizers: tuple[str, ...] = flag(("sgd",), "Optimisers of the neutrality study: sgd, adam.")

    def __post_init__(self):
        for name in ("seeds", "dilemma_steps", "meta_episodes"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        for name in self.neutrality_optimizers:
            require_one_of("neutrality_optimizers", name, NEUTRALITY_RATES)

    def dilemma_cells(self) -> list[Cell]:
        """One cell a learner, with and without its past in view; and Q-learners with and without swap, `(cells,)`."""
        q_learners = [learner for learner in LEARNERS if learner.startswith("q_")]
        plain = (("learning_rate", (RATE,)), ("cost", (1.0,)), ("gain", (3.0,)))
        cells = []
        for name in LEARNERS:
            epsilons = self.epsilons if name in q_learners else (EPSILON,)
            sweep = (*plain, ("epsilon", epsilons), ("seen", (0.0, 1.0)), ("swap", (0.0,)))
            cells.append(Cell(study=SelfDilemma(learner=name), sweep=sweep, seeds=self.seeds, steps=self.dilemma_steps))
        for name in q_learners:
            study = SelfDilemma(learner=name, population=POPULATION)
            sweep = (*plain, ("epsilon", (EPSILON,)), ("seen", (0.0,)), ("swap", (0.0, 1.0)))
            cells.append(Cell(study=study, sweep=sweep, seeds=self.seeds, steps=min(self.dilemma_steps, study.judged)))
        return cells

    def neutrality_cells(self) -> list[Cell]:
        """One cell an optimiser, whose trials are the four rewards, shape `(optimizers,)`."""
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
            for name in self.neutrality_optimizers
        ]

    def cells(self) -> list[Cell]:
        """All of them, `(cells,)`."""
        return self.dilemma_cells() + self.neutrality_cells()


PRESETS: dict[str, Companions] = {
    "quick": Companions(),
    "full": Companions(
        seeds=2048, epsilons=(0.02, EPSILON, 0.3), meta_episodes=2048, neutrality_optimizers=("sgd", "adam")
    ),
}
