# SPDX-License-Identifier: Apache-2.0
"""What is told of each chunk as it is finished, to a function of the user's: scalars for whatever tracks them."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxmyopia.engine.chunk import Chunk
from jaxmyopia.study import Cell


@dataclasses.dataclass(frozen=True)
class ChunkRecord:
    """A chunk that has just been written, as `on_chunk` of `run` and `settle` is told of it.

    `cell`: the name of its cell. `number`: of the chunk in its cell, from 1 on. `of`: how many chunks the cell has, so
    far as seeds were asked for. `seconds`: that it took. `trials`: how many it holds. `means`: of each column that was
    measured, over those of its trials that did not diverge and have a finite number there, NaN where none has; of
    `diverged`, the share of all.
    """

    cell: str
    number: int
    of: int
    seconds: float
    trials: int
    means: Mapping[str, float]


OnChunk = Callable[[ChunkRecord], object]


def means_of(cell: Cell, chunk: Chunk) -> dict[str, float]:
    """The mean of each measured column of a chunk; see `ChunkRecord`."""
    given = ("seed", *(name for name, _ in cell.sweep))
    diverged = np.asarray(chunk.rows.get("diverged", False))
    means = {}
    for name, column in chunk.rows.items():
        if name in given:
            continue
        values = np.asarray(column, float)
        counted = values if name == "diverged" else values[np.isfinite(values) & ~diverged]
        means[name] = float(counted.mean()) if counted.size else float("nan")
    return means


class Teller:
    """Tells a function of the user's of each chunk; an error of its own is said once, and the run goes on.

    Args:
      on_chunk: the function; None for nothing.
      say: takes a line.
    """

    def __init__(self, on_chunk: OnChunk | None, say: Callable[[str], None]):
        self._on_chunk, self._say = on_chunk, say
        self._told, self._failed = 0, 0

    def tell(self, cell: Cell, chunk: Chunk, of: int, seconds: float) -> None:
        """Tells of a chunk of a cell that now has so many, and of the seconds that it took."""
        if self._on_chunk is None:
            return
        means, trials = means_of(cell, chunk), len(chunk.rows["seed"])
        record = ChunkRecord(str(cell.study), chunk.index + 1, of, seconds, trials, means)
        self._told += 1
        try:
            self._on_chunk(record)
        except Exception as error:  # the chunk is on the disk; what somebody's tracker lacks is no reason to end a run
            self._failed += 1
            if self._failed == 1:
                what = " ".join(str(error).split())[:200]
                said = f"on_chunk failed for chunk {record.number} of {record.cell} ({type(error).__name__}: {what})"
                self._say(f"{said}; the run goes on, and tells it of the next")

    def end(self) -> None:
        """Says how often the function failed, where that was more than once."""
        if self._failed > 1:
            self._say(f"on_chunk failed for {self._failed} of {self._told} chunks")
