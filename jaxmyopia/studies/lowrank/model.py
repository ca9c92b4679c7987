# SPDX-License-Identifier: Apache-2.0
"""Targets `C = U V^T` and initial factors of one seed, each drawn from a key of its own.

The same seed has the same target and the same start under every optimiser, loss and learning rate of its rank:
nothing else enters the keys.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.lowrank.bases import orthonormalised

if TYPE_CHECKING:
    from jaxmyopia.studies.lowrank.own import OwnTarget

TARGETS = ("gaussian", "orthogonal", "spectrum")


@struct.dataclass
class Problem:
    """What a seed starts from.

    `u`, `v`: `(n, R)` the factors of the target. `a`, `b`: `(n, r)` the learned factors' start.
    """

    u: jax.Array
    v: jax.Array
    a: jax.Array
    b: jax.Array


def _normal(key: jax.Array, n: int, rank: int) -> jax.Array:
    # Drawn flat: the same numbers, and XLA's CPU compiler takes 0.2 s for them instead of up to 4 s for four matrices.
    return jax.random.normal(key, (n * rank,), jnp.zeros(()).dtype).reshape(n, rank)


def _orthonormal(key: jax.Array, n: int, rank: int) -> jax.Array:
    return orthonormalised(_normal(key, n, rank))[0]  # Haar-distributed, for R's diagonal is positive: Mezzadri (2007)


def draw_target(
    key: jax.Array, kind: "str | OwnTarget", n: int, rank: int, spectrum: tuple[float, ...] = ()
) -> tuple[jax.Array, jax.Array]:
    """Draws the factors of one seed's target.

    Args:
      key: consumed.
      kind: `gaussian` (entries from N(0, 1)), `orthogonal` (orthonormal columns: all singular values are 1),
        `spectrum` (orthonormal columns, scaled so that `U V^T` has the singular values given), or one's own.
      n: side of the target.
      rank: its rank R.
      spectrum: for `spectrum`, at least R singular values, of which the first R are used.

    Returns:
      `u`, `v`: `(n, R)` each.
    """
    if not isinstance(kind, str):
        return kind.draw(key, rank)
    key_u, key_v = jax.random.split(key)
    if kind == "gaussian":
        return _normal(key_u, n, rank), _normal(key_v, n, rank)
    u, v = _orthonormal(key_u, n, rank), _orthonormal(key_v, n, rank)
    if kind == "orthogonal":
        return u, v
    root = jnp.sqrt(jnp.asarray(spectrum[:rank], u.dtype))[None, :]
    return u * root, v * root


def draw_problem(
    key: jax.Array,
    init_scale: jax.Array,
    *,
    kind: "str | OwnTarget",
    n: int,
    rank: int,
    target_rank: int,
    spectrum: tuple[float, ...] = (),
) -> Problem:
    """Draws one seed's target and start.

    Args:
      key: the seed's key; consumed.
      init_scale: scalar, the standard deviation of the start's entries.
      kind: see `draw_target`.
      n: side of the matrices.
      rank: columns r of the learned factors.
      target_rank: rank R of the target.
      spectrum: see `draw_target`.

    Returns:
      The `Problem`, arrays `(n, R)` and `(n, r)`.
    """
    # The ranks enter the key: a seed's problems of different ranks share no draws.
    key_target, key_a, key_b = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, target_rank), rank), 3)
    u, v = draw_target(key_target, kind, n, target_rank, spectrum)
    scale = init_scale.astype(u.dtype)
    return Problem(u=u, v=v, a=scale * _normal(key_a, n, rank), b=scale * _normal(key_b, n, rank))
