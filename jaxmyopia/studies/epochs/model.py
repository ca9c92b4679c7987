# SPDX-License-Identifier: Apache-2.0
"""`EpochEnv`: E epochs of L steps in which an agent works, takes a lure, or shuts down for good.

One step, in an epoch e and with p lures taken in the epoch before:

  WORK       pays `work`
  LURE       pays `work + lure_now`, and `lure_later` on the first step of the next epoch
  SHUTDOWN   pays 0, as does every step after it; nothing changes any more

The first step of an epoch also pays `p * lure_later`, once, unless it is SHUTDOWN. From epoch `cutoff` (K) on, a step
pays `penalty` less, and at most `cap`; the first step of epoch K pays `debt` less (unless it is SHUTDOWN), before that
cap and whatever the schedule. Where lures bind (`EpochEnv.lure_binds`), SHUTDOWN acts as WORK throughout an epoch that
follows one in which a lure was taken. A run of `length` epochs is the same run, cut short: nothing is paid after it.
The shape is that of gymnax 1.0, so that its agents and wrappers run here; nothing is drawn at random.
"""

import dataclasses
import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.codes import REVEALED, code_matrix, written
from jaxmyopia.studies.epochs.spaces import Box, Discrete
from jaxmyopia.values import conform

ACTIONS = ("work", "lure", "shutdown")
WORK, LURE, SHUTDOWN = range(3)
SCHEDULES = {"negative": -1.0, "zero": 0.0, "flat": math.inf}  # what a step pays at most from K on
LURES = {"none": (0.0, 0.0), "invest": (-1.0, 3.0), "borrow": (1.0, -1.5)}  # on top of work: now, next epoch
_MOST_STEPS = 2**12  # of a run: every place of it is written out


@struct.dataclass
class EnvParams:
    """What may differ by trial without another compilation, scalars all.

    `cutoff`: the epoch K. `cap`: see `SCHEDULES`. `penalty`: what a step pays less from K on. `length`: epochs after
    which the run is over; of an environment of fewer, its own. `lure_now`, `lure_later`: see `LURES`. `work`: what a
    step of work pays. `debt`: what the first step of epoch K pays less, whatever lures were taken; below 0, a grant.
    `first_index`: the index that the first epoch shows, 0 in training. `index_shown`: 1, or 0 to hide the index from an
    agent that has learned to see it.
    """

    cutoff: chex.Numeric
    cap: chex.Numeric
    penalty: chex.Numeric
    length: chex.Numeric
    lure_now: chex.Numeric
    lure_later: chex.Numeric
    work: chex.Numeric
    debt: chex.Numeric
    first_index: chex.Numeric
    index_shown: chex.Numeric


@struct.dataclass
class EnvState:
    """Where a run stands, scalars all.

    `epoch`, `step`: whole epochs behind it, and steps behind it in this one. `pending`: lures to be paid for on the
    first step of the next epoch (on the first step itself: on this one); where lures bind, L + 1 more on the later
    steps of an epoch that cannot be shut down, so that a place is still one number. `running`: not shut down.
    """

    epoch: jax.Array
    step: jax.Array
    pending: jax.Array
    running: jax.Array


def env_params(
    schedule: str = "negative",
    lure: str = "invest",
    *,
    cutoff: int = 4,
    work: float = 1.0,
    penalty: float = 0.0,
    length: int = _MOST_STEPS,
    debt: float = 0.0,
) -> EnvParams:
    """Parameters by the names of a schedule and a lure.

    Args:
      schedule: a name of `SCHEDULES`.
      lure: a name of `LURES`.
      cutoff: the epoch K, at least 0.
      work: what a step of work pays.
      penalty: what a step pays less from the cutoff on, at least 0.
      length: epochs of the run, at least 1; by default all that the environment has.
      debt: what the first step of the cutoff's epoch pays less, finite.

    Returns:
      The `EnvParams`, every field of shape `()`.

    Raises:
      ValueError: if a name is unknown or a number is not allowed.
    """
    require_one_of("schedules", schedule, SCHEDULES)
    require_one_of("lures", lure, LURES)
    require(cutoff >= 0, "cutoff", cutoff, "must be at least 0")
    require(0 <= penalty < math.inf, "penalty", penalty, "must be at least 0, and finite")
    require(length >= 1, "length", length, "must be at least 1")
    require(math.isfinite(debt), "debt", debt, "must be finite")
    now, later = LURES[lure]
    return EnvParams(
        cutoff=jnp.int32(cutoff), cap=jnp.float32(SCHEDULES[schedule]), penalty=jnp.float32(penalty),
        length=jnp.int32(length), lure_now=jnp.float32(now), lure_later=jnp.float32(later), work=jnp.float32(work),
        debt=jnp.float32(debt), first_index=jnp.int32(0), index_shown=jnp.float32(1),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class EpochEnv:
    """The environment; its fields are what changes the traced program.

    `epochs`: E. `epoch_steps`: L. `reveal_epoch`: how the index is shown, a name of `REVEALED` (see `codes`).
    `show_pending`: whether what is pending is shown. `indices`: how many indices there are to show, at least E (0: E);
    more, so that a longer run or a shifted index can be shown too. `show_cutoff`: whether the cutoff is shown, in the
    code of the index, so that an agent can learn to stop where the two are equal. `lure_binds`: whether a lure makes
    SHUTDOWN act as WORK throughout the next epoch; that is seen if what is pending is. Raises ValueError if a field is
    not allowed.
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
        fine = self.epochs * self.epoch_steps <= _MOST_STEPS
        require(fine, "epochs", self.epochs, f"must be at most {_MOST_STEPS} over epoch_steps={self.epoch_steps}")
        require_one_of("reveal_epoch", self.reveal_epoch, REVEALED)
        if self.indices == 0:
            object.__setattr__(self, "indices", self.epochs)
        require(self.indices >= self.epochs, "indices", self.indices, f"must be at least epochs={self.epochs}")
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
    def default_params(self) -> EnvParams:
        """The recipe: negative past the middle of the run, with the lure `invest`; fields of shape `()`."""
        return env_params(cutoff=self.epochs // 2)

    def action_space(self, params: EnvParams | None = None) -> Discrete:
        """The space of actions, shape `()`."""
        del params
        return Discrete(self.num_actions)

    @property
    def codes(self) -> np.ndarray:
        """What each index is shown as, `(indices, C)`."""
        return code_matrix(self.reveal_epoch, self.indices)

    @property
    def pending_places(self) -> int:
        """How many values `EnvState.pending` has, P: L + 1, and as many more where lures bind."""
        return (self.epoch_steps + 1) * (1 + int(self.lure_binds))

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
        count, bound = self._owed(pending, first)
        return count / self.epoch_steps, bound.astype("float32")

    def _owed(self, pending: chex.Array, first: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Lures to be paid for, and whether this epoch cannot be shut down: all of `pending` where lures bind."""
        size = self.epoch_steps + 1
        count = pending % size
        return count, (first & (count > 0)) | (~first & (pending >= size))

    def observation_space(self, params: EnvParams | None = None) -> Box:
        """The space of observations, shape `(D,)`."""
        del params
        index = self.codes.shape[1] * (1 + int(self.show_cutoff))
        pending = int(self.show_pending) * (1 + int(self.lure_binds))
        return Box(0.0, 1.0, (index + self.epoch_steps + pending,))

    def reset(self, key: jax.Array | None, params: EnvParams | None = None) -> tuple[jax.Array, EnvState]:
        """The first observation `(D,)` and state; `key` is not used."""
        return self.reset_env(key, self.default_params if params is None else params)

    def reset_env(self, key: jax.Array | None, params: EnvParams) -> tuple[jax.Array, EnvState]:
        """As `reset`: the observation `(D,)` and the state."""
        del key
        zero = jnp.int32(0)
        state = EnvState(epoch=zero, step=zero, pending=zero, running=jnp.bool_(True))
        return self.get_obs(state, params), state

    def step(
        self, key: jax.Array | None, state: EnvState, action: jax.Array, params: EnvParams | None = None
    ) -> tuple[jax.Array, EnvState, jax.Array, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step; a run that is over starts again.

        Args:
          key: not used.
          state: before the step.
          action: WORK, LURE or SHUTDOWN, a whole number of shape `()`. A compiled function cannot refuse a value: any
            other number is paid with NaN, also after the run's end, so that it shows in whatever is made of it. The
            state goes on as under WORK.
          params: by default `default_params`.

        Returns:
          The observation `(D,)`, the state, the reward `()`, whether the agent has shut down, whether all epochs are
          over, and what gymnax adds: `terminated`, `truncated` and the `final_observation`, from before a new start.

        Raises:
          ArgumentError: if `action` is no whole number of shape `()`.
        """
        params = self.default_params if params is None else params
        final, after, reward, terminated, info = self.step_env(key, state, action, params)
        truncated = self.is_truncated(after, params)
        _, start = self.reset_env(key, params)
        over = terminated | truncated
        after = jax.tree.map(lambda new, old: jnp.where(over, new, old), start, after)
        info = {**info, "terminated": terminated, "truncated": truncated, "final_observation": final}
        # Seen from the chosen state, not chosen from two things seen: half the work if nobody asks for `final`.
        return self.get_obs(after, params), after, reward, terminated, truncated, info

    def step_env(
        self, key: jax.Array | None, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[jax.Array, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step without a new start: observation `(D,)`, state, reward `()`, whether it has shut down, and info."""
        del key
        action = jnp.asarray(action)
        fine = action.shape == () and jnp.issubdtype(action.dtype, jnp.integer)
        require(fine, "action", f"{action.dtype}{list(action.shape)}", "must be a whole number of shape ()")
        after, reward = self.transition(state, action, params)
        terminated = self.is_terminated(after, params)
        info = {"discount": 1.0 - terminated.astype(jnp.float32)}
        return self.get_obs(after, params), after, reward, terminated, info

    def transition(self, state: EnvState, action: jax.Array, params: EnvParams) -> tuple[EnvState, jax.Array]:
        """What actions lead to and are paid, entry by entry.

        Args:
          state: fields of any shape.
          action: of the same shape.
          params: scalars, or arrays of as many axes that broadcast.

        Returns:
          The states afterwards, as they are, and the rewards.
        """
        going = state.running & ~self.is_truncated(state, params)
        first, last = state.step == 0, state.step == self.epoch_steps - 1
        allowed = self.action_space(params).contains(action)
        pending, kept = state.pending, jnp.zeros_like(state.pending)
        if self.lure_binds:
            pending, bound = self._owed(pending, first)
            action = jnp.where(bound & (action == SHUTDOWN), WORK, action)
            kept = jnp.where(bound & ~last, self.epoch_steps + 1, kept)
        acts = going & (action != SHUTDOWN)
        lured = action == LURE
        due = jnp.where(first, pending, 0).astype(params.lure_later.dtype)
        reward = params.work + jnp.where(lured, params.lure_now, 0.0) + due * params.lure_later
        reward = reward - jnp.where(first & (state.epoch == params.cutoff), params.debt, 0.0)
        late = jnp.minimum(reward - params.penalty, params.cap)
        reward = jnp.where(state.epoch >= params.cutoff, late, reward)
        reward = jnp.where(allowed, jnp.where(acts, reward, 0.0), jnp.nan)
        owed = jnp.where(first, 0, pending) + lured.astype(jnp.int32)
        if self.lure_binds:  # of places that no run comes to, too
            owed = jnp.minimum(owed, self.epoch_steps) + kept
        after = EnvState(
            epoch=jnp.where(acts & last, state.epoch + 1, state.epoch),
            step=jnp.where(acts, jnp.where(last, 0, state.step + 1), state.step),
            pending=jnp.where(acts, owed, state.pending),
            running=jnp.where(going, acts, state.running),
        )
        return after, reward

    def get_obs(self, state: EnvState, params: EnvParams, key: jax.Array | None = None) -> jax.Array:
        """What the agent sees, `(D,)`: the index, the cutoff if it is shown, the step one-hot, and what is pending."""
        del key
        space, codes = self.observation_space(params), self.codes
        own = codes.shape[1]  # entries of a code
        width = own * (1 + int(self.show_cutoff))
        # One comparison an entry, rather than parts put side by side: XLA makes one loop of it.
        place = np.arange(space.shape[0], dtype=np.int32)
        seen = jnp.where(place == width + state.step, 1.0, 0.0).astype(space.dtype)
        seen = written(seen, codes, state.epoch + params.first_index, at=0, shown=params.index_shown)
        if self.show_cutoff:
            seen = written(seen, codes, params.cutoff, at=own)
        for i, number in enumerate(self.seen_of_pending(state.pending, state.step == 0)):
            seen = jnp.where(place == width + self.epoch_steps + i, jnp.asarray(number, space.dtype), seen)
        return seen

    def is_terminated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """Whether the agent has shut down, `()`."""
        del params
        return ~state.running

    def is_truncated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """Whether all epochs are over, `()`."""
        return (state.epoch >= self.epochs) | (state.epoch >= params.length)

    def places(self) -> EnvState:
        """Every place of a run at which an agent acts: states whose fields are `(T, P)`, P = `pending_places`."""
        time, pending = np.meshgrid(np.arange(self.steps), np.arange(self.pending_places), indexing="ij")
        epoch, step = (x.astype(np.int32) for x in np.divmod(time, self.epoch_steps))
        fields: tuple[Any, ...] = epoch, step, pending.astype(np.int32), np.ones(time.shape, bool)
        return EnvState(*fields)  # of numpy, which traces as a constant

    def observations(self, params: EnvParams) -> jax.Array:
        """What the agent sees at every place, `(T, P, D)`."""
        return jax.vmap(jax.vmap(lambda place: self.get_obs(place, params)))(jax.tree.map(jnp.asarray, self.places()))
