# SPDX-License-Identifier: Apache-2.0
"""What a study is: a few pure functions over S seeds, with a base class that supplies the rest; and a cell of it."""

import dataclasses
import functools
import heapq
import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia import contract
from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure, summarise
from jaxmyopia.values import check_settings, conform, float_dtype, numbers_of

Scalar = bool | int | float | str | None


class Batched(Protocol):
    """What the engine runs: three pure functions of S seeds."""

    def init(self, keys: jax.Array, params: Any) -> Any:
        """States at step 0 from keys `(S,)`, one a seed."""

    def step(self, state: Any, params: Any) -> Any:
        """One step of all S seeds."""

    def observe(self, state: Any, params: Any) -> Any:
        """What one record point keeps: leaves `(S, ...)`, or scalars that all seeds share."""


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained: a frozen, hashable dataclass whose fields are what changes the traced program.

    A subclass supplies three pure functions over S seeds:

      init(keys, params) -> state     states at step 0 from keys `(S,)`, one a seed; any pytree
      step(state, params) -> state    one step of all seeds; structure, shapes and dtypes stay
      observe(state, params)          what one record point keeps, a dict or a dataclass of arrays `(S, ...)`; `step`, a
                                      whole number of shape `()`, among them, and `loss` `(S,)` unless `summarise` and
                                      `quantiles` are its own. What has shape `()` all seeds share.

    What may differ by seed (rates, scales, cutoffs) goes into the params, whose leaves are `(S,)`. No seed may see
    another: what it gives depends on its key and its params alone. `jaxmyopia.testing.check_study` tries all that out.

    `measures`: what is counted on every seed's curves.
    """

    measures: Sequence[Measure] = dataclasses.field(default=(), kw_only=True)
    members: ClassVar[tuple[str, ...]] = ("init", "step", "observe", "settings", "params", "summarise", "quantiles")

    def __post_init__(self):
        several = isinstance(self.measures, list | tuple)
        require(several, "measures", self.measures, "must be a list of measures")
        object.__setattr__(self, "measures", tuple(self.measures))
        conform(self)

    def __str__(self) -> str:
        columns = self.settings()
        named = [f"{name} {value}" for name, value in columns.items() if name != "study"]
        return ", ".join([type(self).__name__, *named])

    @contract.to_supply("init(self, keys, params) -> the state of S seeds")
    def init(self, *args: Any, **kwargs: Any) -> Any:
        """States at step 0; see the class."""
        raise NotImplementedError

    @contract.to_supply("step(self, state, params) -> the state after one step")
    def step(self, *args: Any, **kwargs: Any) -> Any:
        """One step; see the class."""
        raise NotImplementedError

    @contract.to_supply("observe(self, state, params) -> a dict or a dataclass of arrays")
    def observe(self, *args: Any, **kwargs: Any) -> Any:
        """What one record point keeps; see the class."""
        raise NotImplementedError

    @property
    def batched(self) -> Batched:
        """The three functions over S seeds: the study itself, unless it is written for one seed."""
        return self

    @property
    def standard(self) -> Sequence[Measure]:
        """The measures that the system itself takes, before those asked for."""
        return ()

    @property
    def block(self) -> int:
        """Seeds in one block: the fixed padded size S at which the study is traced."""
        return 128

    def settings(self) -> dict[str, Scalar]:
        """The static columns of the study's rows in the table: its name, and its fields that have a plain value."""
        columns: dict[str, Scalar] = {"study": type(self).__name__}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            name = getattr(value, "__name__", None)
            if value is None or isinstance(value, bool | int | float | str):
                columns[field.name] = value
            elif isinstance(name, str):
                columns[field.name] = name
        return columns

    def known_settings(self) -> dict[str, bool] | None:
        """The settings that may differ by trial and whether each must be given; None if any name will do."""
        parameters = inspect.signature(self.params).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return None
        return {p.name: p.default is p.empty for p in parameters}

    @contract.narrows
    def params(self, **columns: np.ndarray) -> Any:
        """Params of S seeds.

        Args:
          **columns: the settings, `(S,)` each, finite.

        Returns:
          A dict of float arrays `(S,)`.

        Raises:
          ArgumentError: if a value is not allowed.
        """
        for name, values in columns.items():
            for value in np.unique(values):
                require(bool(np.isfinite(value)), name, float(value), "must be finite")
        dtype = float_dtype()
        return {name: np.asarray(values, dtype) for name, values in columns.items()}

    def summarise(self, curves: Any) -> dict[str, chex.Array]:
        """One number a seed.

        Args:
          curves: what was observed, `(T, S, ...)` each, as `Curves`.

        Returns:
          Columns `(S,)`: those of the measures, and `diverged`: the loss left the finite numbers or ends above its
          start.
        """
        loss = Curves.of(curves)["loss"]
        return self.measured(curves) | {"diverged": ~(jnp.isfinite(loss).all(axis=0) & (loss[-1] <= loss[0]))}

    def measured(self, curves: Any) -> dict[str, chex.Array]:
        """The columns `(S,)` of the study's measures, from curves `(T, S, ...)`."""
        return summarise((*self.standard, *self.measures), Curves.of(curves))

    def quantiles(self, curves: Any) -> dict[str, chex.Array]:
        """Curves `(T, S)` whose distribution over all seeds is kept at every record, from curves `(T, S, ...)`."""
        loss = Curves.of(curves)["loss"]
        return {"loss": jnp.where(jnp.isfinite(loss), loss, jnp.inf)}

    def check_computed(self) -> None:
        """Refuses what is seen by computing alone, once devices are chosen; asked of every cell. By default nothing."""

    def check_one_seed(self, settings: Mapping[str, float]) -> None:
        """Refuses wrong functions of one seed; a study that is written for S seeds has none."""

    def cells(self, *, seeds: int, steps: int, records: int = 200, **settings: Any) -> "list[Cell]":
        """The cells of a sweep: every combination of the values given.

        Args:
          seeds: how many seeds each combination gets.
          steps: the budget T.
          records: how many record points.
          **settings: a value, or several in a list, tuple or array. A field of the study makes a cell for each value;
            any other name is a setting, which makes trials, in the cells that know it.

        Returns:
          One `Cell` for each combination of the fields' values.

        Raises:
          ArgumentError: if a name is neither, or a value is not allowed.
        """
        names = [field.name for field in dataclasses.fields(self)]
        static = {name: _values_of_field(self, name, settings[name]) for name in settings if name in names}
        studies = [
            dataclasses.replace(self, **dict(zip(static, values, strict=True)))
            for values in itertools.product(*static.values())
        ]
        for study in studies:
            contract.check_members(study)
        known = [contract.known_settings(study) for study in studies]
        dynamic = {}
        for name in (name for name in settings if name not in names):
            if all(each is not None and name not in each for each in known):
                raise ArgumentError(name, _shown(settings[name]), contract.known_names(self, known[0] or {}))
            dynamic[name] = numbers_of(name, settings[name])
        return [
            Cell(
                study=study,
                sweep=tuple((name, values) for name, values in dynamic.items() if each is None or name in each),
                seeds=seeds,
                steps=steps,
                records=records,
            )
            for study, each in zip(studies, known, strict=True)
        ]


def _shown(given: object) -> object:
    """What was given, one value by itself."""
    return given[0] if isinstance(given, list | tuple) and len(given) == 1 else given


def _several(value: object) -> bool:
    return isinstance(value, list | tuple | range | np.ndarray) and not hasattr(value, "_fields")  # optax's are objects


def _values_of_field(study: Study, name: str, given: Any) -> tuple[Any, ...]:
    """What a field is set to, one a cell; a field that holds several things takes them as one value."""
    if not _several(given):
        return (given,)
    if _several(getattr(study, name)) and not any(_several(value) for value in given):
        return (tuple(given),)
    values = tuple(tuple(value) if _several(value) else value for value in given)
    require(bool(values) and not _repeat(values), name, given, "must be values without repeats, at least one")
    return values


def _repeat(values: tuple[Any, ...]) -> bool:
    try:
        return len(set(values)) < len(values)
    except TypeError:  # such as arrays: each is its own
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """The trials of a cell, whatever is run in them.

    `sweep`: the settings and their values; every combination is run. `seeds`: how many seeds each combination gets,
    with identities 0, 1, ... `steps`: the budget T. `records`: how many record points. `control`: whether its trials
    are for the controls of claims alone. `looks`: how many seeds there are at each look, of a run that goes on until
    its claims are decided; the last is `seeds`.
    """

    sweep: tuple[tuple[str, tuple[float, ...]], ...]
    seeds: int
    steps: int
    records: int = 200
    control: bool = False
    looks: tuple[int, ...] = ()

    def __post_init__(self):
        for name, least, most in (("seeds", 1, 2**32), ("steps", 1, 2**31 - 1), ("records", 4, 2**31 - 1)):
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            require(whole, name, value, f"must be at least {least}, a whole number")
            require(least <= value, name, value, f"must be at least {least}")
            require(value <= most, name, value, f"must be at most {most}")
            object.__setattr__(self, name, int(value))
        for name, values in self.sweep:
            require(0 < len(set(values)) == len(values), name, values, "must be values without repeats, at least one")
        rising = all(before <= after for before, after in itertools.pairwise((1, *self.looks)))
        fine = not self.looks or (rising and self.looks[-1] == self.seeds)
        require(fine, "looks", self.looks, f"must be numbers of seeds that do not fall, the last {self.seeds}")

    @functools.cached_property
    def _values(self) -> np.ndarray:
        return np.asarray(self.combinations, float)

    @property
    def combinations(self) -> list[tuple[float, ...]]:
        """The values of the settings, one tuple a combination."""
        return list(itertools.product(*(values for _, values in self.sweep)))

    @property
    def trials(self) -> int:
        """Seeds times combinations."""
        return self.seeds * len(self.combinations)

    @property
    def rounds(self) -> list[range]:
        """The trials that are run before each look, in turn; all of them where there are no looks."""
        ends = [seeds * len(self.combinations) for seeds in self.looks or (self.seeds,)]
        return [range(start, end) for start, end in itertools.pairwise([0, *ends])]

    def seed_of(self, trials: np.ndarray) -> np.ndarray:
        """The seed of each trial `(S,)`: the combinations of a seed lie side by side."""
        return trials // len(self.combinations)

    def columns(self, trials: np.ndarray) -> dict[str, np.ndarray]:
        """The settings of trials `(S,)`: columns `(S,)`."""
        values = self._values[trials % len(self.combinations)]
        return {name: values[:, i] for i, (name, _) in enumerate(self.sweep)}

    def record_steps(self) -> np.ndarray:
        """The steps at which the study is observed: `(T,)` int32, from 0 to `steps`, half log-spaced, half even.

        Log-spaced points resolve a start of any speed; the even ones what happens late. Where points coincide the
        widest gaps are halved instead, the earliest first, so that T is `records` whatever the steps, unless there are
        fewer steps than that: programs are compiled for T, not for the steps.
        """
        half = self.records // 2
        early, even = np.geomspace(1, self.steps, half), np.linspace(0, self.steps, half)
        found = np.unique(np.round(np.concatenate([early, even])).astype(np.int64)).tolist()
        return np.asarray(_filled(found, min(self.records, self.steps + 1)), np.int32)


def _filled(steps: list[int], wanted: int) -> list[int]:
    """So many steps, sorted: those given, and the middles of the widest gaps between them."""
    gaps = [(before - after, before, after) for before, after in itertools.pairwise(steps)]
    heapq.heapify(gaps)
    more = []
    for _ in range(wanted - len(steps)):
        _, before, after = heapq.heappop(gaps)
        more.append(middle := (before + after) // 2)
        for each in ((before, middle), (middle, after)):
            heapq.heappush(gaps, (each[0] - each[1], *each))
    return sorted(steps + more)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell(Grid):
    """One compiled program and all that runs through it: a grid of trials of a `study`."""

    study: Study

    def __post_init__(self):
        check_settings(self.sweep)
        super().__post_init__()
        contract.check(self.study, self.columns(np.arange(len(self.combinations))))

    @property
    def blocks(self) -> int:
        """The number of blocks that the trials fill; the last of a round may be padded."""
        return sum(-(-len(trials) // self.study.block) for trials in self.rounds)
