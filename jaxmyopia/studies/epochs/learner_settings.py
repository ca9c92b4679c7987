# SPDX-License-Identifier: Apache-2.0
"""What learners are set to."""

import dataclasses

from jaxmyopia.checks import require
from jaxmyopia.flags import flag, has
from jaxmyopia.values import check_settings, conform

_PPO, _Q = has("learners", "ppo"), has("learners", "qlearning")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What learners are set to. Raises ArgumentError if a field is not allowed."""

    runs_a_batch: int = flag(32, "Runs in a batch, B.")
    entropy: float = flag(
        0.01,
        "Weight of the entropy bonus, against advantages of standard deviation 1.",
        when=has("learners", "reinforce", "ppo"),
    )
    clip: float = flag(0.2, "PPO's epsilon.", when=_PPO)
    decay: float = flag(0.95, "PPO's lambda.", when=_PPO)
    passes: int = flag(4, "PPO's passes over a batch.", when=_PPO)
    minibatches: int = flag(4, "PPO's minibatches of a batch.", when=_PPO)
    value_weight: float = flag(0.5, "Weight of PPO's value loss.", when=_PPO)
    exploration: float = flag(0.1, "Q-learning's probability of a random action.", when=_Q)
    optimism: float = flag(0.0, "Q-learning's value of every action at the start, a step of the run.", when=_Q)

    def __post_init__(self):
        conform(self)
        for name in ("decay", "exploration"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "must be between 0 and 1")
        require(0 < self.clip < 1, "clip", self.clip, "must be between 0 and 1, both excluded")
        for name in ("entropy", "value_weight", "optimism"):
            require(0 <= getattr(self, name) < float("inf"), name, getattr(self, name), "must be at least 0")
        for name in ("passes", "minibatches"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        check_settings(
            [
                (name, (getattr(self, name),))
                for name in ("entropy", "clip", "decay", "value_weight", "exploration", "optimism")
            ]
        )
        for name in ("runs_a_batch", "passes", "minibatches"):
            require(getattr(self, name) <= 2**20, name, getattr(self, name), f"must be at most {2**20}")
        require(self.runs_a_batch >= 2, "runs_a_batch", self.runs_a_batch, "must be at least 2")
        whole = self.runs_a_batch % self.minibatches == 0
        require(whole, "runs_a_batch", self.runs_a_batch, f"must be a multiple of minibatches={self.minibatches}")
