# SPDX-License-Identifier: Apache-2.0
"""The identity of a run: whatever can change a row is in it, and a folder of another one is refused by that name."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import linecache
import re
import sys
import types

import jax
import numpy as np
import optax
import pyarrow.parquet as pq
import pytest

from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.engine import identity
from jaxmyopia.engine.chunk import Chunk, root_key
from jaxmyopia.engine.experiment import open_folder
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.measures import Measure
from jaxmyopia.studies.lowrank.measures import Thresholds
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell
from jaxmyopia.training import Training

STUDY = LowRank(n=4, rank=1)
CELL = Cell(study=STUDY, sweep=(("learning_rate", (0.1, 0.2)), ("init_scale", (0.5,))), seeds=5, steps=10)
OPTIONS = RunOptions()


def open_at(path, cell=CELL, options=OPTIONS, **config):
    return open_folder(str(path), {"experiment": "test", **config}, [cell], options)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A folder that holds the run."""
    path = tmp_path_factory.mktemp("held") / "run"
    open_at(path).write_manifest()
    return path


def of(study=STUDY, **cell):
    return {"cell": dataclasses.replace(CELL, study=study, **cell)}


def late(curves, share):
    return curves.loss[-1] * share


def later(curves, share):
    return curves.loss[-2] * share


CHANGED = {
    "n": of(LowRank(n=5, rank=1)),
    "rank": of(LowRank(n=4, rank=2)),
    "target_rank": of(LowRank(n=4, rank=1, target_rank=2)),
    "target": of(LowRank(n=4, rank=1, target="orthogonal")),
    "spectrum": of(LowRank(n=4, rank=1, spectrum=(2.0,))),
    "loss": of(LowRank(n=4, rank=1, loss="cross_entropy")),
    "optimizer": of(LowRank(n=4, rank=1, optimizer="adam")),
    "thresholds.bump_delta": of(LowRank(n=4, rank=1, thresholds=Thresholds(bump_delta=0.2))),
    "measures": of(LowRank(n=4, rank=1, measures=(Measure("late", late, share=0.5),))),
    "sweep.learning_rate": of(sweep=(("learning_rate", (0.1, 0.3)), ("init_scale", (0.5,)))),
    "seeds": of(seeds=6),
    "steps": of(steps=11),
    "records": of(records=100),
    "root_seed": {"options": RunOptions(root_seed=2**32)},
    "keep_curves": {"options": RunOptions(keep_curves=1)},
    "num_shards": {"options": RunOptions(share=Share(shard=0, shards=2))},
    "numerics.matmul_precision": {"options": RunOptions(matmul_precision="default")},
    "experiment": {"experiment": "another"},
    "ranks": {"ranks": [1]},
}


@pytest.mark.parametrize("field", CHANGED)
def test_a_folder_of_another_run_is_refused_by_the_field_that_differs(held, field):
    open_at(held)
    before = (held / "manifest.json").read_bytes()
    with pytest.raises(ArgumentError, match=rf"\b{re.escape(field)}\b.*, now ") as refused:
        open_at(held, **CHANGED[field])
    assert str(refused.value).count("\n") == 0
    assert (held / "manifest.json").read_bytes() == before


@contextlib.contextmanager
def version(monkeypatch, name):
    known = importlib.metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(identity.importlib.metadata, "version", lambda each: "0.0" if each == name else known(each))
        yield


@contextlib.contextmanager
def patched(monkeypatch, target, value):
    with monkeypatch.context() as patch:
        patch.setattr(target, value)
        yield


@contextlib.contextmanager
def offset(monkeypatch):
    del monkeypatch
    jax.config.update("jax_random_seed_offset", 1)
    try:
        yield
    finally:
        jax.config.update("jax_random_seed_offset", 0)


@contextlib.contextmanager
def gumbel(monkeypatch):
    del monkeypatch
    jax.config.update("jax_high_dynamic_range_gumbel", True)
    try:
        yield
    finally:
        jax.config.update("jax_high_dynamic_range_gumbel", False)


@contextlib.contextmanager
def xla_flags(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true --xla_force_host_platform_device_count=3")
        yield


NUMERICS = {
    **{name: lambda patch, name=name: version(patch, name) for name in identity._PACKAGES},
    "backend": lambda patch: patched(patch, "jax.default_backend", lambda: "tpu"),
    "x64": lambda patch: jax.enable_x64(True),
    "prng": lambda patch: jax.default_prng_impl("rbg"),
    "threefry_partitionable": lambda patch: jax.threefry_partitionable(False),
    "random_seed_offset": offset,
    "jax_high_dynamic_range_gumbel": gumbel,
    "xla_flags": xla_flags,
}


@pytest.mark.parametrize("field", NUMERICS)
def test_a_folder_of_other_numerics_is_refused_by_their_name(held, monkeypatch, field):
    changed = NUMERICS[field](monkeypatch)
    with changed, pytest.raises(ArgumentError, match=rf"numerics\.{field}: .*, now "):
        open_at(held)
    open_at(held)  # and taken again without


def test_every_field_of_numerics_is_in_the_table():
    untried = {"device_kind", "matmul_precision"}  # the one is the backend's, the other an argument
    assert identity.numerics("highest").keys() - NUMERICS.keys() - set(identity.OPTIONS) == untried


def test_the_number_of_devices_is_no_part_of_it(held, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    open_at(held)


def test_shards_of_a_run_have_its_hash(tmp_path):
    shards = [open_at(tmp_path / f"{i}", options=RunOptions(share=Share(shard=i, shards=2))) for i in range(2)]
    whole = open_at(tmp_path / "whole")
    assert {each.identity for each in shards} == {whole.identity}
    assert open_at(tmp_path / "other", options=RunOptions(root_seed=1)).identity != whole.identity


OWN = """
import dataclasses, enum
import jax, jax.numpy as jnp, optax
import jaxmyopia as jm

SCALE, BEND, PULL = 1.0, jnp.sin, 0.5
TABLE = jnp.array([1.0, 2.0])

@jax.jit
def looked_up(x):
    return jax.jit(lambda y: TABLE * y)(x)

def scaled(x):
    return SCALE * x

class Kind(enum.Enum):
    EVEN = 2
    ODD = 3

@dataclasses.dataclass(frozen=True)
class Pull:
    weight: float = 1.0

    def __call__(self, x):
        return PULL * self.weight * x ** 2

@jax.custom_jvp
def kept(x):
    return x

@kept.defjvp
def kept_jvp(primals, tangents):
    return primals[0], 1.0 * tangents[0]

def late(curves, share):
    return curves["loss"][-1] * share

def steep(learning_rate):
    return optax.sgd(2 * learning_rate)

@dataclasses.dataclass(frozen=True)
class Own(jm.Training):
    pull: Pull = Pull()

    def init(self, key, *, start):
        return start * jax.random.normal(key, (2,)), ()

    @staticmethod
    def bent(x):
        return BEND(x) ** Kind.EVEN.value

    def loss(self, x, data):
        return jnp.square(scaled(kept(x))).sum() + self.bent(looked_up(x)).sum() + self.pull(x).sum()

STUDY = Own(measures=(jm.Measure("late", late, share=0.5),), optimizer=steep)
"""
EDITS = {
    "the class": ("start * jax", "2 * start * jax"),
    "a function it calls": ("SCALE * x", "SCALE * x + 1"),
    "a number it reads": ("PULL = 1.0", "PULL = 2.0"),
    "a measure": ("[-1]", "[-2]"),
    "an optimiser": ("2 * learning", "3 * learning"),
    "an array within a jitted function": ("[1.0, 2.0]", "[1.0, 3.0]"),
    "an operation": ("jnp.sin", "jnp.tan"),
    "a member of an enumeration": ("EVEN = 2", "EVEN = 4"),
    "a field's method": ("* x ** 2", "* x ** 4"),
    "what a field's method reads": ("PULL = 1.0, jnp.sin, 0.5", "PULL = 1.0, jnp.sin, 0.7"),
    "a derivative": ("1.0 * tangents", "3.0 * tangents"),
}


def own_cell(source, name, module="own_claim"):
    """A study as a file of the user's holds it."""
    made, file = types.ModuleType(module), f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, made)
        exec(compile(source, file, "exec"), made.__dict__)
        cell = Cell(study=made.STUDY, sweep=(("learning_rate", (0.1,)), ("start", (1.0,))), seeds=4, steps=8)
        return identity.plan_of(cell)


@pytest.mark.parametrize("edit", EDITS)
def test_edited_code_is_another_run(edit):
    assert own_cell(OWN, "a") == own_cell(OWN, "a again") == own_cell(OWN + "# more", "a", module="as_imported")
    assert EDITS[edit][0] in OWN
    assert own_cell(OWN.replace(*EDITS[edit]), edit) != own_cell(OWN, "a")


def decayed(learning_rate, schedule):
    return optax.sgd(lambda count: learning_rate * schedule(count))


def plan_with(optimizer):
    sweep = (("start", (1.0,)),) if isinstance(optimizer, tuple) else (("learning_rate", (0.1,)), ("start", (1.0,)))
    return identity.plan_of(Cell(study=_Plain(optimizer=optimizer), sweep=sweep, seeds=4, steps=8))


def test_optimisers_are_told_apart_and_stay_what_they_are():
    makers = [
        lambda: optax.adam(0.1), lambda: optax.adam(0.2), lambda: optax.adam, lambda: lambda r: optax.adam(2 * r),
        lambda: functools.partial(decayed, schedule=lambda count: 1.0 / (1 + count)),
        lambda: functools.partial(decayed, schedule=lambda count: 0.5 / (1 + count)),
    ]  # fmt: skip
    plans = [plan_with(make()) for make in makers]
    assert plans == [plan_with(make()) for make in makers]  # made again: nothing of an address is in them
    assert all(a != b for i, a in enumerate(plans) for b in plans[:i])
    assert "0x" not in json.dumps(plans)


@dataclasses.dataclass(frozen=True)
class _Plain(Training):
    def init(self, key, *, start):
        return start * jax.random.normal(key, (2,)), ()

    def loss(self, x, data):
        return (x * x).sum()


def some_chunk():
    rows = {"seed": np.arange(3), "loss_ratio": np.ones(3)}
    return Chunk(index=0, rows=rows, kept={}, sketches={})


def test_a_chunk_of_another_run_is_found_whatever_the_manifest_says(tmp_path):
    theirs = open_at(tmp_path / "theirs", options=RunOptions(root_seed=7))
    mine = open_at(tmp_path / "mine")
    for folder in (theirs, mine):
        folder.write_chunk(0, {}, some_chunk())
        folder.write_manifest()
    assert pq.read_schema(mine.path / "seeds/chunk-000-00000.parquet").metadata[b"identity"].decode() == mine.identity
    assert mine.damaged() == {}
    for name in ("seeds/chunk-000-00000.parquet", "seeds/chunk-000-00000.json"):
        (mine.path / name).write_bytes((theirs.path / name).read_bytes())
    assert mine.damaged() == {"chunk-000-00000": ["seeds/chunk-000-00000.parquet"]}
    with pytest.raises(RunError, match="is damaged, missing or another run's"):
        open_at(tmp_path / "mine").table()


@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1])
def test_small_root_seeds_keep_their_key(seed):
    assert (jax.random.key_data(root_key(seed)) == jax.random.key_data(jax.random.key(seed))).all()


def test_root_seeds_count_with_64_bits():
    seeds = [5, 2**32 + 5, 2**63, 2**63 + 5, 2**64 - 1, 2**32 - 1]
    keys = {jax.random.key_data(root_key(seed)).tobytes() for seed in seeds}
    assert len(keys) == len(seeds)
    with jax.enable_x64(True):
        assert (
            jax.random.key_data(root_key(2**32 + 5)).tolist() == jax.random.key_data(jax.random.key(2**32 + 5)).tolist()
        )


@pytest.mark.parametrize("seed", [-1, 2**64, 10**62, 1.0, True, "5", None])
def test_other_root_seeds_are_refused(seed):
    with pytest.raises(ArgumentError, match=r"^root_seed=.* must be a whole number"):
        RunOptions(root_seed=seed)
