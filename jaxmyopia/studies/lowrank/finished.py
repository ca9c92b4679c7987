# SPDX-License-Identifier: Apache-2.0
"""A finished run of the low-rank study, read back from its folder."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import cast

import numpy as np

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished run, read back: its folder, cells, table and thresholds."""

    folder: RunFolder
    cells: Sequence[Cell]
    table: Trials
    thresholds: Thresholds

    @functools.cached_property
    def study(self) -> LowRank:
        """The first that was run; sides are the same in all."""
        return cast(LowRank, self.cells[0].study)

    @functools.cached_property
    def target(self) -> str:
        """The target that figures show: the first that was run."""
        return str(self.study.target)

    def shown(self) -> Trials:
        """The rows of that target, `(rows,)`."""
        return self.table.matching(target=self.target)

    def values(self, field: str) -> list:
        """The values of a study's field over the cells, in the order run."""
        return list(dict.fromkeys(getattr(cell.study, field) for cell in self.cells))

    def find(self, **settings: object) -> int:
        """The index of the cell with these static settings, which is one of those that were run."""
        wanted = {"target": self.target, **settings}
        studies = (cell.study.settings() for cell in self.cells)
        return next(i for i, study in enumerate(studies) if all(study[name] == wanted[name] for name in wanted))

    def rows(self, cell: int) -> Trials:
        """The rows of one cell, in the order of its trials."""
        return self.table.matching(cell=cell)

    def colour(self, optimizer: str) -> str:
        """The colour of an optimiser in every figure."""
        return COLOURS[self.values("optimizer").index(optimizer) % len(COLOURS)]

    def kept(self, cell: int, name: str, rate: float) -> np.ndarray:
        """An observable of the kept seeds at one rate, `(T, kept, ...)`."""
        rows, curves = self.rows(cell), self.folder.curves(cell, name)
        keep = rows["seed"] < self.folder.config["keep_curves"]
        return curves[:, np.isclose(rows["learning_rate"][keep], rate)]

    def relative_losses(self, cell: int) -> Sketch:
        """The losses over the first of all seeds, a group a record and rate `(T, rates)`."""
        return self.folder.sketch(cell, "relative_loss")
