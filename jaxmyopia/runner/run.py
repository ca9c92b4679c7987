# SPDX-License-Identifier: Apache-2.0
"""Runs a cell part by part: chunks of steps in compiled programs, a Python loop between them.

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
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from jaxmyopia.runner.mesh import seed_mesh
from jaxmyopia.runner.program import Compiled, Program
from jaxmyopia.runner.study import Cell, Study
from jaxmyopia.stats.table import SeedTable

_CHUNK_SECONDS = 1.0  # how often the Python loop gets a word in
# Bytes of states and curves in a part: all that a run holds, however many seeds it has.
_PART_BYTES = {"cpu": 2**26}
_PART_BYTES_ELSEWHERE = 2**31
_FEWEST_BLOCKS = 8  # a part, so that several devices have work


@dataclasses.dataclass(frozen=True)
class Part:
    """Some finished blocks of a cell.

    `index`: the part's place in the cell. `rows`: columns `(lanes,)`. `loss`: `(T, lanes)`. `kept`: every leaf of the
    record, `(T, lanes kept, ...)`, for the lanes of the first seeds.
    """

    index: int
    rows: dict[str, np.ndarray]
    loss: np.ndarray
    kept: dict[str, np.ndarray]


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


def _advance_all(cell: Cell, advance: Callable, state, curves, params, count, tick: Callable[[int], None]):
    """Runs all chunks of a part; `tick(steps)` after each."""
    record_steps = cell.record_steps()
    waits = np.diff(record_steps, prepend=0).astype(np.int32)
    start, step_seconds = 0, None
    while start < len(record_steps):
        done = record_steps[start - 1] if start else 0
        reach = done + (_CHUNK_SECONDS / step_seconds if step_seconds else 1)
        stop = max(start + 1, int(np.searchsorted(record_steps, reach, side="right")))
        began = time.monotonic()
        span = np.asarray([start, stop], np.int32)
        state, curves = jax.block_until_ready(advance(state, curves, params, count, waits, span))
        steps = int(record_steps[stop - 1] - done)
        step_seconds = (time.monotonic() - began) / max(steps, 1)
        start = stop
        tick(steps)
    return curves


def _run_part(
    cell: Cell, compiled: Compiled, root: jax.Array, index: int, keep: int, tick: Callable[[int], None]
) -> Part:
    real, size = lanes_of_part(cell, index), cell.study.block
    devices, slots = compiled.program.mesh.size, compiled.program.slots
    # Block j goes to slot j // D of device j % D. Padding, within a block and of empty slots, has the last lane.
    blocks = -(-len(real) // size)
    lanes = real[0] + np.arange(devices * slots * size).reshape(slots, devices, size).swapaxes(0, 1)
    lanes = np.minimum(lanes, real[-1])
    count = np.asarray([len(range(device, blocks, devices)) for device in range(devices)], np.int32)
    params = cell.study.params(**cell.columns(lanes.ravel()))
    params = jax.tree.map(lambda x: np.asarray(x).reshape(lanes.shape), params)
    state, curves = compiled.begin(root, cell.seed_of(lanes).astype(np.uint32), params, count)
    # A tick counts real lanes only, so that the progress bar ends where it should.
    curves = _advance_all(cell, compiled.advance, state, curves, params, count, lambda steps: tick(steps * len(real)))
    summary, curves = jax.device_get((compiled.summarise(curves, count), curves))

    def gather(leaf: np.ndarray, axis: int) -> np.ndarray:
        """From `(D, slots, ...)` to the real lanes, side by side on `axis` of what follows the slots."""
        joined = np.concatenate([leaf[j % devices, j // devices] for j in range(blocks)], axis=axis)
        return np.take(joined, np.arange(len(real)), axis=axis)

    rows = {"seed": cell.seed_of(real)} | cell.columns(real)
    rows |= {name: gather(column, 0) for name, column in summary.items()}
    kept = rows["seed"] < keep
    leaves = {field.name: getattr(curves, field.name) for field in dataclasses.fields(curves)}
    curves = {name: gather(leaf, 1) for name, leaf in leaves.items() if leaf.ndim > 3}
    return Part(
        index=index, rows=rows, loss=curves["loss"], kept={name: leaf[:, kept] for name, leaf in curves.items()}
    )


def run_parts(
    cell: Cell,
    *,
    root_seed: int,
    keep_curves: int = 0,
    skip: frozenset[int] = frozenset(),
    tick: Callable[[int], None] = lambda seed_steps: None,
    compiled: Compiled | None = None,
) -> Iterator[Part]:
    """Runs a cell part by part, each on all devices.

    Args:
      cell: what to run.
      root_seed: the root of every seed's key.
      keep_curves: the seeds 0, 1, ... whose whole curves are kept.
      skip: indices of parts that are not wanted.
      tick: called with the number of seed-steps done since the last call.
      compiled: what `compile_cell` made of the cell, if that was done ahead.

    Yields:
      Finished `Part`s, arrays `(lanes,)` and `(T, lanes, ...)`.
    """
    root, compiled = jax.random.key(root_seed), compiled or compile_cell(cell)
    for index in range(parts(cell)):
        if index not in skip:
            yield _run_part(cell, compiled, root, index, keep_curves, tick)


def run(study: Study, *, seeds: int, steps: int, root_seed: int = 0, **sweep: float | Sequence[float]) -> SeedTable:
    """Runs one study in memory.

    >>> from jaxmyopia import LowRank, run
    >>> table = run(LowRank(n=10, rank=1), seeds=8, steps=300, learning_rate=0.03, init_scale=1e-3)
    >>> len(table), bool((table["loss_ratio"] < 1e-6).all())
    (8, True)

    Args:
      study: what to run.
      seeds: how many seeds S.
      steps: how many steps T.
      root_seed: the root of every seed's key.
      **sweep: the study's dynamic settings, each a number or a sequence; every combination is run.

    Returns:
      A `SeedTable`, one row a seed and combination.

    Raises:
      ValueError: if an argument is not allowed.
    """
    values = {name: tuple(np.atleast_1d(value).tolist()) for name, value in sweep.items()}
    cell = Cell(study=study, sweep=tuple(values.items()), seeds=seeds, steps=steps)
    found = [part.rows for part in run_parts(cell, root_seed=root_seed)]
    return SeedTable({name: np.concatenate([rows[name] for rows in found]) for name in found[0]})
