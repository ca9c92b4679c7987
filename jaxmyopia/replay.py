# SPDX-License-Identifier: Apache-2.0
"""Any trials of a run again, from their seeds alone, beside what the run's folder says of them; and the receipt, which
says how anybody does that."""

import csv
import dataclasses
import io
import pathlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import RunError, require
from jaxmyopia.engine.chunk import Chunk, ChunkRun, compile_cell
from jaxmyopia.engine.files import differences
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.identity import OPTIONS, numerics
from jaxmyopia.engine.provenance import processor
from jaxmyopia.engine.session import show
from jaxmyopia.studies.registry import EXPERIMENTS
from jaxmyopia.study import Cell

IN_PYTHON = "jaxmyopia.run"  # the experiment's name of a run that no program made
# Of a column's greatest value: what numbers of another platform may differ by. Rounding grows along a run; counts may
# jump where a curve comes near a threshold, so that they are not bounded at all.
BOUND = 1e-3
# By who runs it, and decisive.
_CHOSEN = ("x64", "prng", "threefry_partitionable", "random_seed_offset", *OPTIONS)


@dataclasses.dataclass(frozen=True)
class Replayed:
    """Trials of a cell, run again.

    `cell`: its number. `trials`: `(trials,)` theirs. `rows`: columns `(trials,)`. `curves`: `(T, trials kept, ...)`.
    `steps`: `(T,)`. `faults`: where they are not what the folder holds, a line a trial. `near`: how many trials differ
    in counts alone, on another platform than the run's. `kept`: how many curves were compared.
    """

    cell: int
    trials: np.ndarray
    rows: Mapping[str, np.ndarray]
    curves: Mapping[str, np.ndarray]
    steps: np.ndarray
    faults: tuple[str, ...] = ()
    near: int = 0
    kept: int = 0

    def __str__(self) -> str:
        lines = [f"cell {self.cell}"]
        lines += [f"  {name:<32} " + "  ".join(f"{value!s:<22}" for value in self.rows[name]) for name in self.rows]
        return "\n".join([line.rstrip() for line in lines] + [f"  fault: {fault}" for fault in self.faults])


def differences_of_platform(folder: RunFolder) -> list[str]:
    """In what this platform differs from that of a run, a few words each: where nothing does, bits are the same.

    Raises:
      RunError: if this process draws other random numbers, or computes in another precision, than the run did.
    """
    then = folder.config["numerics"]
    here = numerics(then["matmul_precision"])
    chosen = list(differences({name: then.get(name) for name in _CHOSEN}, {name: here.get(name) for name in _CHOSEN}))
    if chosen:
        raise RunError(f"the run was made with other settings of JAX ({'; '.join(chosen)}): replay it with those")
    told = {"numerics": then, "processor": folder.manifest.get("processor")}
    return list(differences(told, {"numerics": here, "processor": processor()}))


def run_again(cell: Cell, trials: np.ndarray, *, root_seed: int, keep: int, matmul_precision: str) -> Chunk:
    """Runs some trials of a cell, in this order, in blocks that hold nothing else.

    Args:
      cell: the cell.
      trials: `(trials,)`.
      root_seed, keep, matmul_precision: of the run.

    Returns:
      Their rows and kept curves.
    """
    compiled, size = compile_cell(cell, matmul_precision), cell.study.block
    groups = [trials[start : start + size] for start in range(0, len(trials), size)]
    chunks = [ChunkRun(cell, compiled, 0, root_seed, keep, trials=group)() for group in groups]
    rows = {name: np.concatenate([chunk.rows[name] for chunk in chunks]) for name in chunks[0].rows}
    names = dict.fromkeys(name for chunk in chunks for name in chunk.kept)
    kept = {name: np.concatenate([each.kept[name] for each in chunks if each.kept], axis=1) for name in names}
    return Chunk(0, rows, kept, {})


def replay(
    folder: RunFolder, number: int, cell: Cell, trials: np.ndarray, *, keep: int = 0, exact: bool = True
) -> Replayed:
    """Runs some trials of a cell again and compares them with what the folder holds.

    Args:
      folder: of the run.
      number: of the cell.
      cell: as the run had it.
      trials: `(trials,)`, in the order in which they are run.
      keep: the seeds below have their curves given, as those have that the folder keeps.
      exact: whether to the bit, or within `BOUND`.

    Returns:
      What came of it.

    Raises:
      RunError: if a file is damaged.
    """
    kept = folder.config["keep_curves"]
    keep = max(kept, keep)
    precision = folder.config["numerics"]["matmul_precision"]
    again = run_again(cell, trials, root_seed=folder.config["root_seed"], keep=keep, matmul_precision=precision)
    said = _Said(folder, number, cell, trials, exact)
    faults, near = said.of_rows(again.rows)
    seeds = again.rows["seed"]
    mine, given = np.flatnonzero(seeds < kept), seeds[seeds < keep]
    of_curves = said.of_curves({name: leaf[:, given < kept] for name, leaf in again.kept.items()}, mine)
    return Replayed(
        cell=number, trials=trials, rows=again.rows, curves=again.kept, steps=cell.record_steps(),
        faults=(*faults, *of_curves), near=near, kept=len(mine),
    )  # fmt: skip


def _differ(stored: np.ndarray, again: np.ndarray, exact: bool) -> np.ndarray:
    """Which of the first axis differ, `(trials,)`."""
    if stored.shape != again.shape or stored.dtype != again.dtype:
        return np.ones(len(again), bool)
    if not exact:
        finite = np.abs(stored[np.isfinite(stored)])
        same = np.isclose(stored, again, rtol=0, atol=BOUND * float(finite.max(initial=0)), equal_nan=True)
        return ~same.reshape(len(again), -1).all(axis=1)
    if not stored.size:
        return np.zeros(len(again), bool)
    bits = [np.ascontiguousarray(each).view(np.uint8).reshape(len(each), -1) for each in (stored, again)]
    return (bits[0] != bits[1]).any(axis=1)


def _is_count(values: np.ndarray) -> bool:
    return values.dtype.kind in "biu" or bool((np.mod(values[np.isfinite(values)], 1) == 0).all())


class _Said:
    """What a folder says of trials of a cell."""

    def __init__(self, folder: RunFolder, number: int, cell: Cell, trials: np.ndarray, exact: bool):
        self._folder, self._number, self._cell, self._trials, self._exact = folder, number, cell, trials, exact
        self._files, sizes = zip(*folder.files_of_rows(number), strict=True)
        self._ends = np.cumsum(sizes)

    def _file(self, place: int) -> pathlib.Path:
        return self._files[int(np.searchsorted(self._ends, self._trials[place], "right"))]

    def _trial(self, place: int) -> str:
        trial = self._trials[place : place + 1]
        settings = (f"{name}={values[0]:g}" for name, values in self._cell.columns(trial).items())
        return (
            f"cell {self._number}, trial {trial[0]} ({', '.join((f'seed {self._cell.seed_of(trial)[0]}', *settings))})"
        )

    def of_rows(self, again: Mapping[str, np.ndarray]) -> tuple[list[str], int]:
        """A line for each trial that is not as stored, and how many differ in counts alone, where that may be."""
        stored = self._folder.rows(self._number, self._trials)
        lacking = f"the table of cell {self._number} lacks the column"
        absent = [f"{self._file(0).name}: {lacking} {name}" for name in again if name not in stored]
        names = [name for name in again if name in stored]
        differ = {name: _differ(stored[name], again[name], self._exact) for name in names}
        counts = [] if self._exact else [name for name in names if _is_count(stored[name]) and name != "seed"]
        faults, near = absent, 0
        for place in range(len(self._trials)):
            wrong = [name for name in names if differ[name][place] and name not in counts]
            near += not wrong and any(differ[name][place] for name in counts)
            if wrong:
                name, more = wrong[0], f", and {len(wrong) - 1} more columns" if len(wrong) > 1 else ""
                told, found = stored[name][place], again[name][place]
                faults.append(
                    f"seeds/{self._file(place).name}, {self._trial(place)}: {name} is {told}, again {found}{more}"
                )
        return faults, near

    def of_curves(self, again: Mapping[str, np.ndarray], places: np.ndarray) -> Iterator[str]:
        """A line for each curve that is not as kept, of the trials at `places`."""
        for name, leaf in again.items() if len(places) else ():
            stored = self._folder.curves(self._number, name)
            stored = np.moveaxis(stored[:, self._trials[places]], 1, 0)
            found = np.moveaxis(leaf, 1, 0)
            for i in np.flatnonzero(_differ(stored, found, self._exact)):
                differing = _differ(stored[i], found[i], self._exact) if stored.shape == found.shape else [True]
                record = int(np.argmax(differing))
                told, now = (np.ravel(each[i][record])[:3] for each in (stored, found))
                file = f"curves/{self._file(places[i]).stem}.{name}.npy"
                yield f"{file}, {self._trial(places[i])}, record {record}: {name} is {told}, again {now}"


def replay_seed(folder: RunFolder, cells: Sequence[Cell], number: int, seed: int) -> Replayed:
    """All trials of a seed in a cell again, with their whole curves.

    Args:
      folder: of the run.
      cells: as the run had them.
      number: of the cell.
      seed: a number from 0 on.

    Returns:
      What came of it.

    Raises:
      ArgumentError: if there is no such cell or seed.
      RunError: if a file is damaged.
    """
    require(
        isinstance(number, int) and 0 <= number < len(cells),
        "cell",
        number,
        f"must be from 0 to {len(cells) - 1}, the cells of the run",
    )
    cell, seeds = cells[number], folder.cells()[number].seeds
    require(
        isinstance(seed, int) and 0 <= seed < seeds,
        "seed",
        seed,
        f"must be from 0 to {seeds - 1}, the seeds of cell {number}",
    )
    combinations = len(cell.combinations)
    trials = np.arange(seed * combinations, (seed + 1) * combinations)
    return replay(folder, number, cell, trials, keep=seed + 1, exact=not differences_of_platform(folder))


def curves_csv(found: Sequence[Replayed], cells: Sequence[Cell]) -> str:
    """The curves of replayed trials as CSV: a line for each trial and record, a column for each number it holds."""
    lines: list[dict[str, Any]] = []
    for each in found:
        settings = cells[each.cell].columns(each.trials)
        for place in range(len(each.trials)):
            named: dict[str, Any] = {"cell": each.cell, "seed": int(each.rows["seed"][place])}
            named |= {name: float(values[place]) for name, values in settings.items()}
            columns = {f"{name}{_index(at)}": leaf[:, place][(slice(None), *at)]
                       for name, leaf in each.curves.items() for at in np.ndindex(leaf.shape[2:])}  # fmt: skip
            steps = enumerate(each.steps)
            lines += [
                named | {"step": int(step)} | {name: values[i] for name, values in columns.items()} for i, step in steps
            ]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for line in lines for name in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _index(at: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, at))}]" if at else ""


def show_seed(
    folder: RunFolder, cells: Sequence[Cell], numbers: Sequence[int] | None, seed: int, curve: str | None = None
) -> None:
    """Replays a seed in some cells, by default all, and prints its rows and whether they are the table's.

    Args:
      folder: of the run.
      cells: as the run had them.
      numbers: of the cells asked for.
      seed: the seed.
      curve: a file for its curves, as CSV; without one they are printed.

    Raises:
      ArgumentError: if there is no such cell or seed, or the file cannot be written.
      RunError: if a row is not the table's.
    """
    found = [replay_seed(folder, cells, number, seed) for number in numbers or range(len(cells))]
    show("\n".join(map(str, found)))
    text = curves_csv(found, cells)
    if curve:
        try:
            pathlib.Path(curve).expanduser().write_text(text, encoding="utf-8")
        except OSError as error:
            require(False, "curve", curve, f"must be a file that can be written ({error.strerror})")
    else:
        show(text.removesuffix("\n"))
    faults, other = [fault for each in found for fault in each.faults], differences_of_platform(folder)
    if faults:
        raise RunError(f"{faults[0]}" + (f"; and {len(faults) - 1} more faults" if len(faults) > 1 else ""))
    how = (
        f"within {BOUND:g} of each column's greatest value, counts aside ({'; '.join(other)})"
        if other
        else "to the bit"
    )
    show(f"{sum(len(each.trials) for each in found)} trials are as the table has them, {how}")


def receipt(folder: RunFolder, cells: Sequence[int]) -> str:
    """How anybody gets the curve of any one seed of some cells: a command, or a call where there was no command.

    Args:
      folder: of the run.
      cells: their numbers.

    Returns:
      One line, for seed 0.
    """
    numbers, path = ",".join(map(str, cells)), shlex.quote(str(folder.path))
    experiment = folder.config.get("experiment")
    if experiment == IN_PYTHON:
        return f"answer.replay(seed=0, cell={cells[0] if cells else 0})"
    if experiment in EXPERIMENTS:
        return f"python -m jaxmyopia replay {path} --seed=0 --cell={numbers}"
    program = re.split(r"\s--\w", folder.manifest.get("command", ""), maxsplit=1)[0]
    return f"{program} --out={path} --replay_seed=0 --replay_cell={numbers}"


def with_receipts(folder: RunFolder, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of claims.json, each with the receipt of the cells on which its evidence rests."""
    cells = [sorted({cell for piece in entry["evidence"] for cell in piece["cells"]}) for entry in entries]
    receipts = [{"receipt": receipt(folder, each)} if each else {} for each in cells]
    return [entry | each for entry, each in zip(entries, receipts, strict=True)]
