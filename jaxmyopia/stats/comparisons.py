# SPDX-License-Identifier: Apache-2.0
"""Comparisons of two conditions: paired differences, effect sizes, equivalence, and Holm's correction.

Sources: Cliff (1993), "Dominance statistics"; Holm (1979); Schuirmann (1987), "two one-sided tests".
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy

from jaxmyopia.checks import require
from jaxmyopia.stats.intervals import LARGE, RESAMPLES, Interval, Range, bca, bca_mean, varies, wilson


@dataclasses.dataclass(frozen=True)
class PairedComparison:
    """The difference between two conditions of the same seeds.

    `difference`: the mean of a - b. `superiority`: P(a > b) + P(a = b)/2 within a pair. `p_value`: two-sided, of the
    sign-flip permutation test of the mean. `unequal`: the share of pairs in which a and b differ.
    """

    difference: Interval
    superiority: Interval
    unequal: Interval
    p_value: float


def compare_paired(
    a: np.ndarray, b: np.ndarray, *, rng: np.random.Generator, resamples: int = RESAMPLES, range: Range | None = None
) -> PairedComparison:
    """Compares two conditions that share their seeds.

    Args:
      a, b: `(S,)` one value a seed, in the same order.
      rng: the generator of resamples and permutations.
      resamples: bootstrap resamples and permutations.
      range: of a - b, where it is known.

    Returns:
      The `PairedComparison`.

    Raises:
      ValueError: if the shapes differ or there is no seed.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    require(
        a.shape == b.shape and a.ndim == 1 and a.size > 0, "a, b", (a.shape, b.shape), "two equal shapes (S,), S >= 1"
    )
    difference = a - b
    return PairedComparison(
        difference=bca_mean(difference, rng=rng, resamples=resamples, range=range),
        superiority=bca_mean((np.sign(difference) + 1) / 2, rng=rng, resamples=resamples, range=(0, 1)),
        unequal=wilson(int(np.count_nonzero(difference)), difference.size),
        p_value=sign_flip_test(difference, rng=rng, resamples=resamples),
    )


def sign_flip_test(difference: np.ndarray, *, rng: np.random.Generator, resamples: int = RESAMPLES) -> float:
    """Two-sided p-value of a mean of paired differences, by flipping their signs; above `LARGE` seeds by the t test.

    Args:
      difference: `(S,)`.
      rng: the generator of the permutations.
      resamples: permutations; all 2^S of them where that is fewer.

    Returns:
      The p-value; 1 where all differences are zero or there is only one, NaN where one is not finite.
    """
    if not np.all(np.isfinite(difference)):
        return float("nan")
    if difference.size < 2 or not np.any(difference):
        return 1.0
    if difference.size > LARGE:
        return float(scipy.stats.ttest_1samp(difference, 0).pvalue)
    result = scipy.stats.permutation_test(
        [difference],
        np.mean,
        permutation_type="samples",
        n_resamples=resamples,
        vectorized=True,
        rng=rng,
        batch=max(1, 2_000_000 // difference.size),
    )
    return float(result.pvalue)


def cliffs_delta(a: np.ndarray, b: np.ndarray, *, rng: np.random.Generator, resamples: int = RESAMPLES) -> Interval:
    """Cliff's delta of two independent samples, P(a > b) - P(a < b), with its BCa interval.

    Args:
      a: `(S,)` one value a seed.
      b: `(S',)` likewise, of other seeds.
      rng: the generator of the resamples.
      resamples: bootstrap resamples.

    Returns:
      The `Interval`, within [-1, 1].
    """

    def delta(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        u = scipy.stats.mannwhitneyu(x, y, axis=axis, method="asymptotic").statistic
        return 2 * u / (x.shape[axis] * y.shape[axis]) - 1

    return bca([a, b], delta, rng=rng, resamples=resamples, range=(-1, 1))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down adjustment of a family of p-values.

    Args:
      p_values: `(m,)`.

    Returns:
      `(m,)` adjusted p-values, in the order given.
    """
    raw = np.asarray(p_values, float)
    order = np.argsort(raw)
    steps = (raw.size - np.arange(raw.size)) * raw[order]
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of |mean difference| < margin.

    `difference`: the mean with its 95 % interval. `inner`: the 90 % interval that must lie within the margin.
    `p_value`: the greater of the two one-sided t tests'; where the sample shows no variation, of the exact tests that
    so few seeds differ; NaN where a value is not finite.
    """

    difference: Interval
    inner: Interval
    margin: float
    p_value: float

    @property
    def equivalent(self) -> bool:
        """Whether both one-sided tests reject at 5 % and the 90 % interval agrees."""
        return self.p_value < 0.05 and -self.margin < self.inner.low and self.inner.high < self.margin


def _p_without_variation(value: float, n: int, margin: float, range: Range | None) -> float:
    """The chance that none of n seeds differs from `value` though the mean lies at the margin, the greater of both
    sides'; 1 where the range is not known."""
    if range is None:
        return 1.0

    def side(gap: float, room: float) -> float:
        """The mean reaches what is `gap` away if at least a share gap / room of seeds differ, by `room` at most."""
        if gap <= 0:
            return 1.0
        return (1 - gap / room) ** n if gap < room else 0.0

    return max(side(margin - value, range[1] - value), side(value + margin, value - range[0]))


def equivalence_test(
    difference: np.ndarray,
    margin: float,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    range: Range | None = None,
) -> Equivalence:
    """Tests whether a mean of paired differences lies within a margin of zero.

    Args:
      difference: `(S,)` one paired difference a seed.
      margin: what still counts as the same; positive, in the differences' units.
      rng: the generator of the resamples.
      resamples: bootstrap resamples.
      range: of the differences that there can be, where it is known.

    Returns:
      The `Equivalence`.

    Raises:
      ValueError: if `margin` is not positive.
    """
    require(margin > 0, "margin", margin, "must be positive")
    difference = np.asarray(difference, float)
    if not np.isfinite(difference).all():
        p_value = float("nan")
    elif difference.size < 2:
        p_value = 1.0
    elif not varies(difference, range):
        p_value = _p_without_variation(float(difference.mean()), difference.size, margin, range)
    else:
        above = scipy.stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        below = scipy.stats.ttest_1samp(difference, margin, alternative="less").pvalue
        p_value = float(max(above, below))
    return Equivalence(
        difference=bca_mean(difference, rng=rng, resamples=resamples, range=range),
        inner=bca_mean(difference, rng=rng, level=0.9, resamples=resamples, range=range),
        margin=margin,
        p_value=p_value,
    )
