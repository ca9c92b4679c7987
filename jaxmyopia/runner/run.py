# SPDX-License-Identifier: Apache-2.0
"""Runs a cell part by part: chunks of steps in compiled programs, a Python loop between them with room for a pause.

A part is some blocks of the cell, dealt to the devices in turn. What a lane gives depends on the study, the root seed,
its seed and its settings alone: a block has one fixed, padded size and is computed by itself, so that no bit of a lane
changes with the company it keeps, with a resume or, for optimisers that act entry by entry, with the number of devices.
(For muon, lamb and others that are mapped over the seeds, XLA compiles another order of operations for one device than
for several.)
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxmyopia.runner.checkpoints import InFlight, from_host, to_host
from jaxmyopia.runner.mesh import seed_mesh
from jaxmyopia.runner.program import Compiled, Program
from jaxmyopia.runner.study import Cell
from jaxmyopia.stats.sketch import Sketch

_CHUNK_SECONDS = 1.0  # how often the Python loop gets a word in
# Bytes of states and curves in a part: all that a run holds, however many seeds it has.
_PART_BYTES = {"cpu": 2**26}
_PART_BYTES_ELSEWHERE = 2**31
_FEWEST_BLOCKS = 8  # a part, so that several devices have work


@dataclasses.dataclass(frozen=True)
class Part:
    """Some finished blocks of a cell.

    `index`: the part's place in the cell. `rows`: columns `(lanes,)`. `kept`: every leaf of the record,
    `(T, lanes kept, ...)`, for the lanes of the first seeds. `sketches`: of the study's `bands`, over all lanes.
    """

    index: int
    rows: dict[str, np.ndarray]
    kept: dict[str, np.ndarray]
    sketches: dict[str, Sketch]


def _params_of_a_block(cell: Cell):
    return cell.study.params(**cell.columns(np.zeros(cell.study.block, int)))


@functools.lru_cache(maxsize=1024)
def _bytes_of_a_block(cell: Cell, seeds: int) -> int:
    """Bytes of the state and the curves of a block of so many seeds."""

    def begin(params):
        state = cell.study.init(jax.random.split(jax.random.key(0), seeds), params)
        return state, cell.study.observe(state, params)

    size = lambda tree: sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))  # noqa: E731
    state, record = jax.eval_shape(begin, _params_of_a_block(cell))
    return size(state) + len(cell.record_steps()) * size(record)


def blocks_a_part(cell: Cell) -> int:
    """How many blocks `(S,)` of the cell are run, and kept in memory, at a time: the same on any number of devices."""
    limit = _PART_BYTES.get(jax.default_backend(), _PART_BYTES_ELSEWHERE)
    return max(limit // _bytes_of_a_block(cell, cell.study.block), _FEWEST_BLOCKS)


def lanes_of_part(cell: Cell, index: int) -> np.ndarray:
    """The lanes of a part.

    Args:
      cell: the cell.
      index: of the part.

    Returns:
      `(lanes,)`, without padding.
    """
    size = blocks_a_part(cell) * cell.study.block
    return np.arange(index * size, min((index + 1) * size, cell.lanes))


def parts(cell: Cell) -> int:
    """How many parts the cell's blocks `(S,)` make."""
    return -(-cell.blocks // blocks_a_part(cell))


def compile_cell(cell: Cell) -> Compiled:
    """Compiles what a cell runs, for blocks `(S,)` on all local devices.

    Args:
      cell: the cell; those that differ in seeds or values alone share what is compiled.

    Returns:
      The three programs.
    """
    mesh = seed_mesh()
    slots = -(-blocks_a_part(cell) // mesh.size)
    program = Program(study=cell.study, mesh=mesh, points=len(cell.record_steps()), slots=slots)
    shapes, tree = jax.tree.flatten(jax.eval_shape(lambda: _params_of_a_block(cell)))
    return _compile(program, tree, tuple(shapes))


@functools.lru_cache(maxsize=64)
def _compile(program: Program, tree: jax.tree_util.PyTreeDef, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> Compiled:
    return program.compile(jax.tree.unflatten(tree, shapes))


def _no_pause(record: int, take: Callable[[], InFlight]) -> None:
    """Between chunks nothing happens."""


@dataclasses.dataclass(frozen=True)
class PartRun:
    """How one part is run: scalars `index` of the part, `root_seed`, and `keep`, how many seeds keep whole curves.

    `tick(seed_steps)` is called after each chunk, and `pause(record, take)`, from which a run may be stopped; `take()`
    gives what a checkpoint holds. `resume`: such a checkpoint.
    """

    cell: Cell
    compiled: Compiled
    index: int
    root_seed: int
    keep: int = 0
    tick: Callable[[int], None] = lambda seed_steps: None
    pause: Callable[[int, Callable[[], InFlight]], None] = _no_pause
    resume: InFlight | None = None

    def __call__(self) -> Part:
        """Runs it: arrays `(lanes,)` and `(T, lanes, ...)`."""
        state, curves, params, count = self._begin()
        curves = self._advance_all(state, curves, params, count)
        summary, bands = self.compiled.summarise(curves, count)
        return self._part(*jax.device_get((summary, bands, curves)))

    @functools.cached_property
    def _real(self) -> np.ndarray:
        return lanes_of_part(self.cell, self.index)

    @property
    def _blocks(self) -> int:
        return -(-len(self._real) // self.cell.study.block)

    def _begin(self):
        """States, curves, params and counts, as the programs take them: `(D, slots, ...)`."""
        cell, devices, slots = self.cell, self.compiled.program.mesh.size, self.compiled.program.slots
        # Block j goes to slot j // D of device j % D. Padding, within a block and of empty slots, has the last lane.
        lanes = np.arange(devices * slots * cell.study.block).reshape(slots, devices, -1).swapaxes(0, 1)
        lanes = np.minimum(self._real[0] + lanes, self._real[-1])
        count = np.asarray([len(range(device, self._blocks, devices)) for device in range(devices)], np.int32)
        params = cell.study.params(**cell.columns(lanes.ravel()))
        params = jax.tree.map(lambda x: np.asarray(x).reshape(lanes.shape), params)
        if self.resume is None:
            seeds = cell.seed_of(lanes).astype(np.uint32)
            state, curves = self.compiled.begin(jax.random.key(self.root_seed), seeds, params, count)
        else:
            spread = [self._spread(leaf) for leaf in self.resume.leaves]
            state, curves = self.compiled.put(from_host(spread, self.compiled.shapes))
        return state, curves, params, count

    def _gather(self, leaf: np.ndarray) -> np.ndarray:
        """From `(D, slots, ...)` to `(blocks, ...)`."""
        return leaf.swapaxes(0, 1).reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])[: self._blocks]

    def _spread(self, leaf: np.ndarray) -> np.ndarray:
        """From `(blocks, ...)` to `(D, slots, ...)`, blank where no block is."""
        devices, slots = self.compiled.program.mesh.size, self.compiled.program.slots
        whole = np.zeros((devices * slots, *leaf.shape[1:]), leaf.dtype)
        whole[: len(leaf)] = leaf
        return whole.reshape(slots, devices, *leaf.shape[1:]).swapaxes(0, 1)

    def _advance_all(self, state, curves, params, count):
        """Runs all chunks that are left; a tick counts real lanes only, so that progress ends where it should."""
        record_steps, start = self.cell.record_steps(), self.resume.record if self.resume else 0
        waits, step_seconds = np.diff(record_steps, prepend=0).astype(np.int32), None
        if start:
            self.tick(int(record_steps[start - 1]) * len(self._real))
        while start < len(record_steps):
            done = record_steps[start - 1] if start else 0
            reach = done + (_CHUNK_SECONDS / step_seconds if step_seconds else 1)
            stop = max(start + 1, int(np.searchsorted(record_steps, reach, side="right")))
            began, span = time.monotonic(), np.asarray([start, stop], np.int32)
            state, curves = self.compiled.advance(state, curves, params, count, waits, span)
            jax.block_until_ready((state, curves))
            steps, start = int(record_steps[stop - 1] - done), stop
            step_seconds = (time.monotonic() - began) / max(steps, 1)
            self.tick(steps * len(self._real))
            take = functools.partial(self._take, start, state, curves)
            self.pause(start, take)
        return curves

    def _take(self, record: int, state, curves) -> InFlight:
        return InFlight(record=record, leaves=[self._gather(leaf) for leaf in to_host((state, curves))])

    def _part(self, summary, bands, curves) -> Part:
        real, cell = self._real, self.cell

        def lanes(leaf: np.ndarray, axis: int) -> np.ndarray:
            """From `(D, slots, ...)` to the real lanes, side by side on `axis` of what follows the slots."""
            return np.take(np.concatenate(self._gather(leaf), axis=axis), np.arange(len(real)), axis=axis)

        rows = {"seed": cell.seed_of(real)} | cell.columns(real)
        rows |= {name: lanes(column, 0) for name, column in summary.items()}
        kept = rows["seed"] < self.keep
        leaves = {field.name: getattr(curves, field.name) for field in dataclasses.fields(curves)}
        by_seed = {name: leaf for name, leaf in leaves.items() if leaf.ndim > 3}  # others all seeds share
        columns = len(cell.combinations)
        return Part(
            index=self.index,
            rows=rows,
            kept={name: lanes(leaf, 1)[:, kept] for name, leaf in by_seed.items()} if kept.any() else {},
            sketches={name: Sketch.of(lanes(leaf, 1), real % columns, columns) for name, leaf in bands.items()},
        )


def run_parts(
    cell: Cell,
    *,
    root_seed: int,
    keep_curves: int = 0,
    skip: frozenset[int] = frozenset(),
    tick: Callable[[int], None] = lambda seed_steps: None,
) -> Iterator[Part]:
    """Runs a cell part by part, each on all devices.

    Args:
      cell: what to run.
      root_seed: the root of every seed's key.
      keep_curves: the seeds 0, 1, ... whose whole curves are kept.
      skip: indices of parts that are not wanted.
      tick: called with the number of seed-steps done since the last call.

    Yields:
      Finished `Part`s, arrays `(lanes,)` and `(T, lanes, ...)`.
    """
    compiled = compile_cell(cell)
    for index in range(parts(cell)):
        if index not in skip:
            yield PartRun(cell, compiled, index, root_seed, keep_curves, tick)()
