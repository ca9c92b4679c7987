# SPDX-License-Identifier: Apache-2.0
"""Runs of agents of two sorts, and the gradients of what they are and do; see `trait`."""

import jax
import jax.numpy as jnp

from jaxmyopia.studies.epochs.losses import policy_loss
from jaxmyopia.studies.epochs.model import LURE, SHUTDOWN, WORK, EnvParams, EpochEnv
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.rollouts import Experience, gather, live, normalised, share_of, without_each


def sorted_runs(
    env: EpochEnv,
    params: EnvParams,
    acts: jax.Array,
    lures: jax.Array,
    draws: jax.Array,
    permuted: jax.Array,
    cutoffs: jax.Array | None = None,
) -> Experience:
    """Lets agents live through runs of either sort.

    Args:
      env: the environment.
      params: its parameters, scalars or `(S,)`.
      acts: `(2, T, P, S)` the chances to act and to shut down.
      lures: `(B, S)` bool, which runs are of the sort that takes lures.
      draws: `(T, B, S)` uniform.
      permuted: `(S,)`, whether run b goes on in epoch e + 1 where run b - 1 ended epoch e.
      cutoffs: `(B, S)` of the runs, from `draw_cutoffs`.

    Returns:
      `Experience` by who acted, `(T, B, S)` leaves.
    """

    def shifted(places):
        return jnp.where(permuted[None] > 0, jnp.roll(places, 1, axis=0), places)

    def pass_on(places, first):
        return jax.lax.cond(first, shifted, lambda places: places, places)

    def made_of(action):
        return jnp.where(lures & (action == WORK), LURE, action)

    chances = jnp.stack([acts[0], jnp.zeros_like(acts[0]), acts[1]])
    return live(env, params, chances, draws, pass_on, cutoffs, made_of)


def trait_slope(
    lived: Experience, followed: jax.Array, lures: jax.Array, chance: jax.Array, baseline: jax.Array, epoch_steps: int
) -> jax.Array:
    """The gradient of what is earned with respect to the trait x, see the module.

    Args:
      lived: B runs.
      followed: `(T, B)` returns, cut at the ends of epochs.
      lures: `(B,)` bool.
      chance: p, scalar.
      baseline: its code, scalar.
      epoch_steps: L.

    Returns:
      Scalar, by step of a run.
    """
    earned, alive, owed = followed[::epoch_steps], lived.running[::epoch_steps], lived.pending[::epoch_steps] > 0
    by_epoch = without_each(earned, alive)
    by_place = jnp.where(owed, without_each(earned, alive & owed), without_each(earned, alive & ~owed))
    base = jnp.where(baseline == code("baseline", "epoch"), by_epoch, jnp.zeros_like(earned))
    base = jnp.where(baseline == code("baseline", "place"), by_place, base)
    weight = jnp.where(alive, earned - base, 0.0).sum(axis=0)
    return ((lures.astype(chance.dtype) - chance[None]) * weight).mean(axis=0) / len(followed)


def table_slope(lived: Experience, followed: jax.Array, logits: jax.Array) -> jax.Array:
    """REINFORCE's gradient with respect to the logits to act and to shut down, `(2, T, P)`, as of `reinforce_from`."""
    alive = lived.running
    advantage = normalised(followed - without_each(followed, alive), alive, centre=False)
    weights = gather(lived, advantage * share_of(alive, advantage.dtype), logits.shape[2])
    weights = jnp.stack([weights[WORK] + weights[LURE], weights[SHUTDOWN]])
    return jax.grad(policy_loss)(logits, weights)
