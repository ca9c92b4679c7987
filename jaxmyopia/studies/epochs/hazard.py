# SPDX-License-Identifier: Apache-2.0
"""A cutoff that is not known: at each border between two epochs the schedule begins to hold with chance h, unseen.

A run's cutoff is K = min(cutoff, G), G geometric from 1 on: P(G = k) = h (1 - h)^(k - 1). So the schedule holds in
epoch e with chance q_e = 1 where e >= cutoff, else 1 - (1 - h)^e, and holds in e + 1 with chance h if not yet in e.
"""

import chex
import jax
import jax.numpy as jnp


def drawn(cutoff: chex.Numeric, hazard: chex.Numeric, draws: jax.Array) -> jax.Array:
    """The cutoffs of runs: K = min(cutoff, G), G the least g >= 1 with 1 - (1 - h)^g > u.

    Args:
      cutoff: whole numbers, of a shape that broadcasts with the draws.
      hazard: h, in [0, 1], likewise.
      draws: uniform u, in [0, 1).

    Returns:
      Whole numbers, int32, of the shape of the draws.
    """
    hazard = jnp.asarray(hazard, draws.dtype)
    safe = jnp.where(hazard > 0, hazard, 1.0)  # of 0: never
    borders = jnp.where(hazard > 0, 1 + jnp.floor(jnp.log1p(-draws) / jnp.log1p(-safe)), jnp.inf)
    return jnp.minimum(jnp.asarray(cutoff, draws.dtype), borders).astype(jnp.int32)


def chance_to_hold(cutoff: chex.Numeric, hazard: chex.Numeric | None, epoch: jax.Array) -> jax.Array:
    """The chance that the schedule holds, q.

    Args:
      cutoff: a whole number.
      hazard: h, in [0, 1]; None for 0.
      epoch: `(E,)` whole numbers, from 0 on.

    Returns:
      `(E,)`.
    """
    hazard = jnp.asarray(0.0 if hazard is None else hazard)
    return jnp.where(epoch >= cutoff, 1.0, 1.0 - jnp.power(1.0 - hazard, epoch.astype(hazard.dtype)))
