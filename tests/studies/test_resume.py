# SPDX-License-Identifier: Apache-2.0
"""Every study goes on from a checkpoint with the same bytes."""

import jax
import numpy as np
import pytest

from jaxmyopia.engine import chunk as runner
from jaxmyopia.engine.checkpoints import Checkpoints
from jaxmyopia.engine.chunk import Chunk, ChunkRun, compile_cell
from jaxmyopia.studies.dilemma.study import SelfDilemma
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.selection import Selection
from jaxmyopia.studies.epochs.study import Myopia
from jaxmyopia.studies.epochs.trait import Trait
from jaxmyopia.studies.neutrality.study import Neutrality
from jaxmyopia.studies.superposition.neurons import Monosemanticity
from jaxmyopia.studies.superposition.study import Independent, OneActive
from jaxmyopia.study import Cell

SMALL = {"epochs": 3, "epoch_steps": 2, "settings_of_learner": Settings(runs_a_batch=4)}
RECIPE = {"schedule": (0.0, 2.0), "lure": (1.0,), "credit": (1.0,), "cutoff": (2.0,), "learning_rate": (0.1,)}
MODEL = {"hidden": (2.0, 3.0), "init_scale": (0.1,), "learning_rate": (0.1,), "weight_decay": (0.01,)}
STUDIES = {
    "reinforce": (Myopia(**SMALL), RECIPE),
    "hidden cutoff": (Myopia(**SMALL), RECIPE | {"hazard": (0.0, 0.3)}),
    "ppo": (Myopia(learner="ppo", **SMALL), RECIPE),
    "qlearning": (Myopia(learner="qlearning", policy="table", **SMALL), RECIPE),
    "selection": (Selection(population=4, **SMALL), RECIPE | {"interval": (2.0,), "swap": (0.0, 1.0)}),
    "trait": (
        Trait(epochs=3, epoch_steps=2, runs_a_batch=4),
        {name: values for name, values in RECIPE.items() if name != "credit"} | {"permuted": (0.0, 1.0)},
    ),
    "dilemma": (
        SelfDilemma(window=5, judged=9),
        {
            "learning_rate": (0.1,),
            "epsilon": (0.1,),
            "cost": (1.0,),
            "gain": (3.0,),
            "seen": (0.0, 1.0),
            "swap": (0.0,),
        },
    ),
    "neutrality": (
        Neutrality(optimizer="adam", episodes=4),
        {"learning_rate": (0.1,), "repeat_discount": (0.9, 1.0), "discount": (0.95,), "per_length": (1.0,)},
    ),
    "one active": (OneActive(features=5, widest=3, optimizer="adam", falls_over=12), MODEL),
    "independent": (Independent(features=5, widest=3, batch_size=4), MODEL | {"active": (0.3,)}),
    "neurons": (
        Monosemanticity(features=6, dimensions=4, width=5, batch_size=8, evaluated=8),
        {"learning_rate": (0.02,), "initial_bias": (0.0, -1.0), "neurons": (3.0,)},
    ),
}


class Stop(Exception):
    """Raised where a run is cut."""


def everything(chunk: Chunk) -> list[bytes]:
    sketches = [getattr(each, name) for each in chunk.sketches.values() for name in ("group", "bucket", "count")]
    return [np.ascontiguousarray(x).tobytes() for x in [*chunk.rows.values(), *chunk.kept.values(), *sketches]]


@pytest.mark.parametrize("name", STUDIES)
def test_a_run_that_is_cut_goes_on_with_the_same_bytes(name, tmp_path, monkeypatch):
    study, sweep = STUDIES[name]
    monkeypatch.setattr(runner, "_STRETCH_SECONDS", 1e-9)
    one = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one)
    cell = Cell(study=study, sweep=tuple(sweep.items()), seeds=6, steps=12, records=8)
    options = {"cell": cell, "compiled": compile_cell(cell), "index": 0, "root_seed": 5, "keep": 3}
    whole = ChunkRun(**options)()
    checkpoints = Checkpoints(tmp_path, identity="mine", seconds=60)

    def cut(record, take):
        if record >= 4:
            checkpoints.save(0, take(), wait=True)
            raise Stop

    with pytest.raises(Stop):
        ChunkRun(**options, pause=cut)()
    resume = checkpoints.restore(0)
    assert resume.record == 4
    assert everything(ChunkRun(**options, resume=resume)()) == everything(whole)
    checkpoints.clear()
