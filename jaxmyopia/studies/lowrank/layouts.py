# SPDX-License-Identifier: Apache-2.0
"""Two layouts of S seeds' factors, and the few products that training needs, native in each.

A pair of factors, each `(n, r)`, is one array, A above B: an optimiser steps one array, and a product does both sides
at once.

  SeedsLast   `(2, n, r, S)`, matrices `(n, n, S)`: elementwise products of columns, summed over rank and side, so that
              vector units run over the seeds. For work too small to be worth a call of a matrix product.
  SeedsFirst  `(2, S, r, n)`, matrices `(S, n, n)`: batched matrix products. n lies last: rows of n entries are what
              they stream through (with r last they are four times slower on a CPU).
"""

import dataclasses
from collections.abc import Iterable
from typing import Protocol, cast

import jax
import jax.numpy as jnp

# Up to this rank Z is a sum of outer products, which XLA fuses into what consumes it; above, a matrix product.
FUSED_RANK = 16
# Of two pairs together: up to here their distance is found column by column, above from the matrix of differences.
_FEW_COLUMNS = 8
# Up to this side, inner products of columns are 2.5 times as fast a side (A's, B's) at a time; above, 1.2 times slower.
_SHORT_SIDE = 12


def total(terms: Iterable[jax.Array]) -> jax.Array:
    """The sum of arrays, written out in their order."""
    return cast(jax.Array, sum(terms))


def _unit(column: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Columns over their lengths, and those; a column of zeros stays one."""
    length = jnp.sqrt(jnp.square(column).sum(axis=axis, keepdims=True))
    return column / jnp.where(length > 0, length, 1), length


class Layout(Protocol):
    """Where the seeds lie, and the products of factors. `x`, `y` are pairs of factors of S seeds."""

    seed_axis: int  # of a pair of factors
    side_axis: int  # likewise, the one of length n; the rank's is axis 2
    entry_axes: tuple[int, int]  # of a matrix

    def turn(self, pair: jax.Array) -> jax.Array:
        """One seed's pair from `(2, n, r)` to its order here, or back."""

    def spread(self, x: jax.Array) -> jax.Array:
        """One number a seed `(S,)`, shaped to broadcast against pairs of factors."""

    def product(self, x: jax.Array) -> jax.Array:
        """The matrices `A B^T`: `(n, n, S)` or `(S, n, n)`."""

    def product_is_cheap(self, x: jax.Array) -> bool:
        """Whether `product` is fused into its consumer, so that it costs less to compute again than to keep."""

    def backward(self, slope: jax.Array, x: jax.Array) -> jax.Array:
        """The gradient in both factors from that in the product, G: `(G B, G^T A)`."""

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Inner products of columns, `x_k . y_j` on each side: `(2, r, R, S)` or `(2, S, r, R)`."""

    def mix(self, *terms: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Columns `sum_j w_kj x_j` on each side, summed over terms `(w, x)`; w is ordered as `gram` gives it."""

    def squared_distance(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """`||A B^T - U V^T||^2` of pairs (A, B) and (U, V), `(S,)`, as accurate near zero as if Z were formed."""

    def lead(self, x: jax.Array) -> jax.Array:
        """An array of S seeds with a pair's order of axes (what `gram` gives, or less an axis), seeds second."""


@dataclasses.dataclass(frozen=True)
class SeedsLast:
    """See the module. Written out column by column: XLA's CPU compiler vectorises each, and not their tensor form."""

    seed_axis, side_axis = 3, 1
    entry_axes = (0, 1)

    def turn(self, pair: jax.Array) -> jax.Array:
        return pair

    def spread(self, x: jax.Array) -> jax.Array:
        return x[None, None, None, :]

    def product(self, x: jax.Array) -> jax.Array:
        a, b = x
        return sum(a[:, None, k] * b[None, :, k] for k in range(x.shape[2]))

    def product_is_cheap(self, x: jax.Array) -> bool:
        del x
        return True

    def backward(self, slope: jax.Array, x: jax.Array) -> jax.Array:
        a, b = x
        ranks = range(x.shape[2])
        grad_a = jnp.stack([(slope * b[None, :, k]).sum(axis=1) for k in ranks], axis=1)
        grad_b = jnp.stack([(slope * a[:, None, k]).sum(axis=0) for k in ranks], axis=1)
        return jnp.stack([grad_a, grad_b])

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        if x.shape[self.side_axis] > _SHORT_SIDE:
            rows = [[(x[:, :, k] * y[:, :, j]).sum(axis=1) for j in range(y.shape[2])] for k in range(x.shape[2])]
            return jnp.stack([jnp.stack(row, axis=1) for row in rows], axis=1)

        def side(x: jax.Array, y: jax.Array) -> jax.Array:
            rows = [[(x[:, k] * y[:, j]).sum(axis=0) for j in range(y.shape[1])] for k in range(x.shape[1])]
            return jnp.stack([jnp.stack(row) for row in rows])

        return jnp.stack([side(*pair) for pair in zip(x, y, strict=True)])

    def mix(self, *terms: tuple[jax.Array, jax.Array]) -> jax.Array:
        def column(k: int) -> jax.Array:
            return total(w[:, k, j][:, None] * x[:, :, j] for w, x in terms for j in range(x.shape[2]))

        return jnp.stack([column(k) for k in range(terms[0][0].shape[1])], axis=2)

    def _columns(self, side: jax.Array) -> list[jax.Array]:
        return [side[:, k] for k in range(side.shape[1])]

    def squared_distance(self, x: jax.Array, y: jax.Array) -> jax.Array:
        # With [B, V] = Q R it is ||[A, -U] R^T||^2: no matrix of n x n is formed. Gram and Schmidt's R, modified, is
        # that of a matrix within rounding of [B, V] (Björck 1967), also where B has become V.
        lefts = [*self._columns(x[0]), *(-column for column in self._columns(y[0]))]
        rights = [*self._columns(x[1]), *self._columns(y[1])]
        squares = []
        for i in range(len(rights)):
            unit, length = _unit(rights[i], axis=0)
            image = length * lefts[i]
            for j in range(i + 1, len(rights)):
                inner = (unit * rights[j]).sum(axis=0, keepdims=True)
                rights[j] = rights[j] - inner * unit
                image = image + inner * lefts[j]
            squares.append(jnp.square(image).sum(axis=0))
        return total(squares)

    def lead(self, x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x, -1, 1)


@dataclasses.dataclass(frozen=True)
class SeedsFirst:
    """See the module."""

    seed_axis, side_axis = 1, 3
    entry_axes = (1, 2)

    def turn(self, pair: jax.Array) -> jax.Array:
        return pair.mT

    def spread(self, x: jax.Array) -> jax.Array:
        return x[None, :, None, None]

    def product(self, x: jax.Array) -> jax.Array:
        a, b = x
        if self.product_is_cheap(x):
            return total(a[:, k, :, None] * b[:, k, None, :] for k in range(x.shape[2]))
        return a.mT @ b

    def product_is_cheap(self, x: jax.Array) -> bool:
        return x.shape[2] <= FUSED_RANK

    def backward(self, slope: jax.Array, x: jax.Array) -> jax.Array:
        a, b = x
        return jnp.stack([b @ slope.mT, a @ slope])

    def gram(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return x @ y.mT

    def mix(self, *terms: tuple[jax.Array, jax.Array]) -> jax.Array:
        return total(w @ x for w, x in terms)

    def squared_distance(self, x: jax.Array, y: jax.Array) -> jax.Array:
        lefts, rights = (jnp.concatenate([x[i], sign * y[i]], axis=1) for i, sign in ((0, -1), (1, 1)))
        if rights.shape[1] > _FEW_COLUMNS:
            return jnp.square(lefts.mT @ rights).sum(axis=self.entry_axes)
        squares = []
        while rights.shape[1]:  # as seeds-last, all later columns at once
            unit, length = _unit(rights[:, 0], axis=1)
            rights, image, lefts = rights[:, 1:], length * lefts[:, 0], lefts[:, 1:]
            inner = (unit[:, None] * rights).sum(axis=2, keepdims=True)
            rights = rights - inner * unit[:, None]
            squares.append(jnp.square(image + (inner * lefts).sum(axis=1)).sum(axis=1))
        return total(squares)

    def lead(self, x: jax.Array) -> jax.Array:
        return x


SEEDS_LAST, SEEDS_FIRST = SeedsLast(), SeedsFirst()
