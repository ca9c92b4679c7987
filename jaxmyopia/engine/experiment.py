# SPDX-License-Identifier: Apache-2.0
"""Runs all cells of an experiment into a folder: skips what is done, keeps what is finished when interrupted."""

import contextlib
from collections.abc import Callable, Collection, Sequence

from jaxmyopia.checks import RunError
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.identity import agree, numerics, plan_of
from jaxmyopia.engine.lock import Lock
from jaxmyopia.engine.processes import disconnect
from jaxmyopia.engine.session import RunOptions, Session
from jaxmyopia.study import Cell


def open_folder(out: str, config: dict[str, object], cells: Sequence[Cell], options: RunOptions) -> RunFolder:
    """Opens a run's folder for a configuration.

    Args:
      out: the folder.
      config: the experiment's resolved settings, JSON values.
      cells: what will be run, `(cells,)`.
      options: how.

    Returns:
      The `RunFolder`.

    Raises:
      ArgumentError: if the folder holds something else or cannot be written.
      RunError: if another process was given something else.
    """
    share = options.share
    whole = {
        **config,
        "root_seed": options.root_seed,
        "keep_curves": options.keep_curves,
        "numerics": numerics(options.matmul_precision),
        **({"num_shards": share.shards, "shard_index": share.shard} if share.shards > 1 else {}),
        "cells": [plan_of(cell) for cell in cells],
    }
    agree(whole)
    return RunFolder(out, whole)


def plan(cells: Sequence[Cell]) -> str:
    """What would be run, as text.

    Args:
      cells: of the experiment.

    Returns:
      One line a cell, and their sum.
    """
    lines = []
    for cell in cells:
        seeds = f"{cell.looks[0]} to {cell.seeds}" if cell.looks else f"{cell.seeds}"
        lines.append(
            f"{cell.study}: {len(cell.combinations)} settings x {seeds} seeds x {cell.steps} steps, "
            f"{cell.blocks} blocks"
        )
    total = sum(cell.trials * cell.steps for cell in cells)
    return "\n".join(
        [*lines, f"{len(cells)} cells, {sum(cell.trials for cell in cells)} trials, {total:.3g} seed-steps"]
    )


def run_cells(
    folder: RunFolder,
    cells: Sequence[Cell],
    options: RunOptions,
    *,
    command: str,
    undecided: Callable[[int], Collection[int]] | None = None,
) -> dict[str, object] | None:
    """Runs what the folder does not hold yet; finished chunks stay whatever happens next.

    Cells with looks may be run in rounds, the seeds up to a look in each, of those cells that still need them. Which
    seeds stand, and which of them count, depends on neither devices nor processes nor what was interrupted: `undecided`
    is asked after every round again.

    Args:
      folder: open for these cells.
      cells: what to run, `(cells,)`.
      options: as the folder was opened with.
      command: what the user typed, for the manifest.
      undecided: is asked after each round, by its number from 0 on, for the numbers of the cells whose trials something
        undecided rests on: by the process that leads, once all chunks of the round stand. None of them: all is decided.
        Without it, and in a shard, which cannot judge, all rounds of all cells are run.

    Returns:
      The manifest's entries besides the configuration; None where nothing is left to do with them: in a shard, and in
      processes that do not lead.

    Raises:
      KeyboardInterrupt: if it was interrupted, once a checkpoint is written.
      RunError: if the disk, a file or another process fails.
    """
    share = options.share
    with Lock(folder.path, process=share.process, processes=share.processes) as lock:
        session = Session(folder, cells, options, command, lock, undecided if share.shards == 1 else None)
        try:
            session.begin()
        finally:
            disconnect()  # the others wait there; if this process fails they see it by its sign
        try:
            session.run()
            session.wait_for_the_others()
        except BaseException as error:
            with contextlib.suppress(RunError):  # the first error says what is wrong
                session.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        return session.end("complete" if share.shards == 1 else "complete shard")
