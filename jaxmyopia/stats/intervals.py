# SPDX-License-Identifier: Apache-2.0
"""An interval, Wilson's of a proportion, and the rule of three.

A sample without variation is no certainty. If none of n seeds differs from the common value c, the share of all seeds
that do is below u = 1 - (1 - level)^(1/n), about 3/n at 95 %; of a measure that lies in [low, high] the mean is then
within [c - u (c - low), c + u (high - c)]. Where that range is not known there is no interval.

Sources: Wilson (1927), as scipy.stats has it; Hanley and Lippman-Hand (1983), "If nothing goes wrong, is everything all
right?", the rule of three.
"""

import dataclasses
import math

import numpy as np
import scipy  # whose stats, 0.7 s to import, come when they are first asked for

from jaxmyopia.checks import require

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
        return Interval(value, math.nan, math.nan, n, "none", level, why)
    differing = 1 - (1 - level) ** (1 / n)
    low, high = value - differing * max(value - range[0], 0), value + differing * max(range[1] - value, 0)
    return Interval(value, low, high, n, "rule of three", level)


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
