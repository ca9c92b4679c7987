# SPDX-License-Identifier: Apache-2.0
"""The spaces that the environments need: gymnax's where it is installed, else own ones of the same shape.

gymnax's wrappers ask whether a space is of gymnax's class. Its import takes over two seconds, so that it is left to the
first call of `kinds`, and what trains agents here never asks for a space.
"""

import collections
import dataclasses
import functools
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


@functools.cache
def kinds() -> Any:
    """The module whose `Discrete`, `Box` and `Dict` are to be used: gymnax's, or this one where there is no gymnax."""
    try:
        from gymnax.environments import spaces
    except ImportError:
        return sys.modules[__name__]
    return spaces


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
        x = jnp.asarray(x, self.dtype)
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


@dataclasses.dataclass(frozen=True)
class Dict:
    """Records whose fields lie in spaces of their own."""

    spaces: Mapping[str, Discrete | Box]

    def sample(self, key: jax.Array) -> collections.OrderedDict[str, jax.Array]:
        """A draw of each field; consumes `key`."""
        keys = jax.random.split(key, len(self.spaces))
        return collections.OrderedDict(
            (name, space.sample(each)) for (name, space), each in zip(self.spaces.items(), keys, strict=True)
        )

    def contains(self, x: Any) -> jax.Array:
        """Whether every field of `x` is an element of its space, shape `()`."""
        return jnp.stack([space.contains(getattr(x, name)) for name, space in self.spaces.items()]).all()
