# SPDX-License-Identifier: Apache-2.0
"""Estimates of means and shares over seeds: an interval at any level, and how far they can be told from any value.

The p-value of a value is by inversion: one minus the greatest level whose interval excludes it.
"""

import dataclasses
import functools

import numpy as np
import scipy

from jaxmyopia.stats.intervals import LARGE, RESAMPLES, Interval, Range, varies, without_variation


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate over `n` seeds by a `method`; `why`: where it has no interval, the reason."""

    estimate: float
    n: int
    method: str = "none"
    why: str = ""

    def interval(self, level: float = 0.95) -> Interval:
        """Its interval at a level."""
        return Interval(self.estimate, float("nan"), float("nan"), self.n, "none", level, self.why)

    def p_value(self, value: float) -> float:
        """Two-sided, that the true number is `value`; 1 where there is no interval."""
        del value
        return 1.0


@dataclasses.dataclass(frozen=True)
class _Wilson(Estimate):
    method: str = "Wilson"

    def interval(self, level: float = 0.95) -> Interval:
        found = scipy.stats.binomtest(round(self.estimate * self.n), self.n, self.estimate)
        low, high = found.proportion_ci(level, method="wilson")
        return Interval(self.estimate, float(low), float(high), self.n, self.method, level)

    def p_value(self, value: float) -> float:
        if not 0 < value < 1:
            return 1.0 if value == self.estimate else 0.0
        error = np.sqrt(value * (1 - value) / self.n)
        return float(2 * scipy.stats.norm.sf(abs(self.estimate - value) / error))


@dataclasses.dataclass(frozen=True)
class _Constant(Estimate):
    range: Range = (0.0, 0.0)
    method: str = "rule of three"

    def interval(self, level: float = 0.95) -> Interval:
        return without_variation(self.estimate, self.n, range=self.range, level=level)

    def p_value(self, value: float) -> float:
        room = self.range[1] - self.estimate if value > self.estimate else self.estimate - self.range[0]
        gap = abs(value - self.estimate)
        return (1 - gap / room) ** self.n if gap < room else float(gap == 0)


@dataclasses.dataclass(frozen=True, eq=False)
class _Bca(Estimate):
    sample: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0), repr=False)
    resamples: int = RESAMPLES
    method: str = "BCa"

    @functools.cached_property
    def _means(self) -> np.ndarray:
        rng, sample, batch = np.random.default_rng(0), self.sample, max(1, 2_000_000 // self.n)
        counts = [min(batch, self.resamples - start) for start in range(0, self.resamples, batch)]
        return np.sort(np.concatenate([sample[rng.integers(0, self.n, (k, self.n))].mean(axis=1) for k in counts]))

    @functools.cached_property
    def _shape(self) -> tuple[float, float]:
        centred = self.estimate - self.sample
        below = ((self._means < self.estimate).mean() + (self._means <= self.estimate).mean()) / 2
        skewness = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
        return float(scipy.stats.norm.ppf(below)), float(skewness)

    def interval(self, level: float = 0.95) -> Interval:
        bias, skewness = self._shape
        z = bias + scipy.stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
        low, high = np.quantile(self._means, scipy.stats.norm.cdf(bias + z / (1 - skewness * z)))
        return Interval(self.estimate, float(low), float(high), self.n, self.method, level)

    def p_value(self, value: float) -> float:
        bias, skewness = self._shape
        below = np.interp(value, self._means, np.linspace(0, 1, self.resamples))
        far = scipy.stats.norm.ppf(np.clip(below, 1 / (self.resamples + 1), 1 - 1 / (self.resamples + 1))) - bias
        z = far / (1 + skewness * far) - bias
        return float(2 * scipy.stats.norm.sf(abs(z)))


@dataclasses.dataclass(frozen=True, eq=False)
class _Student(Estimate):
    error: float = 1.0
    method: str = "Student's t"

    def interval(self, level: float = 0.95) -> Interval:
        reach = self.error * scipy.stats.t.ppf((1 + level) / 2, self.n - 1)
        return Interval(self.estimate, self.estimate - reach, self.estimate + reach, self.n, self.method, level)

    def p_value(self, value: float) -> float:
        return float(2 * scipy.stats.t.sf(abs(self.estimate - value) / self.error, self.n - 1))


def of_share(shown: np.ndarray) -> Estimate:
    """The share of seeds that show something, by Wilson's score.

    Args:
      shown: `(S,)` of zeros and ones.

    Returns:
      The `Estimate`.
    """
    if not shown.size:
        return Estimate(float("nan"), 0, why="there is no seed")
    return _Wilson(float(shown.mean()), shown.size)


def of_mean(sample: np.ndarray, *, range: Range | None = None, resamples: int = RESAMPLES) -> Estimate:
    """The mean over seeds.

    Args:
      sample: `(S,)`.
      range: the least and the greatest value that there can be, where it is known.
      resamples: of a bootstrap.

    Returns:
      The `Estimate`.
    """
    sample = np.asarray(sample, float)
    n, infinite = sample.size, int((~np.isfinite(sample)).sum())
    if infinite or not n:
        why = f"{infinite} of {n} seeds give no finite value: the mean is not defined" if n else "there is no seed"
        return Estimate(float("nan"), n, why=why)
    estimate = float(sample.mean())
    if n < 2:
        return Estimate(estimate, n, why="one seed tells nothing of the others")
    if not varies(sample, range):
        if range is None:
            return Estimate(estimate, n, why=without_variation(estimate, n, range=None).why)
        return _Constant(estimate, n, range=range)
    if n > LARGE:
        return _Student(estimate, n, error=float(scipy.stats.sem(sample)))
    return _Bca(estimate, n, sample=sample, resamples=resamples)
