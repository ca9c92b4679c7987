# SPDX-License-Identifier: Apache-2.0
"""A study that compiles in no time: a quadratic bowl, which one rate descends and another leaves."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import jaxmyopia as jm


def is_late(curves, share, last):
    """The share of records at which the loss is above a share of the first; or whether the last one is."""
    above = curves["loss"] > share * curves["loss"][:1]
    return (above[-1] if last == "yes" else above.mean(axis=0)).astype(float)


LATE = jm.Measure("late", is_late, share=(0.5, 0.25), last=("no", "yes"), range=(0, 1))


@dataclasses.dataclass(frozen=True)
class Bowl(jm.Training):
    n: int = 3
    weights: int = 1  # called as one of its curves is

    def init(self, key, *, scale):
        return scale * jax.random.normal(key, (self.n,)), jnp.arange(1.0, self.n + 1)

    def loss(self, weights, curvature):
        return jnp.sum(curvature * jnp.square(weights)) / 2 + jnp.square(weights[0] - 1)

    def observe(self, weights, curvature):
        return {"outer": jnp.outer(weights, curvature), "weights": weights}


@pytest.fixture(scope="session")
def late():
    return LATE


@pytest.fixture(scope="session")
def bowl():
    return Bowl(measures=[LATE])
