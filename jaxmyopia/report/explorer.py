# SPDX-License-Identifier: Apache-2.0
"""The seed explorer: what a page holds of the kept curves, so that a browser draws any one seed of them.

A number is written in three characters, as one of 2^18 - 1 levels between a line's least and greatest value (of their
logarithms, where it is positive and spans more than a factor of 30); the last level stands for what is not finite.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.planned import PlannedCell
from jaxmyopia.measures.spans import where_plateaus
from jaxmyopia.report.cells import shown

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LEVELS = 2**18 - 2
_WIDE = 30  # a range that needs a logarithmic axis
RECORDS, _SLICES = 100, 16  # of lines over steps, and of what is shown at one record, at most
_LINES = 16  # of a curve, at most
_NUMBERS = 8  # of a trial, at most
_LEAST = 200_000  # characters that there are for curves, whatever else a page holds

_PLAIN = bool | int | float | str | None

Kind = Literal["lines", "profile", "vectors", "strip"]
Curve = np.ndarray
Marks = Callable[[np.ndarray, np.ndarray], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """How kept curves of one seed are drawn in the explorer, wherever a cell keeps them.

    `curves`: their names, drawn together; the second dashed, and so on. `title`: of the panel. `kind`:
      lines     `(T, ...)` over steps, a line an entry
      profile   `(T, k)` at one record, across the last axis, which `across` names
      vectors   `(T, 2, k)` at one record: k strokes in the plane
      strip     two curves `(T, k)`, codes and numbers, at one record: k boxes with the number, coloured by the code
    `make`: of a curve `(T, ...)` of one seed, what is drawn; None where there is nothing to draw. `marks`: of steps
    `(T,)` and a line `(T,)`, the records that have a triangle. `names`: of a strip's codes from 0 on. `note`: what to
    see. `log`: whether the upright axis is logarithmic where lines are positive and span more than a factor of 30.
    """

    curves: tuple[str, ...]
    title: str
    kind: Kind = "lines"
    make: Callable[[Curve], Curve | None] | None = None
    marks: Marks | None = None
    across: str = ""
    names: tuple[str, ...] = ()
    note: str = ""
    log: bool = True


@dataclasses.dataclass(frozen=True)
class Kept:
    """The kept trials of a cell: its number, the cell, its curves `(T, trials, ...)` and rows `(trials,)`, what counts
    as a plateau, and the columns of a few measures with their names."""

    cell: PlannedCell
    curves: Mapping[str, Curve]
    rows: Mapping[str, np.ndarray]
    thresholds: tuple[float, float] | None
    numbers: Mapping[str, str]  # column -> the measure's name

    def place(self, trial: int) -> dict[str, object]:
        """The settings of a trial."""
        plain = {name: value if isinstance(value, _PLAIN) else str(value) for name, value in self.cell.settings.items()}
        return {**plain, **{name: float(self.rows[name][trial]) for name, _ in self.cell.sweep}}


def kept_of(folder: RunFolder) -> Iterator[Kept]:
    """The cells of a run that keep curves, but those of controls."""
    seeds = folder.config.get("keep_curves", 0)
    for number, cell in enumerate(folder.cells()):
        names = folder.names(number, ".npy")
        if cell.control or not names or not seeds:
            continue
        rows = folder.rows(number)
        where = np.flatnonzero(rows["seed"] < seeds)
        measures = folder.config["cells"][number].get("measures") or []
        yield Kept(
            cell, {name: folder.curves(number, name) for name in names},
            {name: values[where] for name, values in rows.items()}, _thresholds(measures), _columns(measures, rows),
        )  # fmt: skip


def _thresholds(measures: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """What counts as a plateau, its ratio and fall, where a run counts them."""
    for each in measures:
        grid = each.get("grid") or {}
        if each["name"].startswith("plateaus") and {"ratio", "fall"} <= grid.keys():
            return float(grid["ratio"][0]), float(grid["fall"][0])
    return None


def _columns(measures: Sequence[Mapping[str, Any]], rows: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The first columns of a few measures: those of their main choice."""
    found = {}
    for each in measures:
        mine = [name for name in rows if name == each["name"] or name.startswith(f"{each['name']}_")]
        if mine and np.ndim(rows[mine[0]]) == 1:
            found[mine[0]] = each["name"]
    return dict(list(found.items())[:_NUMBERS])


def explorer(
    folder: RunFolder, panels: Sequence[Panel], names: Mapping[str, Sequence[str]], room: int
) -> dict[str, Any] | None:
    """What the explorer needs of a run, as JSON values.

    Args:
      folder: of the finished run.
      panels: how curves are drawn; of a cell that has none of theirs, all curves of a small shape.
      names: of settings whose values are numbers that stand for these.
      room: how many characters it may take.

    Returns:
      The settings that differ with their values, the panels, cells and trials; None where no curve is kept.
    """
    cells = list(kept_of(folder))
    if not cells:
        return None
    told: list[dict[str, Any]] = []
    plans = [_plan(kept, panels, told) for kept in cells]
    order = _order(cells)
    trials: list[tuple[int, int, dict[str, Any]]] = []
    used, room = 0, max(room, _LEAST)
    for at, trial in order:
        entry = {"cell": at, **_trial(cells[at], trial, plans[at])}
        used += len(json.dumps(entry))
        if trials and used > room:
            break
        trials.append((at, trial, entry))
    every = [cells[at].place(trial) for at, trial, _ in trials]
    settings = [name for name in dict.fromkeys(key for each in every for key in each) if name != "seed"]
    values = {name: _values([each.get(name) for each in every]) for name in settings}
    varied = {name: held for name, held in values.items() if len(held) > 1}
    for place, (_, _, entry) in zip(every, trials, strict=True):
        entry["at"] = [held.index(place.get(name)) for name, held in varied.items()]
    entries = [entry for _, _, entry in sorted(trials, key=lambda each: each[:2])]
    said = {name: [_said(name, each, names) for each in held] for name, held in varied.items()}
    return {
        "settings": [[_spaced(name), words] for name, words in said.items()],
        "panels": told,
        "cells": [{"name": kept.cell.name, **_steps(kept)} for kept in cells],
        "trials": entries,
        "held": len(entries), "kept": len(order),
    }  # fmt: skip


def _said(name: str, value: object, names: Mapping[str, Sequence[str]]) -> str:
    if name in names and isinstance(value, float) and 0 <= value < len(names[name]):
        return names[name][int(value)]
    return "–" if value is None or value != value else shown(value)


def _values(every: Sequence[object]) -> list[object]:
    """Each value once: numbers by size, then words, then nothing."""
    rank: Callable[[Any], Any] = lambda value: (value is None, isinstance(value, str), 0 if value is None else value)
    return sorted(dict.fromkeys(every), key=rank)


def _order(cells: Sequence[Kept]) -> list[tuple[int, int]]:
    """All trials, cell and place: seed by seed, and within a seed so that the first few lie far apart."""
    found = [(int(kept.rows["seed"][trial]), at, trial) for at, kept in enumerate(cells) for trial in _trials(kept)]
    ordered: list[tuple[int, int]] = []
    for seed in sorted({each[0] for each in found}):
        mine = [each[1:] for each in found if each[0] == seed]
        bits = max(len(mine) - 1, 1).bit_length()
        ordered += [mine[k] for k in sorted(range(len(mine)), key=lambda k: int(f"{k:0{bits}b}"[::-1], 2))]
    return ordered


def _trials(kept: Kept) -> range:
    return range(min(len(kept.rows["seed"]), min(curve.shape[1] for curve in kept.curves.values())))


def _steps(kept: Kept) -> dict[str, Any]:
    steps = kept.cell.record_steps()
    return {"lines": steps[_thin(len(steps), RECORDS)].tolist(), "slices": steps[_thin(len(steps), _SLICES)].tolist()}


def _thin(records: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, records - 1, min(records, most)).round().astype(int))


def _plan(kept: Kept, panels: Sequence[Panel], told: list[dict[str, Any]]) -> list[tuple[int, Panel]]:
    """The panels of a cell, each with its place among those that are `told`."""
    mine = [panel for panel in panels if set(panel.curves) <= kept.curves.keys()]
    if not mine:
        mine = [Panel((name,), _spaced(name)) for name, curve in kept.curves.items() if _plain(name, curve)]
    if "loss" in kept.curves and kept.curves["loss"].ndim == 2:
        mine = [Panel(("loss",), "Loss"), *(panel for panel in mine if panel.curves != ("loss",))]
    plan = []
    for panel in mine:
        entry = {
            "title": panel.title, "kind": panel.kind, "curves": [_spaced(name) for name in panel.curves],
            "across": panel.across, "names": list(panel.names), "note": panel.note,
        }  # fmt: skip
        if panel.curves == ("loss",) and not panel.note:
            entry["note"] = f"{_marked(kept)}Thin: other seeds."
        if entry not in told:
            told.append(entry)
        plan.append((told.index(entry), panel))
    return plan


def _marked(kept: Kept) -> str:
    """What the marks of a loss say."""
    if kept.thresholds is None:
        return ""
    ratio, fall = kept.thresholds
    return f"Triangles: where a descent is fastest. Grey: plateaus (ratio {ratio:g}, fall {fall:g}). "


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _plain(name: str, curve: Curve) -> bool:
    """Whether a curve can be drawn without being told how: a number a record, or a few; and it says something."""
    small = 0 < int(np.prod(curve.shape[2:])) <= _LINES
    return small and name not in ("step", "loss") and bool((curve != curve[:1]).any())


def _trial(kept: Kept, trial: int, plan: Sequence[tuple[int, Panel]]) -> dict[str, Any]:
    """One trial: its seed, its numbers and what its panels draw."""
    drawn = []
    for place, panel in plan:
        if entry := _drawn(kept, trial, panel):
            drawn.append({"panel": place, **entry})
    numbers = [[_spaced(name), _number(kept.rows[column][trial])] for column, name in kept.numbers.items()]
    return {"seed": int(kept.rows["seed"][trial]), "numbers": numbers, "drawn": drawn}


def _number(value: Any) -> str:
    return shown(value.item()) if np.isfinite(value) else "–"


def _drawn(kept: Kept, trial: int, panel: Panel) -> dict[str, Any] | None:
    """What a panel draws of a trial: lines, with marks of some records; None where there is nothing."""
    curves = [np.asarray(kept.curves[name][:, trial]) for name in panel.curves]
    made = curves if panel.make is None else [panel.make(each) for each in curves]
    found = [each for each in made if each is not None and each.size]
    if len(found) < len(curves):
        return None
    if panel.kind != "lines":
        where = _thin(len(found[0]), _SLICES)
        return {"shape": list(found[0].shape[1:]), "lines": [_packed(each[where].ravel(), log=False) for each in found]}
    steps, lines, marks, styles = kept.cell.record_steps(), [], [], []
    where = _thin(len(steps), RECORDS)
    for style, each in enumerate(found):
        every = each.reshape(len(each), -1).astype(float)[:, :_LINES]
        for number, line in enumerate(every.T):
            lines.append(_packed(line[where], log=panel.log))
            styles.append([style, number])
            at = panel.marks(steps, line) if panel.marks else []
            marks.append([[int(steps[k]), _short(line[k])] for k in at])
    entry: dict[str, Any] = {"lines": lines, "styles": styles}
    if panel.curves == ("loss",) and panel.marks is None:
        peaks, entry["spans"] = _plateaus(kept, found[0].astype(float))
        marks = [peaks]
    return entry | ({"marks": marks} if any(marks) else {})


def _plateaus(kept: Kept, loss: np.ndarray) -> tuple[list[list[float]], list[list[float]]]:
    """The descents of a loss, step and value, and its plateaus, first and last step; none of one that diverges."""
    if kept.thresholds is None or not np.isfinite(loss).all() or len(loss) < 4 or loss[0] <= 0:
        return [], []
    steps = kept.cell.record_steps()
    found = where_plateaus(steps, loss, ratio=kept.thresholds[0], fall=kept.thresholds[1])
    return [[int(steps[k]), _short(loss[k])] for k in found.peaks], [list(map(float, each)) for each in found.spans]


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _packed(line: np.ndarray, *, log: bool) -> list[Any]:
    """A line in few characters: its least and greatest value, the characters, and whether values are logarithms."""
    values = np.asarray(line, float)
    fine = np.isfinite(values)
    held = values[fine]
    if not held.size:
        return [0, 0, "///" * len(values), 0]
    logs = bool(log and held.min() > 0 and held.max() > _WIDE * held.min())
    if logs:
        values, held = np.log10(np.where(fine, values, 1)), np.log10(held)
    low, high = _short(held.min()), _short(held.max())
    scaled = (np.where(fine, values, low) - low) / ((high - low) or 1)
    levels = np.where(fine, np.clip(np.round(scaled * _LEVELS), 0, _LEVELS), _LEVELS + 1).astype(int)
    text = "".join(_DIGITS[each >> 12] + _DIGITS[each >> 6 & 63] + _DIGITS[each & 63] for each in levels.tolist())
    return [low, high, text, int(logs)]
