# SPDX-License-Identifier: Apache-2.0
"""Do the 95 % intervals hold the truth in 93-97 % of samples? Wilson's by summation, BCa's by simulation, give or take
two of the simulation's standard errors."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxmyopia.stats.comparisons import cliffs_delta
from jaxmyopia.stats.intervals import LARGE, bca, bca_mean, wilson

SIZES = (64, 128, 1024)


def coverage(groups: list[np.ndarray], estimate, interval, truth: float, *, checked: int, rng: np.random.Generator):
    """The share of samples whose interval holds the truth, and its Monte Carlo error.

    A plain simulation would waste its time on samples whose estimate is so near to the truth, or so far, that any
    interval gives the same answer. Here the plain normal interval is scored on every sample (a control variate) and
    `interval` only on some, the likelier the closer the case; each such correction counts 1 / its probability, so the
    result is unbiased whatever those probabilities are (Horvitz and Thompson 1952).

    `groups`: arrays `(draws, n)`, a row of each is a sample. `checked`: rows on which `interval` is made, on average.
    """
    estimates = estimate(*groups, axis=-1)
    z = np.abs(estimates - truth) / estimates.std()
    normal = z <= stats.norm.ppf(0.975)
    close = 0.01 + np.exp(-(((z - stats.norm.ppf(0.975)) / 0.2) ** 2) / 2)
    probability = np.minimum(1, checked * close / close.sum())
    corrections = np.zeros(z.size)
    squares = 0.0
    for row in np.flatnonzero(rng.random(z.size) < probability):
        made = interval(*(group[row] for group in groups))
        correction = int(made.low <= truth <= made.high) - int(normal[row])
        corrections[row] = correction / probability[row]
        squares += (1 - probability[row]) * corrections[row] ** 2
    share = float((normal + corrections).mean())
    return share, math.sqrt(share * (1 - share) / z.size + squares / z.size**2)


# What the studies average: differences of small counts (bumps under two optimisers), skewed times and losses.
MEANS = {
    "count differences, equal": (lambda rng, shape: rng.poisson(1.5, shape) - rng.poisson(1.5, shape), 0.0),
    "count differences, unequal": (lambda rng, shape: rng.poisson(2, shape) - rng.poisson(1, shape), 1.0),
    "exponential": (lambda rng, shape: rng.exponential(1, shape), 1.0),
    "exponential differences": (lambda rng, shape: rng.exponential(1, shape) - rng.exponential(0.5, shape), 0.5),
}
# The Monte Carlo error of the resampling itself costs coverage: a little at 999 resamples, nothing to speak of at 4999.
RESAMPLES = {64: 999, 128: 999, 1024: 499}
DRAWS = {64: 20_000, 128: 10_000, 1024: 4000}
CHECKED_MEANS = {64: 600, 128: 300, 1024: 75}
CHECKED_DELTA = {64: 60, 128: 40, 1024: 12}


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("data", MEANS)
def test_bca_of_a_mean_covers(data, n):
    draw, truth = MEANS[data]
    rng = np.random.default_rng(n)
    share, error = coverage(
        [draw(rng, (DRAWS[n], n)).astype(float)], np.mean,
        lambda sample: bca_mean(sample, rng=rng, resamples=RESAMPLES[n]), truth, checked=CHECKED_MEANS[n], rng=rng,
    )  # fmt: skip
    print(f"coverage {data} {n}: {share:.4f} +- {error:.4f}")
    assert error < 0.01
    assert 0.93 - 2 * error <= share <= 0.97 + 2 * error


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_bca_of_cliffs_delta_covers(n):
    def delta(x, y, axis):
        u = stats.mannwhitneyu(x, y, axis=axis, method="asymptotic").statistic
        return 2 * u / n**2 - 1

    rng = np.random.default_rng(n)
    share, error = coverage(
        [rng.normal(0.8, 1, (4000, n)), rng.normal(0, 1, (4000, n))], delta,
        lambda x, y: cliffs_delta(x, y, rng=rng, resamples=RESAMPLES[n]),
        2 * stats.norm.cdf(0.8 / math.sqrt(2)) - 1, checked=CHECKED_DELTA[n], rng=rng,
    )  # fmt: skip
    print(f"coverage delta {n}: {share:.4f} +- {error:.4f}")
    assert error < 0.01
    assert 0.93 - 2 * error <= share <= 0.97 + 2 * error


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


def test_a_mean_moves_with_its_units():
    sample = np.random.default_rng(1).exponential(size=40)
    plain, scaled, mirrored = (
        bca_mean(a * sample + b, rng=np.random.default_rng(2), resamples=999) for a, b in ((1, 0), (3, 5), (-1, 0))
    )
    for end in ("estimate", "low", "high"):
        assert getattr(scaled, end) == pytest.approx(3 * getattr(plain, end) + 5)
    assert (-mirrored.high, -mirrored.low) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert plain.method == "BCa" and plain.n == 40
    assert plain.low < plain.estimate < plain.high
    # The long tail lies above, and BCa, unlike the normal interval, follows it.
    assert plain.high - plain.estimate > plain.estimate - plain.low


def test_the_seed_of_the_resamples_decides_the_interval_and_the_level_its_width():
    sample = np.random.default_rng(1).exponential(size=40)
    first, again, other = (bca_mean(sample, rng=np.random.default_rng(seed)) for seed in (2, 2, 3))
    assert first == again != other
    inner = bca_mean(sample, rng=np.random.default_rng(2), level=0.9)
    assert first.low < inner.low < inner.high < first.high


def test_a_sample_without_variation_is_bounded_by_the_range_that_there_can_be():
    # None of 24 differs: with 1 - 0.05^(1/24) = 11.73 % that do, that is still seen in one sample of twenty.
    zeros, differing = np.zeros(24), 0.117346
    share = bca_mean(zeros, rng=np.random.default_rng(0), range=(0, 1))
    assert (share.low, share.high) == (0, pytest.approx(differing, abs=1e-6))
    assert (1 - share.high) ** 24 == pytest.approx(0.05) and share.method == "rule of three"
    lopsided = bca_mean(zeros + 1.5, rng=np.random.default_rng(0), range=(1, 4))
    assert (lopsided.low, lopsided.high) == (pytest.approx(1.5 - 0.5 * differing), pytest.approx(1.5 + 2.5 * differing))
    rounded = 1 - np.array([6e-8] + [0.0] * 23)  # a bit of float32 is no variation either
    assert bca_mean(rounded, rng=np.random.default_rng(0), range=(0, 1)).low == pytest.approx(1 - differing, abs=1e-6)
    large = bca_mean(np.zeros(LARGE + 1), rng=np.random.default_rng(0), range=(0, 1))
    assert large.high == pytest.approx(3 / LARGE, rel=1e-2)


@pytest.mark.parametrize(
    ("sample", "estimate", "why"),
    [
        ([2.5] * 12, 2.5, "all 12 seeds give 2.5, and the measure has no known range"),
        ([0.1 + 0.2, 0.3] * 6, 0.3, "all 12 seeds give 0.3,"),  # 4e-17 apart
        ([2.5], 2.5, "one seed tells nothing"),
        ([], math.nan, "there is no seed"),
        ([*range(40), math.inf], math.nan, "1 of 41 seeds give no finite value: the mean is not defined"),
        ([*range(40), math.nan, -math.inf], math.nan, "2 of 42 seeds give no finite value"),
        ([math.inf] * (LARGE + 1), math.nan, f"{LARGE + 1} of {LARGE + 1} seeds"),
    ],
)
def test_where_nothing_bounds_the_mean_there_is_no_interval(sample, estimate, why):
    interval = bca_mean(np.array(sample, float), rng=np.random.default_rng(0))
    assert interval.estimate == pytest.approx(estimate, nan_ok=True) and interval.n == len(sample)
    assert np.isnan([interval.low, interval.high]).all() and interval.method == "none"
    assert interval.why.startswith(why) and "[undefined]" in str(interval)


def test_where_bca_is_not_defined_the_percentiles_stand_in():
    # The greatest value is there twice: leaving one seed out changes nothing, so that the acceleration is 0 / 0. Yet of
    # the resamples one in 16 misses both.
    interval = bca([np.array([0.0, 0, 5, 5])], np.max, rng=np.random.default_rng(0), resamples=999)
    assert (interval.estimate, interval.low, interval.high, interval.method) == (5, 0, 5, "percentile")
    inner = bca([np.array([0.0, 0, 5, 5])], np.max, rng=np.random.default_rng(0), resamples=999, level=0.8)
    assert (inner.low, inner.high) == (5, 5)


def test_the_smallest_group_counts():
    groups = [np.arange(12.0), np.arange(10.0) ** 2, np.arange(15.0)]
    interval = bca(
        groups, lambda x, y, z, axis: x.mean(axis) + y.mean(axis) - z.mean(axis), rng=np.random.default_rng(0)
    )
    assert (interval.n, interval.method) == (10, "BCa")
    lone = bca(
        [groups[0], np.array([3.0])], lambda x, y, axis: x.mean(axis) - y.mean(axis), rng=np.random.default_rng(0)
    )
    assert (lone.n, lone.estimate, lone.method) == (1, 2.5, "none") and np.isnan(lone.low)


def test_a_large_sample_has_the_interval_that_resampling_would_give():
    rng = np.random.default_rng(0)
    sample = rng.exponential(size=LARGE + 1)
    large = bca_mean(sample, rng=rng)
    resampled = bca([sample], np.mean, rng=rng, resamples=1999)
    assert (large.method, resampled.method) == ("Student's t", "BCa")
    width = resampled.high - resampled.low
    assert large.low == pytest.approx(resampled.low, abs=0.06 * width)
    assert large.high == pytest.approx(resampled.high, abs=0.06 * width)
    assert large.estimate == resampled.estimate and large.n == LARGE + 1
