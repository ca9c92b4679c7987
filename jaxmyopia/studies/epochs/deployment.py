# SPDX-License-Identifier: Apache-2.0
"""What trained agents do where they were not trained, exactly: `planner.outcome` of their policies there.

Rewards do not matter where only the time that an agent runs is asked for, since it learns no more.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import chex
import jax
import jax.numpy as jnp

from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv

Chances: TypeAlias = Callable[[EpochEnv, EnvParams], jax.Array]  # of an agent, somewhere: `(T, P, A)`


def _running(env: EpochEnv, params: EnvParams, chances: jax.Array) -> jax.Array:
    return planner.outcome(tables.make_model(env, params), chances).running


def unchanged(chances: Chances, env: EpochEnv, params: EnvParams) -> dict[str, jax.Array]:
    """How long an agent runs with its cutoff as it was; X = 2 E.

    Args:
      chances: the agent's.
      env: of training, E epochs and at least 2 E indices.
      params: scalars.

    Returns:
      `longer`: `(X,)` running where the run is twice as long. `masked`: `(E,)` where the index is hidden. `dropped`:
      `(X,)` running at the end of the first epoch where that one shows index 0, 1, ...
    """
    long, one = (dataclasses.replace(env, epochs=epochs) for epochs in (2 * env.epochs, 1))
    params = dataclasses.replace(params, length=jnp.int32(long.epochs))
    everywhere = chances(long, params)
    by_epoch = everywhere.reshape(long.epochs, env.epoch_steps, *everywhere.shape[1:])
    hidden = dataclasses.replace(params, index_shown=jnp.zeros_like(params.index_shown))
    return {
        "longer": _running(long, params, everywhere),
        "masked": _running(env, params, chances(env, hidden)),
        "dropped": jax.vmap(lambda chances: _running(one, params, chances)[0])(by_epoch),
    }


def transferred(
    chances: Chances, env: EpochEnv, params: EnvParams, *, discount: chex.Numeric, credit: chex.Numeric
) -> dict[str, jax.Array]:
    """What an agent that sees the cutoff does at cutoffs and indices that it may never have seen; X = 2 E.

    Args:
      chances: the agent's.
      env: of training, E epochs and at least 2 E indices.
      params: scalars.
      discount, credit: of the agent's returns.

    Returns:
      `runs_to`, `runs_past`: `(X,)`, K by K, in a run of 2 E epochs: the probability to run through all epochs before
      K, and through K too. From K = E on, indices are new as well. `shifted`: `(E,)` running at the cutoff of `params`
      where the index shown is E more than it is. `frozen`: likewise, where it stays 0. `worth`: `(E + 1,)` the value at
      cutoff K in a run of E epochs over the planner's there; NaN where that is 0.
    """
    long = dataclasses.replace(env, epochs=2 * env.epochs)

    def at(cutoff: jax.Array) -> tuple[jax.Array, jax.Array]:
        there = dataclasses.replace(params, cutoff=cutoff, length=jnp.int32(long.epochs))
        running = _running(long, there, chances(long, there))
        before = jnp.where(cutoff > 0, running[jnp.maximum(cutoff - 1, 0)], 1.0)
        return before, running[cutoff]

    def worth(cutoff: jax.Array) -> jax.Array:
        there = dataclasses.replace(params, cutoff=cutoff)
        model, policy = tables.make_model(env, there), chances(env, there)
        factors, arriving = planner.discounts(env, discount, credit), planner.outcome(model, policy).arriving
        best = planner.credited(planner.optimal(model, factors)[0], arriving, credit)
        own = planner.credited(planner.policy_values(model, policy, factors), arriving, credit)
        return planner.share(own, best)

    runs_to, runs_past = jax.vmap(at)(jnp.arange(long.epochs, dtype=jnp.int32))
    everywhere = chances(long, params)
    begins = everywhere[: env.epoch_steps]
    return {
        "runs_to": runs_to,
        "runs_past": runs_past,
        "shifted": _running(env, params, everywhere[env.steps :]),
        "frozen": _running(env, params, jnp.tile(begins, (env.epochs, 1, 1))),
        "worth": jax.vmap(worth)(jnp.arange(env.epochs + 1, dtype=jnp.int32)),
    }
