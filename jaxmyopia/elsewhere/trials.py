# SPDX-License-Identifier: Apache-2.0
"""A table of runs from elsewhere, on which measures and claims work: a measure is made of the curves once it is asked.

  trials = jm.curves("losses.csv")
  trials[PLATEAUS]
  jm.share(trials, PLATEAUS, lambda count: count == 2).above(0.5)

Runs may differ in their steps and lengths. What they lack is never made up.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.elsewhere.layout import Asked, Layout, lay_out
from jaxmyopia.elsewhere.losses import Losses
from jaxmyopia.elsewhere.records import Run, checked
from jaxmyopia.elsewhere.source import read
from jaxmyopia.engine.mesh import CACHE, use_compilation_cache
from jaxmyopia.measures.measure import Measure
from jaxmyopia.stats.table import Measured, Trials


@dataclasses.dataclass(frozen=True)
class CurveTrials(Trials):
    """Runs from elsewhere, one a row.

    Its columns: `seed`; `run`, its name; `records`, how many there are; `left_out`, rows without a loss or that are
    there twice; `reason`, why the run is not counted, empty if it is; `diverged`; `number`, its place in `losses`; and
    what is the same in all rows of a run. Of these the settings are those that several runs share.
    """

    losses: Losses = dataclasses.field(kw_only=True)
    read: frozenset[str] = dataclasses.field(kw_only=True)  # the columns that it had from the start

    def holding(self, what: Measured) -> "CurveTrials":
        """The table with the columns of a measure, made now unless they were put there by hand, as a control does."""
        if not isinstance(what, Measure):
            return self
        for name in what.columns:
            require(name not in self.read, "column", name, "must have another name: a measure is called so")
        return self if set(what.columns) <= set(self.columns) else self._with(self.losses.columns(what))

    def _with(self, made: dict[str, np.ndarray]) -> "CurveTrials":
        rows = self.columns["number"]
        held = {name: column[rows] for name, column in made.items()}
        return dataclasses.replace(self, columns=held | {name: self.columns[name] for name in self.columns})

    def joined(self, *others: Trials) -> Trials:
        """These trials and those of others, of the same call."""
        for each in others:
            same = isinstance(each, CurveTrials) and each.losses is self.losses
            require(same, "joined", type(each).__name__, "must be curves of one call: read them as one table")
        return super().joined(*others)

    @property
    def runs(self) -> list[Run]:
        """The runs of the rows, in their order: their names, steps and losses."""
        return [self.losses.runs[number] for number in self.columns["number"].tolist()]

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame, with the measures that were asked for."""
        return Trials.to_pandas(self._with(self.losses.made))

    def to_csv(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the table as CSV, with the measures that were asked for; see `Trials.to_csv`."""
        return Trials.to_csv(self._with(self.losses.made), path)


def curves(
    table_or_csv: Any,
    *,
    run: str | Sequence[str] | None = None,
    step: str | None = None,
    value: str | Sequence[str] | None = None,
) -> CurveTrials:
    """Reads loss curves from elsewhere as trials, on which every measure and claim works.

    A long table has a row a record: columns of the run, the step and the loss; other columns that are the same in all
    rows of a run are its settings. A wide one has a row a step, and a column a run. Where the names of columns do not
    tell which is which, one line asks.

    >>> trials = curves({"step": range(4), "a": [4, 2, 1, 1], "b": [3, 3, 3, 1]})
    >>> trials["run"].tolist(), trials["records"].tolist()
    (['a', 'b'], [4, 4])

    Args:
      table_or_csv: a path to `.csv`, `.npy` or `.npz`, a DataFrame, a dict of arrays, or an Arrow table.
      run: the column of runs, or several that tell them apart together.
      step: the column of steps.
      value: the column of losses; or, of a table in which each value is named, the name of the loss. Of a wide table
        several columns, one a run.

    Returns:
      The `CurveTrials`. A run's seed is its `seed`, if there is such a column, else its number. What cannot be counted
      has a `reason`, and is NaN in every measure.

    Raises:
      ArgumentError: if the table cannot be read, or its columns cannot be told.
    """
    use_compilation_cache(CACHE, unless_set=True)  # every length of curves is a program
    layout = lay_out(read(table_or_csv), Asked(run, step, value))
    return _table(layout, [checked(raw) for raw in layout.raws])


def _table(layout: Layout, runs: Sequence[Run]) -> CurveTrials:
    columns = {
        "seed": layout.seeds,
        "run": np.asarray([run.name for run in runs]),
        "number": np.arange(len(runs)),
        "records": np.asarray([len(run.steps) for run in runs]),
        "left_out": np.asarray([run.left_out for run in runs]),
        "reason": np.asarray([run.reason for run in runs]),
        "diverged": np.asarray([run.diverged for run in runs], bool),
    }
    every = columns | layout.settings | layout.others
    return CurveTrials(every, (tuple(layout.settings),), losses=Losses(runs), read=frozenset(every))
