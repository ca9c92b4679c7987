# SPDX-License-Identifier: Apache-2.0
"""What is run of the neutrality study: one cell an optimiser, whose trials are four rewards."""

import dataclasses

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.flags import flag, same_flag
from jaxmyopia.studies.neutrality.study import Neutrality
from jaxmyopia.study import Cell
from jaxmyopia.values import conform

REPEAT_DISCOUNT, DISCOUNT = 0.9, 0.95  # lambda of DREST, and gamma
# Those of a log grid with the greatest mean usefulness over the four rewards after 2,048 meta-episodes, on 64 seeds of
# root 99, where usefulness alone was looked at (2026-11-23).
RATES = {"sgd": 1.0, "adam": 0.03}
REWARDS = {  # (lambda, per_length) of each reward
    "DREST": (REPEAT_DISCOUNT, 1.0),
    "ordinary, c/m(l)": (1.0, 1.0),
    "coins alone": (1.0, 0.0),
    "coins, repeats discounted": (REPEAT_DISCOUNT, 0.0),
}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a run is; each field is a flag of the same name. Raises ArgumentError if one is not allowed."""

    seeds: int = same_flag(256)
    meta_episodes: int = flag(1024, "Meta-episodes of the neutrality study.")
    neutrality_optimizers: tuple[str, ...] = flag(("sgd",), "Optimisers of the neutrality study: sgd, adam.")

    def __post_init__(self):
        conform(self)
        for name in ("seeds", "meta_episodes"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        names = self.neutrality_optimizers
        require(0 < len(set(names)) == len(names), "neutrality_optimizers", names, "must be a list without repeats")
        for name in names:
            require_one_of("neutrality_optimizers", name, RATES)

    def cells(self) -> list[Cell]:
        """One cell an optimiser."""
        swept = {"repeat_discount": (REPEAT_DISCOUNT, 1.0), "discount": (DISCOUNT,), "per_length": (1.0, 0.0)}
        return [
            Cell(
                study=Neutrality(optimizer=name),
                sweep=(("learning_rate", (RATES[name],)), *swept.items()),
                seeds=self.seeds,
                steps=self.meta_episodes,
            )
            for name in self.neutrality_optimizers
        ]


PRESETS = {
    "quick": Sweep(seeds=64),
    "full": Sweep(seeds=512, meta_episodes=2048, neutrality_optimizers=("sgd", "adam")),
}
