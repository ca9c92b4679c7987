# SPDX-License-Identifier: Apache-2.0
"""Runs all cells of an experiment into a folder: skips what is done, keeps what is finished when interrupted."""

import collections
import contextlib
import importlib.metadata
import itertools
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax

from jaxmyopia.checks import require
from jaxmyopia.runner.program import Compiled
from jaxmyopia.runner.progress import Progress
from jaxmyopia.runner.results import RunFolder
from jaxmyopia.runner.run import compile_cell, lanes_of_part, run_parts
from jaxmyopia.runner.study import Cell

_AHEAD = 3  # cells that are compiled or compiling: the one at work and two more
_PACKAGES = ("jaxmyopia", "jax", "jaxlib", "optax", "chex", "numpy", "scipy")


def open_folder(
    out: str, config: dict[str, object], cells: Sequence[Cell], *, root_seed: int, keep_curves: int
) -> RunFolder:
    """Opens a run's folder for a configuration.

    Args:
      out: the folder.
      config: the experiment's resolved settings, JSON values.
      cells: what will be run, `(cells,)`.
      root_seed: the root of every seed's key.
      keep_curves: the seeds whose whole curves are kept.

    Returns:
      The `RunFolder`.

    Raises:
      ValueError: if the folder holds something else or cannot be written.
    """
    require(keep_curves >= 0, "keep_curves", keep_curves, "must be at least 0")
    identity = {
        "root_seed": root_seed,
        "keep_curves": keep_curves,
        "jax": jax.__version__,
        "backend": jax.default_backend(),
    }
    plans = [{"seeds": cell.seeds, **cell.study.settings(), "sweep": dict(cell.sweep)} for cell in cells]
    return RunFolder(out, {**config, **identity, "cells": plans})


def _git_revision() -> str | None:
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    except OSError:
        return None
    return answer.stdout.strip() or None


def environment() -> dict[str, object]:
    """What a run was made with: versions, devices, machine, git revision."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "devices": [str(device) for device in jax.devices()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "git": _git_revision(),
    }


def plan(cells: Sequence[Cell]) -> str:
    """What would be run, as text.

    Args:
      cells: of the experiment.

    Returns:
      One line a cell, and their sum.
    """
    lines = []
    for cell in cells:
        lines.append(
            f"{cell.study}: {len(cell.combinations)} settings x {cell.seeds} seeds x {cell.steps} steps, "
            f"{cell.blocks} blocks"
        )
    total = sum(cell.lanes * cell.steps for cell in cells)
    return "\n".join([*lines, f"{len(cells)} cells, {sum(cell.lanes for cell in cells)} lanes, {total:.3g} seed-steps"])


def run_cells(
    folder: RunFolder, cells: Sequence[Cell], *, root_seed: int, keep_curves: int, command: str
) -> dict[str, object]:
    """Runs what the folder does not hold yet; finished parts stay whatever happens next.

    Args:
      folder: open for these cells.
      cells: what to run, `(cells,)`.
      root_seed: the root of every seed's key.
      keep_curves: the seeds whose whole curves are kept.
      command: what the user typed, for the manifest.

    Returns:
      The manifest's entries besides the configuration.

    Raises:
      KeyboardInterrupt: passed on once the manifest says so.
    """
    entries = _first_entries(folder, command)
    folder.write_manifest(**entries)
    skips = [folder.finished(index) for index in range(len(cells))]
    began, todo = time.monotonic(), [_lanes_left(cell, skip) for cell, skip in zip(cells, skips, strict=True)]
    seed_steps = sum(lanes * cell.steps for lanes, cell in zip(todo, cells, strict=True))
    try:
        left = {index: cell for index, cell in enumerate(cells) if todo[index]}
        with Progress(seed_steps, sum(todo)) as progress, contextlib.closing(_compiled_ahead(left)) as ready:
            for index, compiled in ready:
                entries["compile_seconds"][str(index)] = round(compiled.seconds, 2)
                wanted = {"keep_curves": keep_curves, "skip": skips[index], "tick": progress.tick}
                for part in run_parts(cells[index], root_seed=root_seed, compiled=compiled, **wanted):
                    folder.write_part(index, cells[index].study.settings(), part)
                    progress.finish(len(part.rows["seed"]), str(cells[index].study))
        entries["status"] = "complete"
    except BaseException as error:
        entries["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        entries["seconds"] = round(entries["seconds"] + time.monotonic() - began, 1)  # of all sessions
        folder.write_manifest(**entries)
    return entries


def _compiled_ahead(cells: dict[int, Cell]) -> Iterator[tuple[int, Compiled]]:
    """Each cell's index and programs, in turn; the next two cells compile in a thread meanwhile."""
    waiting, coming = iter(cells.items()), collections.deque()
    ahead = ThreadPoolExecutor(1, thread_name_prefix="compile")
    try:
        while True:
            for index, cell in itertools.islice(waiting, _AHEAD - len(coming)):
                coming.append((index, ahead.submit(compile_cell, cell)))
            if not coming:
                return
            index, compiled = coming.popleft()
            yield index, compiled.result()
    finally:
        ahead.shutdown(wait=True, cancel_futures=True)


def _first_entries(folder: RunFolder, command: str) -> dict[str, object]:
    """The manifest's entries as a session begins: a run that goes on keeps its start and its seconds."""
    before = folder.manifest if (folder.path / "manifest.json").is_file() else {}
    entries = environment()
    # Rows that another revision computed stay its rows: a manifest names all revisions that made it.
    revisions = [each for each in (before.get("git") or "").split(", ") if each and each != entries["git"]]
    return {
        **entries,
        "git": ", ".join([*revisions, entries["git"] or "unknown"]),
        "status": "running",
        "command": command,
        "started": before.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        "seconds": before.get("seconds", 0.0),
        "compile_seconds": before.get("compile_seconds", {}),  # by cell
    }


def _lanes_left(cell: Cell, skip: frozenset[int]) -> int:
    return cell.lanes - sum(len(lanes_of_part(cell, index)) for index in skip)


def say(text: str) -> None:
    """Prints a message to standard error; standard output is for results.

    Args:
      text: one line or several.
    """
    print(text, file=sys.stderr, flush=True)
