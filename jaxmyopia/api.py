# SPDX-License-Identifier: Apache-2.0
"""One study from a notebook: its table, its curves and the quantiles of all seeds, without a file unless asked for."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from jaxmyopia.engine.chunk import Chunk, run_chunks
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.progress import Progress
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Trials
from jaxmyopia.study import Cell, Study


@dataclasses.dataclass(frozen=True)
class Results:
    """What a study gave.

    `table`: one row a seed and combination of settings. `steps`: `(T,)` the recorded steps. `curves`: observables of
    the kept seeds, `(T, trials kept, ...)`. `quantiles`: sketches of all seeds, a group a record and combination
    `(T, C)`, by the name of the study's quantile. `combinations`: the settings of those C, in order.
    `folder`: of the run, if any.
    """

    table: Trials
    steps: np.ndarray
    curves: dict[str, np.ndarray]
    quantiles: dict[str, Sketch]
    combinations: list[dict[str, float]]
    folder: RunFolder | None = None


def _in_memory(cell: Cell, options: RunOptions) -> dict[str, object]:
    found: list[Chunk] = []
    wanted = {"root_seed": options.root_seed, "keep_curves": options.keep_curves}
    with Progress(cell.trials * cell.steps, cell.trials, show=options.progress) as bar:
        for chunk in run_chunks(cell, tick=bar.tick, **wanted):
            found.append(chunk)
            bar.finish(len(chunk.rows["seed"]), str(cell.study))
    kept = [chunk.kept for chunk in found if chunk.kept]
    return {
        "table": Trials({name: np.concatenate([chunk.rows[name] for chunk in found]) for name in found[0].rows}),
        "curves": {name: np.concatenate([each[name] for each in kept], axis=1) for name in (kept[0] if kept else ())},
        "quantiles": {name: Sketch.merged([chunk.sketches[name] for chunk in found]) for name in found[0].sketches},
    }


def _in_folder(cell: Cell, options: RunOptions, out: str) -> dict[str, object]:
    folder = open_folder(out, {"experiment": "jaxmyopia.run"}, [cell], options)
    run_cells(folder, [cell], options, command="jaxmyopia.run")
    return {
        "table": folder.table(),
        "curves": {name: folder.curves(0, name) for name in folder.names(0, ".npy")},
        "quantiles": {name: folder.sketch(0, name) for name in folder.names(0, ".parquet")},
        "folder": folder,
    }


def run(
    study: Study,
    *,
    seeds: int,
    steps: int,
    root_seed: int = 0,
    keep_curves: int = 4,
    out: str | os.PathLike | None = None,
    progress: bool = True,
    **sweep: float | Sequence[float],
) -> Results:
    """Runs one study.

    >>> from jaxmyopia import LowRank, run
    >>> found = run(LowRank(n=10, rank=1), seeds=8, steps=300, progress=False, learning_rate=0.03, init_scale=1e-3)
    >>> len(found.table), bool((found.table["loss_ratio"] < 1e-6).all()), found.curves["loss"].shape[1]
    (8, True, 4)

    Args:
      study: what to run.
      seeds: how many seeds S.
      steps: how many steps T.
      root_seed: the root of every seed's key.
      keep_curves: how many seeds' whole curves are kept.
      out: a folder to run in, which can be stopped and resumed; by default nothing touches the disk.
      progress: whether to show a bar.
      **sweep: the study's dynamic settings, each a number or a sequence; every combination is run.

    Returns:
      The `Results`.

    Raises:
      ValueError: if an argument is not allowed.
      RunError: if the folder cannot be used.
    """
    values = {name: tuple(np.atleast_1d(value).tolist()) for name, value in sweep.items()}
    cell = Cell(study=study, sweep=tuple(values.items()), seeds=seeds, steps=steps)
    options = RunOptions(root_seed=root_seed, keep_curves=keep_curves, progress=progress)
    results = _in_memory(cell, options) if out is None else _in_folder(cell, options, str(out))
    names = [name for name, _ in cell.sweep]
    combinations = [dict(zip(names, values, strict=True)) for values in cell.combinations]
    return Results(steps=cell.record_steps(), combinations=combinations, **results)
