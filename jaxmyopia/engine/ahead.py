# SPDX-License-Identifier: Apache-2.0
"""The programs of a run's cells, compiled ahead of time: while one cell runs, the next two compile in a thread."""

import collections
import contextlib
import itertools
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from jaxmyopia.engine.chunk import compile_cell
from jaxmyopia.engine.cost import Work, work_of
from jaxmyopia.engine.program import Compiled
from jaxmyopia.engine.progress import Progress
from jaxmyopia.study import Cell

_WEIGHING = 2.0  # seconds that may go into it where there is no program to wait for
_OFTEN = 0.5  # seconds between two words while there is nothing but to wait
_AHEAD = 3  # cells that are compiled or compiling: the one at work and two more


class Programs:
    """The programs of a run's cells.

    Args:
      cells: of the run, `(cells,)`.
      matmul_precision: of the run.
      keep: whether they stay once they were given, for a run in rounds that comes back to them.
    """

    def __init__(self, cells: Sequence[Cell], matmul_precision: str, *, keep: bool = False):
        self._cells, self._precision, self._keep = cells, matmul_precision, keep
        self._kept: dict[int, Compiled] = {}
        self._works: dict[int, Work] = {}

    def of(self, numbers: Iterable[int], progress: Progress) -> Generator[tuple[int, Compiled]]:
        """The number and the programs of some cells, `(m,)` numbers, in turn.

        What the others cost is counted while there is nothing else to do than to wait for a program.
        """
        numbers = list(numbers)
        for number in numbers:
            if number in self._works:
                progress.weigh(number, self._works[number])
            if number in self._kept:
                progress.compiled(number)
        waiting = iter(numbers)
        coming: collections.deque[tuple[int, Future[Compiled]]] = collections.deque()
        until = time.monotonic() + _WEIGHING
        ahead = ThreadPoolExecutor(1, thread_name_prefix="compile")
        try:
            while True:
                for number in itertools.islice(waiting, _AHEAD - len(coming)):
                    coming.append((number, ahead.submit(self._compile, number, progress)))
                if not coming:
                    return
                number, compiled = coming.popleft()
                progress.compiling(number)
                for other in progress.unweighed:
                    if compiled.done() and time.monotonic() > until:
                        break
                    self._weigh(other, progress)
                while not compiled.done():
                    wait([compiled], timeout=_OFTEN)
                    progress.waiting(number)
                yield number, compiled.result()
        finally:
            ahead.shutdown(wait=True, cancel_futures=True)

    def _compile(self, number: int, progress: Progress) -> Compiled:
        began = time.monotonic()
        compiled = self._kept.get(number) or compile_cell(self._cells[number], self._precision)
        if self._keep:
            self._kept[number] = compiled
        progress.compiled(number, time.monotonic() - began)
        return compiled

    def _weigh(self, number: int, progress: Progress) -> None:
        with contextlib.suppress(Exception):  # it cannot be traced: compiling it will say so
            self._works[number] = work_of(self._cells[number])
            progress.weigh(number, self._works[number])
