# SPDX-License-Identifier: Apache-2.0
"""Progress: how much is done, the time left, and whether programs are still being compiled.

Time left is counted in operations, see `engine.cost`, each of which takes as long as those of the cells so far; of the
cell at work, as long as its own. What a chunk takes besides, to begin and to be written, every chunk takes. Compilation
is no work: where what is left of it takes longer than the work left, it is what there is to wait for. Programs take
about as long as each other (of `plateaus` and `myopia` 5 to 41 s and 16 to 31 s on two busy cores, 2026-11-27, whatever
their number of operations); of the first it is taken that two thirds are done.
"""

import dataclasses
import time
from collections.abc import Hashable, Mapping

from jaxmyopia.engine.cost import Work
from jaxmyopia.engine.display import Clock, Display, Nowhere, duration

_OF_FIRST = 1.5  # times as long as it takes so far, the first program is taken to take
_LEAST = 10.0  # seconds of compilation that are worth a word before it is known what the work takes
# Operations and seconds that are taken for seen before there is anything, at the pace of `engine.cost`. A first cell of
# so little work that it is all overhead would else make the rest look a hundred times as long: 5,000 s were told of 50.
_BEFORE = 1.25e9, 0.25
_OWN = 1.0  # seconds of its own work after which a cell goes by its own pace


@dataclasses.dataclass
class _Cell:
    """What there is to do of a cell: `trials` of `steps` and `records`, in `chunks`; and what is done of them.

    `program`: equal in cells that share what is compiled.
    """

    name: str
    trials: int
    steps: int
    records: int
    chunks: int
    program: Hashable
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
      cells: by number: a name, trials, steps, records, chunks, and what is equal for those that share a program.
      display: where it is shown.
      name: what it is a part of, in a few words.
      clock: seconds.
    """

    def __init__(
        self,
        cells: Mapping[int, tuple[str, int, int, int, int, Hashable]],
        *,
        display: Display | None = None,
        name: str = "",
        clock: Clock = time.monotonic,
    ):
        self._cells, self._clock = {number: _Cell(*each) for number, each in cells.items()}, clock
        programs = {each.program for each in self._cells.values()}
        self._uncompiled, self._programs = programs, len(programs)
        self._compile_seconds, self._compiles_since = list[float](), clock()  # of each; when the next began
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

    def compiled(self, cell: int, seconds: float | None = None) -> None:
        """Tells that a cell's programs are there, and how long they took to compile if that was just now."""
        program = self._cells[cell].program
        if program in self._uncompiled:
            self._uncompiled.remove(program)
            if seconds is not None:
                self._compile_seconds.append(seconds)
                self._compiles_since = self._clock()

    def compiling(self, cell: int) -> None:
        """Waits for a cell's programs from now on."""
        self._at, self._since = None, self._clock()
        self.waiting(cell, at_once=True)

    def waiting(self, cell: int, *, at_once: bool = False) -> None:
        """Waits still for a cell's programs; says so, how long already, and which of how many they are."""
        if self._cells[cell].program in self._uncompiled and (at_once or self._display.due()):
            which = f"{self._programs - len(self._uncompiled) + 1} of {self._programs}"
            self._show(f"{self._told()}compiling {which}: {self._cells[cell].name}", at_once=at_once)

    def running(self, cell: int) -> None:
        """Runs a cell from now on, whose programs are there."""
        self._at, self._since, self._starts = self._cells[cell], self._clock(), True

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
            self._show(f"{self._told()}{self._finished:,}/{self._seeds:,} seeds")

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

    def _is_weighed(self) -> bool:
        return any(each.work is not None for each in self._cells.values())

    @property
    def _usual(self) -> Work:
        """Of a cell whose cost has not been told."""
        told = [each.work for each in self._cells.values() if each.work is not None]
        if not told:
            return Work(1.0, 1.0)
        return Work(*(sum(getattr(each, name) for each in told) / len(told) for name in ("step", "record")))

    def _compile_left(self) -> float:
        """Seconds of compilation that are left: every program takes as long as those so far did."""
        known, so_far = self._compile_seconds, self._clock() - self._compiles_since
        each = sum(known) / len(known) if known else _OF_FIRST * so_far
        return max(len(self._uncompiled) * each - min(so_far, each), 0.0) if self._uncompiled else 0.0

    def _known(self) -> bool:
        """Whether any work has been done, from which the rest can be told."""
        return self._chunks > 0 or any(each.learned for each in self._cells.values())

    def _told(self) -> str:
        """The time left in words, "over" where that of compilation alone is known; empty where nothing is."""
        if self._known():
            return f"{duration(self.left() or 0.0)} left, "
        left = self._compile_left()
        return f"over {duration(left)} left, " if left > _LEAST else ""

    def left(self) -> float | None:
        """Seconds that are left, if any work has been done so far."""
        learned = sum(each.learned for each in self._cells.values())
        if not self._known():
            return None
        usual, (before, seconds) = self._usual, _BEFORE if self._is_weighed() else (1e-9, 0.0)
        pace = (seconds + sum(each.seconds for each in self._cells.values())) / (before + learned)
        chunks = sum(each.chunks for each in self._cells.values()) - self._chunks
        left = chunks * self._overhead / max(self._chunks, 1)
        for each in self._cells.values():
            own = each is self._at and each.seconds > _OWN
            left += (each.operations(usual) - each.done(usual)) * (each.seconds / each.learned if own else pace)
        return max(left, self._compile_left())

    def _show(self, text: str, *, at_once: bool = False) -> None:
        self._display.show(self._share(), f"{self._name}{text}", at_once=at_once)

    def _share(self) -> float:
        usual = self._usual
        every = sum(each.operations(usual) for each in self._cells.values())
        return sum(each.done(usual) for each in self._cells.values()) / max(every, 1.0)
