# SPDX-License-Identifier: Apache-2.0
"""The compiled programs: they lower for every platform, and settings that are data never compile again."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxmyopia.engine.chunk import compile_cell
from jaxmyopia.engine.program import Program
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.studies.lowrank.sweep import PRESETS, Sweep
from jaxmyopia.study import Cell

CELLS = [
    *PRESETS["full"].cells(),
    *Sweep(
        n=10, ranks=(2,), targets=("orthogonal", "spectrum"), spectrum=(2.0, 1.0), optimizers=("muon", "lion")
    ).cells(),
]
# Cells that differ in values alone share their programs, as the second test shows: each program is lowered once.
PROGRAMS = {(cell.study, *(name for name, _ in cell.sweep)): cell for cell in CELLS}


@pytest.mark.parametrize("cell", PROGRAMS.values(), ids=lambda cell: f"{cell.study.n}, {cell.study}")
def test_every_cell_lowers_for_cpus_gpus_and_tpus(cell):
    mesh = Mesh(np.asarray(jax.devices()[:1]), ("seeds",), axis_types=(jax.sharding.AxisType.Auto,))
    program = Program(study=cell.study, mesh=mesh, points=8, slots=2)
    params = jax.eval_shape(lambda: cell.study.params(**cell.columns(np.zeros(cell.study.block, int))))
    for name, (function, arguments) in program.calls(params).items():
        exported = jax.export.export(jax.jit(function), platforms=("cpu", "cuda", "tpu"))(*arguments)
        assert exported.platforms == ("cpu", "cuda", "tpu"), name


def test_cells_that_differ_in_values_share_what_is_compiled(monkeypatch):
    monkeypatch.setattr(Program, "compile", lambda self, params: (self, params))  # which of them are made
    study = LowRank(n=5, rank=2)

    def compiled(study, rates, scale, seeds):
        sweep = (("learning_rate", rates), ("init_scale", (scale,)))
        return compile_cell(Cell(study=study, sweep=sweep, seeds=seeds, steps=60, records=24))

    first = compiled(study, (0.01,), 1.0, 3)
    assert compiled(study, (0.1, 0.2, 0.3), 0.01, 500) is first
    assert compiled(LowRank(n=5, rank=1), (0.01,), 1.0, 3) is not first
