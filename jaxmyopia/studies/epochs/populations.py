# SPDX-License-Identifier: Apache-2.0
"""What is done with populations: the best are copied over the worst, and runs change hands."""

import jax
import jax.numpy as jnp

from jaxmyopia.studies.epochs.learners import Agent
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv
from jaxmyopia.studies.epochs.rollouts import Experience, live


def select(agents: Agent, earned: jax.Array, count: int) -> Agent:
    """Truncation selection: the best are copied over the worst, the best over the very worst.

    Args:
      agents: leaves `(..., N)`, or `(..., S, N)` of S populations; scalars are left as they are.
      earned: `(N,)`, or `(S, N)`.
      count: how many are replaced, at most N / 2.

    Returns:
      The population afterwards.
    """

    def sources(earned):
        order = jnp.argsort(earned)
        return jnp.arange(earned.shape[0]).at[order[:count]].set(order[::-1][:count])

    if earned.ndim == 1:
        source = sources(earned)
    else:
        source = jax.vmap(sources)(earned) + earned.shape[1] * jnp.arange(earned.shape[0])[:, None]

    def copied(x):
        return x.reshape(*x.shape[: x.ndim - earned.ndim], -1)[..., source] if x.ndim else x

    return jax.tree.map(copied, agents)


def shared_rollout(
    env: EpochEnv,
    params: EnvParams,
    chances: jax.Array,
    draws: jax.Array,
    swap: jax.Array,
    population: int,
    cutoffs: jax.Array | None = None,
) -> Experience:
    """Lets populations live through runs, which may change hands from epoch to epoch.

    Args:
      env: the environment.
      params: its parameters, scalars or `(M,)`.
      chances: `(A, T, P, M)` the agents' policies, populations one after the other.
      draws: `(T, B, M)` uniform.
      swap: `(M,)`, whether agent i goes on in epoch e + 1 where agent i - 1 ended epoch e.
      population: N.
      cutoffs: `(B, M)` of the runs where there is a hazard; a run that changes hands keeps its own.

    Returns:
      `Experience` by who acted, `(T, B, M)` leaves.
    """

    def swapped(places):
        others = jnp.roll(places.reshape(places.shape[0], -1, population), 1, axis=2).reshape(places.shape)
        return jnp.where(swap[None] > 0, others, places)

    def pass_on(places, first):
        return jax.lax.cond(first, swapped, lambda places: places, places)

    return live(env, params, chances, draws, pass_on, cutoffs)
