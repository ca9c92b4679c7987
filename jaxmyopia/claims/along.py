# SPDX-License-Identifier: Apache-2.0
"""Evidence about a curve over a setting: the mean curve's deepest valley, its largest rise.

  jm.along(trials, MEASURE, "hidden", "valley").above(0.02)            it dips between two peaks
  jm.along(trials, MEASURE, "hidden", "rise").below(0.02)              it does not increase

Each seed has a value at every point of the setting; points are settled at once (`stats.bands`). The other settings make
conditions, as in all evidence. A point where more than 5 % of the seeds that did not diverge have no value is left out
of the curve; of the others, a seed that lacks one is lost as a whole.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.claims.judged import Evidence
from jaxmyopia.claims.quantity import Choice, Quantity, Sample
from jaxmyopia.claims.sides import Show, Sides, cells_of, choices_at, definitions_of, name_of, parts_of, shown_of
from jaxmyopia.claims.verdicts import MOST_LOST
from jaxmyopia.stats.bands import SHAPES, Shape, band_of_curve, of_shape
from jaxmyopia.stats.estimates import Estimate
from jaxmyopia.stats.intervals import Range
from jaxmyopia.stats.table import Measured, NoTrials, Trials, require_trials

_WORDS = {"valley": "deepest valley", "dip": "deepest dip", "rise": "largest rise", "fall": "largest fall"}
Premise = Callable[[Trials], Evidence]


@dataclasses.dataclass(frozen=True)
class _Curves:
    """Seeds' curves: `values` `(S, C)` at the points `at` `(C,)`, of `seeds` `(S,)`; how many seeds were `lost`; and by
    point that was left out, the share of seeds without a value there."""

    values: np.ndarray
    at: np.ndarray
    seeds: np.ndarray
    lost: int
    left_out: dict[float, float]


def along(
    trials: Trials,
    what: str | Measured,
    axis: str,
    shape: str,
    *,
    show: Show | None = None,
    given: Premise | None = None,
    range: Range | None = None,
) -> Quantity:
    """A shape of the mean curve of a measure over a setting, with an interval that holds for all points at once.

    Args:
      trials: to take.
      what: a measure, or a column's name.
      axis: the setting along which the curve goes, a number; seeds are the same at all of its values.
      shape: `"valley"`, the deepest between two peaks inside the range, neither at its edge: the least of what it lies
        below each peak, and of what each peak lies above the edge on its side; `"dip"`, the same where peaks may lie at
        the edges; `"rise"` and `"fall"`, the largest from one point to a later one. Negative where there is none.
      show: of the numbers `(rows,)`, what is averaged; by default they themselves.
      given: of the trials of a condition, evidence that must be supported there; else the claim is not applicable, and
        inconclusive where that is.
      range: the least and the greatest value that there can be; by default the measure's, and (0, 1) of truth values.

    Returns:
      The `Quantity`; a seed's own number is the shape of its own curve. Its details hold the mean curve with its band,
      and where the shape lies.

    Raises:
      ArgumentError: if there is no such measure or shape, the axis is no setting, or a value lies outside the range.
      NoTrials: if the axis has fewer values than the shape takes: 5 for a valley, 3 for a dip, 2 for the others.
    """
    require_one_of("shape", shape, SHAPES)
    require(given is None or callable(given), "given", given, "must be a function of the trials that gives evidence")
    require_trials(trials)
    _require_axis(trials, axis, SHAPES[shape])

    def make(sides: Sides, fixed: Choice) -> Quantity:
        return _along(sides, fixed, what, axis, SHAPES[shape], show, given, range)

    return make((trials,), {})


def _require_axis(trials: Trials, axis: str, shape: Shape) -> None:
    require(axis in trials.settings, "axis", axis, f"must be a setting of the trials: {', '.join(trials.settings)}")
    column = trials.columns[axis]
    fine = column.dtype.kind in "fiu" and bool(np.isfinite(column).all())
    require(fine, "axis", axis, "must be a setting that is a number in all of the trials")
    points = len(np.unique(column))
    if points < shape.least:  # which a small run of a claim may well have
        raise NoTrials(axis, f"{shape.least} values", f"must be as many for a {shape.name}, and there are {points}")


def _along(
    sides: Sides, fixed: Choice, what: str | Measured, axis: str, shape: Shape, show: Show | None,
    given: Premise | None, range: Range | None,
) -> Quantity:  # fmt: skip
    (mine,) = sides
    points = len(mine.unique(axis))

    def curves(choice: Choice) -> tuple[_Curves, Range | None]:
        shown, known = shown_of(mine.values(what, choice), what, show, range)
        return _curves(mine, axis, shown), known

    def sample(choice: Choice) -> Sample:
        found, known = curves(choice)
        estimate, values = _shape_of(found, shape, known, points, mine.anytime)
        wide = known and (known[0] - known[1], known[1] - known[0])
        trials = len(found.seeds) + found.lost
        return Sample(values, found.seeds, trials, found.lost, range=wide, estimate=estimate)

    choices = choices_at(what, fixed)
    make = lambda parts, at: _along(parts, at, what, axis, shape, show, given, range)
    return Quantity(
        f"{_WORDS[shape.name]} of mean {name_of(what)} along {axis}", sample, choices,
        lambda over: parts_of(make, sides, what, [axis, *over], fixed),
        _details(*curves(choices[0]), axis, shape, points, mine.anytime), cells_of(mine), definitions_of(what),
        anytime=mine.anytime, premise=given and (lambda: _premise(given, mine)),
    )  # fmt: skip


def _premise(given: Premise, trials: Trials) -> Evidence:
    found = given(trials)
    require(
        isinstance(found, Evidence), "given", type(found).__name__, "must give evidence, such as a mean's .above(0)"
    )
    return found


def _curves(trials: Trials, axis: str, values: np.ndarray) -> _Curves:
    """The seeds that have as many trials at every point; of values `(rows,)`, in the order of seeds."""
    order = np.argsort(trials.columns["seed"], kind="stable")
    seeds, row = np.unique(trials.columns["seed"][order], return_inverse=True)
    at, point = np.unique(trials.columns[axis][order], return_inverse=True)
    place, shape = row.reshape(-1) * len(at) + point.reshape(-1), (len(seeds), len(at))
    total = lambda numbers: np.bincount(place, numbers, minlength=len(seeds) * len(at)).reshape(shape)
    counts, gone = total(np.ones(len(values))), total(trials.columns["diverged"][order].astype(float)) > 0
    whole = (counts == counts.max(initial=0)).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        table, gone, seeds = (total(values) / counts)[whole], gone[whole], seeds[whole]
    unknown = np.isnan(table)
    undefined = (unknown & ~gone).sum(axis=0) / np.maximum((~gone).sum(axis=0), 1)
    kept = undefined <= MOST_LOST
    known = ~unknown[:, kept].any(axis=1)
    left_out = {float(at[c]): float(undefined[c]) for c in np.flatnonzero(~kept)}
    return _Curves(table[known][:, kept], at[kept], seeds[known], int((~known).sum()), left_out)


def _shape_of(
    found: _Curves, shape: Shape, range: Range | None, points: int, anytime: bool
) -> tuple[Estimate, np.ndarray]:
    """The shape of the mean curve, and of each seed's own, `(S,)`."""
    n, left = found.values.shape
    if left < shape.least:
        why = f"the curve is defined at {left} of {points} points, and a {shape.name} takes {shape.least}"
        return Estimate(float("nan"), n, why=why), np.full(n, np.nan)
    estimate = of_shape(found.values, shape, range=range, anytime=anytime, points=points)
    with np.errstate(invalid="ignore"):
        return estimate, np.array([shape.of(row[None, :] - row[:, None]) for row in found.values])


def _details(
    found: _Curves, range: Range | None, axis: str, shape: Shape, points: int, anytime: bool
) -> dict[str, object]:
    """The curve with its band, and where the shape lies: JSON values."""
    details: dict[str, object] = {"axis": axis, "at": found.at.tolist()}
    if found.left_out:
        details["left out, by the share without a value"] = [list(each) for each in found.left_out.items()]
    if np.isfinite(found.values).all() and found.values.size:
        mean = found.values.mean(axis=0)
        low, high = band_of_curve(found.values, range=range, anytime=anytime, points=points)
        details |= {"mean": mean.tolist(), "low": low.tolist(), "high": high.tolist(), "level of the band": 0.95}
        if len(mean) >= shape.least:
            details["lies at"] = {name: float(found.at[place]) for name, place in shape.at(mean).items()}
    return details
