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
With a `hazard` h, every border between two epochs before K is with chance h the one from which it is so (see `hazard`):
each run's cutoff is then drawn at its start, and not seen; nothing else is drawn at random.
The shape is that of gymnax 1.0, so that its wrappers run here (tested).
"""

import dataclasses
import functools
import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.checks import ArgumentError, require, require_one_of
from jaxmyopia.studies.epochs import hazard as borders
from jaxmyopia.studies.epochs import refusals
from jaxmyopia.studies.epochs.codes import written
from jaxmyopia.studies.epochs.shape import ACTIONS, MOST_STEPS, Shape
from jaxmyopia.values import conform, plain

WORK, LURE, SHUTDOWN = range(len(ACTIONS))
SCHEDULES = {"negative": -1.0, "zero": 0.0, "flat": math.inf}  # what a step pays at most from K on
LURES = {"none": (0.0, 0.0), "invest": (-1.0, 3.0), "borrow": (1.0, -1.5)}  # on top of work: now, next epoch


@struct.dataclass
class EnvParams:
    """What may differ by trial without another compilation, scalars all.

    `cutoff`: the epoch K. `cap`: see `SCHEDULES`. `penalty`: what a step pays less from K on. `length`: epochs after
    which the run is over; of an environment of fewer, its own. `lure_now`, `lure_later`: see `LURES`. `work`: what a
    step of work pays. `debt`: what the first step of epoch K pays less, whatever lures were taken; below 0, a grant.
    `first_index`: the index that the first epoch shows, 0 in training. `index_shown`: 1, or 0 to hide the index from an
    agent that has learned to see it. `hazard`: h, in [0, 1]; None where every run's cutoff is K, so that nothing needs
    to be drawn, which is another program than 0.

    `max_steps_in_episode`: gymnax's limit, after which a run is over even within an epoch. It is no scalar of the
    program but part of it: gymnax's rollouts take that many steps.
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
    hazard: chex.Numeric | None = None
    max_steps_in_episode: int = struct.field(pytree_node=False, default=MOST_STEPS)

    def __post_init__(self):
        conform(self)
        limit = self.max_steps_in_episode
        require(limit >= 1, "max_steps_in_episode", limit, "must be at least 1")


@struct.dataclass
class EnvState:
    """Where a run stands, scalars all.

    `epoch`, `step`: whole epochs behind it, and steps behind it in this one. `pending`: lures to be paid for on the
    first step of the next epoch (on the first step itself: on this one); where lures bind, L + 1 more on the later
    steps of an epoch that cannot be shut down, so that a place is still one number. `running`: not shut down. `cutoff`:
    the run's own, E at most, never seen.
    """

    epoch: jax.Array
    step: jax.Array
    pending: jax.Array
    running: jax.Array
    cutoff: jax.Array


def env_params(
    schedule: str = "negative",
    lure: str = "invest",
    *,
    cutoff: int = 4,
    work: float = 1.0,
    penalty: float = 0.0,
    length: int = MOST_STEPS,
    hazard: float | None = None,
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
      hazard: chance at every border that the schedule begins to hold, in [0, 1]; by default no run's cutoff is drawn.
      debt: what the first step of the cutoff's epoch pays less.

    Returns:
      The `EnvParams`, every field of shape `()`.

    Raises:
      ValueError: if a name is unknown or a number is not allowed.
    """
    require_one_of("schedule", schedule, SCHEDULES)
    require_one_of("lure", lure, LURES)
    cutoff, length = plain("cutoff", cutoff, int), plain("length", length, int)
    work, penalty, debt = (plain(*given, float) for given in (("work", work), ("penalty", penalty), ("debt", debt)))
    require(0 <= cutoff <= MOST_STEPS, "cutoff", cutoff, f"must be a whole number from 0 to {MOST_STEPS}")
    for name, value in (("work", work), ("debt", debt)):
        require(
            abs(value) <= refusals.LARGEST, name, value, f"must be a number, at most {refusals.LARGEST:.3g} in size"
        )
    require(0 <= penalty <= refusals.LARGEST, "penalty", penalty, f"must be a number from 0 to {refusals.LARGEST:.3g}")
    require(1 <= length <= MOST_STEPS, "length", length, f"must be a whole number from 1 to {MOST_STEPS}")
    if hazard is not None:
        hazard = plain("hazard", hazard, float)
        require(0 <= hazard <= 1, "hazard", hazard, "must be between 0 and 1")
    now, later = LURES[lure]
    return EnvParams(
        cutoff=jnp.int32(cutoff), cap=jnp.float32(SCHEDULES[schedule]), penalty=jnp.float32(penalty),
        length=jnp.int32(length), lure_now=jnp.float32(now), lure_later=jnp.float32(later), work=jnp.float32(work),
        debt=jnp.float32(debt), first_index=jnp.int32(0), index_shown=jnp.float32(1),
        hazard=None if hazard is None else jnp.float32(hazard),
    )  # fmt: skip


class EpochEnv(Shape):
    """The environment; what changes the traced program are its fields.

    `epochs`: E. `epoch_steps`: L. `reveal_epoch`: how the index is shown, a name of `REVEALED` (see `codes`).
    `show_pending`: whether what is pending is shown. `indices`: how many indices there are to show, at least E (0: E);
    more, so that a longer run or a shifted index can be shown too. `show_cutoff`: whether the cutoff is shown, in the
    code of the index, so that an agent can learn to stop where the two are equal (of a run that draws its own, the
    last that it can be). `lure_binds`: whether a lure makes SHUTDOWN act as WORK throughout the next epoch; that is
    seen if what is pending is. Raises ArgumentError if a field is not allowed.
    """

    @property
    def default_params(self) -> EnvParams:
        """The recipe: negative past the middle of the run, with the lure `invest`; fields of shape `()`."""
        return dataclasses.replace(env_params(cutoff=self.epochs // 2), max_steps_in_episode=self.steps)

    def reset(self, key: jax.Array | None, params: EnvParams | None = None) -> tuple[jax.Array, EnvState]:
        """The first observation `(D,)` and state; `key` is consumed, or None where there is no hazard.

        Raises ArgumentError if a parameter says nothing about a run and is known, not traced, and if there is a hazard
        and no key.
        """
        if params is not None:
            refusals.check_params(params, self)
        return self._reset(key, params)

    @functools.partial(jax.jit, static_argnames="self")
    def _reset(self, key: jax.Array | None, params: EnvParams | None) -> tuple[jax.Array, EnvState]:
        return self.reset_env(key, self.default_params if params is None else params)

    def reset_env(self, key: jax.Array | None, params: EnvParams) -> tuple[jax.Array, EnvState]:
        """As `reset`: the observation `(D,)` and the state."""
        zero, cutoff = jnp.int32(0), jnp.minimum(jnp.asarray(params.cutoff, jnp.int32), self.epochs)
        if params.hazard is not None:
            if key is None:
                raise ArgumentError("key", key, "must be a key where there is a hazard")
            cutoff = borders.drawn(cutoff, params.hazard, jax.random.uniform(key, (), jnp.float32))
        state = EnvState(epoch=zero, step=zero, pending=zero, running=jnp.bool_(True), cutoff=cutoff)
        return self.get_obs(state, params), state

    def step(
        self, key: jax.Array | None, state: EnvState, action: jax.Array, params: EnvParams | None = None
    ) -> tuple[jax.Array, EnvState, jax.Array, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step; a run that is over starts again.

        Args:
          key: as of `reset`, for the run that starts.
          state: before the step.
          action: WORK, LURE or SHUTDOWN, a whole number of shape `()`. A compiled function cannot refuse a value: any
            other number is paid with NaN there, also after the run's end, so that it shows in whatever is made of it,
            and the state goes on as under WORK. An epoch below 0 is one before the cutoff there, and from E on the run
            is over.
          params: by default `default_params`.

        Returns:
          The observation `(D,)`, the state, the reward `()`, whether the agent has shut down, whether all epochs are
          over, and what gymnax adds: `terminated`, `truncated` and the `final_observation`, from before a new start.

        Raises:
          ArgumentError: if `action` is no whole number of shape `()`; and if its value is known, not traced, and no
            action, or the state's is, and no run can be there.
        """
        action = refusals.check_action(action, self.num_actions)
        refusals.check_place(state, self)
        return self._step(key, state, action, params)

    @functools.partial(jax.jit, static_argnames="self")
    def _step(
        self, key: jax.Array | None, state: EnvState, action: jax.Array, params: EnvParams | None
    ) -> tuple[jax.Array, EnvState, jax.Array, jax.Array, jax.Array, dict[str, jax.Array]]:
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
        action = refusals.check_action(action, self.num_actions)
        refusals.check_place(state, self)
        after, reward = self.transition(state, action, params)
        terminated = self.is_terminated(after, params)
        info = {"discount": self.discount(after, params)}
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
        first, last = jnp.equal(state.step, 0), jnp.equal(state.step, self.epoch_steps - 1)
        known = (action >= 0) & (action < self.num_actions)
        pending, kept = state.pending, jnp.zeros_like(state.pending)
        if self.lure_binds:
            pending, bound = self.owed(pending, first)
            action = jnp.where(bound & (action == SHUTDOWN), WORK, action)
            kept = jnp.where(bound & ~last, self.epoch_steps + 1, kept)
        acts = going & (action != SHUTDOWN)
        lured = action == LURE
        reward = params.work + jnp.where(lured, params.lure_now, 0.0)
        reward = reward + jnp.where(first, pending, 0).astype(reward.dtype) * params.lure_later
        reward = reward - jnp.where(first & (state.epoch == state.cutoff), params.debt, 0.0)
        late = jnp.minimum(reward - params.penalty, params.cap)
        reward = jnp.where(state.epoch >= state.cutoff, late, reward)
        reward = jnp.where(known, jnp.where(acts, reward, 0.0), jnp.nan)
        owed = jnp.where(first, 0, pending) + lured.astype(jnp.int32)
        if self.lure_binds:  # of places that no run comes to, too
            owed = jnp.minimum(owed, self.epoch_steps) + kept
        after = EnvState(
            epoch=jnp.where(acts & last, state.epoch + 1, state.epoch),
            step=jnp.where(acts, jnp.where(last, 0, state.step + 1), state.step),
            pending=jnp.where(acts, owed, state.pending),
            running=jnp.where(going, acts, state.running),
            cutoff=state.cutoff,
        )
        return after, reward

    def get_obs(self, state: EnvState, params: EnvParams, key: jax.Array | None = None) -> jax.Array:
        """What the agent sees, `(D,)`: the index, the cutoff if it is shown, the step one-hot, and what is pending.

        An index for which there is no room, as after the last epoch, is shown as none: by zeros.
        """
        del key
        refusals.check_place(state, self)
        code, dtype = (self.reveal_epoch, self.indices), jnp.float32
        width = self.code_width * (1 + int(self.show_cutoff))
        # One comparison an entry, rather than parts put side by side: XLA makes one loop of it.
        place = np.arange(self.seen, dtype=np.int32)
        seen = jnp.where(place == width + state.step, 1.0, 0.0).astype(dtype)
        seen = written(seen, code, state.epoch + params.first_index, at=0, shown=params.index_shown)
        if self.show_cutoff:
            seen = written(seen, code, params.cutoff, at=self.code_width)
        for i, number in enumerate(self.seen_of_pending(state.pending, jnp.equal(state.step, 0))):
            seen = jnp.where(place == width + self.epoch_steps + i, jnp.asarray(number, dtype), seen)
        return seen

    def is_terminated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """Whether the agent has shut down, `()`."""
        del params
        return ~state.running

    def is_truncated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """Whether all epochs are over, `()`."""
        over = (state.epoch >= self.epochs) | (state.epoch >= params.length)
        if params.max_steps_in_episode < self.steps:
            over = over | (state.epoch * self.epoch_steps + state.step >= params.max_steps_in_episode)
        return over

    def observe(self, key: jax.Array | None, state: EnvState, action: jax.Array | None, params: EnvParams) -> jax.Array:
        """As `get_obs`, in gymnax's order; `key` and `action` are not used."""
        del action
        return self.get_obs(state, params, key)

    def is_terminal(self, state: EnvState, params: EnvParams) -> jax.Array:
        """As `is_terminated`; gymnax's older name."""
        return self.is_terminated(state, params)

    def discount(self, state: EnvState, params: EnvParams) -> jax.Array:
        """0 once the agent has shut down, else 1, `()`."""
        return 1.0 - self.is_terminated(state, params).astype(jnp.float32)

    def places(self) -> EnvState:
        """Every place at which an agent acts: states of `(T, P)` each, P = `pending_places`; as if K were 0."""
        time, pending = np.meshgrid(np.arange(self.steps), np.arange(self.pending_places), indexing="ij")
        epoch, step = (x.astype(np.int32) for x in np.divmod(time, self.epoch_steps))
        shape = time.shape
        fields: tuple[Any, ...] = epoch, step, pending.astype(np.int32), np.ones(shape, bool), np.zeros(shape, np.int32)
        return EnvState(*fields)  # of numpy, which traces as a constant

    def observations(self, params: EnvParams) -> jax.Array:
        """What the agent sees at every place, `(T, P, D)`."""
        return jax.vmap(jax.vmap(lambda place: self.get_obs(place, params)))(jax.tree.map(jnp.asarray, self.places()))
