# SPDX-License-Identifier: Apache-2.0
"""Turning points against scipy's peaks, on thousands of random curves and on a few drawn by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal

from jaxmyopia.measures.turning_points import count_maxima, count_rises, turning_points

LANES = 64
find, maxima, rises = jax.jit(turning_points), jax.jit(count_maxima), jax.jit(count_rises)


def scipy_peaks(curve: np.ndarray, delta: float) -> list[int]:
    """The peaks of prominence `delta`, less the one stated exception: level peaks that no fall of `delta` parts."""
    kept = []
    for peak in signal.find_peaks(curve, prominence=delta)[0]:
        level = [k for k in kept if curve[k] == curve[peak]]
        if not level or curve[peak] - curve[level[-1] : peak].min() >= delta:
            kept.append(peak)
    return kept


def found(points, kind: int, trial: int) -> list[int]:
    return points.index[points.kind[:, trial] == kind, trial].tolist()


def assert_as_scipy(curves: np.ndarray, delta: float) -> None:
    points = jax.tree.map(np.asarray, find(jnp.asarray(curves), jnp.asarray(delta)))
    assert points.finite.all()
    for trial in range(curves.shape[1]):
        assert found(points, 1, trial) == scipy_peaks(curves[:, trial], delta)
        assert found(points, -1, trial) == scipy_peaks(-curves[:, trial], delta)


def draw_curves(seed: int, length: int, kind: str, flat: float, drift: float) -> np.ndarray:
    """Draws `(length, LANES)` curves: walks and noise, some made coarse so that maxima tie, some with flat tops."""
    rng = np.random.default_rng(seed)
    curves = rng.normal(drift, 1, (length, LANES))
    walks = rng.random(LANES) < 0.5
    curves[:, walks] = curves[:, walks].cumsum(axis=0)
    if kind == "integer":
        curves = np.rint(curves)
    elif kind == "rounded":
        curves = np.round(curves, 1)
    # A repeated step holds the value before it: the same record twice and more in a row.
    held = np.maximum.accumulate(np.where(rng.random(length) < flat, 0, np.arange(length)))
    return curves[held]


# 200 examples of 64 curves: 12,800 curves, each for its maxima and its minima.
@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.sampled_from([3, 12, 60]),
    kind=st.sampled_from(["integer", "rounded", "continuous"]),
    flat=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    drift=st.sampled_from([-2.0, 0.0, 0.3]),
    delta=st.sampled_from([1e-6, 0.1, 0.5, 1.0, 2.0, 3.0, 7.0]),
)
def test_as_scipy_on_random_batches(x64, seed, length, kind, flat, drift, delta):
    assert_as_scipy(draw_curves(seed, length, kind, flat, drift), delta)


@settings(max_examples=300)
@given(hnp.arrays(np.int8, (12, 1), elements=st.integers(0, 4)), st.integers(1, 4))
@example(np.array([[0, 2, 1, 2, 0, 2, 1, 2, 1, 0, 0, 0]], np.int8).T, 2)
def test_as_scipy_on_short_curves(x64, curves, delta):
    assert_as_scipy(curves.astype(float), float(delta))


def test_equal_maxima_without_a_fall_between_count_once(x64):
    curve = np.array([0.0, 3, 2, 3, 2.5, 3, 0, 3, 0])
    assert signal.find_peaks(curve, prominence=2)[0].tolist() == [1, 3, 5, 7]
    points = jax.tree.map(np.asarray, find(jnp.asarray(curve[:, None]), jnp.asarray(2.0)))
    assert found(points, 1, 0) == [1, 7]


def test_a_flat_extremum_lies_at_its_middle_and_is_confirmed_by_the_turn():
    points = turning_points(jnp.array([0.0, 2, 2, 2, 2, 1.5, 0.5, 0, 0, 0, 1]), 1.0)
    assert points.kind.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, -1]
    assert (points.index[6], points.index[10]) == (2, 8)


CURVES = {
    "a constant": ([1.0] * 7, 0, 0),
    "a rise": ([0.0, 1, 2, 3, 4, 5, 6], 0, 0),
    "a fall": ([6.0, 5, 4, 3, 2, 1, 0], 0, 0),
    "its ends highest": ([6.0, 1, 1, 1, 1, 1, 6], 0, 1),
    "flat tops at its ends": ([6.0, 6, 0, 5, 0, 6, 6], 1, 2),
    "a turn by exactly delta": ([0.0, 1, 0, 1, 0, 0, 0], 2, 1),
    "turns by less than delta": ([0.0, 0.9, 0, 0.9, 0, 0.9, 0], 0, 0),
    "a slow turn": ([0.0, 0.4, 0.8, 1.2, 0.8, 0.4, 0], 1, 0),
}


class TurningPointsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_counts_on_curves_drawn_by_hand(self):
        curves, peaks, valleys = zip(*CURVES.values(), strict=True)
        curves = jnp.array(curves).T
        count = self.variant(count_maxima)
        np.testing.assert_array_equal(count(curves, 1.0), peaks, err_msg=str(list(CURVES)))
        np.testing.assert_array_equal(count(-curves, 1.0), valleys, err_msg=str(list(CURVES)))

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_rises_include_one_from_the_start(self):
        curves = jnp.array([[0.0, 1, 2, 1, 2], [0, -1, 1, 0.5, 1], [0, 0.5, 0.9, 0.2, 0.9], [0, 1, -1, 0, -1]]).T
        np.testing.assert_array_equal(self.variant(count_rises)(curves, 1.0), [2, 1, 0, 2])

    @chex.variants(with_jit=True, without_jit=True)
    def test_curves_that_are_not_finite_are_flagged_and_alone(self):
        curves = np.tile(np.array([0.0, 2, 0, 2, 0, 2, 0])[:, None], (1, 6))
        curves[0, 0], curves[3, 1], curves[6, 2] = np.nan, np.nan, np.nan
        curves[3, 3], curves[4, 4] = np.inf, -np.inf
        curves = jnp.asarray(curves, jnp.float32)
        points = self.variant(turning_points)(curves, 1.0)
        self.assertEqual(points.finite.tolist(), [False] * 5 + [True])
        self.assertEqual((points.kind != 0).sum(axis=0).tolist(), [0] * 5 + [5])
        self.assertEqual(self.variant(count_rises)(curves, 1.0).tolist(), [0] * 5 + [3])

    @chex.variants(with_jit=True, without_jit=True)
    def test_any_trailing_axes_and_a_delta_for_each_curve(self):
        curves = jnp.asarray(draw_curves(1, 60, "continuous", 0.2, 0.0), jnp.float32)
        deltas = jnp.linspace(0.3, 3, LANES)
        alone = [int(maxima(curve, delta)) for curve, delta in zip(curves.T, deltas, strict=True)]
        self.assertGreater(len(set(alone)), 5)
        count = self.variant(count_maxima)
        self.assertEqual(count(curves, deltas).tolist(), alone)
        boxed = count(curves.reshape(60, 4, 2, 8), deltas.reshape(4, 2, 8))
        self.assertEqual(boxed.ravel().tolist(), alone)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["integer", "continuous"]),
    delta=st.sampled_from([0.5, 2.0]),
)
def test_the_count_is_the_same_backwards(x64, seed, kind, delta):
    curves = jnp.asarray(draw_curves(seed, 60, kind, 0.3, 0.0))
    np.testing.assert_array_equal(maxima(curves, delta), maxima(curves[::-1], delta))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), delta=st.sampled_from([0.5, 2.0]))
def test_rises_are_falls_of_the_negated_curve_read_backwards(x64, seed, delta):
    # A rise after a minimum, forwards, is a fall after a maximum: pairs (minimum, later height) survive reflection.
    curves = jnp.asarray(draw_curves(seed, 60, "integer", 0.3, 0.0))
    np.testing.assert_array_equal(rises(curves, delta), rises(-curves[::-1], delta))


def test_integers_are_refused():
    with pytest.raises(AssertionError, match="float"):
        turning_points(jnp.arange(5), 1.0)
