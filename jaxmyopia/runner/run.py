# SPDX-License-Identifier: Apache-2.0
"""Runs the blocks of a cell: chunks of steps under jit, a Python loop between them.

What a lane gives depends on the study, the root seed, its seed and its settings alone: a block has one fixed,
padded size, and each device runs whole blocks, so that neither the company a lane keeps nor a resume changes a bit of
it, nor, for optimisers that act entry by entry, does the number of devices. (For muon, lamb and others that are mapped
over the seeds, XLA compiles another order of operations for one device than for several.)
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxmyopia.runner.mesh import per_device, seed_mesh
from jaxmyopia.runner.study import Cell, Study
from jaxmyopia.stats.table import SeedTable

_CHUNK_SECONDS = 1.0  # how often the Python loop gets a word in


@dataclasses.dataclass(frozen=True)
class Block:
    """A finished block of a cell.

    `index`: its place in the cell. `rows`: columns `(lanes,)`. `loss`: `(T, lanes)`. `kept`: every leaf of the
    record, `(T, lanes kept, ...)`, for the lanes of the first seeds.
    """

    index: int
    rows: dict[str, np.ndarray]
    loss: np.ndarray
    kept: dict[str, np.ndarray]


@functools.partial(jax.jit, static_argnames=("study", "mesh", "points"))
def _begin(root, seeds, params, *, study: Study, mesh: Mesh, points: int):
    """States at step 0 and empty curves of `points` records, `(D, ...)` each."""

    def begin(seeds, params):
        state = study.init(jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds), params)
        record = jax.eval_shape(study.observe, state, params)
        return state, jax.tree.map(lambda x: jnp.zeros((points, *x.shape), x.dtype), record)

    return per_device(begin, mesh)(seeds, params)


@functools.partial(jax.jit, static_argnames=("study", "mesh"), donate_argnums=(0, 1))
def _advance(state, curves, params, waits, span, *, study: Study, mesh: Mesh):
    """Goes on from record `span[0]` to `span[1]`; `waits[i]` steps lie before record i. Trip counts are data."""

    def advance(state, curves, params):
        def to_record(i, carry):
            state, curves = carry
            state = jax.lax.fori_loop(0, waits[i], lambda _, s: study.step(s, params), state)
            record = study.observe(state, params)
            return state, jax.tree.map(lambda buffer, x: buffer.at[i].set(x), curves, record)

        return jax.lax.fori_loop(span[0], span[1], to_record, (state, curves))

    return per_device(advance, mesh)(state, curves, params)


@functools.partial(jax.jit, static_argnames=("study", "mesh"))
def _summarise(curves, *, study: Study, mesh: Mesh):
    return per_device(study.summarise, mesh)(curves)


def _advance_all(cell: Cell, mesh: Mesh, state, curves, params, tick: Callable[[int], None]):
    """Runs all chunks of a wave; `tick(steps)` after each."""
    record_steps = cell.record_steps()
    waits = jnp.asarray(np.diff(record_steps, prepend=0), jnp.int32)
    start, step_seconds = 0, None
    while start < len(record_steps):
        done = record_steps[start - 1] if start else 0
        reach = done + (_CHUNK_SECONDS / step_seconds if step_seconds else 1)
        stop = max(start + 1, int(np.searchsorted(record_steps, reach, side="right")))
        began = time.monotonic()
        span = jnp.asarray([start, stop], jnp.int32)
        state, curves = jax.block_until_ready(_advance(state, curves, params, waits, span, study=cell.study, mesh=mesh))
        steps = int(record_steps[stop - 1] - done)
        if start and steps:  # the first chunk holds the compilation
            step_seconds = (time.monotonic() - began) / steps
        start = stop
        tick(steps)
    return curves


def _wave(
    cell: Cell, root: jax.Array, indices: Sequence[int], width: int, keep: int, tick: Callable[[int], None]
) -> list[Block]:
    """Runs several blocks at once, one a device, on `width` devices."""
    mesh, size = seed_mesh(width), cell.study.block
    # A wave that does not fill the mesh runs its last block again: a smaller mesh would be another program, to compile
    # and, for some optimisers, with other bits, so that a resumed run would differ from one that never stopped.
    filled = [*indices, *[indices[-1]] * (width - len(indices))]
    lanes = np.asarray(filled)[:, None] * size + np.arange(size)[None, :]
    real = (lanes < cell.lanes) & (np.arange(width) < len(indices))[:, None]
    lanes = np.minimum(lanes, cell.lanes - 1)  # padding runs the last lane again
    settings = cell.columns(lanes.ravel())
    params = jax.tree.map(lambda x: x.reshape(lanes.shape), cell.study.params(**settings))
    seeds = jnp.asarray(cell.seed_of(lanes), jnp.uint32)
    points = len(cell.record_steps())
    state, curves = _begin(root, seeds, params, study=cell.study, mesh=mesh, points=points)
    # A tick counts real lanes only, so that the progress bar ends where it should.
    curves = _advance_all(cell, mesh, state, curves, params, lambda steps: tick(steps * int(real.sum())))
    summary = jax.device_get(_summarise(curves, study=cell.study, mesh=mesh))
    curves = jax.device_get(curves)
    blocks = []
    for device, index in enumerate(indices):
        mine = real[device]
        columns = {"seed": cell.seed_of(lanes[device])} | cell.columns(lanes[device])
        columns |= {name: values[device] for name, values in summary.items()}
        kept = mine & (columns["seed"] < keep)
        leaves = {field.name: getattr(curves, field.name)[device] for field in dataclasses.fields(curves)}
        blocks.append(
            Block(
                index=index,
                rows={name: np.asarray(values)[mine] for name, values in columns.items()},
                loss=leaves["loss"][:, mine],
                kept={name: leaf[:, kept] for name, leaf in leaves.items() if leaf.ndim > 1},
            )
        )
    return blocks


def run_blocks(
    cell: Cell,
    *,
    root_seed: int,
    keep_curves: int = 0,
    skip: frozenset[int] = frozenset(),
    tick: Callable[[int], None] = lambda seed_steps: None,
) -> Iterator[Block]:
    """Runs the blocks of a cell, as many at a time as there are devices.

    Args:
      cell: what to run.
      root_seed: the root of every seed's key.
      keep_curves: the seeds 0, 1, ... whose whole curves are kept.
      skip: indices of blocks that are not wanted.
      tick: called with the number of seed-steps done since the last call.

    Yields:
      Finished `Block`s, arrays `(lanes,)` and `(T, lanes, ...)`.
    """
    root = jax.random.key(root_seed)
    wanted = [index for index in range(cell.blocks) if index not in skip]
    width = min(jax.local_device_count(), cell.blocks)
    for first in range(0, len(wanted), width):
        yield from _wave(cell, root, wanted[first : first + width], width, keep_curves, tick)


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
    blocks = list(run_blocks(cell, root_seed=root_seed))
    return SeedTable({name: np.concatenate([block.rows[name] for block in blocks]) for name in blocks[0].rows})
