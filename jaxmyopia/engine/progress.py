# SPDX-License-Identifier: Apache-2.0
"""Progress: how much is done, the time left, and whether programs are still being compiled.

Time left is counted in operations, see `engine.cost`, each of which takes as long as those of the cells so far; of the
cell at work, as long as its own. What a chunk takes besides, to begin and to be written, every chunk takes. Compilation
is no work: where what is left of it takes longer than the work left, it is what there is to wait for.
"""

import dataclasses
import time
from collections.abc import Mapping

from jaxmyopia.engine.cost import Work
from jaxmyopia.engine.display import Clock, Display, Nowhere, duration

_OWN = 1.0  # seconds of its own work after which a cell goes by its own pace


@dataclasses.dataclass
class _Cell:
    """What there is to do of a cell: `trials` of `steps` and `records`, in `chunks`; and what is done of them."""

    name: str
    trials: int
    steps: int
    records: int
    chunks: int
    work: Work | None = None
    done_steps: int = 0  # of all trials, as the next
    done_records: int = 0
    learned: float = 0.0  # operations that took `seconds`
    seconds: float = 0.0

    def operations(self, otherwise: Work) -> float:
        return self._count(self.trials * self.steps, self.trials * self.records, otherwise)

    def done(self, otherwise: Work) -> float:
        return self._count(self.done_steps, self.done_records, otherwise)

    def _count(self, steps: int, records: int, otherwise: Work) -> float:
        work = self.work or otherwise
        return steps * work.step + records * work.record


class Progress:
    """All that a run has to do, what is done of it, and the time left.

    Args:
      cells: by number: a name, trials, steps, records and chunks.
      display: where it is shown.
      name: what it is a part of, in a few words.
      clock: seconds.
    """

    def __init__(
        self,
        cells: Mapping[int, tuple[str, int, int, int, int]],
        *,
        display: Display | None = None,
        name: str = "",
        clock: Clock = time.monotonic,
    ):
        self._cells, self._clock = {number: _Cell(*each) for number, each in cells.items()}, clock
        self._uncompiled, self._compile_seconds = list(self._cells), [0.0, 0.0]  # of how many, how long
        self._at: _Cell | None = None
        self._name = f"{name}: " if name else ""
        self._overhead, self._chunks, self._starts = 0.0, 0, True  # seconds beside the steps, of how many chunks
        self._since, self._finished = clock(), 0
        self._seeds = sum(each.trials for each in self._cells.values())
        self._display = Nowhere() if display is None else display

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close(self._share(), f"{self._name}{self._finished:,}/{self._seeds:,} seeds")

    def weigh(self, cell: int, work: Work) -> None:
        """Tells what a cell's steps and records cost; of one that is not told it is the mean of the others."""
        self._cells[cell].work = work

    @property
    def unweighed(self) -> list[int]:
        """The cells whose cost has not been told."""
        return [number for number, each in self._cells.items() if each.work is None]

    def compiled(self, cell: int) -> None:
        """Tells that a cell's programs are there: nothing waits for them."""
        self._uncompiled.remove(cell)

    def compiling(self, cell: int) -> None:
        """Waits for a cell's programs from now on."""
        self._at, self._since = None, self._clock()
        self.waiting(cell, at_once=True)

    def waiting(self, cell: int, *, at_once: bool = False) -> None:
        """Waits still for a cell's programs; says so, how long already, and which of how many they are."""
        if cell in self._uncompiled and (at_once or self._display.due()):
            which = f"{len(self._cells) - len(self._uncompiled) + 1} of {len(self._cells)}"
            waited = duration(self._clock() - self._since)
            self._show(f"compiling {which}, {waited}: {self._cells[cell].name}", at_once=at_once)

    def running(self, cell: int, compile_seconds: float) -> None:
        """Runs a cell from now on, whose programs took so long to compile."""
        self._at, self._since, self._starts = self._cells[cell], self._clock(), True
        if cell in self._uncompiled:
            self._uncompiled.remove(cell)
            self._compile_seconds[0] += 1
            self._compile_seconds[1] += compile_seconds

    def tick(self, seed_steps: int, seed_records: int, fresh: bool = True) -> None:
        """Moves on.

        Args:
          seed_steps: steps, of all trials together.
          seed_records: records likewise.
          fresh: whether they were made just now, and did not stand in a checkpoint.
        """
        assert self._at is not None  # it runs
        before = self._at.done(self._usual)
        self._at.done_steps += seed_steps
        self._at.done_records += seed_records
        operations = self._at.done(self._usual) - before if fresh else 0.0
        self._spend(operations, overhead=self._starts)  # a chunk's first stretch is one step, and all that comes before
        self._starts = self._starts and not fresh
        if self._display.due():
            left = self.left()
            told = "" if left is None else f"{duration(left)} left, "
            self._show(f"{told}{self._finished:,}/{self._seeds:,} seeds")

    def finish(self, seeds: int) -> None:
        """Counts the seeds of a finished chunk; what it took to write them is of every chunk."""
        self._spend(0.0, overhead=True)
        self._finished, self._chunks, self._starts = self._finished + seeds, self._chunks + 1, True

    def _spend(self, operations: float, *, overhead: bool) -> None:
        now = self._clock()
        seconds, self._since = now - self._since, now
        if overhead:
            self._overhead += seconds
        elif self._at is not None and operations:
            self._at.learned += operations
            self._at.seconds += seconds

    @property
    def _usual(self) -> Work:
        """Of a cell whose cost has not been told."""
        told = [each.work for each in self._cells.values() if each.work is not None]
        if not told:
            return Work(1.0, 1.0)
        return Work(*(sum(getattr(each, name) for each in told) / len(told) for name in ("step", "record")))

    def left(self) -> float | None:
        """Seconds that are left, if any work has been done so far."""
        learned = sum(each.learned for each in self._cells.values())
        if not learned and not self._chunks:
            return None
        pace, usual = sum(each.seconds for each in self._cells.values()) / max(learned, 1.0), self._usual
        chunks = sum(each.chunks for each in self._cells.values()) - self._chunks
        left = chunks * self._overhead / max(self._chunks, 1)
        for each in self._cells.values():
            own = each is self._at and each.seconds > _OWN
            left += (each.operations(usual) - each.done(usual)) * (each.seconds / each.learned if own else pace)
        programs, seconds = self._compile_seconds
        return max(left, len(self._uncompiled) * seconds / max(programs, 1), 0.0)

    def _show(self, text: str, *, at_once: bool = False) -> None:
        self._display.show(self._share(), f"{self._name}{text}", at_once=at_once)

    def _share(self) -> float:
        usual = self._usual
        every = sum(each.operations(usual) for each in self._cells.values())
        return sum(each.done(usual) for each in self._cells.values()) / max(every, 1.0)
