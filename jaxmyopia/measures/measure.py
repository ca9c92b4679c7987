# SPDX-License-Identifier: Apache-2.0
"""A measure: one number a trial, from its curves, under each choice of a grid of thresholds or definitions.

The grid's first choice is the main one, at which a claim is judged; the others say how much hangs on it.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import ArgumentError, require, require_range
from jaxmyopia.curves import Curves

Choice = Mapping[str, Any]  # the value of every threshold or definition, by name


def _values(name: str, values: object) -> tuple[object, ...]:
    """A threshold's values, main first: one value, or a sequence of them."""
    several = values if isinstance(values, tuple | list) else (values,)
    known = {True: "numbers", False: "names of definitions"}
    for value in several:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number or isinstance(value, str | tuple), name, value, f"must be {known[True]} or {known[False]}")
        require(not number or math.isfinite(value), name, value, "must be finite")
    shown = [_shown(value) for value in several]
    require(0 < len(set(shown)) == len(shown), name, values, "must be values that differ in six digits, main first")
    return tuple(float(value) if isinstance(value, int) else value for value in several)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


@dataclasses.dataclass(frozen=True, init=False)
class Measure:
    """A number a trial, for every choice of its grid.

    `name`: of the measure, an identifier. `fn(curves, **thresholds)`: `(S,)` from curves `(T, S, ...)`, which are asked
    by name, `curves["loss"]`, and their steps `curves.step` `(T,)`. `grid`: each threshold's (or definition's) values,
    the main one first; numbers reach `fn` as scalars. `part`: where `fn` gives a dict of several measures at once, the
    name of this one in it; measures that share `fn` and grid are computed once. `unroll`: numbers reach `fn` as
    constants, one trace a choice: for what is as cheap as a comparison. `conditions`: which of its definitions are not
    doubts of one number but things of their own, under each of which a claim is judged, as shares of the budget are
    (`at_budgets`). `range`: the least and the greatest number that
    there can be, where that is a fact, such as (0, 1) of a share; without it, trials that all give the same number say
    nothing of the others.

    >>> peak = Measure("late_rise", lambda curves, share: curves["loss"].max(axis=0) / curves["loss"][-1], share=0.5)
    >>> peak.column(), Measure("bumps", len, delta=(0.1, 0.05)).column({"delta": 0.05})
    ('late_rise', 'bumps_d0.05')

    Raises:
      ArgumentError: if the name, the function or a value is not allowed.
    """

    name: str
    fn: Callable[..., Any]
    grid: tuple[tuple[str, tuple[Any, ...]], ...]
    part: str | None
    unroll: bool
    range: tuple[float, float] | None
    conditions: tuple[str, ...]

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *,
        part: str | None = None,
        unroll: bool = False,
        range: tuple[float, float] | None = None,
        conditions: Sequence[str] = (),
        **grid: object,
    ):
        require(isinstance(name, str) and name.isidentifier(), "name", name, "must be an identifier")
        require(callable(fn), "fn", fn, "must be a function of curves and thresholds")
        try:
            hash(fn)
        except TypeError:
            raise ArgumentError("fn", fn, "must be hashable: a function, not a list or a dict") from None
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "fn", fn)
        object.__setattr__(self, "grid", tuple((axis, _values(axis, values)) for axis, values in grid.items()))
        object.__setattr__(self, "part", part)
        object.__setattr__(self, "unroll", unroll)
        object.__setattr__(self, "range", require_range("range", range))
        several = isinstance(conditions, list | tuple)
        require(several, "conditions", conditions, "must be a list of names of definitions")
        require(part is None or isinstance(part, str), "part", part, "must be the name of what fn gives")
        for axis in conditions:
            require(axis in grid, "conditions", axis, f"must be among the definitions: {', '.join(grid)}")
        object.__setattr__(self, "conditions", tuple(conditions))

    @property
    def choices(self) -> tuple[dict[str, Any], ...]:
        """Every combination of the grid's values, the main one first."""
        names = [name for name, _ in self.grid]
        return tuple(dict(zip(names, each, strict=True)) for each in itertools.product(*(v for _, v in self.grid)))

    def choices_at(self, **conditions: Any) -> tuple[dict[str, Any], ...]:
        """Every combination of thresholds, the main one first, at the main conditions or those given."""
        wanted = {name: self.main[name] for name in self.conditions} | conditions
        return tuple(each for each in self.choices if all(each[name] == value for name, value in wanted.items()))

    @property
    def main(self) -> dict[str, Any]:
        """The choice at which claims are judged."""
        return self.choices[0]

    def column(self, choice: Choice | None = None) -> str:
        """The table's column at a choice, by default the main one; what has one value alone is not in its name.

        Raises:
          ArgumentError: if the grid lacks the choice.
        """
        require(choice is None or isinstance(choice, Mapping), "choice", choice, "must be a dict, a value by name")
        chosen = self.main | dict(choice or {})
        grid = dict(self.grid)
        for name, value in chosen.items():
            require(name in grid, name, value, f"must be a threshold of {self.name}: {', '.join(grid)}")
            known = grid[name]
            require(value in known, name, value, f"must be in the grid of {self.name}: {', '.join(map(_shown, known))}")
        initials = [name[0] for name, values in self.grid if len(values) > 1]
        words = [self.name]
        for name, values in self.grid:
            if len(values) > 1:
                number = isinstance(chosen[name], int | float)
                prefix = (name[0] if initials.count(name[0]) == 1 else f"{name}=") if number else ""
                words.append(prefix + _shown(chosen[name]))
        return "_".join(words)

    def of(self, trials: Any, choice: Choice | None = None) -> np.ndarray:
        """Its numbers `(rows,)` in a table of `Trials`, at a choice, in the order of seeds."""
        return trials.holding(self).values(self.column(choice))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of all choices, in their order."""
        return _columns(self)

    def at_budgets(self, *shares: float) -> "Measure":
        """The same measure after several shares of the steps, the whole first: conditions of a claim that cost no run.

        >>> Measure("least", lambda curves: curves["loss"].min(axis=0)).at_budgets(1, 0.5).columns
        ('least_b1', 'least_b0.5')

        Args:
          *shares: in (0, 1], the one at which figures and tables take it first.

        Returns:
          The `Measure`; after a share its curves stay as they are there.
        """
        require("budget" not in self.main, "at_budgets", self.name, "must be asked once, for all budgets")
        for share in shares:
            fine = isinstance(share, int | float) and 0 < share <= 1
            require(fine, "shares", share, "must be above 0 and at most 1")
        return Measure(
            self.name, AtBudget(self.fn), part=self.part, unroll=self.unroll, range=self.range,
            conditions=(*self.conditions, "budget"), **dict(self.grid), budget=shares,
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """What decides its numbers, as JSON values."""
        return {"name": self.name, "grid": {name: list(values) for name, values in self.grid}}


@dataclasses.dataclass(frozen=True)
class AtBudget:
    """What `fn` gives of curves that stay as they are after a share of the steps."""

    fn: Callable[..., Any]

    def __call__(self, curves: Any, budget: Any, **thresholds: Any) -> Any:
        """From curves `(T, S, ...)`."""
        return self.fn(Curves.of(curves).held_from(last_within(curves, budget)), **thresholds)


def last_within(curves: Any, budget: Any) -> jax.Array:
    """The place of the last record within a share of the steps."""
    steps = curves.step.astype(curves.loss.dtype)
    return (steps <= jnp.asarray(budget, steps.dtype) * steps[-1]).sum() - 1


@functools.lru_cache(maxsize=4096)  # every cell asks, and thousands share their measures
def _columns(measure: Measure) -> tuple[str, ...]:
    return tuple(measure.column(choice) for choice in measure.choices)


@dataclasses.dataclass(frozen=True, init=False)
class Derived(Measure):
    """A measure that is made of a finished run's columns: `fn(trials, **thresholds)` gives one number a trial, in the
    order of `Trials.values`. It costs no run, and its grid may be chosen afterwards."""

    def at_budgets(self, *shares: float) -> "Measure":
        """Refused: a finished run's columns are all there is.

        Raises:
          ArgumentError: always.
        """
        raise ArgumentError("at_budgets", self.name, "must be asked of the measures from which this one is derived")

    def of(self, trials: Any, choice: Choice | None = None) -> np.ndarray:
        """Its numbers `(rows,)` at a choice, by default the main one, in the order of seeds."""
        self.column(choice)  # refuses what the grid lacks
        return np.asarray(self.fn(trials, **(self.main | dict(choice or {}))), float)


def summarise(measures: Sequence[Measure], curves: Any) -> dict[str, jax.Array]:
    """All measures at all their choices, inside jit.

    Args:
      measures: to take; those that share a function and a grid are computed at once.
      curves: arrays `(T, S, ...)` by name.

    Returns:
      Columns `(S,)` by name.

    Raises:
      ArgumentError: if a measure gives something other than one number a trial.
    """
    groups: dict[object, list[Measure]] = {}
    for measure in measures:
        groups.setdefault((measure.fn, measure.grid, measure.part is None and measure.name), []).append(measure)
    out: dict[str, jax.Array] = {}
    for group in groups.values():
        found = _over_grid(group[0], curves)
        for measure in group:
            for choice, values in zip(measure.choices, found, strict=True):
                out[measure.column(choice)] = _checked(measure, values, curves)
    return out


def _checked(measure: Measure, values: Any, curves: Any) -> jax.Array:
    if measure.part is not None:
        require(isinstance(values, dict), measure.name, type(values).__name__, "must give a dict of measures")
        require(measure.part in values, measure.name, measure.part, f"must be one of {', '.join(values)}")
        values = values[measure.part]
    wanted, shape = curves.loss.shape[1:2], getattr(values, "shape", None)
    allowed = f"must give one number a trial, shape {wanted}"
    require(shape == wanted, measure.name, type(values).__name__ if shape is None else shape, allowed)
    return values


def _over_grid(measure: Measure, curves: Any) -> list[Any]:
    """What `fn` gives at every choice, in their order. Numbers of which there are several are data, an axis each: one
    pass over the curves, which takes little longer for nine choices than for one, and what hangs on one threshold alone
    is computed once for each of its values."""
    varied = {name: values for name, values in measure.grid if len(values) > 1 and isinstance(values[0], float)}
    if not varied or measure.unroll:
        return [measure.fn(curves, **choice) for choice in measure.choices]
    by_definition: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for place, choice in enumerate(measure.choices):
        static = tuple((name, value) for name, value in choice.items() if name not in varied)
        by_definition.setdefault(static, []).append(place)
    columns = [jnp.asarray(values, curves.loss.dtype) for values in varied.values()]
    found: list[Any] = [None] * len(measure.choices)
    for static, places in by_definition.items():

        def one(*numbers: jax.Array, static: tuple = static) -> Any:
            return measure.fn(curves, **dict(static), **dict(zip(varied, numbers, strict=True)))

        for axis in reversed(range(len(columns))):
            one = jax.vmap(one, [0 if i == axis else None for i in range(len(columns))])
        mapped = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(columns) :]), one(*columns))
        for i, place in enumerate(places):
            found[place] = jax.tree.map(lambda x, i=i: x[i], mapped)
    return found
