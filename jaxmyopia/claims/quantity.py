# SPDX-License-Identifier: Apache-2.0
"""What is estimated over seeds, and what it is asked: judged at any level, and under each condition by itself."""

import dataclasses
import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims.judged import Condition, Evidence, GridPoint
from jaxmyopia.claims.verdicts import MIN_SEEDS, MOST_LOST, Question, Verdict, judge
from jaxmyopia.stats.estimates import Estimate, of_mean, of_share
from jaxmyopia.stats.intervals import Interval, Range
from jaxmyopia.stats.sequences import mean_sequence, share_sequence

Choice = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Sample:
    """One number a seed, `values` `(S,)`, and their `seeds` `(S,)`.

    `trials`: how many there were; `lost`: diverged or without a partner; `excused`: seeds of which the premise does not
    hold. `range`: in which the numbers of all seeds lie, where it is known. `estimate`: where what is asked is not the
    mean of these numbers, but such as the shape of a mean curve.
    """

    values: np.ndarray
    seeds: np.ndarray
    trials: int
    lost: int = 0
    excused: int = 0
    range: Range | None = None
    estimate: Estimate | None = None


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What is estimated over seeds, before it is held against anything.

    `statistic`: in words. `sample(choice)`: the seeds' numbers at a choice of thresholds. `choices`: of them, main
    first. `parts(over)`: the same under each condition by itself, those named in `over` apart. `details`: beside it.
    `cells`: the numbers of the cells whose trials are asked. `definitions`: which a measure calls conditions.
    `of_all`: whether a trial that is lost is counted, as one that shows nothing. `anytime`: whether intervals are to
    hold whenever one stops. `premise`: evidence that must be supported, or nothing is asked.
    """

    statistic: str
    sample: Callable[[Choice], Sample]
    choices: tuple[Choice, ...] = ({},)
    parts: "Callable[[Sequence[str]], list[tuple[Condition, Quantity]]]" = lambda over: []
    details: dict[str, object] = dataclasses.field(default_factory=dict)
    cells: tuple[int, ...] = ()
    definitions: tuple[str, ...] = ()
    of_all: bool = False
    anytime: bool = False
    premise: Callable[[], Evidence] | None = None

    def named(self, statistic: str, **details: object) -> "Quantity":
        """The same under another name of the statistic, with more details."""
        parts = lambda over: [(at, part.named(statistic, **details)) for at, part in self.parts(over)]
        return dataclasses.replace(self, statistic=statistic, parts=parts, details=self.details | details)

    def above(self, null: float, *, least: float = 0.0) -> Evidence:
        """Evidence that it lies above `null`, by more than the minimum effect `least`."""
        return self._one_sided(null, least, 1)

    def below(self, null: float, *, least: float = 0.0) -> Evidence:
        """Evidence that it lies below `null`, by more than the minimum effect `least`."""
        return self._one_sided(null, least, -1)

    def within(self, margin: float) -> Evidence:
        """Evidence that it lies within `margin` of zero: that two things are the same."""
        positive = isinstance(margin, numbers.Real) and 0 < margin < math.inf
        require(positive, "margin", margin, "must be positive")
        return Asked(self, Question(0.0, 0, float(margin))).judged()

    def _one_sided(self, null: float, least: float, direction: int) -> Evidence:
        finite = isinstance(null, numbers.Real) and math.isfinite(null)
        require(finite, "null", null, "must be a finite number")
        low, high = self.main.range or (-math.inf, math.inf)
        require(low <= null <= high, "null", null, f"must lie between {low:g} and {high:g}, as {self.statistic} does")
        fine = isinstance(least, numbers.Real) and 0 <= least < math.inf
        require(fine, "least", least, "must be a number, at least 0")
        end = null + direction * least
        beyond = f"must leave the null and it, {end:g}, between {low:g} and {high:g}, where {self.statistic} lies"
        require(low <= end <= high, "least", least, beyond)
        return Asked(self, Question(float(null), direction, float(least))).judged()

    @functools.cached_property
    def main(self) -> Sample:
        """The seeds' numbers at the main thresholds."""
        return self.sample(self.choices[0])

    @functools.cached_property
    def samples(self) -> list[Sample]:
        """The seeds' numbers at every choice, the main one first."""
        return [self.main, *(self.sample(choice) for choice in self.choices[1:])]

    @functools.cached_property
    def estimates(self) -> list[Estimate]:
        """At every choice, the main one first."""
        return [self._estimate(sample) for sample in self.samples]

    def _estimate(self, sample: Sample) -> Estimate:
        values = sample.values
        if sample.estimate is not None:
            return sample.estimate
        if sample.range == (0, 1) and values.size and np.isin(values, (0, 1)).all():
            return share_sequence(values) if self.anytime else of_share(values)
        if self.anytime:
            return mean_sequence(values, range=sample.range)
        return of_mean(values, range=sample.range)


@dataclasses.dataclass(frozen=True)
class Asked:
    """A quantity held against a question."""

    quantity: Quantity
    question: Question
    name: str = ""
    condition: Condition = dataclasses.field(default_factory=dict)

    def split(self, over: Sequence[str] = ()) -> "list[Asked]":
        """The same question under each condition by itself; itself where there is one alone."""
        parts = self.quantity.parts(over)
        if len(parts) < 2:
            return [self]
        return [dataclasses.replace(self, quantity=part, condition=self.condition | at) for at, part in parts]

    @functools.cached_property
    def refused(self) -> tuple[Verdict, str] | None:
        """Why nothing can be asked here at all: the premise fails, or too much was lost."""
        sample, n = self.quantity.main, self.quantity.main.values.size
        if sample.excused and n < MIN_SEEDS:
            return "not applicable", f"the premise holds for {n} of {n + sample.excused} seeds"
        if not self.quantity.of_all and sample.lost > MOST_LOST * sample.trials:
            share = sample.lost / sample.trials
            return "not judged", f"{share:.0%} of trials diverged, or their partners did; at most {MOST_LOST:.0%} may"
        premise = self.quantity.premise and self.quantity.premise()
        if premise and premise.verdict != "supported":
            verdict: Verdict = "inconclusive" if premise.verdict == "inconclusive" else "not applicable"
            return (
                verdict,
                f"the premise, {premise.statistic} {premise.reference}, is {premise.verdict}: {premise.reason}",
            )
        return None

    @property
    def p_value(self) -> float:
        """One minus the greatest level at which it is decided."""
        return 1.0 if self.refused else self.question.p_value(self.quantity.estimates[0])

    def judged(self, level: float = 0.95) -> Evidence:
        """The evidence, by intervals at a level."""
        quantity, question = self.quantity, self.question
        main, grid = quantity.estimates[0].interval(level), self._grid(level)
        verdict, reason, holds = (*self.refused, 1.0) if self.refused else judge(question, main, grid)
        choices = zip(quantity.choices, grid, strict=True) if grid else ()
        points = [GridPoint(dict(choice), each.estimate, each.low, each.high) for choice, each in choices]
        return Evidence(
            name=self.name, condition=self.condition, statistic=quantity.statistic, interval=main, null=question.null,
            direction=question.direction, least=question.least, grid=tuple(points), holds=holds, verdict=verdict,
            reason=reason, p_value=self.p_value, prevalence=self._prevalence(), diverged=quantity.main.lost,
            details=quantity.details | self._premise(), cells=quantity.cells, asked=self,
        )  # fmt: skip

    def _premise(self) -> dict[str, object]:
        excused = self.quantity.main.excused
        return {"seeds for which the premise fails": excused} if excused else {}

    def _grid(self, level: float) -> list[Interval]:
        """The intervals of every choice of thresholds; none where there is one alone."""
        estimates = self.quantity.estimates
        return [each.interval(level) for each in estimates] if len(estimates) > 1 else []

    def _prevalence(self) -> Interval | None:
        """The share of seeds whose own number lies on the claimed side of the null."""
        values, question = self.quantity.main.values, self.question
        if not (question.direction and values.size) or np.isnan(values).any():
            return None
        return of_share(np.asarray(question.direction * (values - question.null) > 0, float)).interval()
