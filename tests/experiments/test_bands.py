# SPDX-License-Identifier: Apache-2.0
"""What is planted in the benchmark of bands is what its tables say, and they are whole."""

import numpy as np
import pytest

from experiments.benchmarks import bands
from jaxmyopia.stats.bands import SHAPES, of_shape


def test_planted_valleys_are_as_deep_as_they_are_called_and_noise_is_of_mean_zero_and_variance_one():
    for depth in (0.02, 0.05, 0.1, 0.2):
        curve = bands.CURVES[f"a valley of {depth:g}"]
        assert SHAPES["valley"].of(bands.differences(curve)) == pytest.approx(depth)
    for name in ("rises throughout", "rises, then stays", "flat"):
        curve = bands.CURVES[name]
        assert SHAPES["valley"].of(bands.differences(curve)) <= 0
    for name, draw in bands.NOISE.items():
        drawn = draw(np.random.default_rng(0), (40_000, bands.POINTS))
        assert drawn.mean() == pytest.approx(0, abs=0.02) and drawn.std() == pytest.approx(1, abs=0.03), name


def test_the_tables_are_whole():
    lines = list(bands.tables(1, (24,), 0))
    assert len(lines) == 2 + len(bands.NOISE) + 1 + 2 + len(bands.CURVES)
    assert {line.count("|") for line in lines[:7]} == {6} and {line.count("|") for line in lines[8:]} == {8}


def test_noise_around_a_curve_gives_the_interval_that_the_curve_with_noise_has():
    noise, curve = 0.3 * np.random.default_rng(0).normal(size=(64, bands.POINTS)), bands.CURVES["a valley of 0.2"]
    for shape in ("valley", "rise"):
        wanted = of_shape(noise + curve, SHAPES[shape]).interval()
        assert bands.interval(bands.ends(noise), curve, shape) == pytest.approx((wanted.low, wanted.high), rel=1e-6)
    assert bands.ends(np.zeros((64, bands.POINTS))) is None
