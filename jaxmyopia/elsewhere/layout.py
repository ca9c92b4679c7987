# SPDX-License-Identifier: Apache-2.0
"""The runs of a table: long, a row a record of one run, or wide, a row a step and a column a run."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.elsewhere.columns import (
    CLOCKS,
    KEYS,
    RUNS,
    STEPS,
    by_run,
    first_of,
    is_aside,
    is_log,
    plain,
    require_column,
    the_loss,
)
from jaxmyopia.elsewhere.records import MIN_RECORDS, Raw
from jaxmyopia.elsewhere.source import Source

_OWN = ("seed", "run", "number", "records", "left_out", "reason", "diverged", "cell")  # columns of every table


@dataclasses.dataclass(frozen=True)
class Asked:
    """Which columns a user names; None is one that is to be found."""

    run: str | Sequence[str] | None = None
    step: str | None = None
    value: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, value in (("run", self.run), ("value", self.value)):
            several = value if isinstance(value, list | tuple) and value else [value]
            fine = value is None or all(isinstance(each, str) for each in several)
            require(fine, name, value, "must name one column, or several")
        require(self.step is None or isinstance(self.step, str), "step", self.step, "must name a column")


@dataclasses.dataclass(frozen=True)
class Layout:
    """The runs of a table: their rows, their `seeds`, and by name `(runs,)` each what is the same in all of a run's
    rows, the `settings`, and `others` that tell every run from every other."""

    raws: list[Raw]
    seeds: np.ndarray
    settings: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    others: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def lay_out(source: Source, asked: Asked) -> Layout:
    """Finds the runs of a table.

    Args:
      source: the table.
      asked: columns by name, where their names do not tell.

    Returns:
      The `Layout`.

    Raises:
      ArgumentError: if the columns cannot be told, or hold something else; it names what to say.
    """
    columns = source.table.column_names
    for argument, names in (("run", asked.run), ("step", asked.step)):
        for name in [names] if isinstance(names, str) else names or []:
            require_column(source, argument, name)
    alone = [name for name in (asked.run, asked.step, asked.value) if isinstance(name, str)]
    for name in alone:
        require(alone.count(name) == 1, "column", name, "must be one of run, step and value alone")
    step = asked.step or (first_of(columns, STEPS) if source.headed else columns[0])
    if source.headed and _is_long(source, asked, step):
        return _long(source, asked, step)
    return _wide(source, asked, step or columns[0])


def _is_long(source: Source, asked: Asked, step: str | None) -> bool:
    columns = source.table.column_names
    if asked.run is not None:
        return True
    named = first_of(columns, RUNS) or first_of(columns, ["seed"])
    rest = [name for name in columns if name not in (named, step) and not is_aside(name) and source.is_numeric(name)]
    if named and rest:
        return True
    value = first_of(columns, ["value"])
    return value is not None and (first_of(columns, [*KEYS, *CLOCKS]) is not None)


def _long(source: Source, asked: Asked, step: str | None) -> Layout:
    if step is None:
        raise ArgumentError("step", None, f"must name the column of steps, one of {_some(source.table.column_names)}")
    source, value = _of_one_metric(source, asked)
    runs = _run_columns(source, asked)
    require(step not in (value, *runs), "step", step, "must be another column than those of runs and losses")
    taken = (step, value, *runs)
    code, names = _numbered(source, runs)
    steps, unknown = source.numbers(step)
    steps = np.where(unknown, np.nan, steps)
    loss, empty = source.numbers(value)
    clock = first_of([name for name in source.table.column_names if name not in taken], CLOCKS)
    times = source.numbers(clock)[0] if clock is not None and source.is_numeric(clock) else None
    order = np.argsort(code, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    others = [name for name in source.table.column_names if name not in taken]
    _require_apart(source, runs, names, steps, rows, [name for name in others if not is_aside(name)])
    raws = [
        Raw(name, steps[i], loss[i], empty[i], None if times is None else times[i], nan_is_empty=source.nan_is_empty)
        for name, i in zip(names, rows, strict=True)
    ]
    given, varying = _settings(source, others, order, rows)
    if len(runs) > 1:
        given = {name: source.labels(name)[[i[0] for i in rows]] for name in runs} | given
    return _with_seeds(raws, _seeds(source, runs, names, given, varying), given)


def _of_one_metric(source: Source, asked: Asked) -> tuple[Source, str]:
    """The rows of the loss, of a long table in which each value is named; and the column of losses."""
    columns, wanted = source.table.column_names, asked.value
    require(wanted is None or isinstance(wanted, str), "value", wanted, "must name one column of a long table")
    key, value = first_of(columns, KEYS), first_of(columns, ["value"])
    if key and value and wanted not in columns:
        labels = source.labels(key).astype(str)
        metric = the_loss(np.unique(labels).tolist(), wanted=wanted)  # type: ignore[arg-type]
        return dataclasses.replace(source, table=source.table.filter(labels == metric)), value
    taken = [*RUNS, "seed", *([asked.run] if isinstance(asked.run, str) else asked.run or []), asked.step]
    known = [name for name in columns if plain(name) not in taken and name not in taken and not is_aside(name)]
    numeric = [name for name in known if source.is_numeric(name)]
    return source, the_loss(columns if wanted else numeric, wanted=wanted)  # type: ignore[arg-type]


def _run_columns(source: Source, asked: Asked) -> tuple[str, ...]:
    columns = source.table.column_names
    if asked.run is not None:
        return (asked.run,) if isinstance(asked.run, str) else tuple(asked.run)
    found = first_of(columns, RUNS) or first_of(columns, ["seed"])
    return (found,) if found else ()


def _numbered(source: Source, runs: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """The number of each row's run `(rows,)`, runs in the order of their names, and these."""
    if not runs:
        return np.zeros(source.table.num_rows, np.int64), [source.stem]
    places = np.zeros((source.table.num_rows, len(runs)), np.int64)
    known = []
    for i, name in enumerate(runs):
        labels, empty = source.labels(name), np.asarray(source.table[name].is_null())
        require(not empty.any(), "run", name, f"must be told in every row; row {int(np.argmax(empty)) + 1} has none")
        values, code = np.unique(labels, return_inverse=True)
        shown = [str(value) for value in values.tolist()]
        known.append(sorted(shown, key=_natural))
        rank = {value: place for place, value in enumerate(known[-1])}
        places[:, i] = np.asarray([rank[value] for value in shown])[code.reshape(-1)]
    found, code = np.unique(places, axis=0, return_inverse=True)
    names = [", ".join(known[i][place] for i, place in enumerate(row)) for row in found.tolist()]
    return code.reshape(-1), names


def _natural(name: str) -> list[tuple[int, int, str]]:
    """By which `run 2` comes before `run 10`."""
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in re.split(r"(\d+)", name) if word]


def _settings(
    source: Source, columns: Sequence[str], order: np.ndarray, rows: Sequence[np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The columns that are the same in all rows of a run, `(runs,)`, and the names of the others."""
    starts = np.cumsum([0, *map(len, rows[:-1])])
    first = order[starts]
    given, varying = {}, []
    for name in columns:
        if is_aside(name) or plain(name) in KEYS:
            continue
        labels = source.labels(name)
        _, code = np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)
        code = code.reshape(-1)[order]
        if (np.minimum.reduceat(code, starts) == np.maximum.reduceat(code, starts)).all():
            given[name] = labels[first]
        else:
            varying.append(name)
    return given, varying


def _require_apart(
    source: Source, runs: Sequence[str], names: Sequence[str], steps: np.ndarray, rows: Sequence[np.ndarray],
    columns: Sequence[str],
) -> None:  # fmt: skip
    """Refuses rows of which several have one run and step, where another column tells them apart."""
    for name, i in zip(names, rows, strict=True):
        if len(np.unique(steps[i])) == len(i):
            continue
        for column in columns:
            labels = source.labels(column)[i].astype(str)
            few = 1 < len(np.unique(labels)) <= len(i) / MIN_RECORDS
            told = len(set(zip(labels.tolist(), steps[i].tolist(), strict=True))) == len(i)
            shown = f"({', '.join([*runs, column])})"
            allowed = f"must name the columns that tell runs apart, such as {shown}: {name} has several records a step"
            require(not (few and told), "run", ", ".join(runs) or None, allowed)
        return


def _seeds(
    source: Source, runs: Sequence[str], names: Sequence[str], given: dict[str, np.ndarray], varying: Sequence[str]
) -> np.ndarray:
    """A seed a run: the column of that name, else the run's own number where it is one, else its place."""
    own = next((name for name in (*runs, *given, *varying) if plain(name) == "seed"), None)
    if own in varying:
        raise ArgumentError("seed", "several", "must be one number a run, but it changes within some")
    labels = given.pop(own) if own in given else np.asarray(names)
    if own is None and (len(runs) != 1 or not all(name.isdecimal() for name in names)):
        return np.arange(len(names))
    try:
        numbers = labels.astype(float)
    except ValueError:
        numbers = np.full(len(labels), np.nan)
    wrong = ~((numbers >= 0) & (numbers == np.round(numbers)) & (numbers < 2**53))
    require(not wrong.any(), "seed", str(labels[np.argmax(wrong)]), "must be a whole number, at least 0")
    return numbers.astype(np.int64)


def _with_seeds(raws: list[Raw], seeds: np.ndarray, given: dict[str, np.ndarray]) -> Layout:
    for name in given:
        require(name not in _OWN, "column", name, "must have another name: the table of runs has a column called so")
    telling = {name: len(np.unique(values.astype(str))) == len(raws) > 1 for name, values in given.items()}
    settings = {name: values for name, values in given.items() if not telling[name]}
    return Layout(raws, seeds, settings, {name: values for name, values in given.items() if telling[name]})


def _wide(source: Source, asked: Asked, step: str) -> Layout:
    require(asked.value != step, "value", step, "must be another column than the step")
    steps, unknown = source.numbers(step)
    steps = np.where(unknown, np.nan, steps)
    chosen = _wide_columns(source, asked, step)
    source.require(bool(chosen), "must hold at least one curve beside the step")
    raws = []
    for column, name in chosen.items():
        loss, empty = source.numbers(column, "; if each row is of one run, run= names the column that tells which")
        blank = unknown & empty  # a line without anything
        raws.append(
            Raw(name, steps[~blank], loss[~blank], empty[~blank], ordered=True, nan_is_empty=source.nan_is_empty)
        )
    return Layout(raws, np.arange(len(raws)))


def _wide_columns(source: Source, asked: Asked, step: str) -> dict[str, str]:
    """The columns of losses, and the name of the run of each."""
    columns, wanted = source.table.column_names, asked.value
    ends = [name for name in columns if re.sub("__(MIN|MAX)$", "", name) != name and name[:-5] in columns]
    rest = [name for name in columns if name != step and name not in ends and not is_aside(name)]
    if not source.headed:
        return {name: name for name in rest}
    if not isinstance(wanted, str | None):
        for name in wanted:
            require_column(source, "value", name)
        return {name: name for name in wanted}
    if wanted is not None and wanted in columns:
        return {wanted: source.stem if is_log(source, rest, step) else wanted}
    parts = {name: part for name, part in by_run(rest).items() if part[1] != "_step"}
    rest = [name for name in rest if name in parts or not name.endswith(" - _step")]
    metrics = list(dict.fromkeys(metric for _, metric in parts.values()))
    if len(parts) == len(rest) and (ends or wanted or len(metrics) == 1):
        metric = the_loss(metrics, wanted=wanted)
        return {name: run for name, (run, own) in parts.items() if own == metric}
    if wanted is not None or is_log(source, rest, step):
        numeric = [name for name in rest if source.is_numeric(name)]
        return {the_loss(numeric, wanted=wanted): source.stem}
    return {name: name for name in rest}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8])
