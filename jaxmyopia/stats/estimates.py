# SPDX-License-Identifier: Apache-2.0
"""Estimates of means and shares over seeds: an interval at any level, and how far they can be told from any value.

The p-value of a value is by inversion: one minus the greatest level whose interval excludes it. What an interval of a
mean is, the sample decides, by its number of seeds `differing` from the value that most of them have:

  none that differs      the rule of three, by the range (`intervals.without_variation`); none where that is not known
  1 to 7 that differ     bets against the mean, by the range (`betting`); none where that is not known
  8 or more              at each end the wider of Student's t and t corrected for skewness

Student's t = (x - m) / e, of a mean x with the error e, has tails of unequal weight where the sample is skewed. With
the skewness g = G1 / sqrt(n), Hall's monotone cubic

  T = t + g t^2 / 3 + g^2 t^3 / 27 + g / 6

follows Student's t to the next order. It lengthens the end on the side of the long tail and shortens the other, which
is too much where few seeds make the tail. The wider of the two at each end covers 93-97 % of what is met here, and more
where few seeds differ, all on one side (docs/verdicts.md); bootstraps (BCa, studentised) did no better, and have no
p-value beyond their resamples.

Sources: Wilson (1927); Hall (1992), "On the removal of skewness by transformation", with Johnson (1978).
"""

import dataclasses
import functools
import math

import numpy as np
import scipy

from jaxmyopia.stats.betting import Bets
from jaxmyopia.stats.intervals import ROUNDING, Interval, Range, varies, without_variation

DIFFERING = 8  # seeds that differ, with fewer of which t covered as little as 64 % (2026-11-26)
TINY = float(np.finfo(float).tiny)  # a p-value is zero only of what is impossible
_FAR = 1e90  # errors, whose cube is still a number


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate over `n` seeds by a `method`; `why`: where it has no interval, the reason."""

    estimate: float
    n: int
    method: str = "none"
    why: str = ""

    def interval(self, level: float = 0.95) -> Interval:
        """Its interval at a level."""
        return Interval(self.estimate, math.nan, math.nan, self.n, self.method, level, self.why)

    def p_value(self, value: float) -> float:
        """Two-sided, that the true number is `value`; 1 where there is no interval."""
        del value
        return 1.0

    def _between(self, low: float, high: float, level: float) -> Interval:
        return Interval(self.estimate, float(low), float(high), self.n, self.method, level)


@dataclasses.dataclass(frozen=True)
class _Wilson(Estimate):
    method: str = "Wilson"

    def interval(self, level: float = 0.95) -> Interval:
        found = scipy.stats.binomtest(round(self.estimate * self.n), self.n, self.estimate)
        low, high = found.proportion_ci(level, method="wilson")
        return self._between(low, high, level)

    def p_value(self, value: float) -> float:
        if not 0 < value < 1:
            return float(value == self.estimate)
        error = math.sqrt(value * (1 - value) / self.n)
        return max(float(2 * scipy.special.ndtr(-abs(self.estimate - value) / error)), TINY)


@dataclasses.dataclass(frozen=True)
class _Constant(Estimate):
    range: Range = (0.0, 0.0)
    method: str = "rule of three"

    def interval(self, level: float = 0.95) -> Interval:
        return without_variation(self.estimate, self.n, range=self.range, level=level)

    def p_value(self, value: float) -> float:
        room = self.range[1] - self.estimate if value > self.estimate else self.estimate - self.range[0]
        gap = abs(value - self.estimate)
        return max((1 - gap / room) ** self.n, TINY) if gap < room else float(gap == 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Betted(Estimate):
    """The mean of bounded numbers, of which bets exclude what they win against."""

    sample: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(1), repr=False)
    range: Range = (0.0, 1.0)
    method: str = "betting"

    @functools.cached_property
    def _bets(self) -> Bets:
        return Bets((self.sample - self.range[0]) / (self.range[1] - self.range[0]))

    def interval(self, level: float = 0.95) -> Interval:
        (low, high), (least, greatest) = self._bets.interval(1 - level), self.range
        return self._between(least + (greatest - least) * low, greatest - (greatest - least) * (1 - high), level)

    def p_value(self, value: float) -> float:
        if not self.range[0] <= value <= self.range[1]:
            return 0.0
        capital = self._bets.log_capital((value - self.range[0]) / (self.range[1] - self.range[0]))
        return 0.0 if capital == math.inf else max(math.exp(-max(capital, 0.0)), TINY)


@dataclasses.dataclass(frozen=True)
class Studentised(Estimate):
    """A mean with its standard error, its skewness over the root of n, and the range of the mean, where it is known."""

    error: float = 1.0
    skewness: float = 0.0
    range: Range = (-math.inf, math.inf)
    method: str = "skewness-corrected t"

    def interval(self, level: float = 0.95) -> Interval:
        low, high = self._ends(float(scipy.special.stdtrit(self.n - 1, (1 + level) / 2)))
        return self._between(max(low, self.range[0]), min(high, self.range[1]), level)

    def p_value(self, value: float) -> float:
        return min(1.0, max(float(2 * scipy.special.stdtr(self.n - 1, -self._distance(value))), TINY))

    def _distance(self, value: float) -> float:
        """How far the mean lies from `value`, in errors: by t or by its transform, whichever is less."""
        t, g = (self.estimate - value) / self.error, self.skewness
        t = max(min(t, _FAR), -_FAR)
        transformed = t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6
        return min(abs(t), max(transformed * math.copysign(1, t), 0.0))

    def _ends(self, reach: float) -> tuple[float, float]:
        """The values that lie at this distance."""
        furthest, least = max(reach, self._inverse(reach)), min(-reach, self._inverse(-reach))
        return self.estimate - self.error * furthest, self.estimate - self.error * least

    def _inverse(self, transformed: float) -> float:
        """The t of a transform."""
        if self.skewness == 0 or math.isinf(transformed):
            return transformed
        inner = self.skewness * (transformed - self.skewness / 6)
        root = math.expm1(math.log1p(inner) / 3) if inner > -1 else float(np.cbrt(1 + inner)) - 1
        return 3 * root / self.skewness


def of_share(shown: np.ndarray) -> Estimate:
    """The share of seeds that show something, by Wilson's score.

    Args:
      shown: `(S,)` of zeros and ones.

    Returns:
      The `Estimate`.
    """
    if not shown.size:
        return Estimate(math.nan, 0, why="there is no seed")
    return _Wilson(float(shown.mean()), shown.size)


def of_mean(sample: np.ndarray, *, range: Range | None = None) -> Estimate:
    """The mean over seeds.

    Args:
      sample: `(S,)`.
      range: the least and the greatest value that there can be, where it is known.

    Returns:
      The `Estimate`.
    """
    sample = np.asarray(sample, float)
    refused = undefined(sample)
    if refused is not None:
        return refused
    estimate, n = float(sample.mean()), sample.size
    if n < 2:
        return Estimate(estimate, n, why="one seed tells nothing of the others")
    differ = differing(sample, range)
    if not differ:
        if range is None:
            return Estimate(estimate, n, why=without_variation(estimate, n, range=None).why)
        return _Constant(estimate, n, range=range)
    if differ >= DIFFERING:
        error, skewness = spread(sample)
        return Studentised(estimate, n, error=error, skewness=skewness, range=range or (-math.inf, math.inf))
    if range is None:
        why = f"{differ} of {n} seeds differ from the others, too few (below {DIFFERING}) to know by how much, and "
        return Estimate(estimate, n, why=why + "the measure has no known range that bounds it")
    return Betted(estimate, n, sample=sample, range=range)


def undefined(sample: np.ndarray) -> Estimate | None:
    """The estimate of a sample `(S,)` that has no mean: it is empty, or not all of it is finite; else None."""
    n, infinite = sample.size, int((~np.isfinite(sample)).sum())
    if not infinite and n:
        return None
    why = f"{infinite} of {n} seeds give no finite value: the mean is not defined" if n else "there is no seed"
    return Estimate(math.nan, n, why=why)


def differing(sample: np.ndarray, range: Range | None = None) -> int:
    """How many of a sample `(S,)` differ from its most common value, beyond rounding; all, if no value comes twice."""
    if not varies(sample, range):
        return 0
    unit = range[1] - range[0] if range else np.abs(sample).max()
    most = int(np.unique(np.rint((sample - sample[0]) / (ROUNDING * unit)), return_counts=True)[1].max())
    return sample.size - most if most > 1 else sample.size


def spread(sample: np.ndarray) -> tuple[float, float]:
    """The standard error of the mean of a sample `(S,)`, S > 2, and its skewness G1 over the root of n."""
    n, deviation = sample.size, sample - sample.mean()
    unit = float(np.abs(deviation).max())  # of great numbers the cubes would be infinite
    deviation /= unit
    squared = deviation * deviation
    variance = float(squared.sum()) / (n - 1)
    third = n * float((squared * deviation).sum()) / ((n - 1) * (n - 2))
    # As scipy.stats has them, in a fifth of the time and less.
    return unit * math.sqrt(variance / n), third / variance**1.5 / math.sqrt(n)
