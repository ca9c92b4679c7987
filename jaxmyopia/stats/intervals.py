# SPDX-License-Identifier: Apache-2.0
"""Estimates with their intervals: BCa bootstrap for means, Wilson for proportions.

A sample without variation is no certainty. If none of n seeds differs from the common value c, the share of all seeds
that do is below u = 1 - (1 - level)^(1/n), about 3/n at 95 %; of a measure that lies in [low, high] the mean is then
within [c - u (c - low), c + u (high - c)]. Where that range is not known there is no interval.

Sources: Efron (1987), "Better bootstrap confidence intervals"; Wilson (1927), both as scipy.stats has them; Hanley and
Lippman-Hand (1983), "If nothing goes wrong, is everything all right?", the rule of three.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import scipy  # whose stats, 0.7 s to import, come when they are first asked for

from jaxmyopia.checks import require

RESAMPLES = 4999
LARGE = 20_000  # seeds above which resampling takes long and the central limit theorem does the same
Range = tuple[float, float]  # the least and the greatest value that there can be
ROUNDING = 1e-6  # of the range, or of the greatest value: differences below are float32's


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    `estimate`, `low`, `high`: in the statistic's units. `n`: the seeds it rests on. `level`: the nominal coverage.
    `method`: how it was made; `none` where there is no interval, whose ends are then NaN, and `why` says why.
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95
    why: str = ""

    def __str__(self) -> str:
        ends = "undefined" if math.isnan(self.low) else f"{self.low:.3g}, {self.high:.3g}"
        return f"{self.estimate:.3g} [{ends}]"


def _undefined(estimate: float, n: int, level: float, why: str) -> Interval:
    return Interval(estimate, math.nan, math.nan, n, "none", level, why)


def varies(sample: np.ndarray, range: Range | None = None) -> bool:
    """Whether a sample `(S,)`, of values in `range`, varies by more than rounding."""
    unit = range[1] - range[0] if range else np.abs(sample).max(initial=0)
    return bool(sample.size) and bool(np.ptp(sample) > ROUNDING * unit)


def without_variation(value: float, n: int, *, range: Range | None, level: float = 0.95) -> Interval:
    """The interval of a mean where all seeds give the same value: the rule of three, in its exact form.

    Args:
      value: that all seeds give.
      n: seeds.
      range: of the values that there can be; None if it is not known.
      level: nominal coverage.

    Returns:
      The `Interval`; without ends where the range is not known.
    """
    if range is None:
        why = f"all {n} seeds give {value:.3g}, and the measure has no known range that bounds what others may give"
        return _undefined(value, n, level, why)
    differing = 1 - (1 - level) ** (1 / n)
    low, high = value - differing * max(value - range[0], 0), value + differing * max(range[1] - value, 0)
    return Interval(value, low, high, n, "rule of three", level)


def bca(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., np.ndarray],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    range: Range | None = None,
) -> Interval:
    """The BCa bootstrap interval of a statistic of one sample, or of several independent ones.

    Args:
      samples: arrays `(S,)`, one a group; every group's seeds are resampled on their own.
      statistic: takes the arrays and a keyword `axis`; vectorised.
      rng: the generator of the resamples.
      level: nominal coverage.
      resamples: bootstrap resamples.
      range: of the statistic, a mean over seeds (or over tuples of them, one a group), where it is known: it bounds the
        mean of a sample without variation.

    Returns:
      The `Interval`; `n` is the smallest group's.
    """
    samples = [np.asarray(sample, float) for sample in samples]
    n = min(sample.size for sample in samples)
    infinite = sum(int((~np.isfinite(sample)).sum()) for sample in samples)
    if infinite or not n:
        what = f"{infinite} of {sum(sample.size for sample in samples)} seeds give no finite value"
        return _undefined(math.nan, n, level, f"{what}: the mean is not defined" if infinite else "there is no seed")
    estimate = float(statistic(*samples, axis=-1))
    if n < 2:
        return _undefined(estimate, n, level, "one seed tells nothing of the others")
    if not any(varies(sample, range) for sample in samples):
        return without_variation(estimate, n, range=range, level=level)
    with warnings.catch_warnings():
        # A resample without variation makes scipy warn of a degenerate acceleration; the result is checked below.
        warnings.simplefilter("ignore")
        result = scipy.stats.bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            method="BCa",
            confidence_level=level,
            rng=rng,
            vectorized=True,
            batch=max(1, 2_000_000 // max(sample.size for sample in samples)),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if not (np.isfinite(low) and np.isfinite(high)):
        if not varies(result.bootstrap_distribution, range):  # such as Cliff's delta of groups that lie apart
            return without_variation(estimate, n, range=range, level=level)
        low, high = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
        return Interval(estimate, float(low), float(high), n, "percentile", level)
    return Interval(estimate, low, high, n, "BCa", level)


def bca_mean(
    sample: np.ndarray,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    range: Range | None = None,
) -> Interval:
    """The BCa interval of a mean; above `LARGE` seeds Student's, which by then is the same to three digits.

    Args:
      sample: `(S,)` one value a seed.
      rng: the generator of the resamples.
      level: nominal coverage.
      resamples: bootstrap resamples.
      range: of the values that there can be, where it is known.

    Returns:
      The `Interval`.
    """
    sample = np.asarray(sample, float)
    if sample.size <= LARGE or not np.isfinite(sample).all() or not varies(sample, range):
        return bca([sample], np.mean, rng=rng, level=level, resamples=resamples, range=range)
    low, high = scipy.stats.ttest_1samp(sample, 0).confidence_interval(level)
    return Interval(float(sample.mean()), float(low), float(high), sample.size, "Student's t", level)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion.

    Args:
      successes: seeds that show the thing.
      n: all seeds; at least 1.
      level: nominal coverage.

    Returns:
      The `Interval`.

    Raises:
      ValueError: if `n` < 1 or `successes` is not in [0, n].
    """
    require(n >= 1, "n", n, "at least 1")
    require(0 <= successes <= n, "successes", successes, f"between 0 and n={n}")
    found = scipy.stats.binomtest(int(successes), int(n), successes / n)  # of this share the p-value takes no time
    low, high = found.proportion_ci(level, method="wilson")
    return Interval(successes / n, float(low), float(high), int(n), "Wilson", level)
