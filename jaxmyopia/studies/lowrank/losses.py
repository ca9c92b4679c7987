# SPDX-License-Identifier: Apache-2.0
"""The two losses of a learned matrix `Z = A B^T` against a target `C = U V^T`, for S seeds at once.

  square         L = 1/2 ||C - Z||^2                              (Frobenius);  dL/dZ = Z - C
  cross_entropy  L = KL(P || Q), P and Q the softmax of C and Z over all n^2 entries as one distribution:
                 cross-entropy, offset so that Q = P is zero loss;               dL/dZ = Q - P
                 Its zero set is Z = C + c 1 1^T for any c.

Pairs of factors and matrices are in either of the orders of `jaxmyopia.studies.lowrank.layouts`.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.lowrank.layouts import Layout

_SAFE_LOGIT = 60.0  # up to here sums of exp(z) and exp(-z) over any matrix stay within the numbers of float32


@struct.dataclass
class Target:
    """What a loss compares with.

    `factors`: the pair U, V, in the layout's order, of rank R. `dense`: matrices that the loss prepared: `(C,)` for
    `square`, `(P, log-normaliser of C)` for `cross_entropy`; empty where the gradient needs none.
    """

    factors: jax.Array
    dense: tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of S seeds.

    `prepare(layout, factors)`: the target's pair of factors -> `Target.dense`. `slope(layout, factors, target)`: dL/dZ,
    `(n, n, S)` or `(S, n, n)`. `value(layout, factors, target)`: `(S,)` the loss, accurate near zero.
    """

    prepare: Callable[[Layout, jax.Array], tuple[jax.Array, ...]]
    slope: Callable[[Layout, jax.Array, Target], jax.Array]
    value: Callable[[Layout, jax.Array, Target], jax.Array]


def _prepare_square(layout: Layout, factors: jax.Array) -> tuple[jax.Array, ...]:
    return (layout.product(factors),)


def _square_slope(layout: Layout, factors: jax.Array, target: Target) -> jax.Array:
    (c,) = target.dense
    return layout.product(factors) - c


def _square(layout: Layout, factors: jax.Array, target: Target) -> jax.Array:
    if not target.dense:
        return layout.squared_distance(factors, target.factors) / 2
    return jnp.square(_square_slope(layout, factors, target)).sum(axis=layout.entry_axes) / 2


def _log_normaliser(layout: Layout, z: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(z, axis=layout.entry_axes, keepdims=True)


def _prepare_cross_entropy(layout: Layout, factors: jax.Array) -> tuple[jax.Array, ...]:
    c = layout.product(factors)
    log_normaliser = _log_normaliser(layout, c)
    return jnp.exp(c - log_normaliser), log_normaliser


def _shift(layout: Layout, factors: jax.Array, z: jax.Array) -> jax.Array:
    """What is taken off the logits before exp, one number a seed with the entries' axes kept.

    The greatest logit is always safe, but costs a pass over the matrix. By Cauchy and Schwarz no |z_ij| is above the
    greatest norm of a row of A times that of B: where this is small nothing needs to be taken off. Each seed's number
    depends on its own logits alone, though the pass is skipped only if no seed of the block needs it.
    """
    if not layout.product_is_cheap(factors):
        return z.max(axis=layout.entry_axes, keepdims=True)
    rows = jnp.square(factors).sum(axis=2, keepdims=True).max(axis=layout.side_axis, keepdims=True)
    bound = jnp.sqrt(rows[0] * rows[1])  # (S, 1, 1) or (1, 1, S)
    large = bound > _SAFE_LOGIT
    greatest = lambda x: layout.product(x).max(axis=layout.entry_axes, keepdims=True)
    return jnp.where(large, jax.lax.cond(large.any(), greatest, lambda x: jnp.zeros_like(bound), factors), 0)


def _cross_entropy_slope(layout: Layout, factors: jax.Array, target: Target) -> jax.Array:
    p, _ = target.dense
    z = layout.product(factors)
    e = jnp.exp(z - _shift(layout, factors, z))
    return e * (1 / e.sum(axis=layout.entry_axes, keepdims=True)) - p


def _exp_remainder(d: jax.Array) -> jax.Array:
    """`exp(d) - 1 - d` for |d| < 1/2, where its terms would cancel, from its series: to a tenth of the precision."""
    terms = 2
    while 0.5**terms * 2 / math.factorial(terms + 2) > jnp.finfo(d.dtype).eps / 10:
        terms += 1
    series = jnp.zeros_like(d)
    for k in reversed(range(2, terms + 2)):
        series = series * d + 1 / math.factorial(k)
    return jnp.square(d) * series


def _kl(layout: Layout, factors: jax.Array, target: Target) -> jax.Array:
    # Each term of sum(Q - P - P log(Q/P)) is >= 0 and of second order near zero, so that the sum does not cancel as
    # sum(P log(P/Q)) does; since sum(Q - P) = 0 the two are equal. Near zero a term is P (e^d - 1 - d), d = log(Q/P):
    # there Q - P would round to some 1e-8, and a converged loss could be negative.
    p, log_normaliser = target.dense
    z = layout.product(factors)
    shift = _shift(layout, factors, z)
    e = jnp.exp(z - shift)
    total = e.sum(axis=layout.entry_axes, keepdims=True)
    d = (z - (shift + jnp.log(total))) - (layout.product(target.factors) - log_normaliser)
    near = jnp.abs(d) < 0.5
    far = e * (1 / total) - p - p * d
    return jnp.where(near, p * _exp_remainder(jnp.where(near, d, 0)), far).sum(axis=layout.entry_axes)


LOSSES: dict[str, Loss] = {
    "square": Loss(prepare=_prepare_square, slope=_square_slope, value=_square),
    "cross_entropy": Loss(prepare=_prepare_cross_entropy, slope=_cross_entropy_slope, value=_kl),
}
