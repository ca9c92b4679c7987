# SPDX-License-Identifier: Apache-2.0
"""The losses against numpy and scipy in double precision, and where single precision is hardest: near zero."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from jaxmyopia.lowrank import dynamics
from jaxmyopia.lowrank.losses import LOSSES, Target, product

N, RANK, SEEDS = 6, 2, 5


def square(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.linalg.norm(z - c, axis=(1, 2)) ** 2 / 2


def cross_entropy(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sum of P log(P/Q), in double precision: good to some 1e-16, which no loss below falls under."""
    log_p, log_q = (special.log_softmax(np.asarray(x, float), axis=(1, 2)) for x in (c, z))
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=(1, 2))


ORACLES = {"square": square, "cross_entropy": cross_entropy}


def draw(seed: int, scale: float = 2.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(SEEDS, N, N))


def factors(seed: int) -> tuple[jax.Array, jax.Array]:
    a, b = np.random.default_rng(seed).normal(size=(2, N, RANK, SEEDS))
    return jnp.asarray(a), jnp.asarray(b)


class SinglePrecisionTest(chex.TestCase):
    """Each loss under jit, without it, and on an explicit device."""

    dtype, tolerance = "float32", 2e-6

    @chex.variants(with_jit=True, without_jit=True, with_device=True)
    @parameterized.parameters(*LOSSES)
    def test_is_what_numpy_says(self, name):
        z, c = draw(0).astype(self.dtype), draw(1).astype(self.dtype)
        loss = self.variant(lambda z, c: LOSSES[name].value(z, LOSSES[name].prepare(c)))(z, c)
        assert loss.dtype == self.dtype
        np.testing.assert_allclose(loss, ORACLES[name](z, c), rtol=self.tolerance)


@pytest.mark.usefixtures("x64")
class DoublePrecisionTest(SinglePrecisionTest):
    """The same in double precision."""

    dtype, tolerance = "float64", 1e-12


def test_the_product_of_factors_is_theirs_seed_by_seed(x64):
    a, b = factors(0)
    z = np.stack([np.asarray(a)[..., s] @ np.asarray(b)[..., s].T for s in range(SEEDS)])
    np.testing.assert_allclose(product(a, b), z, atol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_differentiated_is_the_loss_up_to_a_constant_of_each_seed(x64, name):
    loss, dense = LOSSES[name], LOSSES[name].prepare(jnp.asarray(draw(1)))
    values, objectives = (
        np.stack([f(jnp.asarray(draw(seed)), dense) for seed in (2, 3, 4)]) for f in (loss.value, loss.objective)
    )
    np.testing.assert_allclose(np.diff(values, axis=0), np.diff(objectives, axis=0), rtol=1e-11)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_finite_differences(x64, name):
    dense = LOSSES[name].prepare(jnp.asarray(draw(1)))
    objective = jax.jit(lambda a, b: LOSSES[name].value(product(a, b), dense).sum())
    gradient = jax.jit(lambda a, b: dynamics.gradient(name, (a, b), Target(u=a, v=b, dense=dense)))
    direction, at = factors(5), factors(6)
    step = 1e-5
    ahead, behind = (objective(*(x + sign * step * d for x, d in zip(at, direction, strict=True))) for sign in (1, -1))
    slope = sum(jnp.vdot(g, d) for g, d in zip(gradient(*at), direction, strict=True))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-8)


def test_the_gradient_of_the_square_loss_is_its_closed_form(x64):
    a, b = factors(0)
    c = draw(1)
    target = Target(u=a, v=b, dense=LOSSES["square"].prepare(jnp.asarray(c)))
    grad_a, grad_b = dynamics.gradient("square", (a, b), target)
    for s in range(SEEDS):
        at, bt = np.asarray(a)[..., s], np.asarray(b)[..., s]
        np.testing.assert_allclose(grad_a[..., s], (at @ bt.T - c[s]) @ bt, atol=1e-12)
        np.testing.assert_allclose(grad_b[..., s], (at @ bt.T - c[s]).T @ at, atol=1e-12)


kl = jax.jit(lambda z, c: LOSSES["cross_entropy"].value(z, LOSSES["cross_entropy"].prepare(c)))


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


@pytest.mark.parametrize("scale", (1e2, 1e4, 1e30))
def test_huge_logits_leave_cross_entropy_and_its_gradient_finite(scale):
    z, c = draw(0, scale).astype("float32"), draw(1, scale).astype("float32")
    loss = np.asarray(kl(z, c))
    np.testing.assert_allclose(loss, cross_entropy(z, c), rtol=1e-5)
    dense = LOSSES["cross_entropy"].prepare(jnp.asarray(c))
    assert np.isfinite(jax.grad(lambda z: LOSSES["cross_entropy"].objective(z, dense).sum())(jnp.asarray(z))).all()
