# SPDX-License-Identifier: Apache-2.0
"""The shape of the environment: how long a run is, what can be done in it, what is seen of it, and their spaces."""

import dataclasses
from typing import Any

import chex
import jax.numpy as jnp

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs import spaces
from jaxmyopia.studies.epochs.codes import REVEALED, code_width
from jaxmyopia.values import conform

ACTIONS = ("work", "lure", "shutdown")
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
    show_cutoff: bool = False
    lure_binds: bool = False

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
        coded = not self.show_cutoff or self.reveal_epoch != "masked"
        require(coded, "show_cutoff", self.show_cutoff, "must be False where reveal_epoch=masked: there is no code")

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
    def code_width(self) -> int:
        """The numbers of a code, C."""
        return code_width(self.reveal_epoch, self.indices)

    @property
    def pending_places(self) -> int:
        """How many values `EnvState.pending` has, P: L + 1, and as many more where lures bind."""
        return (self.epoch_steps + 1) * (1 + int(self.lure_binds))

    @property
    def seen(self) -> int:
        """The numbers of an observation, D."""
        pending = int(self.show_pending) * (1 + int(self.lure_binds))
        return self.code_width * (1 + int(self.show_cutoff)) + self.epoch_steps + pending

    def seen_of_pending(self, pending: chex.Array, first: chex.Array) -> tuple[chex.Array, ...]:
        """What is seen of `EnvState.pending`, numbers in [0, 1]: lures over L; where they bind, whether SHUTDOWN fails.

        Args:
          pending: of any shape.
          first: whether it is the first step of an epoch; of any shape that broadcasts.

        Returns:
          As many arrays as there are entries of an observation.
        """
        if not self.show_pending:
            return ()
        if not self.lure_binds:
            return (pending / self.epoch_steps,)
        count, bound = self.owed(pending, first)
        return count / self.epoch_steps, bound.astype("float32")

    def owed(self, pending: chex.Array, first: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Lures to be paid for, and whether this epoch cannot be shut down: all of `pending` where lures bind."""
        size = self.epoch_steps + 1
        count = pending % size
        return count, (first & (count > 0)) | (~first & (pending >= size))

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
        kinds, counts = spaces.kinds(), {"epoch": self.epochs + 1, "step": self.epoch_steps}
        counts |= {"pending": self.pending_places, "running": 2, "cutoff": self.epochs + 1}
        return kinds.Dict({name: kinds.Discrete(count) for name, count in counts.items()})
