# SPDX-License-Identifier: Apache-2.0
"""A finished run of the myopia experiment, read back for its figures, and what they share."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.intervals import Interval
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.rows import Rows, rows_of
from jaxmyopia.studies.epochs.sweep import Sweep
from jaxmyopia.study import Cell

ARM_COLOURS = {"recipe": COLOURS[1], "flat": COLOURS[0], "short": COLOURS[2]}
CREDIT_TITLES = {"run": "run credit", "epoch": "epoch credit"}
Entry = tuple[str, dict[str, Any]]  # of a legend: its label, and its line's style


@dataclasses.dataclass(frozen=True)
class FinishedMyopia:
    """A finished run of the experiment: its folder, cells, table and sweep."""

    folder: RunFolder
    cells: Sequence[Cell]
    table: Trials
    sweep: Sweep

    @functools.cached_property
    def rows(self) -> Rows:
        """The table's rows by what they are for."""
        return rows_of(self.table)

    @property
    def cutoff(self) -> int:
        """The cutoff that figures show which show one alone: the middle one."""
        return sorted(self.sweep.cutoff)[len(self.sweep.cutoff) // 2]

    def kept(self, cell: int, name: str) -> tuple[np.ndarray, Trials]:
        """An observable of the kept seeds of a cell at the last record, `(trials, ...)`, and their rows `(trials,)`."""
        rows = self.table.matching(cell=cell)
        keep = rows["seed"] < self.folder.config["keep_curves"]
        return self.folder.curves(cell, name)[-1], rows.keep(keep)


def mean_of(values: np.ndarray) -> Interval:
    """The mean of shares `(S,)` over seeds with its interval, those that are not defined left out."""
    return of_mean(values[np.isfinite(values)], range=(0, 1)).interval()


def missing(axes: Axes, text: str = "not run") -> None:
    """Says in a panel that there is nothing to show."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.5")


def legend(figure: Figure, entries: Sequence[Entry]) -> None:
    """A legend below a figure."""
    handles = [Line2D([], [], label=label, **style) for label, style in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
