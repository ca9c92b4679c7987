# SPDX-License-Identifier: Apache-2.0
"""Sides of evidence: the trials that are asked, what they are asked, and each condition by itself."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require, require_range
from jaxmyopia.claims.asked import of_numbers
from jaxmyopia.claims.judged import Condition
from jaxmyopia.claims.quantity import Choice, Quantity
from jaxmyopia.measures import Measure
from jaxmyopia.stats.intervals import Range
from jaxmyopia.stats.pairs import shared_settings
from jaxmyopia.stats.table import Measured, Trials
from jaxmyopia.values import brief

Show = Callable[..., Any]  # of arrays (rows,), one a side: what counts, as numbers or truth values (rows,)
Sides = tuple[Trials, ...]
Make = Callable[[Sides, Choice], Quantity]


def grid_of(what: str | Measured) -> tuple[Choice, ...]:
    """Every choice of a measure, main first; of a column there is one alone."""
    return ({},) if isinstance(what, str) else getattr(what, "choices", ({},))


def name_of(what: str | Measured) -> str:
    """What a measure or a column is called."""
    return what if isinstance(what, str) else getattr(what, "name", str(what))


def cells_of(*sides: Trials) -> tuple[int, ...]:
    """The numbers of the cells whose trials the sides hold; none in a table that is no run's."""
    held = [np.unique(side.columns["cell"]) for side in sides if "cell" in side.columns]
    return tuple(sorted({int(cell) for cells in held for cell in cells}))


def definitions_of(what: str | Measured) -> tuple[str, ...]:
    """Which of its definitions a measure calls conditions."""
    return getattr(what, "conditions", ())


def seeds_of(trials: Trials) -> np.ndarray:
    """The seed of each trial, `(rows,)`, in the order of seeds."""
    return np.sort(trials.columns["seed"], kind="stable")


def choices_at(what: str | Measured, fixed: Choice) -> tuple[Choice, ...]:
    """The choices of a measure at its main conditions, or those `fixed`; main first."""
    return what.choices_at(**fixed) if isinstance(what, Measure) else grid_of(what)


def parts_of(
    make: Make, sides: Sides, what: str | Measured, over: Sequence[str], fixed: Choice
) -> list[tuple[Condition, Quantity]]:
    """A quantity under each condition by itself: the settings that all sides share, and those of the measure's
    conditions that are not `fixed`."""
    names = [name for name in shared_settings(*sides) if name not in over]
    axes = [name for name in definitions_of(what) if name not in (*over, *fixed)]
    for axis in axes:
        own = f"must not have the name of a setting in which the trials differ, {', '.join(names)}"
        require(axis not in names, f"conditions of {name_of(what)}", axis, own)
    chosen = list({tuple(choice[name] for name in axes): None for choice in grid_of(what)})
    found = []
    for settings, parts in _by_setting(sides, names):
        for values in chosen:
            at = dict(zip(axes, values, strict=True))
            found.append((settings | (at if len(chosen) > 1 else {}), make(parts, {**fixed, **at})))
    return found


def _by_setting(sides: Sides, names: Sequence[str]) -> list[tuple[Condition, Sides]]:
    """The sides' trials at each combination of settings that all sides hold."""
    if not names:
        return [({}, sides)]
    held = [each.groups(names) for each in sides]
    found = []
    for values in (each for each in held[0] if all(each in group for group in held)):
        settings = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        found.append((settings, tuple(side.keep(group[values]) for side, group in zip(sides, held, strict=True))))
    return found


def shown_of(
    numbers: np.ndarray, what: str | Measured, show: Show | None, range: Range | None
) -> tuple[np.ndarray, Range | None]:
    """What is averaged of numbers `(rows,)`, NaN where they are; and its range, where it is known."""
    if show is None:
        known = require_range("range", range) or (None if isinstance(what, str) else getattr(what, "range", None))
        values = numbers
    else:
        found = of_numbers("show", show, numbers)
        fine = found.shape == numbers.shape and found.dtype.kind in "biuf"
        require(fine, "show", brief(show), "must give a number, True or False for each trial")
        known = require_range("range", range) or ((0.0, 1.0) if found.dtype == bool else None)
        values = np.where(np.isnan(numbers), np.nan, found.astype(float))
    if known:
        slack = 1e-5 * (known[1] - known[0])  # float32's rounding
        outside = values[(values < known[0] - slack) | (values > known[1] + slack)]
        allowed = f"must hold the values of {name_of(what)}, but one is {outside[0]:g}" if outside.size else ""
        require(not outside.size, "range", known, allowed)
    return values, known
