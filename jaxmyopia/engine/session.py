# SPDX-License-Identifier: Apache-2.0
"""One process's work on a run, from its start or resume to its end."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

from jaxmyopia.checks import RunError, require
from jaxmyopia.engine import precision
from jaxmyopia.engine.ahead import Programs
from jaxmyopia.engine.checkpoints import Checkpoints, InFlight
from jaxmyopia.engine.chunk import ChunkRun, chunks_of_rounds, program_of, trials_of_chunk
from jaxmyopia.engine.chunk_record import OnChunk, Teller
from jaxmyopia.engine.display import display
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.lock import Lock
from jaxmyopia.engine.manifest import stem_of
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.program import Compiled
from jaxmyopia.engine.progress import Progress
from jaxmyopia.engine.provenance import first_entries
from jaxmyopia.engine.rounds import Pair, next_looks, pairs_of_rounds, rounds_of
from jaxmyopia.engine.signals import StopRequest, stop_requests
from jaxmyopia.study import Cell
from jaxmyopia.values import conform

_WAIT = 0.5  # seconds between two looks at what the other processes have finished


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How any experiment is run.

    Scalars: `root_seed`, of every seed's key; `keep_curves`, the seeds whose whole curves are kept; `matmul_precision`:
    a name of `precision.NAMES`; `checkpoint_secs` between checkpoints; `repair`: damaged chunks are computed again;
    `progress`: it is shown. `share`: what of it is this process's. `on_chunk`: is told of each chunk once it is
    written, in the process that leads. Raises ArgumentError if a value is not allowed.
    """

    root_seed: int = 0
    keep_curves: int = 4
    matmul_precision: str = precision.HIGHEST
    checkpoint_secs: float = 60.0
    repair: bool = False
    progress: bool = True
    share: Share = dataclasses.field(default_factory=Share)
    on_chunk: OnChunk | None = None

    def __post_init__(self):
        conform(self)
        for name, most in (("root_seed", 2**64 - 1), ("keep_curves", 2**32)):
            value = getattr(self, name)
            require(0 <= value <= most, name, value, f"must be a whole number from 0 to {most}")
        precision.check(self.matmul_precision)
        callable_or_none = self.on_chunk is None or callable(self.on_chunk)
        require(callable_or_none, "on_chunk", self.on_chunk, "must be a function of one record")
        require(self.checkpoint_secs > 0, "checkpoint_secs", self.checkpoint_secs, "must be positive")


class Session:
    """One process's work on a run, from its start or resume to its end."""

    def __init__(
        self,
        folder: RunFolder,
        cells: Sequence[Cell],
        options: RunOptions,
        command: str,
        lock: Lock,
        undecided: Callable[[int], Collection[int]] | None = None,
    ):
        self._folder, self._cells, self._options, self._lock = folder, cells, options, lock
        self._entries, self._began = first_entries(folder.manifest, command), time.monotonic()
        self._seconds_before = self._entries["seconds"]
        self._checkpoints = Checkpoints(
            folder.path, identity=folder.identity, seconds=options.checkpoint_secs,
            process=options.share.process, warn=say,
        )  # fmt: skip
        rounds = pairs_of_rounds(cells)
        every = [pair for pairs in rounds for pair in pairs]
        self._numbers = {pair: number for number, pair in enumerate(every)}
        self._undecided, self._rounds = undecided, rounds if undecided else [every]
        self._looks, self._asked = [1] * len(cells), list[Pair]()  # each cell's that were asked for, and their chunks
        self._teller = Teller(options.on_chunk if options.share.leads else None, say)
        self._programs = Programs(cells, options.matmul_precision, keep=len(self._rounds) > 1)

    def begin(self) -> None:
        """Says that the run lives, after damaged chunks were dealt with."""
        if not self._options.share.leads:
            return
        damaged = self._folder.damaged()
        if damaged and not self._options.repair:
            files = [name for names in damaged.values() for name in names]
            others = f" and {len(files) - 1} more" if len(files) > 1 else ""
            raise RunError(
                f"{self._folder.path / files[0]}{others} is damaged, missing or another run's; add --repair to the "
                "command to compute it again"
            )
        if damaged:
            say(f"computed again, for they are damaged: {', '.join(damaged)}")
            self._folder.forget(list(damaged))
        self._tell()

    def _tell(self, *, decided: bool = False, ended: bool = False) -> None:
        """Tells the other processes, and readers, which looks were asked for so far."""
        if self._undecided:
            self._entries["rounds"] = rounds_of(self._cells, self._looks, decided=decided, ended=ended)
        self._write()

    def _write(self) -> None:
        if self._options.share.leads:
            seconds = self._seconds_before + time.monotonic() - self._began
            self._entries["seconds"] = round(seconds, 1)  # of all sessions
            self._folder.write_manifest(**self._entries)

    def end(self, status: str) -> dict[str, Any] | None:
        """Writes how it ended; returns the entries if there is something to do with them."""
        share = self._options.share
        self._checkpoints.close()
        self._teller.end()
        self._lock.check_folder()
        if status.startswith("complete"):
            self._checkpoints.clear()
        if not share.leads:
            return None
        self._entries["status"] = status
        self._write()
        if status.startswith("complete"):
            self._folder.sweep()
        return self._entries if status == "complete" else None

    def run(self) -> None:
        """Runs the chunks of this process that do not stand; in rounds, until nothing is undecided."""
        with stop_requests() as stop:
            for number, every in enumerate(self._rounds):
                pairs = [pair for pair in every if self._looks[pair[0]] > number]
                self._run_round(number, pairs, stop)
                if not (self._undecided and self._goes_on(number, pairs, stop)):
                    return

    def _run_round(self, number: int, pairs: Sequence[Pair], stop: StopRequest) -> None:
        finished, share = self._folder.finished(), self._options.share
        todo: dict[int, list[int]] = {}
        for place, (cell, chunk) in enumerate(pairs, len(self._asked)):  # so that every round is dealt evenly
            if share.mine(place) and (cell, chunk) not in finished:
                todo.setdefault(cell, []).append(chunk)
        self._asked += pairs
        if number and not todo:
            return
        name = f"look {number + 1} of {len(self._rounds)}" if len(self._rounds) > 1 else ""
        shown = display() if todo and self._options.progress and share.leads else None
        with (
            Progress(self._outline(todo), display=shown, name=name) as progress,
            contextlib.closing(self._programs.of(todo, progress)) as ready,
        ):
            for cell, compiled in ready:
                self._entries["compile_seconds"][str(cell)] = round(compiled.seconds, 2)
                progress.running(cell)
                for chunk in todo[cell]:
                    self._run_chunk(cell, chunk, compiled, stop, progress)

    def _goes_on(self, number: int, pairs: Sequence[Pair], stop: StopRequest) -> bool:
        """Whether another round follows: the process that leads asks and tells, the others wait for its word."""
        if not self._options.share.leads:
            return number + 1 < len(self._rounds) and self._is_told_to_go_on(number, stop)
        self._wait_for(pairs, stop.check)
        assert self._undecided is not None  # or there is nothing to ask
        undecided = self._undecided(number)
        stop.check()
        before, self._looks = self._looks, next_looks(self._cells, self._looks, undecided)
        self._tell(decided=not undecided, ended=self._looks == before)
        return self._looks != before

    def _is_told_to_go_on(self, number: int, stop: StopRequest) -> bool:
        while True:
            told = self._folder.rounds
            if told and (told.get("ended") or told["run"] > number + 1):
                self._looks = told.get("cells", self._looks)
                return told["run"] > number + 1
            stop.check()
            self._lock.check_folder()
            self._lock.check_peers()
            time.sleep(_WAIT)

    def _outline(self, todo: Mapping[int, Sequence[int]]) -> dict[int, tuple[str, int, int, int, int, Hashable]]:
        """What progress is told of each cell: name, trials, steps, records, chunks, and what it is compiled of."""
        found: dict[int, tuple[str, int, int, int, int, Hashable]] = {}
        for number, mine in todo.items():
            cell = self._cells[number]
            trials = sum(len(trials_of_chunk(cell, chunk)) for chunk in mine)
            program = program_of(cell, self._options.matmul_precision)
            found[number] = (str(cell.study), trials, cell.steps, len(cell.record_steps()), len(mine), program)
        return found

    def _run_chunk(self, cell: int, index: int, compiled: Compiled, stop: StopRequest, progress: Progress) -> None:
        number, study, began = self._numbers[cell, index], self._cells[cell].study, time.monotonic()

        def pause(record: int, take: Callable[[], InFlight]) -> None:
            """Between two stretches: stops if asked to, saves if it is time, looks at the other processes."""
            self._lock.check_folder()
            try:
                stop.check()
                self._lock.check_peers()
            except (KeyboardInterrupt, RunError):
                self._checkpoints.save(number, take(), wait=True)
                raise
            if self._checkpoints.due():
                self._checkpoints.save(number, take())
                self._write()

        with stop.until_safe():
            chunk = ChunkRun(
                cell=self._cells[cell], compiled=compiled, index=index, root_seed=self._options.root_seed,
                keep=self._options.keep_curves, tick=progress.tick, pause=pause,
                resume=self._checkpoints.restore(number),
            )()  # fmt: skip
            self._lock.check_folder()
            self._folder.write_chunk(cell, study.settings(), chunk)
            self._checkpoints.done(number)
        progress.finish(len(chunk.rows["seed"]))
        of = chunks_of_rounds(self._cells[cell])[self._looks[cell] - 1 if self._undecided else -1]
        self._teller.tell(self._cells[cell], chunk, of, time.monotonic() - began)
        stop.check()

    def wait_for_the_others(self) -> None:
        """The process that leads waits until all have finished and all chunks of the shard stand."""
        share = self._options.share
        while share.leads and not self._lock.peers_finished():
            self._lock.check_peers()
            time.sleep(_WAIT)
        if share.leads:
            self._wait_for([pair for pair in self._asked if share.in_shard(self._numbers[pair])])

    def _wait_for(self, pairs: Sequence[Pair], check: Callable[[], None] = lambda: None) -> None:
        """Waits until some chunks stand; raises RunError if nobody makes them any more."""
        while True:
            over = self._lock.peers_finished()
            lacking = sorted(set(pairs) - self._folder.finished())
            if not lacking:
                return
            if over:
                made = f"{stem_of(*lacking[0])} was not made by its process"
                raise RunError(f"{made}; give every process its command again")
            check()
            self._lock.check_peers()
            time.sleep(_WAIT)


def say(text: str) -> None:
    """Prints a message to standard error; standard output is for results.

    Args:
      text: one line or several.
    """
    with contextlib.suppress(OSError):  # whoever has closed it wants to hear no more: the run goes on
        print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Prints results to standard output.

    Args:
      text: one line or several.

    Raises:
      BrokenPipeError: if nobody reads it any more, such as `| head`.
      RunError: if it cannot be written, such as to a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(f"standard output could not be written ({error.strerror}); files are kept") from None
