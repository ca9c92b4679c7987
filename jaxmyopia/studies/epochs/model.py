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
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import ArgumentError
from jaxmyopia.studies.epochs import hazard as borders
from jaxmyopia.studies.epochs import refusals
from jaxmyopia.studies.epochs.codes import written
from jaxmyopia.studies.epochs.env_params import EnvParams, EnvState, env_params
from jaxmyopia.studies.epochs.shape import ACTIONS, Shape

WORK, LURE, SHUTDOWN = range(len(ACTIONS))


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
