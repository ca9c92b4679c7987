# SPDX-License-Identifier: Apache-2.0
"""Dimensions of known solids, lines and their nulls, capability and what is understood of it, on models by hand."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from hypothesis import strategies as st

from jaxmyopia.studies.superposition.measures import dimensions, dimensions_each, line_excess
from jaxmyopia.studies.superposition.model import importances, variance
from jaxmyopia.studies.superposition.understanding import Capability, Errors, understood


def polygon(sides: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(sides) / sides
    return np.array([np.cos(angles), np.sin(angles)])


TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T / np.sqrt(3)


def antiprism() -> np.ndarray:
    """The square antiprism of Thomson's problem: eight points in three dimensions with sum of outer products 8/3."""
    height = 1 / np.sqrt(3)
    around = np.sqrt(1 - height**2)
    square = polygon(4) * around
    turned = (
        np.array([np.cos(np.pi / 4 + np.pi / 2 * np.arange(4)), np.sin(np.pi / 4 + np.pi / 2 * np.arange(4))]) * around
    )
    return np.concatenate([np.vstack([square, [[height] * 4]]), np.vstack([turned, [[-height] * 4]])], axis=1)


KNOWN = {
    "pentagon": (polygon(5), 2 / 5), "triangle": (polygon(3), 2 / 3), "digon": (np.array([[1.0, -1.0]]), 1 / 2),
    "tetrahedron": (TETRAHEDRON, 3 / 4), "square antiprism": (antiprism(), 3 / 8), "dedicated": (np.eye(3), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_dimensions_of_known_solids(name, scale):
    weights, expected = KNOWN[name]
    np.testing.assert_allclose(dimensions(jnp.asarray(scale * weights, jnp.float32)), expected, rtol=1e-5)


def test_dropped_and_zero_columns_have_no_dimension():
    weights = np.zeros((3, 5), np.float32)
    weights[:, 0], weights[0, 1] = (0, 1, 0), 1e-3
    found = np.asarray(dimensions(jnp.asarray(weights)))
    assert found[0] == 1 and found[1] == pytest.approx(1) and not found[2:].any()  # alone, however short


def test_dimensions_each_can_exceed_one():
    assert float(dimensions_each(jnp.asarray(0.5 * np.eye(4, dtype=np.float32)))) == pytest.approx(4)
    padded = np.zeros((4, 5), np.float32)
    padded[:2] = polygon(5)
    assert float(dimensions_each(jnp.asarray(padded))) == pytest.approx(2 / 5)


@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_dimensions_add_up_to_m_at_most(seed, rank):
    weights = np.random.default_rng(seed).normal(size=(6, 11)) ** 3
    weights[rank:] = 0
    assert float(np.asarray(dimensions(jnp.asarray(weights, jnp.float32))).sum()) <= rank + 1e-4


def test_the_excess_of_a_line_is_none_of_smooth_densities():
    rng = np.random.default_rng(0)
    for found in (rng.random(200_000), rng.beta(2, 3, 200_000)):
        assert abs(float(line_excess(jnp.asarray(found, jnp.float32), 0.5, 0.005))) < 2e-3
    lines = jnp.asarray([0.5] * 30 + [0.1] * 70)
    assert float(line_excess(lines, 0.5, 0.005)) == pytest.approx(0.3)
    assert float(line_excess(lines + 0.01, 0.5, 0.005)) == pytest.approx(-0.15)  # beside it


def test_own_features_and_antipodal_pairs_are_understood():
    weights = np.zeros((3, 5), np.float32)
    weights[0, 0], weights[1, 1], weights[1, 2] = 1, 1, -1
    weights[2, 3:] = 1, 0.4  # the same way: no pair
    both = [np.asarray(understood(jnp.asarray(weights), 0.9, what)).tolist() for what in ("own", "pairs")]
    assert both == [[True, False, False, False, False], [True, True, True, False, False]]


@pytest.mark.parametrize("independent", [False, True])
def test_a_model_of_own_dimensions_is_understood_whole(independent):
    model = jnp.zeros((5, 6)).at[:4, :4].set(jnp.eye(4))
    active = jnp.asarray(0.2 if independent else 1 / 6)
    apart = variance(6, active if independent else None)
    importance = importances(6, jnp.asarray(4.0))
    importance = importance / importance.sum() / apart
    found = Capability(Errors(independent, "relu")).of_one(model, importance, active, 0.9, "own", "refitted")
    # The means of the two that are left out are no part of what is understood, and the model gives 0 for them.
    kept = float((importance[:4] * apart).sum())
    assert float(found["total"]) == pytest.approx(kept, abs=0.02)


@pytest.mark.parametrize("independent", [False, True])
def test_refitted_biases_are_the_best_there_are(independent):
    rng = np.random.default_rng(1)
    weights, biases = (
        jnp.asarray(rng.normal(size=(2, 5)) * 0.8, jnp.float32),
        jnp.asarray(rng.normal(size=5), jnp.float32),
    )
    errors, active = Errors(independent, "relu"), jnp.asarray(0.2)
    of = jax.jit(errors.of)

    def best(j):
        at = lambda b: float(of(weights, jnp.full(5, b, jnp.float32), active)[j])
        starts = np.linspace(-1.5, 0.6, 43)
        least = min(starts, key=at)
        return scipy.optimize.minimize_scalar(at, bounds=(least - 0.06, least + 0.06), method="bounded").fun

    np.testing.assert_allclose(errors.refitted(weights, biases, active), [best(j) for j in range(5)], atol=2e-4)
