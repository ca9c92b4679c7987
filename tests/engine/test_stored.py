# SPDX-License-Identifier: Apache-2.0
"""Executables that are kept: found again by what they compute, and by nothing less."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from jaxmyopia import Measure
from jaxmyopia.engine import chunk as runner
from jaxmyopia.engine import program, stored
from jaxmyopia.engine.chunk import ChunkRun, compile_cell
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

STUDY = LowRank(n=4, rank=1, loss="cross_entropy")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty folder of programs, and a process that has compiled nothing yet."""
    monkeypatch.setattr(stored, "_path", lambda name: tmp_path / "executables" / name)
    runner._compile.cache_clear()
    yield tmp_path / "executables"
    runner._compile.cache_clear()


def rows(study: LowRank = STUDY) -> dict[str, np.ndarray]:
    runner._compile.cache_clear()
    cell = Cell(study=study, sweep=(("learning_rate", (0.1,)), ("init_scale", (1.0,))), seeds=3, steps=20, records=8)
    return ChunkRun(cell, compile_cell(cell), 0, root_seed=3)().rows


def test_what_is_loaded_gives_the_same_bytes_and_is_not_traced(kept, monkeypatch):
    compiled = rows()
    assert len(list(kept.iterdir())) == 1
    monkeypatch.setattr(program.Program, "_compiled", lambda *_: pytest.fail("compiled again"))
    loaded = rows()
    assert {name: column.tobytes() for name, column in loaded.items()} == {
        name: column.tobytes() for name, column in compiled.items()
    }


@pytest.mark.parametrize("harm", (lambda data: b"", lambda data: data[:-100], lambda data: b"junk" + data))
def test_a_damaged_file_is_compiled_again(kept, harm):
    compiled = rows()
    (path,) = kept.iterdir()
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert rows().keys() == compiled.keys()
    assert path.read_bytes() != harm(whole)


def test_what_cannot_be_kept_is_compiled_all_the_same(kept, monkeypatch):
    kept.write_text("a file where the folder would be")
    assert len(rows()["seed"]) == 3


def test_each_program_has_a_name_of_its_own(monkeypatch):
    def name(study=STUDY, matmul_precision="highest", **sizes):
        return stored.name_of(study, matmul_precision, **{"points": 8, "slots": 4} | sizes)

    others = [
        name(dataclasses.replace(STUDY, rank=2)), name(dataclasses.replace(STUDY, optimizer="adam")),
        name(dataclasses.replace(STUDY, thresholds=Thresholds(uptick=1.1))), name(matmul_precision="high"),
        name(points=9), name(slots=5),
    ]  # fmt: skip
    monkeypatch.setattr(stored, "_source", lambda: "edited")
    others.append(name())
    monkeypatch.undo()
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    others.append(name())
    monkeypatch.undo()
    assert len({name(), *others}) == len(others) + 1 and name() == name()


def test_code_that_is_not_ours_has_no_name():
    own = dataclasses.replace(STUDY, measures=(Measure("last", lambda curves: curves.loss[-1]),))
    assert stored.name_of(STUDY, "highest") and stored.name_of(own, "highest") is None
    assert pathlib.Path(stored._path("x")).name == "x"
