# SPDX-License-Identifier: Apache-2.0
"""Evidence: an estimate over seeds with its interval, at the main thresholds and over their grid, judged by the rules.

  jm.share(trials, MEASURE, lambda count: count == 2).above(0.5)       how many seeds show it
  jm.mean(trials, MEASURE).below(0.1)                                  how large it is
  jm.paired(a, b, MEASURE).within(0.5)                                 how much it differs, a minus b, on the same seeds

The unit is the seed: its number is the mean over its trials. What lies in [0, 1] has Wilson's interval where every seed
gives 0 or 1; all else BCa's bootstrap, of one fixed generator, so that a verdict does not depend on what was computed
before it. Where all seeds give the same, the range of what is measured bounds the mean; truth values lie in [0, 1].
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require, require_range
from jaxmyopia.claims.verdicts import Evidence, GridPoint, judge, judge_equivalence
from jaxmyopia.stats.comparisons import Equivalence, equivalence_test
from jaxmyopia.stats.intervals import RESAMPLES, Interval, Range, bca_mean, wilson
from jaxmyopia.stats.table import Measured, Trials, over_seeds, pair

_GRID_RESAMPLES = 999
Choice = Mapping[str, Any]
Show = Callable[..., Any]  # of arrays (rows,), one a side: what counts, as numbers or truth values (rows,)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One number a seed, `values` `(S,)`; how many trials were `lost`, being diverged or without a partner; and the
    `range` in which the numbers of all seeds lie, where it is known."""

    values: np.ndarray
    lost: int = 0
    range: Range | None = None


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What is estimated over seeds, before it is held against anything.

    `statistic`: in words. `sample(choice)`: the seeds' numbers at a choice of thresholds. `choices`: of them, main
    first. `details`: beside it. `cells`: the numbers of the cells whose trials are asked.
    """

    statistic: str
    sample: Callable[[Choice], Sample]
    choices: tuple[Choice, ...] = ({},)
    details: dict[str, object] = dataclasses.field(default_factory=dict)
    cells: tuple[int, ...] = ()

    def named(self, statistic: str, **details: object) -> "Quantity":
        """The same under another name of the statistic, with more details."""
        return dataclasses.replace(self, statistic=statistic, details=self.details | details)

    def above(self, null: float, *, least: float | Sequence[float] = 0.0) -> Evidence:
        """Evidence that it lies above `null`, by at least `least`: one number, or several of which the first counts."""
        return self._one_sided(null, least, 1)

    def below(self, null: float, *, least: float | Sequence[float] = 0.0) -> Evidence:
        """Evidence that it lies below `null`, by at least `least`."""
        return self._one_sided(null, least, -1)

    def within(self, margin: float) -> Evidence:
        """Evidence that it lies within `margin` of zero: that two things are the same."""
        positive = isinstance(margin, int | float) and 0 < margin < math.inf
        require(positive, "margin", margin, "must be positive")
        main, points = self._equivalence(self.choices[0], margin, RESAMPLES), []
        for choice in self.choices if len(self.choices) > 1 else ():
            found = self._equivalence(choice, margin, _GRID_RESAMPLES).difference
            points.append(GridPoint(dict(choice), found.estimate, found.low, found.high))
        verdict, reason, holds = judge_equivalence(main, grid=points)
        beside = {"90 % interval": [main.inner.low, main.inner.high], "p (TOST)": main.p_value}
        return Evidence(
            name="", statistic=self.statistic, interval=main.difference, null=0.0, margin=margin, direction=0,
            grid=tuple(points), holds=holds, verdict=verdict, reason=reason, diverged=self._main.lost,
            details=self.details | beside, cells=self.cells,
        )  # fmt: skip

    @functools.cached_property
    def _main(self) -> Sample:
        return self.sample(self.choices[0])

    def _equivalence(self, choice: Choice, margin: float, resamples: int) -> Equivalence:
        sample, rng = self.sample(choice), np.random.default_rng(0)
        return equivalence_test(sample.values, margin, rng=rng, resamples=resamples, range=sample.range)

    def _interval(self, sample: Sample, resamples: int) -> Interval:
        values = sample.values
        if sample.range == (0, 1) and values.size and np.isin(values, (0, 1)).all():
            return wilson(int(values.sum()), values.size)
        return bca_mean(values, rng=np.random.default_rng(0), resamples=resamples, range=sample.range)

    def _one_sided(self, null: float, least: float | Sequence[float], direction: int) -> Evidence:
        """Where the minimum effect has a grid, a point's estimate is moved by how far its own lies from the main one:
        all points are held against one null."""
        finite = isinstance(null, int | float) and math.isfinite(null)
        require(finite, "null", null, "must be a finite number")
        low, high = self._main.range or (-math.inf, math.inf)
        require(low <= null <= high, "null", null, f"must lie between {low:g} and {high:g}, as {self.statistic} does")
        efforts = tuple(least) if isinstance(least, Sequence) else (least,)
        require(all(effort >= 0 for effort in efforts), "least", least, "must be at least 0, main first")
        against, points = null + direction * efforts[0], []
        if len(self.choices) * len(efforts) > 1:
            for choice in self.choices:
                found = self._interval(self.sample(choice), _GRID_RESAMPLES)
                for effort in efforts:
                    shift = direction * (efforts[0] - effort)
                    named = dict(choice) | ({"least": effort} if len(efforts) > 1 else {})
                    points.append(GridPoint(named, found.estimate + shift, found.low + shift, found.high + shift))
        interval = self._interval(self._main, RESAMPLES)
        verdict, reason, holds = judge(interval, null=against, direction=direction, grid=points)
        return Evidence(
            name="", statistic=self.statistic, interval=interval, null=against, direction=direction,
            grid=tuple(points), holds=holds, verdict=verdict, reason=reason, diverged=self._main.lost,
            details=self.details, cells=self.cells,
        )  # fmt: skip


def _choices(what: str | Measured) -> tuple[Choice, ...]:
    return ({},) if isinstance(what, str) else getattr(what, "choices", ({},))


def _name(what: str | Measured) -> str:
    return what if isinstance(what, str) else getattr(what, "name", str(what))


def _cells(*sides: Trials) -> tuple[int, ...]:
    """The numbers of the cells whose trials the sides hold; none in a table that is no run's."""
    held = [np.unique(side.columns["cell"]) for side in sides if "cell" in side.columns]
    return tuple(sorted({int(cell) for cells in held for cell in cells}))


def _seeds(trials: Trials) -> np.ndarray:
    return np.sort(trials.columns["seed"], kind="stable")


def share(
    trials: Trials | Sequence[Trials],
    what: str | Measured,
    show: Show,
    *,
    combine: Show = np.mean,
    apart: Sequence[str] = (),
) -> Quantity:
    """The share of seeds that show something; a trial that diverged shows nothing, and is counted.

    Args:
      trials: of one side, or several sides that are paired by seed and settings.
      what: a measure, or a column's name.
      show: takes the numbers of each side, `(rows,)`, NaN for a diverged trial, and says which show it.
      combine: of a seed that has several trials: `numpy.mean`, `numpy.min` (all of them), `numpy.max` (one at least).
      apart: as of `paired`.

    Returns:
      The `Quantity`: `.above(0.5)` says that most seeds do.

    Raises:
      ArgumentError: if the sides do not pair, or there is no such measure.
    """
    sides = [trials] if isinstance(trials, Trials) else list(trials)
    seed = _seeds(sides[0])
    places: Sequence[slice | np.ndarray] = [slice(None)] * len(sides)
    if len(sides) == 2:
        pairs = pair(*sides, apart=apart)
        seed, places = pairs.seed, [pairs.a, pairs.b]
    require(len(sides) in (1, 2), "trials", f"{len(sides)} sides", "must be one side or two")

    def sample(choice: Choice) -> Sample:
        numbers = [side.values(what, choice)[place] for side, place in zip(sides, places, strict=True)]
        shown = np.asarray(show(*numbers), float)
        fine = shown.shape == seed.shape and bool(np.isin(shown, (0, 1)).all())
        require(fine, "show", show, "must say of each trial whether it shows it: True or False, or 1 or 0")
        return Sample(over_seeds(seed, shown, combine), int(sum(np.isnan(each).sum() for each in numbers)), (0, 1))

    return Quantity(f"share of seeds by {_name(what)}", sample, _choices(what), cells=_cells(*sides))


def _shown(
    numbers: np.ndarray, what: str | Measured, show: Show | None, range: Range | None
) -> tuple[np.ndarray, Range | None]:
    """What is averaged of numbers `(rows,)`, NaN where they are; and its range, where it is known."""
    if show is None:
        known = require_range("range", range) or (None if isinstance(what, str) else getattr(what, "range", None))
        values = numbers
    else:
        found = np.asarray(show(numbers))
        known = require_range("range", range) or ((0.0, 1.0) if found.dtype == bool else None)
        values = np.where(np.isnan(numbers), np.nan, found.astype(float))
    if known:
        slack = 1e-5 * (known[1] - known[0])  # float32's rounding
        outside = values[(values < known[0] - slack) | (values > known[1] + slack)]
        allowed = f"must hold the values of {_name(what)}, but one is {outside[0]:g}" if outside.size else ""
        require(not outside.size, "range", known, allowed)
    return values, known


def mean(trials: Trials, what: str | Measured, show: Show | None = None, *, range: Range | None = None) -> Quantity:
    """The mean of a measure over seeds; trials that diverged are left out, and counted.

    With an infinite value among them (such as the time of a seed that never gets there) the mean is not defined, and
    nothing is concluded: ask for a share.

    Args:
      trials: to take.
      what: a measure, or a column's name.
      show: of the numbers `(rows,)`, what is averaged; by default they themselves.
      range: the least and the greatest value that there can be; by default the measure's, and (0, 1) of truth values.
        Where it is not known, seeds that all give the same value say nothing of the others.

    Returns:
      The `Quantity`.

    Raises:
      ArgumentError: if there is no such measure, or a value lies outside the range.
    """

    def sample(choice: Choice) -> Sample:
        shown, known = _shown(trials.values(what, choice), what, show, range)
        return Sample(over_seeds(_seeds(trials), shown), int(np.isnan(shown).sum()), known)

    return Quantity(f"mean {_name(what)}", sample, _choices(what), cells=_cells(trials))


def paired(
    a: Trials,
    b: Trials,
    what: str | Measured,
    show: Show | None = None,
    *,
    apart: Sequence[str] = (),
    over: Sequence[str] = (),
    range: Range | None = None,
) -> Quantity:
    """The mean difference between two sides, a minus b, on the same seeds under the same settings.

    Trials pair if they agree in seed and in every setting that does not tell the sides apart: one whose values are the
    same on both. One whose values are partly the same is refused by name. Pairs of which one diverged are left out,
    with all of their seed, and counted.

    Args:
      a, b: the sides.
      what: a measure, or a column's name.
      show: of the numbers `(rows,)`, what is compared; by default they themselves.
      apart: settings by which trials that belong together may differ, though their values are the same on both sides.
      over: settings by which one side may hold several trials for one of the other; they are averaged.
      range: of what is compared, as of `mean`.

    Returns:
      The `Quantity`; its details hold the sides' means and P(a > b) + P(a = b) / 2 over pairs.

    Raises:
      ArgumentError: if a side holds several trials for one pair, or no trials pair.
    """
    pairs = pair(a, b, apart=apart, over=over)

    def sides(choice: Choice) -> tuple[np.ndarray, np.ndarray, Range | None]:
        first, known = _shown(a.values(what, choice)[pairs.a], what, show, range)
        second, _ = _shown(b.values(what, choice)[pairs.b], what, show, range)
        return first, second, known and (known[0] - known[1], known[1] - known[0])

    def sample(choice: Choice) -> Sample:
        first, second, known = sides(choice)
        finite = np.isfinite(first) & np.isfinite(second)
        difference = np.where(finite, first, np.inf) - np.where(finite, second, 0)  # infinite where a side is
        difference[np.isnan(first) | np.isnan(second)] = np.nan
        return Sample(over_seeds(pairs.seed, difference), int(np.isnan(difference).sum()), known)

    choices = _choices(what)
    first, second, _ = sides(choices[0])
    whole = ~(np.isnan(first) | np.isnan(second))
    superior = ((first > second) + (first == second) / 2)[whole]
    details: dict[str, object] = {"means": [_mean(first[whole]), _mean(second[whole])], "P(a > b)": _mean(superior)}
    return Quantity(f"{_name(what)}, difference on the same seeds", sample, choices, details, _cells(a, b))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def same(a: Trials, b: Trials, what: str | Measured, margin: float, **how: Any) -> Evidence:
    """Evidence that two sides are the same within a margin: `paired(a, b, what, **how).within(margin)`."""
    return paired(a, b, what, **how).within(margin)
