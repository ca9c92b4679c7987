# SPDX-License-Identifier: Apache-2.0
"""The three arms of every comparison: the recipe, the flat run, and the short run that is its control.

  recipe   E epochs, the schedule `negative` from K on
  flat     E epochs, no schedule
  short    K epochs, no schedule: what the recipe with a cap is to the planner

In the table an arm is told by `schedule` and `length`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.study import Cell, Study

ARMS = ("recipe", "flat", "short")
Settings = dict[str, tuple[float, ...]]


def arms(cutoffs: Sequence[int], schedules: Sequence[str]) -> Iterator[Settings]:
    """What tells the arms apart: of the long runs at once, then of a short run for each cutoff.

    Args:
      cutoffs: K, each at least 1 where it is to have a short run.
      schedules: of the long runs.

    Yields:
      Settings of a cell.
    """
    yield {"schedule": tuple(code("schedule", name) for name in schedules), "cutoff": tuple(map(float, cutoffs))}
    for cutoff in (float(k) for k in cutoffs if k):
        yield {"schedule": (code("schedule", "flat"),), "cutoff": (cutoff,), "length": (cutoff,)}


def cell(study: Study, trials: Settings, *, steps: int, seeds: int, records: int) -> Cell:
    """A cell of these trials."""
    return Cell(study=study, sweep=tuple(trials.items()), seeds=seeds, steps=steps, records=records)


def column(table: Trials, name: str) -> np.ndarray:
    """A column `(rows,)` of numbers, NaN where a row, or the run, has none of it."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    return np.asarray(table[name], float)


def is_true(table: Trials, name: str) -> np.ndarray:
    """A column of truth values `(rows,)`, False where a row, or the run, has none of it."""
    if name not in table.columns:
        return np.zeros(len(table), bool)
    return np.array([value is True or value == 1 for value in table[name].tolist()], bool)


def arm(rows: Trials, name: str) -> Trials:
    """The rows of an arm; those of the recipe alone that have epochs past K."""
    short = np.isfinite(column(rows, "length"))
    flat = rows["schedule"] == code("schedule", "flat")
    if name == "recipe":
        past = rows["cutoff"] < rows["epochs"]
        return rows.keep(~short & past & (rows["schedule"] == code("schedule", "negative")))
    return rows.keep(flat & (short if name == "short" else ~short))
