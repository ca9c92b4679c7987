# SPDX-License-Identifier: Apache-2.0
"""The environment written out: what every action pays and leads to, at every place.

With a hazard a run has a cutoff of its own, which the agent does not see. It decides rewards and never where an action
leads, so that places are as likely whatever it is, and the mean over cutoffs of what a policy earns is what it earns by
the mean rewards: with those written at each place all below stays exact for what an agent can know.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.epochs import hazard as borders
from jaxmyopia.studies.epochs.model import ACTIONS, SHUTDOWN, EnvParams, EpochEnv


@struct.dataclass
class Model:
    """The environment written out at every place and action.

    `reward`: `(T, P, A)`, its mean over the cutoffs that a run may have. `pending`: `(T, P, A)` int32, the lures
    pending afterwards. `goes_on`: `(T, P, A)`, 0 for SHUTDOWN (where it is to be had). `within`: `(E,)`, 1 for the
    epochs of the run, 0 for those after its `length`.
    """

    reward: jax.Array
    pending: jax.Array
    goes_on: jax.Array
    within: jax.Array


def make_model(env: EpochEnv, params: EnvParams) -> Model:
    """Writes an environment out, by taking every step of it.

    Args:
      env: the environment, E epochs of L steps.
      params: its parameters, scalars.

    Returns:
      The `Model`.
    """
    if params.hazard is None:
        return _written_out(env, params, params.cutoff)
    holds, begins, later = (_written_out(env, params, cutoff) for cutoff in (-1, None, env.epochs))
    chance, before = (x.astype(holds.reward.dtype) for x in _chances_to_hold(env, params))
    # Where it is certain, to the bit what it is without a hazard.
    mean = jnp.where(chance > 0, chance * holds.reward + (1 - chance) * later.reward, later.reward)
    mean = jnp.where(chance < 1, mean, holds.reward)
    now = chance - before  # what the first epoch under the schedule pays less falls due
    mean = jnp.where(now > 0, mean + now * (begins.reward - holds.reward), mean)
    return dataclasses.replace(holds, reward=jnp.where(now < 1, mean, begins.reward))


def _written_out(env: EpochEnv, params: EnvParams, cutoff: chex.Numeric | None) -> Model:
    """The `Model` of runs that all have the same cutoff, a scalar; None for each place's own epoch."""
    places, actions = jax.tree.map(jnp.asarray, env.places()), jnp.arange(len(ACTIONS), dtype=jnp.int32)

    def take(place, action):
        own = place.epoch if cutoff is None else jnp.asarray(cutoff, jnp.int32)
        after, reward = env.transition(dataclasses.replace(place, cutoff=own), action, params)
        return reward, after.pending, after.running

    over_actions = jax.vmap(take, in_axes=(None, 0))
    reward, pending, runs = jax.vmap(jax.vmap(over_actions, in_axes=(0, None)), in_axes=(0, None))(places, actions)
    stops = jnp.broadcast_to((actions != SHUTDOWN).astype(reward.dtype), reward.shape)
    # A place can hold L lures, and lures are taken by ones: beyond is never reached.
    return Model(
        reward=reward,
        pending=jnp.minimum(pending, env.pending_places - 1),
        goes_on=runs.astype(reward.dtype) if env.lure_binds else stops,
        within=(jnp.arange(env.epochs) < params.length).astype(reward.dtype),
    )


def _chances_to_hold(env: EpochEnv, params: EnvParams) -> tuple[jax.Array, jax.Array]:
    """The chance that the schedule holds at each time, and in the epoch before; `(T, 1, 1)`, for places and actions."""
    epoch = jnp.arange(env.steps)[:, None, None] // env.epoch_steps
    holds = lambda epoch: borders.chance_to_hold(params.cutoff, params.hazard, epoch)
    return holds(epoch), jnp.where(epoch > 0, holds(jnp.maximum(epoch - 1, 0)), 0.0)


def before_cutoff(env: EpochEnv, params: EnvParams) -> Model:
    """The environment written out as if nothing were paid once the schedule holds.

    Args:
      env: the environment.
      params: its parameters, scalars.

    Returns:
      The `Model`; its rewards are what is paid before, times the chance that the schedule does not hold yet.
    """
    model = _written_out(env, params, env.epochs)
    chance = _chances_to_hold(env, params)[0].astype(model.reward.dtype)
    return dataclasses.replace(model, reward=model.reward * (1 - chance))
