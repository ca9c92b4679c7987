# SPDX-License-Identifier: Apache-2.0
"""What a run would take: every program is timed on one block a device for a moment, and memory is counted."""

import dataclasses
import time
from collections.abc import Sequence

import jax
import numpy as np

from jaxmyopia.engine.chunk import ChunkRun, blocks_a_chunk, bytes_of_a_block, compile_cell
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.study import Cell

SECONDS = 30.0  # after which no further program is timed
_ENOUGH = 0.1  # seconds of steps that make a measurement


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds that a block takes on every device at once: `step`, a step; `records`, all its records and
    what is counted in them. `compile`: seconds that compilation took."""

    step: float
    records: float
    compile: float

    def seconds(self, cell: Cell, devices: int) -> float:
        """Of a whole cell on so many devices."""
        return -(-cell.blocks // devices) * (cell.steps * self.step + self.records)


def measure(cell: Cell, matmul_precision: str) -> Cost:
    """Times a cell's programs, those that the run will use, on one block a device.

    Args:
      cell: the cell.
      matmul_precision: that of the run.

    Returns:
      The `Cost`.
    """
    compiled, points = compile_cell(cell, matmul_precision), len(cell.record_steps())
    state, curves, params, count = ChunkRun(cell=cell, compiled=compiled, index=0, root_seed=0).begin()
    count = np.minimum(count, 1)

    def timed(steps: int, until: int) -> float:
        """Seconds of so many steps before the first record, and of all records up to one."""
        nonlocal state, curves  # their memory is taken over
        waits = np.zeros(points, np.int32)
        waits[0] = steps
        began = time.monotonic()
        state, curves = compiled.advance(state, curves, params, count, waits, np.asarray([0, until], np.int32))
        jax.block_until_ready((state, curves))
        return time.monotonic() - began

    timed(1, 1)  # the first call sets things up
    records, one, steps = timed(0, points), timed(0, 1), 1
    while (seconds := timed(steps, 1)) < _ENOUGH and steps < cell.steps:
        steps = min(4 * steps, cell.steps)
    began = time.monotonic()
    jax.block_until_ready(compiled.summarise(curves, count))
    records += time.monotonic() - began
    return Cost(step=max(seconds - one, 0) / steps, records=records, compile=compiled.seconds)


def estimate(cells: Sequence[Cell], options: RunOptions) -> str:
    """About how long a run takes and how much memory, as text that says what it leaves out.

    Args:
      cells: of the experiment, `(cells,)`.
      options: how it would be run.

    Returns:
      Some lines.
    """
    began, devices = time.monotonic(), jax.local_device_count()
    costs: dict[tuple[object, int], Cost] = {}
    untimed, seconds = [], 0.0
    for cell in cells:
        key = cell.study, len(cell.record_steps())
        if key not in costs and time.monotonic() - began < SECONDS:
            costs[key] = measure(cell, options.matmul_precision)
        if key in costs:
            seconds += costs[key].seconds(cell, devices)
        else:
            untimed.append(cell)
    seconds /= options.share.shards * options.share.processes
    compiling = sum(cost.compile for cost in costs.values())
    device, several = jax.local_devices()[0].device_kind, f"{devices} device{'s' if devices > 1 else ''}"
    at_once = max(bytes_of_a_block(cell) * min(blocks_a_chunk(cell), cell.blocks) for cell in cells)
    lines = []
    if len(untimed) < len(cells):
        lines.append(
            f"About {_duration(seconds)} of steps and records on {several} ({device}), from {len(costs)} programs "
            f"timed for a moment. Compiling them took {compiling:.0f} s, which the run is spared where its cache holds "
            "them; files, claims and the report come on top."
        )
    if untimed:
        first = f"{untimed[0].study}" + (f" and {len(untimed) - 1} more" if len(untimed) > 1 else "")
        lines.append(
            f"Not in that, for timing stops after {SECONDS:.0f} s: {len(untimed)} of {len(cells)} cells ({first})."
        )
    lines.append(
        f"Memory: at most {at_once / 2**20:,.0f} MiB of states and curves at a time, beside what programs, files and "
        "figures take."
    )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.1):.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
