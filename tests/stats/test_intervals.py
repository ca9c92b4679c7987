# SPDX-License-Identifier: Apache-2.0
"""Wilson's interval by summation, and what a sample without variation is worth."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.intervals import wilson

SIZES = (64, 128, 1024)


@pytest.mark.parametrize("n", SIZES)
def test_wilson_covers(n):
    share = np.linspace(0.1, 0.9, 801)
    intervals = [wilson(k, n) for k in range(n + 1)]
    low, high = (np.array([[getattr(interval, end)] for interval in intervals]) for end in ("low", "high"))
    probability = stats.binom.pmf(np.arange(n + 1)[:, None], n, share)
    covered = (probability * ((low <= share) & (share <= high))).sum(axis=0)
    assert covered.min() >= 0.93 and covered.max() <= 0.97
    assert covered.mean() == pytest.approx(0.95, abs=0.001)


def test_wilson_by_hand():
    # With z = 1.95996: no success leaves z^2 / (n + z^2); half leaves 1/2 -+ z / (2 sqrt(n + z^2)).
    none, half = wilson(0, 10), wilson(5, 10)
    assert (none.estimate, none.low, none.high) == (0, 0, pytest.approx(0.27753, abs=1e-5))
    assert (half.low, half.high) == (pytest.approx(0.23659, abs=1e-5), pytest.approx(0.76341, abs=1e-5))
    assert (half.n, half.level, half.method) == (10, 0.95, "Wilson")
    assert half.low < wilson(5, 10, level=0.9).low


@pytest.mark.parametrize(
    ("successes", "n", "message"),
    [
        (0, 0, r"^n=0 is not allowed: at least 1$"),
        (-1, 5, r"^successes=-1 is not allowed: between 0 and n=5$"),
        (6, 5, r"^successes=6 is not allowed: between 0 and n=5$"),
    ],
)
def test_wilson_refuses(successes, n, message):
    with pytest.raises(ValueError, match=message):
        wilson(successes, n)


def test_a_sample_without_variation_is_bounded_by_the_range_that_there_can_be():
    # None of 24 differs: with 1 - 0.05^(1/24) = 11.73 % that do, that is still seen in one sample of twenty.
    zeros, differing = np.zeros(24), 0.117346
    share = of_mean(zeros, range=(0, 1)).interval()
    assert (share.low, share.high) == (0, pytest.approx(differing, abs=1e-6))
    assert (1 - share.high) ** 24 == pytest.approx(0.05) and share.method == "rule of three"
    lopsided = of_mean(zeros + 1.5, range=(1, 4)).interval()
    assert (lopsided.low, lopsided.high) == (pytest.approx(1.5 - 0.5 * differing), pytest.approx(1.5 + 2.5 * differing))
    rounded = 1 - np.array([6e-8] + [0.0] * 23)  # a bit of float32 is no variation either
    assert of_mean(rounded, range=(0, 1)).interval().low == pytest.approx(1 - differing, abs=1e-6)
    large = of_mean(np.zeros(20_000 + 1), range=(0, 1)).interval()
    assert large.high == pytest.approx(3 / 20_000, rel=1e-2)


@pytest.mark.parametrize(
    ("sample", "estimate", "why"),
    [
        ([2.5] * 12, 2.5, "all 12 seeds give 2.5, and the measure has no known range"),
        ([0.1 + 0.2, 0.3] * 6, 0.3, "all 12 seeds give 0.3,"),  # 4e-17 apart
        ([2.5], 2.5, "one seed tells nothing"),
        ([], math.nan, "there is no seed"),
        ([*range(40), math.inf], math.nan, "1 of 41 seeds give no finite value: the mean is not defined"),
        ([*range(40), math.nan, -math.inf], math.nan, "2 of 42 seeds give no finite value"),
        ([math.inf] * (20_000 + 1), math.nan, f"{20_000 + 1} of {20_000 + 1} seeds"),
    ],
)
def test_where_nothing_bounds_the_mean_there_is_no_interval(sample, estimate, why):
    interval = of_mean(np.array(sample, float)).interval()
    assert interval.estimate == pytest.approx(estimate, nan_ok=True) and interval.n == len(sample)
    assert np.isnan([interval.low, interval.high]).all() and interval.method == "none"
    assert interval.why.startswith(why) and "[undefined]" in str(interval)
