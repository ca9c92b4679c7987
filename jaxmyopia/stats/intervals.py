# SPDX-License-Identifier: Apache-2.0
"""Estimates with their intervals: BCa bootstrap for means, Wilson for proportions.

Sources: Efron (1987), "Better bootstrap confidence intervals"; Wilson (1927). Both as scipy.stats has them.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from jaxmyopia.checks import require

RESAMPLES = 4999
LARGE = 20_000  # seeds above which resampling takes long and the central limit theorem does the same


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    `estimate`, `low`, `high`: in the statistic's units. `n`: the seeds it rests on. `level`: the nominal coverage.
    `method`: how it was made; `none` where the sample shows no variation or has fewer than two seeds, and the
    interval is therefore the point (or NaN without a seed).
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bca(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., np.ndarray],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """The BCa bootstrap interval of a statistic of one sample, or of several independent ones.

    Args:
      samples: arrays `(S,)`, one a group; every group's seeds are resampled on their own.
      statistic: takes the arrays and a keyword `axis`; vectorised.
      rng: the generator of the resamples.
      level: nominal coverage.
      resamples: bootstrap resamples.

    Returns:
      The `Interval`; `n` is the smallest group's.
    """
    samples = [np.asarray(sample, float) for sample in samples]
    n = min(sample.size for sample in samples)
    estimate = float(statistic(*samples, axis=-1)) if n else float("nan")
    if n < 2 or all(np.ptp(sample) == 0 for sample in samples):
        return Interval(estimate, estimate, estimate, n, "none", level)
    with warnings.catch_warnings():
        # A resample without variation makes scipy warn of a degenerate acceleration; the result is checked below.
        warnings.simplefilter("ignore")
        result = stats.bootstrap(
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
        low, high = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
        return Interval(estimate, float(low), float(high), n, "percentile", level)
    return Interval(estimate, low, high, n, "BCa", level)


def bca_mean(
    sample: np.ndarray, *, rng: np.random.Generator, level: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """The BCa interval of a mean; above `LARGE` seeds Student's, which by then is the same to three digits.

    Args:
      sample: `(S,)` one value a seed.
      rng: the generator of the resamples.
      level: nominal coverage.
      resamples: bootstrap resamples.

    Returns:
      The `Interval`.
    """
    sample = np.asarray(sample, float)
    if sample.size <= LARGE or np.ptp(sample) == 0:
        return bca([sample], np.mean, rng=rng, level=level, resamples=resamples)
    low, high = stats.ttest_1samp(sample, 0).confidence_interval(level)
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
    low, high = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(low), float(high), int(n), "Wilson", level)
