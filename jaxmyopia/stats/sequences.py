# SPDX-License-Identifier: Apache-2.0
"""Confidence sequences: estimates whose intervals hold at every number of seeds at once, so that one may look at any
time and stop when one likes.

Where the range is known, bets against the mean (`betting`) hold exactly. Else t against a normal mixture: with an
effect drawn from N(0, r) in units of the seeds' deviation, the likelihood ratio of Student's t at n seeds is

  E_n = (1 + n r)^(-1/2) [(1 + t^2 / (n - 1)) / (1 + t^2 / ((n - 1) (1 + n r)))]^(n/2)

and the chance that it ever reaches 1 / alpha is at most alpha: of normal numbers exactly, of others as seeds grow many.
It is corrected for skewness as the t of `estimates` is, without which it errs three times as often as it may in skewed
samples; and it waits for 32 seeds, 16 of which differ, since few are far from that limit.

Sources: Lai (1976), "On confidence sequences"; Wang and Ramdas (2024), "Anytime-valid t-tests and confidence sequences
for Gaussian means"; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and
asymptotic confidence sequences", for the choice of r and what holds of numbers that are not normal.
"""

import dataclasses
import math

import numpy as np

from jaxmyopia.stats.estimates import TINY, Betted, Estimate, Studentised, differing, of_share, spread, undefined
from jaxmyopia.stats.intervals import Interval, Range, without_variation

LEAST = 32  # seeds before a sequence without a range speaks
VARIED = 16  # of them, those that must differ
_NARROWEST = 128  # seeds at which its 95 % interval is the narrowest that it can be made
VARIANCE = (2 * math.log(20) + math.log(2 * math.log(20) + 1)) / _NARROWEST  # r above


@dataclasses.dataclass(frozen=True)
class _Mixture(Studentised):
    method: str = "confidence sequence of t"

    def interval(self, level: float = 0.95) -> Interval:
        grown = 1 + self.n * VARIANCE
        ratio = (math.sqrt(grown) / (1 - level)) ** (2 / self.n)
        reach = math.sqrt((self.n - 1) * (ratio - 1) / (1 - ratio / grown)) if ratio < grown else math.inf
        return self._between(*self._ends(reach), level)

    def p_value(self, value: float) -> float:
        grown, squared = 1 + self.n * VARIANCE, self._distance(value) ** 2 / (self.n - 1)
        evidence = self.n / 2 * (math.log1p(squared) - math.log1p(squared / grown)) - math.log(grown) / 2
        return max(math.exp(-max(evidence, 0.0)), TINY)


def share_sequence(shown: np.ndarray) -> Estimate:
    """The share of seeds that show something, whenever one stops; by betting.

    Args:
      shown: `(S,)` of zeros and ones.

    Returns:
      The `Estimate`.
    """
    return mean_sequence(shown, range=(0.0, 1.0)) if shown.size else of_share(shown)


def mean_sequence(sample: np.ndarray, *, range: Range | None = None) -> Estimate:
    """The mean over seeds, whenever one stops; by betting where the range is known.

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
    if range is not None:
        return Betted(estimate, n, sample=sample, range=range)
    differ = differing(sample)
    if not differ:
        return Estimate(estimate, n, why=without_variation(estimate, n, range=None).why)
    if n >= LEAST and differ >= VARIED:
        error, skewness = spread(sample)
        return _Mixture(estimate, n, error=error, skewness=skewness)
    why = f"{differ} of {n} seeds differ from the others; where one may stop at any number and the range is not known, "
    return Estimate(estimate, n, why=why + f"an interval needs {LEAST} seeds and {VARIED} that differ")
