# SPDX-License-Identifier: Apache-2.0
"""Runs a cell chunk by chunk: stretches of steps in compiled programs, with room for a pause between them.

A chunk is some blocks of the cell, dealt to the devices in turn. What a trial gives depends on the study, the root
seed, its seed and its settings alone: a block has one fixed, padded size and is computed by itself, so that no bit of a
trial changes with the company it keeps, with a resume or, for optimisers that act entry by entry, with the number of
devices.
(For muon, lamb and others that are mapped over the seeds, XLA compiles another order of operations for one device than
for several.)
"""

import bisect
import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxmyopia import contract
from jaxmyopia.checks import RunError
from jaxmyopia.curves import Curves
from jaxmyopia.engine import maps, precision
from jaxmyopia.engine.checkpoints import InFlight, from_host, to_host
from jaxmyopia.engine.mesh import seed_mesh
from jaxmyopia.engine.program import Compiled, Program
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.study import Cell

_STRETCH_SECONDS = 1.0  # how often the Python loop gets a word in
# Bytes of states and curves in a chunk: all that a run holds, however many seeds it has.
_CHUNK_BYTES = {"cpu": 2**26}
_CHUNK_BYTES_ELSEWHERE = 2**31
_FEWEST_BLOCKS = 8  # a chunk, so that several devices have work


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Some finished blocks of a cell.

    `index`: the chunk's place in the cell. `rows`: columns `(trials,)`. `kept`: every leaf of the record,
    `(T, trials kept, ...)`, for the trials of the first seeds. `sketches`: of the study's `quantiles`, over all trials.
    """

    index: int
    rows: dict[str, np.ndarray]
    kept: dict[str, np.ndarray]
    sketches: dict[str, Sketch]


def _shapes(cell: Cell) -> contract.Shapes:
    return contract.shapes(cell.study, cell.columns(np.zeros(1, int)))


def bytes_of_a_block(cell: Cell) -> int:
    """Bytes of the state and the curves of a block."""
    return _shapes(cell).bytes(len(cell.record_steps()))


def blocks_a_chunk(cell: Cell) -> int:
    """How many blocks `(S,)` of the cell are run, and kept in memory, at a time: the same on any number of devices."""
    limit = _CHUNK_BYTES.get(jax.default_backend(), _CHUNK_BYTES_ELSEWHERE)
    return max(limit // bytes_of_a_block(cell), _FEWEST_BLOCKS)


def trials_of_chunk(cell: Cell, index: int) -> np.ndarray:
    """The trials of a chunk.

    Args:
      cell: the cell.
      index: of the chunk.

    Returns:
      `(trials,)`, without padding.
    """
    size, rounds = blocks_a_chunk(cell) * cell.study.block, cell.rounds
    ends = _ends(rounds, size)
    number = bisect.bisect_right(ends, index)
    start = rounds[number].start + (index - [0, *ends][number]) * size
    return np.arange(start, min(start + size, rounds[number].stop))


def _ends(rounds: Sequence[range], size: int) -> list[int]:
    """How many chunks of so many trials there are at the end of each round: no chunk goes beyond it."""
    return list(itertools.accumulate(-(-len(trials) // size) for trials in rounds))


def chunks_of_rounds(cell: Cell) -> list[int]:
    """How many chunks the cell's blocks `(S,)` make up to each look, and in all."""
    return _ends(cell.rounds, blocks_a_chunk(cell) * cell.study.block)


def chunks(cell: Cell) -> int:
    """How many chunks the cell's blocks `(S,)` make."""
    return chunks_of_rounds(cell)[-1]


def _check_memory(cell: Cell) -> None:
    """Refuses a chunk that the host's memory cannot hold, before anything is compiled for it."""
    wanted = blocks_a_chunk(cell) * bytes_of_a_block(cell) / 2**30
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    if wanted > there and jax.default_backend() == "cpu":
        what = f"{cell.study} needs {wanted:,.0f} GiB for the states and curves of a chunk"
        raise RunError(f"{what}, more than the {there:,.0f} GiB of this machine")


def compile_cell(cell: Cell, matmul_precision: str = precision.HIGHEST) -> Compiled:
    """Compiles what a cell runs, for blocks `(S,)` on all local devices.

    Args:
      cell: the cell; those that differ in seeds or values alone share what is compiled.
      matmul_precision: a name of `precision.NAMES`.

    Returns:
      The three programs.
    """
    _check_memory(cell)
    return _compile(*program_of(cell, matmul_precision))


def program_of(
    cell: Cell, matmul_precision: str
) -> tuple[Program, jax.tree_util.PyTreeDef, tuple[jax.ShapeDtypeStruct, ...]]:
    """What is compiled for a cell, not yet compiled: equal for cells that share it; arguments as of `compile_cell`."""
    mesh = seed_mesh()
    slots = -(-blocks_a_chunk(cell) // mesh.size)
    points = len(cell.record_steps())
    program = Program(study=cell.study, mesh=mesh, points=points, slots=slots, matmul_precision=matmul_precision)
    shapes, tree = jax.tree.flatten(_shapes(cell).params)
    return program, tree, tuple(shapes)


@functools.lru_cache(maxsize=64)
def _compile(program: Program, tree: jax.tree_util.PyTreeDef, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> Compiled:
    if maps.crowded():  # what a run holds stays its own; all others can be compiled again
        _compile.cache_clear()
    return program.compile(jax.tree.unflatten(tree, shapes))


def root_key(root_seed: int) -> jax.Array:
    """The key of all seeds, which holds the 64 bits of a root seed from 0 to 2**64 - 1."""
    name = "enable_x64"
    home: Any = jax if hasattr(jax, name) else jax.experimental  # before jax 0.8
    with getattr(home, name)(True):  # without, jax.random.key drops the upper half
        return jax.random.key(np.uint64(root_seed).astype(np.int64))


Tick = Callable[[int, int, bool], None]


def _no_tick(seed_steps: int, seed_records: int, fresh: bool) -> None:
    """After a stretch nothing happens."""


def _no_pause(record: int, take: Callable[[], InFlight]) -> None:
    """between stretches nothing happens."""


@dataclasses.dataclass(frozen=True)
class ChunkRun:
    """How one chunk is run: scalars `index` of the chunk, `root_seed`, and `keep`, how many seeds keep whole curves.

    `tick(seed_steps, seed_records, fresh)` is called after each stretch, `fresh` unless it stood in a checkpoint, and
    `pause(record, take)`, from which a run may be stopped; `take` gives what a checkpoint holds. `resume`: such a
    checkpoint. `trials` `(trials,)`: run in this order in place of the chunk's own; no more than a chunk has.
    """

    cell: Cell
    compiled: Compiled
    index: int
    root_seed: int
    keep: int = 0
    tick: Tick = _no_tick
    pause: Callable[[int, Callable[[], InFlight]], None] = _no_pause
    resume: InFlight | None = None
    trials: np.ndarray | None = None

    def __call__(self) -> Chunk:
        """Runs it: arrays `(trials,)` and `(T, trials, ...)`."""
        state, curves, params, count = self.begin()
        curves = self._advance_all(state, curves, params, count)
        summary, quantiles = self.compiled.summarise(curves, count)
        return self._chunk(*jax.device_get((summary, quantiles, curves)))

    @functools.cached_property
    def _real(self) -> np.ndarray:
        return trials_of_chunk(self.cell, self.index) if self.trials is None else self.trials

    @property
    def _blocks(self) -> int:
        return -(-len(self._real) // self.cell.study.block)

    def begin(self):
        """States, curves, params and counts, as the programs take them: `(D, slots, ...)`."""
        cell, devices, slots = self.cell, self.compiled.program.mesh.size, self.compiled.program.slots
        # Block j goes to slot j // D of device j % D. Padding, within a block and of empty slots, has the last trial.
        places = np.arange(devices * slots * cell.study.block).reshape(slots, devices, -1).swapaxes(0, 1)
        trials = self._real[np.minimum(places, len(self._real) - 1)]
        count = np.asarray([len(range(device, self._blocks, devices)) for device in range(devices)], np.int32)
        params = cell.study.params(**cell.columns(trials.ravel()))
        params = jax.tree.map(lambda x: np.asarray(x).reshape(trials.shape), params)
        if self.resume is None:
            seeds = cell.seed_of(trials).astype(np.uint32)
            state, curves = self.compiled.begin(root_key(self.root_seed), seeds, params, count)
        else:
            spread = [self._spread(leaf) for leaf in self.resume.leaves]
            state, curves = self.compiled.put(from_host(spread, self.compiled.shapes))
        return state, curves, params, count

    def _gather(self, leaf: np.ndarray) -> np.ndarray:
        """From `(D, slots, ...)` to `(blocks, ...)`."""
        leaf = leaf[:, : -(-self._blocks // leaf.shape[0])]  # the slots that are filled: often few
        return leaf.swapaxes(0, 1).reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])[: self._blocks]

    def _spread(self, leaf: np.ndarray) -> np.ndarray:
        """From `(blocks, ...)` to `(D, slots, ...)`, blank where no block is."""
        devices, slots = self.compiled.program.mesh.size, self.compiled.program.slots
        whole = np.zeros((devices * slots, *leaf.shape[1:]), leaf.dtype)
        whole[: len(leaf)] = leaf
        return whole.reshape(slots, devices, *leaf.shape[1:]).swapaxes(0, 1)

    def _advance_all(self, state, curves, params, count):
        """Runs all stretches that are left; a tick counts real trials only, so that progress ends where it should."""
        record_steps, start = self.cell.record_steps(), self.resume.record if self.resume else 0
        waits, step_seconds = np.diff(record_steps, prepend=0).astype(np.int32), None
        if start:
            self.tick(int(record_steps[start - 1]) * len(self._real), start * len(self._real), False)
        while start < len(record_steps):
            done = record_steps[start - 1] if start else 0
            reach = done + (_STRETCH_SECONDS / step_seconds if step_seconds else 1)
            stop = max(start + 1, int(np.searchsorted(record_steps, reach, side="right")))
            began, span = time.monotonic(), np.asarray([start, stop], np.int32)
            state, curves = self.compiled.advance(state, curves, params, count, waits, span)
            jax.block_until_ready((state, curves))
            steps, records, start = int(record_steps[stop - 1] - done), stop - start, stop
            step_seconds = (time.monotonic() - began) / max(steps, 1)
            self.tick(steps * len(self._real), records * len(self._real), True)
            take = functools.partial(self._take, start, state, curves)
            self.pause(start, take)
        return curves

    def _take(self, record: int, state, curves) -> InFlight:
        return InFlight(record=record, leaves=[self._gather(leaf) for leaf in to_host((state, curves))])

    def _chunk(self, summary, quantiles, curves) -> Chunk:
        real, cell = self._real, self.cell

        def trials(leaf: Any, axis: int) -> np.ndarray:
            """From `(D, slots, ...)` to the real trials, side by side on `axis` of what follows the slots."""
            return np.take(np.concatenate(self._gather(leaf), axis=axis), np.arange(len(real)), axis=axis)

        rows = {"seed": cell.seed_of(real)} | cell.columns(real)
        rows |= {name: trials(column, 0) for name, column in summary.items()}
        kept = rows["seed"] < self.keep
        leaves = Curves.of(curves)
        by_seed = {name: leaves[name] for name in _shapes(cell).by_seed()}
        columns = len(cell.combinations)
        return Chunk(
            index=self.index,
            rows=rows,
            kept={name: trials(leaf, 1)[:, kept] for name, leaf in by_seed.items()} if kept.any() else {},
            sketches={name: Sketch.of(trials(leaf, 1), real % columns, columns) for name, leaf in quantiles.items()},
        )


def run_chunks(
    cell: Cell,
    *,
    root_seed: int,
    keep_curves: int = 0,
    skip: frozenset[int] = frozenset(),
    tick: Tick = _no_tick,
) -> Iterator[Chunk]:
    """Runs a cell chunk by chunk, each on all devices.

    Args:
      cell: what to run.
      root_seed: the root of every seed's key.
      keep_curves: the seeds 0, 1, ... whose whole curves are kept.
      skip: indices of chunks that are not wanted.
      tick: see `ChunkRun`.

    Yields:
      Finished `Chunk`s, arrays `(trials,)` and `(T, trials, ...)`.
    """
    compiled = compile_cell(cell)
    for index in range(chunks(cell)):
        if index not in skip:
            yield ChunkRun(cell, compiled, index, root_seed, keep_curves, tick)()
