# SPDX-License-Identifier: Apache-2.0
"""What is found of a claim: judged evidence, and the judgement that it adds up to, as claims.json keeps them."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal

from jaxmyopia.checks import require
from jaxmyopia.claims.verdicts import Verdict, reference
from jaxmyopia.stats.decisions import SpecificationTest
from jaxmyopia.stats.intervals import Interval

Value = float | str | bool
Condition = dict[str, Value]
CameOut = Literal["held", "failed", "undecided"]
TRIES = 5  # "I have seen it a few times"


def checked(condition: Mapping[str, Value]) -> Condition:
    """A condition whose values a file of claims can hold, and a rule compare.

    Raises:
      ArgumentError: if one is something else.
    """
    for key, value in condition.items():
        fine = isinstance(value, str) or (isinstance(value, numbers.Real) and math.isfinite(value))
        require(fine, key, value, "must be a finite number, a text, or True or False")
    return dict(condition)


PART = "shown"  # the setting by which pieces are parts of one sentence, all of which must hold


@dataclasses.dataclass(frozen=True)
class GridPoint:
    """The estimate with its interval under one choice of thresholds and definitions."""

    thresholds: dict[str, object]
    estimate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One number that bears on a claim, judged.

    `name`: what it is. `condition`: the settings, budget and definition under which it was judged. `statistic`: in
    words. `interval`: at the main thresholds. `null`, `direction`, `least`: as of `Question`. `grid`: at every choice
    of thresholds; `holds`: the share of it that decides as the main one does. `p_value`: one minus the greatest level
    at which it is decided. `prevalence`: the share of seeds whose own number lies on the claimed side of the null.
    `diverged`: trials left out, or counted as showing nothing, because they diverged. `cells`: the numbers of the cells
    whose trials it rests on. `asked`: what was asked, so that it can be asked again; none where it was read back.
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
    least: float = 0.0
    condition: Condition = dataclasses.field(default_factory=dict)
    p_value: float = 1.0
    prevalence: Interval | None = None
    diverged: int = 0
    details: dict[str, object] = dataclasses.field(default_factory=dict)
    cells: tuple[int, ...] = ()
    asked: Any = dataclasses.field(default=None, repr=False, compare=False, metadata={"kept": False})

    @property
    def reference(self) -> str:
        """What the estimate is held against, in words."""
        return reference(self.null, self.direction, self.least)

    @property
    def by_chance(self) -> float | None:
        """The chance that at least one of `TRIES` seeds shows what is claimed; None where one alone shows nothing."""
        return None if self.prevalence is None else 1 - (1 - self.prevalence.estimate) ** TRIES

    def at(self, name: str | None = None, /, **condition: Value) -> "Evidence":
        """The same, said to hold under a condition: settings that were selected before it was asked.

        Args:
          name: of the piece; by default it stays.
          **condition: finite numbers, texts, or truth values.

        Returns:
          The `Evidence`.

        Raises:
          ArgumentError: if a value is something else, which no file of claims could hold.
        """
        condition = self.condition | checked(condition)
        return dataclasses.replace(self, name=self.name if name is None else name, condition=condition)


@dataclasses.dataclass(frozen=True)
class ControlResult:
    """A control of a claim: its `name`; how it came out: `held` as it must, `failed`, or `undecided` for want of seeds;
    and what it `found`, a verdict a piece."""

    name: str
    came_out: CameOut
    found: dict[str, Verdict] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Conditions:
    """A claim over its conditions.

    `settings`: what the conditions differ in. `verdicts`: how many conditions have each verdict. `level`: of the
    intervals, once their number is corrected for. `rule`: where the claim holds, in words, with how many conditions it
    has `misplaced`; empty where no rule was found.
    """

    settings: tuple[str, ...] = ()
    verdicts: dict[str, int] = dataclasses.field(default_factory=dict)
    level: float = 0.95
    rule: str = ""
    misplaced: int = 0


@dataclasses.dataclass(frozen=True)
class Specifications:
    """A claim under every specification: `spread`, by choice the `share` of the spread of estimates that is due to it,
    with interactions (`total`), and what sampling `noise` alone would give; and the joint `test` of all."""

    spread: dict[str, dict[str, float | None]]
    test: SpecificationTest | None = None


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A claim with its verdict.

    `text`: what was claimed. `headline`: what was found, in a sentence. `reason`: why the verdict is what it is.
    `evidence`: one piece a condition. `controls`: none where the claim names none. `specifications`: where there are
    several.
    """

    id: str
    text: str
    verdict: Verdict
    reason: str
    headline: str = ""
    evidence: tuple[Evidence, ...] = ()
    conditions: Conditions = dataclasses.field(default_factory=Conditions)
    controls: tuple[ControlResult, ...] = ()
    specifications: Specifications | None = None
    details: dict[str, object] = dataclasses.field(default_factory=dict)
