# SPDX-License-Identifier: Apache-2.0
"""The rules that turn an estimate into a verdict, the same for every system.

A question holds a number against a null. With e the distance from the null in the claimed direction and m the least
effect that the claim is about, the interval decides where all of it lies in one of

  supported        e > m                 real but small   0 < e < m
  no difference    -m < e < m            contradicted     e < 0

the first that fits, and a claim of sameness is supported within its margin, contradicted outside. What is decided at
the main thresholds and definitions must be decided alike in 80 % of their grid, else it depends on the threshold.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from jaxmyopia.stats.estimates import Estimate
from jaxmyopia.stats.intervals import Interval

Verdict = Literal[
    "supported", "contradicted", "no difference", "real but small", "depends on the threshold",
    "depends on the condition", "not applicable", "inconclusive", "not judged",
]  # fmt: skip
DECIDED = ("supported", "contradicted", "no difference", "real but small", "depends on the threshold")
MIN_SEEDS = 24  # below, intervals are too narrow: with 10 seeds the rule errs in 9 % of null cases, not 5 %
GRID_SHARE = 0.8
MOST_LOST = 0.05  # share of pairs that may be left out of a mean


@dataclasses.dataclass(frozen=True)
class Question:
    """What a number is asked.

    `null`: the value that says nothing either way. `direction`: +1 if the claim says above it, -1 if below, 0 if it
    says the same. `least`: the minimum effect that is claimed; or, of sameness, the margin that still counts as the
    same.
    """

    null: float
    direction: int
    least: float = 0.0

    def regions(self) -> list[tuple[Verdict, float, float]]:
        """Each verdict that an interval may decide, with the open range in which the number then lies; the first that
        fits counts."""
        null, least = self.null, self.least
        if not self.direction:
            outside: list[tuple[Verdict, float, float]] = [
                ("contradicted", -math.inf, null - least), ("contradicted", null + least, math.inf)
            ]  # fmt: skip
            return [("supported", null - least, null + least), *outside]
        found: list[tuple[Verdict, float, float]] = [
            ("supported", null + least, math.inf),
            ("real but small", null, null + least),
            ("no difference", null - least, null + least),
            ("contradicted", -math.inf, null),
        ]
        if self.direction < 0:
            found = [(verdict, 2 * null - high, 2 * null - low) for verdict, low, high in found]
        return [(verdict, low, high) for verdict, low, high in found if low < high]

    def outcome(self, interval: Interval) -> Verdict:
        """What an interval decides: a verdict, or `inconclusive`; one without ends decides nothing."""
        for verdict, low, high in self.regions():
            if low < interval.low and interval.high < high:
                return verdict
        return "inconclusive"

    def p_value(self, found: Estimate) -> float:
        """One minus the greatest level at which the interval of an estimate still decides something; 1 for none."""
        least = 1.0
        for _, low, high in self.regions():
            if low < found.estimate < high and found.n >= MIN_SEEDS:
                least = min(least, max(found.p_value(end) for end in (low, high) if math.isfinite(end)))
        return least


def reference(null: float, direction: int, least: float) -> str:
    """What an estimate is held against, in words."""
    if not direction:
        return f"within ±{least:g}" + (f" of {null:g}" if null else "")
    effect = f" by at least {least:g}" if least else ""
    return f"{'above' if direction > 0 else 'below'} {null:g}{effect}"


def judge(question: Question, main: Interval, grid: Sequence[Interval] = ()) -> tuple[Verdict, str, float]:
    """The verdict of a number, by its interval at the main thresholds and those at every point of their grid.

    Args:
      question: what it is asked.
      main: the interval at the main thresholds.
      grid: the intervals at every choice of thresholds; empty where there is one alone.

    Returns:
      The verdict, its reason, and the share of the grid that decides as the main thresholds do (1 for an empty grid).
    """
    found = question.outcome(main)
    alike = [question.outcome(interval) == found for interval in grid]
    holds = sum(alike) / len(alike) if alike else 1.0
    if not main.n >= MIN_SEEDS:
        return "inconclusive", f"{main.n} seeds are fewer than {MIN_SEEDS}", holds
    if math.isnan(main.low):
        return "inconclusive", main.why or "the statistic is not defined on this run", holds
    where = f"{main} {_places(question)[found]}"
    if found == "inconclusive":
        return found, where, holds
    if holds < GRID_SHARE:
        return "depends on the threshold", f"{where}, but only {holds:.0%} of the grid of thresholds say so", holds
    return found, where + (f", as {holds:.0%} of the grid of thresholds say" if alike else ""), holds


def _places(question: Question) -> dict[Verdict, str]:
    """Where an interval lies that decides so, in words."""
    null, least = question.null, question.least
    if not question.direction:
        around = f"±{least:g}" + (f" of {null:g}" if null else "")
        return {
            "supported": f"lies within {around}",
            "contradicted": f"lies outside {around}",
            "inconclusive": f"is neither within nor outside {around}",
        }
    end, side, other = null + question.direction * least, "above", "below"
    if question.direction < 0:
        side, other = other, side
    return {
        "supported": f"lies {side} {end:g}",
        "contradicted": f"lies {other} {null:g}",
        "real but small": f"lies {side} {null:g}, but within {least:g} of it",
        "no difference": f"lies within ±{least:g} of {null:g}",
        "inconclusive": f"holds {null:g} or {end:g}" if least else f"holds {null:g}",
    }
