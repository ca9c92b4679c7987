# SPDX-License-Identifier: Apache-2.0
"""Evidence: an estimate over seeds with its interval, at the main thresholds and over their grid, judged by the rules.

  jm.share(trials, MEASURE, lambda count: count == 2).above(0.5)       how many seeds show it
  jm.mean(trials, MEASURE).below(0.1)                                  how large it is
  jm.paired(a, b, MEASURE).within(0.5)                                 how much it differs, a minus b, on the same seeds

The unit is the seed: its number is the mean over its trials. A claim is judged under each condition by itself: each
combination of the settings in which the trials differ, and of the definitions that a measure calls conditions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.claims.asked import of_numbers, require_function, settings_named
from jaxmyopia.claims.judged import Evidence, Value, checked
from jaxmyopia.claims.quantity import Choice, Quantity, Sample
from jaxmyopia.claims.sides import (
    Show,
    Sides,
    cells_of,
    choices_at,
    definitions_of,
    name_of,
    parts_of,
    seeds_of,
    shown_of,
)  # fmt: skip
from jaxmyopia.stats.estimates import Estimate
from jaxmyopia.stats.intervals import Range
from jaxmyopia.stats.pairs import over_seeds, pair
from jaxmyopia.stats.table import Measured, Trials, require_trials
from jaxmyopia.values import brief


def share(
    trials: Trials | Sequence[Trials],
    what: str | Measured,
    show: Show,
    *,
    given: Show | None = None,
    combine: Show | None = None,
    apart: Sequence[str] = (),
) -> Quantity:
    """The share of seeds that show something; a trial that diverged shows nothing, and is counted.

    Args:
      trials: of one side, or two sides that are paired by seed and settings.
      what: a measure, or a column's name.
      show: takes the numbers of each side, `(rows,)`, NaN for a diverged trial, and says which show it.
      given: likewise, for which the premise holds; seeds of which it does not, or of which that cannot be told since
        trials diverged, are left out, and counted. Of two sides write it such that the NaN of one does not meet it.
      combine: of a seed that has several trials: `numpy.min` (all of them), `numpy.max` (one at least); they are then
        no conditions.
      apart: as of `paired`.

    Returns:
      The `Quantity`: `.above(0.5)` says that most seeds do.

    Raises:
      ArgumentError: if the sides do not pair, or there is no such measure.
    """
    several = tuple(trials) if isinstance(trials, list | tuple) else (trials,)
    require(len(several) in (1, 2), "trials", f"{len(several)} sides", "must be one side or two")
    apart = settings_named("apart", apart, *several)
    require(callable(show), "show", brief(show), "must be a function of numbers (rows,): which of them show it")
    return _shares(several, {}, what, show, given, combine, apart)


def _shares(
    sides: Sides, fixed: Choice, what: str | Measured, show: Show, given: Show | None, combine: Show | None,
    apart: tuple[str, ...],
) -> Quantity:  # fmt: skip
    seed, places = _places(sides, apart)

    def sample(choice: Choice) -> Sample:
        numbers = [side.values(what, choice)[place] for side, place in zip(sides, places, strict=True)]
        shown = of_numbers("show", show, *numbers)
        fine = shown.shape == seed.shape and shown.dtype.kind in "biuf" and bool(np.isin(shown, (0, 1)).all())
        shown = shown.astype(float) if fine else shown
        require(fine, "show", brief(show), "must say of each trial whether it shows it: True or False, or 1 or 0")
        lost = int(sum(np.isnan(each).sum() for each in numbers))
        return _over_seeds(seed, shown, numbers, given, combine, lost, (0.0, 1.0))

    make = lambda parts, at: _shares(parts, at, what, show, given, combine, apart)
    parts = lambda over: [] if combine else parts_of(make, sides, what, [*over, *apart], fixed)
    return Quantity(
        f"share of seeds by {name_of(what)}", sample, choices_at(what, fixed), parts, cells=cells_of(*sides),
        definitions=definitions_of(what), of_all=True, anytime=any(side.anytime for side in sides),
    )  # fmt: skip


def _places(sides: Sides, apart: Sequence[str]) -> tuple[np.ndarray, list[Any]]:
    """The seeds of one side or of the pairs of two, and where their numbers are."""
    if len(sides) == 1:
        return seeds_of(sides[0]), [slice(None)]
    pairs = pair(*sides, apart=apart)
    return pairs.seed, [pairs.a, pairs.b]


def _over_seeds(
    seed: np.ndarray, values: np.ndarray, numbers: Sequence[np.ndarray], given: Show | None, combine: Show | None,
    lost: int, range: Range | None,
) -> Sample:  # fmt: skip
    """One number a seed, of those for which the premise holds."""
    excused = 0
    if given is not None:
        told = of_numbers("given", given, *numbers)
        fine = told.shape == seed.shape and bool(np.isin(told, (0, 1)).all())
        require(fine, "given", brief(given), "must say of each trial whether the premise holds: True or False")
        held = told.astype(bool) & ~np.all([np.isnan(each) for each in numbers], axis=0)
        excused = len(np.unique(seed[~held]))
        values = np.where(held, values, np.nan)
    require_function("combine", combine)
    return Sample(*over_seeds(seed, values, combine or np.mean), len(seed), lost, excused, range)


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

    require_trials(trials)

    def make(sides: Sides, fixed: Choice) -> Quantity:
        (mine,) = sides

        def sample(choice: Choice) -> Sample:
            shown, known = shown_of(mine.values(what, choice), what, show, range)
            lost = int(np.isnan(shown).sum())
            return Sample(*over_seeds(seeds_of(mine), shown), len(mine), lost, range=known)

        parts = lambda over: parts_of(make, sides, what, over, fixed)
        choices = choices_at(what, fixed)
        return Quantity(
            f"mean {name_of(what)}",
            sample,
            choices,
            parts,
            cells=cells_of(mine),
            definitions=definitions_of(what),
            anytime=mine.anytime,
        )

    return make((trials,), {})


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
    with all of their seed, and counted; with more than 5 % of them lost, nothing is concluded.

    Args:
      a: one side.
      b: the other.
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
    apart, over = settings_named("apart", apart, a, b), settings_named("over", over, a, b)
    return _difference((a, b), {}, what, show, apart, over, range)


def _difference(
    both: Sides, fixed: Choice, what: str | Measured, show: Show | None, apart: tuple[str, ...],
    over: tuple[str, ...], range: Range | None,
) -> Quantity:  # fmt: skip
    a, b = both
    pairs = pair(a, b, apart=apart, over=over)

    def sides(choice: Choice) -> tuple[np.ndarray, np.ndarray, Range | None]:
        first, known = shown_of(a.values(what, choice)[pairs.a], what, show, range)
        second, _ = shown_of(b.values(what, choice)[pairs.b], what, show, range)
        return first, second, known and (known[0] - known[1], known[1] - known[0])

    def sample(choice: Choice) -> Sample:
        first, second, known = sides(choice)
        finite = np.isfinite(first) & np.isfinite(second)
        difference = np.where(finite, first, np.inf) - np.where(finite, second, 0)  # infinite where a side is
        difference[np.isnan(first) | np.isnan(second)] = np.nan
        lost = int(np.isnan(difference).sum())
        return Sample(*over_seeds(pairs.seed, difference), len(difference), lost, range=known)

    make = lambda parts, at: _difference(parts, at, what, show, apart, over, range)
    choices = choices_at(what, fixed)
    first, second, _ = sides(choices[0])
    whole = ~(np.isnan(first) | np.isnan(second))
    superior = ((first > second) + (first == second) / 2)[whole]
    details: dict[str, object] = {"means": [_mean(first[whole]), _mean(second[whole])], "P(a > b)": _mean(superior)}
    parts = lambda averaged: parts_of(make, both, what, [*averaged, *apart, *over], fixed)
    statistic, anytime = f"{name_of(what)}, difference on the same seeds", a.anytime or b.anytime
    return Quantity(statistic, sample, choices, parts, details, cells_of(a, b), definitions_of(what), anytime=anytime)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def same(a: Trials, b: Trials, what: str | Measured, margin: float, **how: Any) -> Evidence:
    """Evidence that two sides are the same within a margin: `paired(a, b, what, **how).within(margin)`."""
    return paired(a, b, what, **how).within(margin)


def not_applicable(why: str, statistic: str = "", /, **condition: Value) -> Evidence:
    """A condition under which a claim cannot be asked, such as one in which no learning rate passes the guard."""
    require(isinstance(why, str) and why != "", "why", why, "must be a reason, in words")
    none = Estimate(float("nan"), 0, why=why).interval()
    return Evidence(
        name="", statistic=statistic, interval=none, null=0.0, direction=0, grid=(), holds=1.0,
        verdict="not applicable", reason=why, condition=checked(condition),
    )  # fmt: skip
