# SPDX-License-Identifier: Apache-2.0
"""The losses against numpy and scipy in double precision, and where single precision is hardest: near zero."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from jaxmyopia.studies.lowrank.layouts import SEEDS_FIRST, SEEDS_LAST, Layout
from jaxmyopia.studies.lowrank.losses import LOSSES, Target

N, SEEDS = 6, 5


def square(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.linalg.norm(z - c, axis=(1, 2)) ** 2 / 2


def cross_entropy(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sum of P log(P/Q), in double precision: good to some 1e-16, which no loss below falls under."""
    log_p, log_q = (special.log_softmax(np.asarray(x, float), axis=(1, 2)) for x in (c, z))
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=(1, 2))


ORACLES = {"square": square, "cross_entropy": cross_entropy}


def draw(seed: int, scale: float = 2.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(SEEDS, N, N))


def as_pair(layout: Layout, z: np.ndarray) -> jax.Array:
    """Any matrices `(S, n, n)` as a pair of factors: themselves and the identity, whose product is exact."""
    pair = jnp.stack([z, jnp.broadcast_to(jnp.eye(z.shape[1], dtype=z.dtype), z.shape)])
    return jax.vmap(layout.turn, in_axes=1, out_axes=layout.seed_axis)(pair)


def value(name: str, layout: Layout, z: np.ndarray, c: np.ndarray) -> jax.Array:
    target = as_pair(layout, c)
    prepared = Target(factors=target, dense=LOSSES[name].prepare(layout, target))
    return LOSSES[name].value(layout, as_pair(layout, z), prepared)


class SinglePrecisionTest(chex.TestCase):
    """Each loss under jit, without it, and on an explicit device."""

    dtype, tolerance = "float32", 2e-6

    @chex.variants(with_jit=True, without_jit=True, with_device=True)
    @parameterized.product(name=list(LOSSES), layout=(SEEDS_LAST, SEEDS_FIRST))
    def test_is_what_numpy_says(self, name, layout):
        z, c = draw(0).astype(self.dtype), draw(1).astype(self.dtype)
        loss = self.variant(lambda z, c: value(name, layout, z, c))(z, c)
        assert loss.dtype == self.dtype
        np.testing.assert_allclose(loss, ORACLES[name](z, c), rtol=self.tolerance)


@pytest.mark.usefixtures("x64")
class DoublePrecisionTest(SinglePrecisionTest):
    """The same in double precision."""

    dtype, tolerance = "float64", 1e-12


kl = jax.jit(functools.partial(value, "cross_entropy", SEEDS_FIRST))


# The bound: d = log(Q/P) is good to float32's 6e-8 times log(n^2) and the logits, some 1e-6, and the loss is d^2/2.
@pytest.mark.parametrize(
    ("distance", "tolerance"), ((1e-5, 1e-1), (1e-4, 1e-2), (1e-3, 1e-3), (1e-2, 1e-4), (0.1, 1e-5), (1.0, 1e-5))
)
def test_cross_entropy_is_accurate_near_zero_in_single_precision(distance, tolerance):
    c = draw(0).astype("float32")
    z = c + (distance * draw(1, 1.0)).astype("float32")
    np.testing.assert_allclose(kl(z, c), cross_entropy(z, c), rtol=tolerance)


@given(st.integers(0, 2**32 - 1), st.floats(-9, 2), st.floats(-2, 1.5), st.floats(-50, 50))
def test_cross_entropy_is_never_negative(seed, log_distance, log_scale, shift):
    c = draw(seed, 10**log_scale).astype("float32")
    z = c + (10**log_distance * draw(seed + 1, 1.0) + shift).astype("float32")
    assert (np.asarray(kl(z, c)) >= 0).all()


@pytest.mark.parametrize("layout", (SEEDS_LAST, SEEDS_FIRST))
@pytest.mark.parametrize("scale", (1e2, 1e4, 1e30))
def test_huge_logits_leave_cross_entropy_and_its_slope_finite(scale, layout):
    z, c = draw(0, scale).astype("float32"), draw(1, scale).astype("float32")
    np.testing.assert_allclose(value("cross_entropy", layout, z, c), cross_entropy(z, c), rtol=1e-5)
    target = as_pair(layout, c)
    prepared = Target(factors=target, dense=LOSSES["cross_entropy"].prepare(layout, target))
    slope = np.asarray(LOSSES["cross_entropy"].slope(layout, as_pair(layout, z), prepared))
    p, q = (special.softmax(np.asarray(x, float), axis=(1, 2)) for x in (c, z))
    expected = q - p if layout is SEEDS_FIRST else np.moveaxis(q - p, 0, -1)
    np.testing.assert_allclose(slope, expected, atol=1e-5)


@pytest.mark.parametrize("layout", (SEEDS_LAST, SEEDS_FIRST))
def test_a_seed_with_huge_logits_changes_no_bit_of_the_others(layout):
    # The pass that finds the greatest logit is made for all seeds as soon as one needs it.
    z, c = draw(0).astype("float32"), draw(1).astype("float32")
    target = as_pair(layout, c)
    prepared = Target(factors=target, dense=LOSSES["cross_entropy"].prepare(layout, target))
    slope = jax.jit(lambda z: LOSSES["cross_entropy"].slope(layout, as_pair(layout, z), prepared))
    huge = z.copy()
    huge[2] *= 100
    before, after = (np.moveaxis(np.asarray(slope(x)), layout.entry_axes, (-2, -1)) for x in (z, huge))
    others = np.arange(SEEDS) != 2
    assert (before[2] != after[2]).any() and np.isfinite(after).all()
    assert before[others].tobytes() == after[others].tobytes()
