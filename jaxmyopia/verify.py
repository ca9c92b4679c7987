# SPDX-License-Identifier: Apache-2.0
"""Whether a run's folder holds what it says: its files, its claims judged again, random trials run again.

files    every chunk's file has the checksum that the manifest tells, and no other file lies there
plan     the cells that this code makes of the folder's settings are those that the folder tells
rows     every trial of the plan has its row, with its seed and its settings
registered  it was registered as this code makes it, and its root seed is drawn from that and the beacon; or it was not
claims   judged again from the rows, verdicts, estimates and intervals are those of claims.json
looks    of a run until it was decided, every look decides, cell by cell, as the manifest says
replay   random trials, recomputed from their seeds in other company, are those of the table, kept curves too
"""

import collections
import dataclasses
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import RunError, require
from jaxmyopia.claims import Claim, Judgement
from jaxmyopia.claims.text import claims_json
from jaxmyopia.declared import Declared, opened, registered
from jaxmyopia.engine.files import checksum_of, differences, json_value, told_first
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.identity import plan_of
from jaxmyopia.engine.manifest import Rounds, looks_of, read_json, stem_of
from jaxmyopia.engine.planned import planned_cells
from jaxmyopia.engine.rounds import as_planned, next_looks, rounds_of
from jaxmyopia.engine.session import show
from jaxmyopia.registered import check
from jaxmyopia.replay import BOUND, differences_of_platform, replay
from jaxmyopia.stats.table import Trials
from jaxmyopia.study import Cell, Grid
from jaxmyopia.values import brief

_SHOWN = 10  # faults of a check; the others are counted
_OWN = {"manifest.json", "claims.json", "report.html"}
_ABOUT = ("receipt", "registration")  # of an entry of claims.json, what tells of the folder and not of the claim
_LOCK = re.compile(r"\.(lock|alive)-.*")  # what the lock leaves
_FIGURE = re.compile(r"figures/\w[\w.-]*\.(png|svg)")


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of a verification: `right` of `of` things are as they should be, in words `what`; and its `faults`."""

    name: str
    right: int
    of: int
    what: str
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = [f"and {len(self.faults) - _SHOWN} more"] if len(self.faults) > _SHOWN else []
        lines = [f"  fault: {fault}" for fault in [*self.faults[:_SHOWN], *more]]
        head = f"{self.name:<7} {self.right} of {self.of} {self.what}" if self.of else self.what
        return "\n".join([head, *lines])


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found of a folder, a line a check."""

    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """All faults, a line each."""
        return tuple(fault for check in self.checks for fault in check.faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))


def verify(
    folder: str | os.PathLike,
    *,
    replay: int = 0,
    cells: Sequence[Cell] | None = None,
    claims: Sequence[Claim] = (),
    rng: np.random.Generator | None = None,
) -> Verification:
    """Checks whether a run's folder holds what it says.

    Args:
      folder: of a completed run.
      replay: how many random trials are run again.
      cells: what was run, and `claims`, what is claimed of it; by default the package's own experiment tells both.
      rng: draws the trials; by default other ones every time.

    Returns:
      The `Verification`: `print` it; its `faults` are empty where all is well.

    Raises:
      ArgumentError: if the folder is none of a run, or nobody knows of which one.
      RunError: if the run is not completed.
    """
    found, fine = opened(folder), isinstance(cells, list | tuple) and all(isinstance(each, Cell) for each in cells)
    require(cells is None or fine, "cells", brief(cells), "must be a list of cells, as study.cells(...) gives")
    declared = registered(found) if cells is None else Declared.of(found, as_planned(cells, found.config), claims)
    return verify_folder(found, declared, replay=replay, rng=rng)


def verify_folder(
    folder: RunFolder,
    declared: Declared,
    *,
    replay: int = 0,
    rng: np.random.Generator | None = None,
    judged: Sequence[Judgement] = (),
) -> Verification:
    """As `verify`, of an open folder; `judged`: the claims that it holds, where claims.json is not written."""
    require(isinstance(replay, int) and replay >= 0, "replay", replay, "must be a number of trials, at least 0")
    damaged = [name for files in folder.damaged().values() for name in files]
    files, plan = _files(folder, damaged, bool(declared.entries) and not judged), _plan(folder, declared.cells)
    before = _registered(folder, declared)
    if damaged:
        return Verification(
            (files, plan, before, Check("rest", 0, 3, "checks: rows, claims and trials need whole files"))
        )
    checks = [files, plan, before, rows := _rows(folder)]
    if declared.entries and (judged or (folder.path / "claims.json").exists()):
        checks.append(_claims(folder, declared.entries, judged))
    if declared.undecided and folder.rounds:
        checks.append(_looks(folder, folder.rounds, declared.undecided))
    if replay and not plan.faults and not rows.faults:
        checks.append(_replay(folder, declared.cells, replay, rng or np.random.default_rng()))
    elif replay:
        checks.append(Check("replay", 0, replay, "trials: plan and rows must be right first"))
    return Verification(tuple(checks))


def tell(verification: Verification) -> None:
    """Prints a verification.

    Raises:
      RunError: if it found faults.
    """
    show(str(verification))
    if verification.faults:
        count = len(verification.faults)
        raise RunError(f"{count} fault{'s' * (count > 1)}: {verification.faults[0]}")


def _files(folder: RunFolder, damaged: Sequence[str], claims: bool) -> Check:
    told = {name: checksum for files in folder.completed().values() for name, checksum in files.items()}
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if not path.is_dir()}
    faults = [f"{name}: {_damage(folder, name, told[name])}" for name in damaged]
    faults += [f"{name}: is missing" for name in ("claims.json",) if claims and name not in names]
    foreign = {name for name in names - told.keys() - _OWN if not _LOCK.fullmatch(name)}
    faults += [f"{name}: does not belong to the run" for name in sorted(foreign) if not _FIGURE.fullmatch(name)]
    wanted = {stem_of(cell, chunk) for cell, count in enumerate(folder.plan() or ()) for chunk in range(count)}
    faults += [f"manifest.json: lacks {stem}" for stem in sorted(wanted - folder.completed().keys())]
    return Check("files", len(told) - len(damaged), len(told), "chunk files have their checksums", tuple(faults))


def _damage(folder: RunFolder, name: str, checksum: str) -> str:
    path = folder.path / name
    if not path.is_file():
        return "is missing"
    return "its checksum is another" if checksum_of(path) != checksum else "is another run's: its identity is another"


def _plan(folder: RunFolder, cells: Sequence[Cell]) -> Check:
    """Whether code or settings have changed since; how many chunks a cell makes is the machine's."""
    plans = json.loads(json.dumps([plan_of(cell) for cell in cells]))
    kept, made = ([{k: v for k, v in cell.items() if not k.startswith("chunks")} for cell in each]
                  for each in (folder.config["cells"], plans))  # fmt: skip
    faults = [f"manifest.json: tells {len(kept)} cells, this code makes {len(made)}"] if len(kept) != len(made) else []
    right = 0
    for number, (then, now) in enumerate(zip(kept, made, strict=False)):
        differing = told_first(differences(then, now))
        right += not differing
        faults += [f"manifest.json, cell {number}: {each}" for each in differing[:1]]
    return Check("plan", right, len(kept), "cells are those that this code makes", tuple(faults))


def _registered(folder: RunFolder, declared: Declared) -> Check:
    is_registered = "registration" in folder.manifest
    right, of, what, faults = check(folder, declared.document() if is_registered else None)
    return Check("registered", right, of, what, tuple(faults))


def _rows(folder: RunFolder) -> Check:
    """Whether every trial has its row, with its seed and settings; of each cell, the first that has not is named."""
    right, faults, cells = 0, [], folder.cells()
    for number, cell in enumerate(cells):
        trials, rows = np.arange(cell.trials), folder.rows(number)
        if len(rows["seed"]) != cell.trials:
            faults.append(f"seeds/: cell {number} has {len(rows['seed'])} rows, and {cell.trials} trials")
            continue
        settings = {name: np.full(cell.trials, value) for name, value in cell.settings.items() if value is not None}
        wanted = {"cell": np.full(cell.trials, number), "seed": cell.seed_of(trials)} | settings | cell.columns(trials)
        wrong = np.zeros(cell.trials, bool)
        for name, values in wanted.items():
            found = rows.get(name, np.full(cell.trials, None))
            here = np.asarray(found != values, bool)
            if here.any() and not wrong.any():
                trial = int(np.argmax(here))
                faults.append(
                    f"seeds/: cell {number}, trial {trial}: {name} is {found[trial]}, planned {values[trial]}"
                )
            wrong |= here
        right += int((~wrong).sum())
    return Check(
        "rows", right, sum(cell.trials for cell in cells), "trials have their seed and settings", tuple(faults)
    )


def _claims(
    folder: RunFolder, entries: Callable[[Trials], list[dict[str, object]]], judged: Sequence[Judgement]
) -> Check:
    told = read_json(folder.path / "claims.json", list[dict[str, object]])
    told = json.loads(json.dumps(json_value(claims_json(judged)))) if told is None else told
    found = json.loads(json.dumps(json_value(entries(folder.table()))))
    exact = not differences_of_platform(folder)
    kept, again = ({_key(entry): _compared(entry, exact) for entry in each} for each in (told, found))
    faults = [f"claims.json: lacks {key}" for key in again if key not in kept]
    faults += [f"claims.json: {key} is none of this run's claims" for key in kept if key not in again]
    times = collections.Counter(map(_key, told))
    faults += [f"claims.json: {key} stands there {number} times" for key, number in times.items() if number > 1]
    right = 0
    for key in (key for key in again if key in kept):
        differing = told_first(differences(kept[key], again[key]))
        right += not differing
        more = f", and {len(differing) - 1} more entries" if len(differing) > 1 else ""
        faults += [f"claims.json, {key}: {each} from the rows{more}" for each in differing[:1]]
    how = "" if exact else ", to six digits"
    return Check("claims", right, len(again), f"claims are judged as claims.json tells{how}", tuple(faults))


def _looks(folder: RunFolder, rounds: Rounds, undecided: Callable[[Trials], Collection[int]]) -> Check:
    """Whether the first look that decides ended the run, and each one before left the cells open that it had to."""
    cells, run, faults, right = planned_cells(folder.config), rounds["run"], [], 0
    if "cells" in rounds and rounds["seeds"] != (seeds := rounds_of(cells, rounds["cells"])["seeds"]):
        faults.append(f"manifest.json: rounds.seeds is {rounds['seeds']}, planned {seeds}")
    for look in range(1, run + 1):
        at, found = f"look {look}, at {rounds['seeds'][look - 1]} seeds", undecided(folder.table(look))
        before, told = (looks_of(folder.config, rounds, each) or [] for each in (look, look + 1))
        # A manifest that does not tell of each cell is of a run in which all went on.
        now = next_looks(cells, before, found) if "cells" in rounds else [look + (bool(found) and look < rounds["of"])]
        wrong = [f"manifest.json: {at}, cell {number} is {'open' if mine > its else 'closed'} by the rows"
                 for number, (mine, its) in enumerate(zip(now, told, strict=False)) if mine != its]  # fmt: skip
        if wrong and look == run:
            wrong = [f"manifest.json: the run ended at look {run} of {rounds['of']}, not decided"]
        if (rounds["decided"] and look == run) == bool(found):
            wrong.insert(0, f"manifest.json: {at}, is {'not decided' if found else 'decided'} by the rows")
        faults, right = faults + wrong, right + (not wrong)
    return Check("looks", right, run, "looks decide as the manifest says", tuple(faults))


def _key(entry: Mapping[str, Any]) -> str:
    fields = {field.name for field in dataclasses.fields(Judgement)} | set(_ABOUT)
    return ", ".join(str(value) for name, value in entry.items() if name == "id" or name not in fields)


def _compared(value: Any, exact: bool) -> Any:
    """An entry without what it tells of the folder; on another platform to six digits."""
    if isinstance(value, dict):
        return {name: _compared(inner, exact) for name, inner in value.items() if name not in _ABOUT}
    if isinstance(value, list):
        return [_compared(inner, exact) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) and not exact else value


def _drawn(cells: Sequence[Grid], count: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Random trials of all, by cell, in a random order."""
    ends = np.cumsum([cell.trials for cell in cells])
    drawn = rng.choice(ends[-1], min(count, int(ends[-1])), replace=False)
    places = np.searchsorted(ends, drawn, side="right")
    for number in np.unique(places):
        yield int(number), drawn[places == number] - (ends[number] - cells[number].trials)


def _replay(folder: RunFolder, cells: Sequence[Cell], count: int, rng: np.random.Generator) -> Check:
    other, drawn = differences_of_platform(folder), _drawn(folder.cells(), count, rng)
    again = [replay(folder, cell, cells[cell], trials, exact=not other) for cell, trials in drawn]
    faults = tuple(fault for each in again for fault in each.faults)
    of, kept = sum(len(each.trials) for each in again), sum(each.kept for each in again)
    wrong = {fault.partition(", ")[2].partition(")")[0] for fault in faults}
    near = sum(each.near for each in again)
    bound = f"within {BOUND:g} of a column's greatest value, for this is another platform ({'; '.join(other)})"
    how = f"{bound}; {near} differ in counts, as they may near thresholds" if other else "to the bit"
    return Check(
        "replay", of - len(wrong), of, f"trials come out as the table has them, {how}; {kept} kept curves", faults
    )
