# SPDX-License-Identifier: Apache-2.0
"""Bets against the mean of bounded numbers: what is won is evidence, at any number of seeds and whenever one stops.

Of y in [0, 1] with mean m, a player who stakes a share s of the capital on "the mean is greater" multiplies it by
1 - s + s y / m at each seed, on average by one; on "smaller", by 1 - s + s (1 - y) / (1 - m). Here one player a side
and a stake begins with a share of the capital: with n seeds they together hold

  K_n(m) = sum_s w_s [prod_i (1 - s + s y_i / m) + prod_i (1 - s + s (1 - y_i) / (1 - m))] / 2

If m is the mean, the chance that K_n(m) ever reaches 1 / alpha is at most alpha (Ville): where it has, m is excluded.

K_n is convex in m, so that what is left is an interval; at most one at the mean of the sample, so that the interval
holds it and is never empty; and the same for any order of the seeds. Stakes that do not depend on the level make the
intervals of all levels lie within each other. The interval of the n seeds at hand holds by itself at any stopping time;
that of all earlier numbers too could be narrower, but also empty, and it would depend on the order.

Sources: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", for the two-sided
capital; Ryu and Bhatt (2022) and Orabona and Jun (2021) for capital that is spread over constant stakes.
"""

import functools
import math

import numpy as np
import scipy

# From all of the capital, which excludes most where no seed differs, down to what 100,000 seeds would stake.
STAKES = np.array([1.0, 0.75, *(2.0**-power for power in range(1, 9))])
WEIGHTS = np.log(np.sqrt(STAKES) / np.sqrt(STAKES).sum())


class Bets:
    """Bets on the mean of numbers `(S,)` in [0, 1]."""

    def __init__(self, values: np.ndarray):
        self.values, self.counts = np.unique(np.clip(values, 0, 1), return_counts=True)
        self.mean = float(self.values @ self.counts) / values.size

    def log_capital(self, mean: float) -> float:
        """The logarithm of the capital that bets against this mean hold after all seeds.

        Args:
          mean: a number; that it is none of [0, 1] is certain.

        Returns:
          log K; infinite where the mean is impossible.
        """
        if mean <= 0 or mean >= 1:
            possible = mean in (0, 1) and bool((self.values == mean).all())
            return 0.0 if possible else math.inf
        above = self._won(self.values / mean)
        below = self._won((1 - self.values) / (1 - mean))
        return float(np.logaddexp(above, below) - math.log(2))

    def _won(self, outcomes: np.ndarray) -> float:
        """What one side holds, whose full stakes become these multiples `(D,)` of themselves."""
        with np.errstate(divide="ignore"):  # who staked all and lost holds nothing
            held = np.log(1 - STAKES[:, None] + STAKES[:, None] * outcomes) @ self.counts
        return float(np.logaddexp.reduce(held + WEIGHTS))

    def interval(self, alpha: float) -> tuple[float, float]:
        """The means against which the capital is below 1 / alpha."""
        alpha = min(alpha, 1 - 1e-9)  # against the mean of the sample one may have lost nothing, to rounding
        excess = lambda mean: self.log_capital(mean) + math.log(alpha)
        find = functools.partial(scipy.optimize.brentq, xtol=1e-12, rtol=1e-12)
        least, greatest = 1e-12, 1 - 1e-12
        low = find(excess, least, self.mean) if self.mean > least and excess(least) > 0 else 0.0
        high = find(excess, self.mean, greatest) if self.mean < greatest and excess(greatest) > 0 else 1.0
        return float(low), float(high)
