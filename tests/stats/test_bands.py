# SPDX-License-Identifier: Apache-2.0
"""Bands of curves against Tukey's range, brute force and simulated coverage; and what cannot be told is not."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxmyopia.checks import ArgumentError
from jaxmyopia.stats.bands import SHAPES, band_of, band_of_curve, of_shape
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.sequences import mean_sequence

VALLEY = np.array([0.0, 0.1, 0.3, 0.2, 0.05, 0.3, 0.4, 0.1])  # 0.25 deep: its lower peak is 0.3 high, its floor 0.05


def ends(estimate, level=0.95):
    interval = estimate.interval(level)
    return interval.low, interval.high


def differences(curve):
    return curve[None, :] - curve[:, None]


def worked_out(curve, name):
    """A shape by its definition, in plain loops."""
    points = range(len(curve))
    if name in ("rise", "fall"):
        sign = 1 if name == "rise" else -1
        return max(sign * (curve[b] - curve[a]) for a, b in itertools.combinations(points, 2))
    found = []
    for left, low, right in itertools.combinations(points, 3):
        lesser = min(curve[left], curve[right]) - curve[low]
        if name == "valley" and left > 0 and right < len(curve) - 1:
            found.append(min(lesser, curve[left] - curve[0], curve[right] - curve[-1]))
        elif name == "dip":
            found.append(lesser)
    return max(found)


curves = st.lists(st.floats(-5, 5), min_size=5, max_size=9).map(np.array)


@given(curves)
def test_shapes_are_what_they_are_by_definition(curve):
    for name, shape in SHAPES.items():
        assert shape.of(differences(curve)) == worked_out(curve, name)
    assert SHAPES["rise"].of(differences(curve)) == SHAPES["fall"].of(differences(curve[::-1]))
    for name in ("valley", "dip"):
        assert SHAPES[name].of(differences(curve)) == SHAPES[name].of(differences(curve[::-1]))
        at = SHAPES[name].at(curve)
        least = min(curve[at["first peak"]], curve[at["second peak"]]) - curve[at["valley"]]
        assert SHAPES[name].of(differences(curve)) <= least and at["first peak"] < at["valley"] < at["second peak"]


def test_where_the_planted_valley_lies():
    assert SHAPES["valley"].of(differences(VALLEY)) == pytest.approx(0.25)
    assert SHAPES["valley"].at(VALLEY) == {"first peak": 2, "valley": 4, "second peak": 6}
    assert SHAPES["rise"].at(VALLEY) == {"from": 0, "to": 6} and SHAPES["fall"].at(VALLEY) == {"from": 6, "to": 7}


@pytest.mark.parametrize("points", [3, 8])
def test_differences_of_independent_points_have_tukeys_range(points):
    values = np.linalg.qr(np.random.default_rng(0).normal(size=(4000, points + 1)))[0]
    values = values[:, 1:] - values[:, 1:].mean(axis=0)  # as good as orthogonal, and of equal length
    band = of_shape(values, SHAPES["rise"]).band
    for alpha in (0.05, 0.2):
        reach = math.sqrt(2) * stats.norm.isf(band.alone(alpha) / 2)
        assert stats.studentized_range.sf(reach, points, math.inf) == pytest.approx(alpha, rel=0.1)
        assert band.adjusted(band.alone(alpha)) == pytest.approx(alpha, abs=1e-3)


def test_of_two_points_it_is_the_interval_of_their_mean_difference():
    values = np.random.default_rng(5).exponential(size=(40, 2))
    found, mean = of_shape(values, SHAPES["rise"]), of_mean(values[:, 1] - values[:, 0])
    for level in (0.9, 0.95, 0.9999):
        assert ends(found, level) == pytest.approx(ends(mean, level), rel=1e-9)
    assert found.p_value(0.3) == pytest.approx(mean.p_value(0.3))


def test_points_that_go_together_cost_less_than_bonferroni():
    apart = np.random.default_rng(5).normal(size=(64, 8))
    alone = of_shape(apart, SHAPES["rise"]).band.alone(0.05)
    together = of_shape(apart.cumsum(axis=1), SHAPES["rise"]).band.alone(0.05)
    assert 0.05 / 28 < alone < together < 0.05
    # Beyond what resamples tell, Bonferroni's bound is left.
    assert of_shape(apart, SHAPES["rise"]).band.alone(1e-6) == 1e-6 / 28


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(list(SHAPES)), st.floats(0.5, 0.9999), st.floats(-2, 2), st.booleans())
def test_an_interval_excludes_what_its_p_value_rejects(root, name, level, value, anytime):
    values = np.random.default_rng(root).normal(size=(40, 6)) + VALLEY[:6]
    found = of_shape(values, SHAPES[name], anytime=anytime)
    low, high = ends(found, level)
    assert low <= found.estimate <= high
    assert found.estimate == pytest.approx(SHAPES[name].of(differences(values.mean(axis=0))))
    p_value = found.p_value(value)
    assume(abs(p_value - (1 - level)) > 2e-4)  # it goes in steps of one resample
    assert (not low <= value <= high) == (p_value < 1 - level)
    assert found.p_value(low) >= 1 - level - 2e-4 and found.p_value(low - 1e-6 - 0.01 * abs(low)) <= 1 - level + 2e-4


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(list(SHAPES)))
def test_a_constant_a_seed_changes_nothing_and_turned_around_a_rise_is_a_fall(root, name):
    rng = np.random.default_rng(root)
    values = rng.gamma(1.0, size=(30, 6))
    found, level = ends(of_shape(values, SHAPES[name])), rng.normal(size=(30, 1)) * 10
    assert ends(of_shape(values + level, SHAPES[name])) == pytest.approx(found, rel=1e-6, abs=1e-9)
    back = {"rise": "fall", "fall": "rise"}.get(name, name)
    # Turned around, other normal numbers are drawn for the same points.
    assert ends(of_shape(values[:, ::-1], SHAPES[back])) == pytest.approx(found, rel=0.05, abs=0.02)


def test_what_does_not_vary_is_no_certainty():
    values = np.zeros((64, 6))
    values[:, 5] = np.random.default_rng(5).random(64)
    unknown = of_shape(values, SHAPES["rise"])
    assert np.isnan(unknown.interval().low) and "no known range" in unknown.why and unknown.p_value(9) == 1
    found = of_shape(values[:, :5], SHAPES["rise"], range=(0, 1))
    room = 1 - (0.05 / 10) ** (1 / 64)  # ten pairs, each with the rule of three
    assert ends(found) == pytest.approx((-room, room), rel=1e-9)
    assert found.p_value(room * 1.01) < 0.05 < found.p_value(room * 0.99)
    few = np.zeros((64, 3))
    few[:4, 2] = 1.0
    assert np.isnan(of_shape(few, SHAPES["rise"]).interval().low)
    low, high = ends(of_shape(few, SHAPES["rise"], range=(0, 1)))
    assert low < 0.02 and 0.15 < high < 1


def test_a_sequence_is_bonferronis_over_all_points_that_there_were():
    values = np.random.default_rng(5).normal(size=(64, 3))
    pairs = [mean_sequence(values[:, b] - values[:, a]) for a, b in itertools.combinations(range(3), 2)]
    for points, family in ((0, 3), (5, 10)):
        found = of_shape(values, SHAPES["rise"], anytime=True, points=points)
        lows, highs = zip(*(ends(each, 1 - 0.05 / family) for each in pairs), strict=True)
        assert ends(found) == pytest.approx((max(lows), max(highs)))


def test_what_a_curve_must_be():
    for name, least in (("valley", 5), ("dip", 3), ("rise", 2), ("fall", 2)):
        with pytest.raises(
            ArgumentError, match=f"points={least - 1} is not allowed: must be at least {least} for a {name}"
        ):
            of_shape(np.zeros((30, least - 1)), SHAPES[name])
    infinite = of_shape(np.full((30, 3), np.inf), SHAPES["dip"])
    assert "30 of 30 seeds give no finite value" in infinite.why and np.isnan(infinite.interval().low)


NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "gamma": lambda rng, shape: rng.gamma(0.7, size=shape) - 0.7,
    "rare": lambda rng, shape: np.where(rng.random(shape) < 0.2, rng.gamma(0.7, 3, shape), 0) - 0.42,
}
CURVES = {"valley": VALLEY, "monotone": np.linspace(0, 0.4, 8), "flat": np.zeros(8)}


@functools.cache
def missed(noise: str, curve: str) -> dict[str, float]:
    """How often shapes, the band of differences and the band of the curve miss what is so, in samples of 64 seeds."""
    rng = np.random.default_rng([7, list(NOISE).index(noise), list(CURVES).index(curve)])
    truth, repeats = CURVES[curve], 50
    first, second = np.triu_indices(8, 1)
    found = dict.fromkeys((*SHAPES, "differences", "curve"), 0)
    for _ in range(repeats):
        values = truth + 0.3 * NOISE[noise](rng, (64, 8)) + rng.normal(size=(64, 1))
        low, high = band_of_curve(values)
        found["curve"] += not ((low <= truth) & (truth <= high)).all()
        estimate = of_shape(values, SHAPES["rise"])
        low, high = estimate.band.ends(0.95)
        gaps = truth[second] - truth[first]
        found["differences"] += not ((low <= gaps) & (gaps <= high)).all()
        square = np.zeros((2, 8, 8))
        square[:, first, second], square[:, second, first] = (low, high), (-high, -low)
        for name, shape in SHAPES.items():
            found[name] += not shape.of(square[0]) <= shape.of(differences(truth)) <= shape.of(square[1])
    return {name: times / repeats for name, times in found.items()}


@pytest.mark.parametrize("curve", list(CURVES))
@pytest.mark.parametrize("noise", list(NOISE))
def test_bands_hold_what_is_so(noise, curve):
    found = missed(noise, curve)
    assert max(found.values()) < 0.13, found  # of 50 samples, 5 % being allowed


def test_over_all_kinds_they_hold_as_often_as_they_should():
    every = [missed(noise, curve) for noise in NOISE for curve in CURVES]
    assert np.mean([each["differences"] for each in every]) < 0.07 and np.mean([each["curve"] for each in every]) < 0.07
    for name in SHAPES:
        assert np.mean([each[name] for each in every]) <= 0.05, name


def test_a_band_of_single_numbers_is_theirs():
    values = np.random.default_rng(5).normal(size=(50, 4))
    band = band_of(values, np.eye(4)[:1], range=None)
    low, high = band.ends(0.95)
    assert (low[0], high[0]) == pytest.approx(ends(of_mean(values[:, 0])))
