# SPDX-License-Identifier: Apache-2.0
"""The two losses of a learned matrix `Z = A B^T` against a target `C = U V^T`, for S seeds at once.

  square         L = 1/2 ||C - Z||^2                              (Frobenius)
  cross_entropy  L = KL(P || Q), P and Q the softmax of C and Z over all n^2 entries as one distribution:
                 cross-entropy, offset so that Q = P is zero loss. Its zero set is Z = C + c 1 1^T for any c.

Factors are `(n, r, S)`, seeds last. The dense matrices are `(S, n, n)`, the order in which batched matrix products
leave them: keeping them seeds-last costs a transpose of n^2 S entries a step (measured: BUILD_NOTES.md).
"""

import dataclasses
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp


@chex.dataclass(frozen=True)
class Target:
    """What a loss compares with.

    `u`, `v`: `(n, R, S)` the target's factors. `dense`: arrays `(S, n, n)` that the loss prepared: `(C,)` for
    `square`, `(log P, P)` for `cross_entropy`.
    """

    u: jax.Array
    v: jax.Array
    dense: tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of S seeds.

    `prepare(c)`: `(S, n, n)` targets -> the arrays of `Target.dense`. `value(z, dense)`: `(S,)` the loss, accurate
    near zero. `objective(z, dense)`: `(S,)` the loss up to a constant of each seed, cheap: what is differentiated.
    """

    prepare: Callable[[jax.Array], tuple[jax.Array, ...]]
    value: Callable[[jax.Array, tuple[jax.Array, ...]], jax.Array]
    objective: Callable[[jax.Array, tuple[jax.Array, ...]], jax.Array]


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """The matrices `A B^T` of S seeds.

    Args:
      a, b: `(n, r, S)` factors.

    Returns:
      `(S, n, n)`.
    """
    return jnp.einsum("iks,jks->sij", a, b)


def _square(z: jax.Array, dense: tuple[jax.Array, ...]) -> jax.Array:
    (c,) = dense
    return jnp.square(z - c).sum(axis=(1, 2)) / 2


def _log_softmax(c: jax.Array) -> jax.Array:
    return c - jax.nn.logsumexp(c, axis=(1, 2), keepdims=True)


def _prepare_cross_entropy(c: jax.Array) -> tuple[jax.Array, ...]:
    log_p = _log_softmax(c)
    return log_p, jnp.exp(log_p)


def _kl(z: jax.Array, dense: tuple[jax.Array, ...]) -> jax.Array:
    # Each term of sum(Q - P - P log(Q/P)) is >= 0 and of second order near zero, so that the sum does not cancel as
    # sum(P log(P/Q)) does; since sum(Q - P) = 0 the two are equal. Near zero a term is P (e^d - 1 - d), d = log(Q/P):
    # there Q - P would round to some 1e-8, and a converged loss could be negative.
    log_p, p = dense
    log_q = _log_softmax(z)
    d = log_q - log_p
    near = jnp.abs(d) < 0.5
    small = jnp.where(near, d, 0)
    return jnp.where(near, p * (jnp.expm1(small) - small), jnp.exp(log_q) - p - p * d).sum(axis=(1, 2))


def _cross_entropy(z: jax.Array, dense: tuple[jax.Array, ...]) -> jax.Array:
    _, p = dense
    return jax.nn.logsumexp(z, axis=(1, 2)) - (p * z).sum(axis=(1, 2))


LOSSES: dict[str, Loss] = {
    "square": Loss(prepare=lambda c: (c,), value=_square, objective=_square),
    "cross_entropy": Loss(prepare=_prepare_cross_entropy, value=_kl, objective=_cross_entropy),
}
