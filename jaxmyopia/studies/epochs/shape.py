# SPDX-License-Identifier: Apache-2.0
"""The shape of the environment: how long a run is, what can be done in it, what is seen of it, and their spaces."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs import spaces
from jaxmyopia.values import conform

ACTIONS = ("work", "lure", "shutdown")
REVEALED = ("one_hot", "scalar", "masked")
MOST_STEPS = 2**12  # of a run: every place of it is written out


@dataclasses.dataclass(frozen=True)
class Shape:
    """The fields of `EpochEnv`, by which it is compared and hashed.

    They have a class of their own since a frozen dataclass lets nothing at all be set on it. One of a class above it
    lets all but its fields be, and gymnax's `GymnaxToVectorGymWrapper` puts a `reset` and a `step` on its copy.
    """

    epochs: int = 8
    epoch_steps: int = 4
    reveal_epoch: str = "one_hot"
    show_pending: bool = True
    indices: int = 0

    def __post_init__(self):
        conform(self)
        for name in ("epochs", "epoch_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        fine = self.epochs * self.epoch_steps <= MOST_STEPS
        require(fine, "epochs", self.epochs, f"must be at most {MOST_STEPS} over epoch_steps={self.epoch_steps}")
        require_one_of("reveal_epoch", self.reveal_epoch, REVEALED)
        if self.indices == 0:
            object.__setattr__(self, "indices", self.epochs)
        fine = self.epochs <= self.indices <= 2 * MOST_STEPS
        allowed = f"must be at least epochs={self.epochs} and at most {2 * MOST_STEPS}"
        require(fine, "indices", self.indices, allowed)

    @property
    def name(self) -> str:
        """The environment's name."""
        return "EpochEnv"

    @property
    def num_actions(self) -> int:
        """The number of actions."""
        return len(ACTIONS)

    @property
    def steps(self) -> int:
        """The steps of a run, T = E * L."""
        return self.epochs * self.epoch_steps

    @property
    def seen(self) -> int:
        """The numbers of an observation, D."""
        index = {"one_hot": self.indices, "scalar": 1, "masked": 0}[self.reveal_epoch]
        return index + self.epoch_steps + int(self.show_pending)

    def action_space(self, params: object = None) -> Any:
        """The space of actions, shape `()`; gymnax's `Discrete` if gymnax is installed, and so below."""
        del params
        return spaces.kinds().Discrete(self.num_actions)

    def observation_space(self, params: object = None) -> Any:
        """The space of observations, a `Box` of shape `(D,)`."""
        del params
        return spaces.kinds().Box(0.0, 1.0, (self.seen,), jnp.float32)

    def state_space(self, params: object = None) -> Any:
        """The space of states, a `Dict` of whole numbers."""
        del params
        kinds, steps = spaces.kinds(), self.epoch_steps
        counts = {"epoch": self.epochs + 1, "step": steps, "pending": steps + 1, "running": 2}
        counts["cutoff"] = self.epochs + 1
        return kinds.Dict({name: kinds.Discrete(count) for name, count in counts.items()})
