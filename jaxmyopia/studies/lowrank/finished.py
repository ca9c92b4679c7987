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
from jaxmyopia.studies.lowrank.matching import shown_rate
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
        """The rows of that target, `(rows,)`; of an optimiser with several weight decays, those of the first."""
        mine = self.table.matching(target=self.target)
        if "weight_decay" not in mine.columns:
            return mine
        decay = mine.columns["weight_decay"]
        return mine.keep(np.isnan(decay) | (decay == self._decay))

    @functools.cached_property
    def _decay(self) -> object:
        return next(each["weight_decay"] for each in self._settings if "weight_decay" in each)

    def values(self, field: str) -> list:
        """The values of a study's field over the cells, in the order run."""
        return list(dict.fromkeys(getattr(cell.study, field) for cell in self.cells))

    def rows(self, **settings: object) -> Trials:
        """The rows `(rows,)` of that target with these settings."""
        return self.shown().matching(**settings)

    def scales(self, **settings: object) -> list[float]:
        """The scales of the start that were run with these settings, largest first."""
        return sorted(self.rows(**settings).unique("init_scale"), reverse=True)

    def by_rate(self, **settings: object) -> dict[float, int]:
        """The cells with these settings by their rate, the numbers of those run; the first of several that share it."""
        wanted, found = {"target": self.target, **settings}, dict[float, int]()
        for number, each in enumerate(self._settings):
            if all(each[name] == value for name, value in wanted.items()):
                found.setdefault(cast(float, each["learning_rate"]), number)
        return found

    def best_cell(self, **settings: object) -> tuple[float, int]:
        """The rate at which these settings are drawn, and the number of its cell."""
        rate = shown_rate(self.rows(**settings))
        return rate, self.by_rate(**settings)[rate]

    @functools.cached_property
    def _settings(self) -> list[dict[str, object]]:
        return [{**cell.study.settings(), **{name: value for name, (value,) in cell.sweep}} for cell in self.cells]

    def colour(self, optimizer: str) -> str:
        """The colour of an optimiser in every figure."""
        return COLOURS[self.values("optimizer").index(optimizer) % len(COLOURS)]

    def kept(self, cell: int, name: str) -> np.ndarray:
        """An observable of the kept seeds of a cell, `(T, kept, ...)`."""
        return self.folder.curves(cell, name)

    def relative_losses(self, cell: int) -> Sketch:
        """The losses over the first of all seeds of a cell, a group a record `(T, 1)`."""
        return self.folder.sketch(cell, "relative_loss")
