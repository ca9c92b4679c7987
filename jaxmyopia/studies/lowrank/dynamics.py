# SPDX-License-Identifier: Apache-2.0
"""One update of S seeds by any optimiser of `jaxmyopia.optimizers`, with one rate, and one weight decay, a seed.

Pairs of factors are in either of the orders of `lowrank.layouts`. Optimisers that act entry by entry work on them as
they are; all others (matrix-valued ones such as muon, or those that use norms) are mapped over the seeds and
see a pair of matrices `(n, r)`, so that no seed sees another.
"""

import jax
import jax.numpy as jnp
import optax

from jaxmyopia import optimizers
from jaxmyopia.optimizers import ELEMENTWISE, Optimizer
from jaxmyopia.studies.lowrank.layouts import Layout


def _entry_by_entry(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, str) and optimizer in ELEMENTWISE


def _made(optimizer: Optimizer, rate: jax.Array, decay: jax.Array | None) -> optax.GradientTransformation:
    factory = optimizers.make(optimizer)
    return factory(rate) if decay is None else factory(rate, weight_decay=decay)


def init_optimizer(
    optimizer: Optimizer,
    layout: Layout,
    factors: jax.Array,
    learning_rate: jax.Array,
    keys: jax.Array | None = None,
    weight_decay: jax.Array | None = None,
) -> optax.OptState:
    """The optimiser's state of S seeds.

    Args:
      optimizer: see `optimizers.make`.
      layout: of the factors.
      factors: `(2, n, r, S)` or `(2, S, r, n)`.
      learning_rate: `(S,)`.
      keys: `(S,)` for optimisers that draw noise; without them, all seeds have the noise of optax's fixed seed.
      weight_decay: `(S,)` for optimisers that take one; without it, they have optax's default.

    Returns:
      The optax state; moments are shaped like `factors` if the optimiser is in `ELEMENTWISE`, else a pair of
      `(S, n, r)`.
    """
    if _entry_by_entry(optimizer):
        return _made(optimizer, *_spread(layout, learning_rate, weight_decay)).init(factors)

    def one(factors, rate, decay, key):
        with jax.numpy_dtype_promotion("standard"):
            opt_state = _made(optimizer, rate, decay).init(tuple(layout.turn(factors)))
        return opt_state if key is None else optimizers.with_key(opt_state, key)

    return jax.vmap(one, in_axes=(layout.seed_axis, 0, 0, 0))(factors, learning_rate, weight_decay, keys)


def _spread(layout: Layout, rate: jax.Array, decay: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
    return layout.spread(rate), None if decay is None else layout.spread(decay)


def apply_optimizer(
    optimizer: Optimizer,
    layout: Layout,
    gradients: jax.Array,
    opt_state: optax.OptState,
    factors: jax.Array,
    learning_rate: jax.Array,
    weight_decay: jax.Array | None = None,
) -> tuple[jax.Array, optax.OptState]:
    """One optax update of S seeds.

    Args:
      optimizer: see `optimizers.make`.
      layout: of the factors.
      gradients: shaped like `factors`.
      opt_state: from `init_optimizer` or the last call.
      factors: `(2, n, r, S)` or `(2, S, r, n)`.
      learning_rate: `(S,)`.
      weight_decay: as of `init_optimizer`.

    Returns:
      The new factors and the new state.
    """

    def update(gradients, opt_state, factors, rate, decay):
        updates, opt_state = _made(optimizer, rate, decay).update(gradients, opt_state, factors)
        return optax.apply_updates(factors, updates), opt_state

    def update_one(gradients, opt_state, factors, rate, decay):
        gradients, factors = (tuple(layout.turn(x)) for x in (gradients, factors))
        pair, opt_state = update(gradients, opt_state, factors, rate, decay)
        return layout.turn(jnp.stack(pair)), opt_state

    # optax raises a float to an integer step count, which strict promotion (a user's setting) refuses.
    with jax.numpy_dtype_promotion("standard"):
        if _entry_by_entry(optimizer):
            return update(gradients, opt_state, factors, *_spread(layout, learning_rate, weight_decay))
        seeds = layout.seed_axis
        mapped = jax.vmap(update_one, in_axes=(seeds, 0, seeds, 0, 0), out_axes=(seeds, 0))
        return mapped(gradients, opt_state, factors, learning_rate, weight_decay)
