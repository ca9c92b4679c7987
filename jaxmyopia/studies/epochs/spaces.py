# SPDX-License-Identifier: Apache-2.0
"""The two spaces that the environments need, in the shape of gymnax's: `sample(key)` and `contains(x)`."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The whole numbers 0, 1, ... n - 1; an element has shape `()`."""

    n: int
    shape: tuple[int, ...] = ()
    dtype: DTypeLike = jnp.int32

    def sample(self, key: jax.Array) -> jax.Array:
        """A uniform draw, shape `()`; consumes `key`."""
        return jax.random.randint(key, self.shape, 0, self.n, self.dtype)

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether `x` is an element, shape `()`."""
        return (x >= 0) & (x < self.n)


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape whose entries lie between `low` and `high`."""

    low: float
    high: float
    shape: tuple[int, ...]
    dtype: DTypeLike = jnp.float32

    def sample(self, key: jax.Array) -> jax.Array:
        """A uniform draw, shape `shape`; consumes `key`."""
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether `x` is an element, shape `()`."""
        return ((x >= self.low) & (x <= self.high)).all()
