# SPDX-License-Identifier: Apache-2.0
"""The rules that turn intervals into verdicts, the same for every system.

A claim is judged on one or more pieces of evidence (say, rates matched in two ways). Each says: an interval at the
main thresholds, a null, the claimed direction, and the estimate at every point of the threshold grid.

  supported      the interval excludes the null in the claimed direction, and the sign holds in >= 80 % of the grid
  contradicted   the interval excludes the null in the other direction
  mixed          the interval excludes it, but the sign turns within the grid; or pieces of evidence disagree
  inconclusive   the interval holds the null, there is none (a value is not finite, or all are the same and the
                 measure's range is not known), or there are fewer than MIN_SEEDS seeds
  not judged     the run does not hold what the claim needs
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from jaxmyopia.stats.comparisons import Equivalence
from jaxmyopia.stats.intervals import Interval

Verdict = Literal["supported", "contradicted", "mixed", "inconclusive", "not judged"]
MIN_SEEDS = 24  # below, intervals are too narrow: with 10 seeds the rule errs in 9 % of null cases, not 5 %
GRID_SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class GridPoint:
    """The estimate under one choice of thresholds; `verdict` is what that choice alone would give."""

    thresholds: dict[str, object]
    estimate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One interval that bears on a claim, judged.

    `name`: what it is (`best rates`, `adam`). `statistic`: in words. `direction`: +1 if the claim says above the
    null, -1 if below, 0 if it says the same, which is within `margin` of the null. `holds`: the share of the grid whose
    estimate lies on the claimed side.
    `diverged`: seeds left out of the statistic because they diverged (counted, never silently). `cells`: the numbers of
    the cells whose trials it rests on.
    """

    name: str
    statistic: str
    interval: Interval
    null: float
    direction: int
    grid: tuple[GridPoint, ...]
    holds: float
    verdict: Verdict
    reason: str
    diverged: int = 0
    margin: float | None = None
    details: dict[str, object] = dataclasses.field(default_factory=dict)
    cells: tuple[int, ...] = ()

    @property
    def reference(self) -> str:
        """What the estimate is held against, in words, shape `()`."""
        return reference(self.null, self.margin)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A claim with its verdict. `text`: what was claimed; `reason`: why the verdict is what it is."""

    id: str
    text: str
    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...] = ()
    details: dict[str, object] = dataclasses.field(default_factory=dict)


def reference(null: float, margin: float | None) -> str:
    """What an estimate is held against, in words: a null, or a margin around it; both of shape `()`."""
    return f"against {null:g}" if margin is None else f"within ±{margin:g}"


def judge(interval: Interval, *, null: float, direction: int, grid: Sequence[GridPoint]) -> tuple[Verdict, str, float]:
    """The verdict of one interval against its null.

    Args:
      interval: the estimate at the main thresholds.
      null: the value that says nothing either way.
      direction: +1 if the claim says above the null, -1 if below.
      grid: the estimates at every choice of thresholds; may be empty where the statistic has none.

    Returns:
      The verdict, its reason, and the share of the grid on the claimed side (1 for an empty grid).
    """
    sides = [direction * (point.estimate - null) > 0 for point in grid]
    holds = sum(sides) / len(sides) if sides else 1.0
    if not interval.n >= MIN_SEEDS:
        return "inconclusive", f"{interval.n} seeds are fewer than {MIN_SEEDS}", holds
    if math.isnan(interval.low):
        return "inconclusive", interval.why or "the statistic is not defined on this run", holds
    claimed, other = (interval.low > null, interval.high < null)[::direction]
    if other:
        return "contradicted", f"{interval} lies on the other side of {null:g}", holds
    if not claimed:
        return "inconclusive", f"{interval} holds {null:g}", holds
    if holds < GRID_SHARE:
        return (
            "mixed",
            f"{interval} excludes {null:g}, but the sign holds in only {holds:.0%} of the threshold grid",
            holds,
        )
    return "supported", f"{interval} excludes {null:g}; the sign holds in {holds:.0%} of the threshold grid", holds


def judge_equivalence(test: Equivalence, *, grid: Sequence[GridPoint]) -> tuple[Verdict, str, float]:
    """The verdict on a claim of sameness.

    Supported if both one-sided tests reject and >= 80 % of the grid's estimates lie within the margin; contradicted
    if the 95 % interval lies outside the margin; else mixed (the grid disagrees) or inconclusive.

    Args:
      test: the equivalence test at the main thresholds.
      grid: the estimates at every choice of thresholds.

    Returns:
      The verdict, its reason, and the share of the grid within the margin.
    """
    within = [abs(point.estimate) < test.margin for point in grid]
    holds = sum(within) / len(within) if within else 1.0
    interval, margin = test.difference, test.margin
    if interval.n < MIN_SEEDS:
        return "inconclusive", f"{interval.n} seeds are fewer than {MIN_SEEDS}", holds
    if math.isnan(interval.low):
        return "inconclusive", interval.why or "the statistic is not defined on this run", holds
    if interval.low > margin or interval.high < -margin:
        return "contradicted", f"{interval} lies outside ±{margin:g}", holds
    if not test.equivalent:
        return "inconclusive", f"{interval} is neither within nor outside ±{margin:g}", holds
    if holds < GRID_SHARE:
        return "mixed", f"{interval} lies within ±{margin:g}, but only {holds:.0%} of the threshold grid does", holds
    return "supported", f"{interval} lies within ±{margin:g}, as {holds:.0%} of the threshold grid does", holds


def combine(evidence: Sequence[Evidence]) -> tuple[Verdict, str]:
    """The verdict of a claim: that of its evidence where all agree, else mixed.

    Args:
      evidence: the judged pieces, shape `(m,)`; none means that the run does not hold what the claim needs.

    Returns:
      The verdict and its reason.
    """
    if not evidence:
        return "not judged", "the run does not hold the cells that this claim needs"
    reason = "; ".join(f"{piece.name}: {piece.verdict}, {piece.reason}" for piece in evidence)
    verdicts = {piece.verdict for piece in evidence}
    return (verdicts.pop() if len(verdicts) == 1 else "mixed"), reason
