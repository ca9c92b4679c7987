# SPDX-License-Identifier: Apache-2.0
"""Malformed files of every kind in a run's folder: each is read, or refused in one line, and leads nowhere else."""

import collections
import contextlib
import copy
import functools
import hashlib
import io
import json
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.claims.judged import Evidence, GridPoint, Judgement
from jaxmyopia.claims.text import claims_json
from jaxmyopia.engine import lock
from jaxmyopia.engine.chunk import Chunk
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.lock import Lock
from jaxmyopia.engine.manifest import stem_of
from jaxmyopia.engine.merge import merge
from jaxmyopia.engine.provenance import first_entries
from jaxmyopia.report.page import claims_html
from jaxmyopia.stats.intervals import Interval
from jaxmyopia.stats.sketch import Sketch

EXAMPLES = 40  # of every kind of file
TRIED = collections.Counter()
CELL = {"settings": {"study": "Quad", "n": 4}, "sweep": {"learning_rate": [0.1, 0.2]}, "seeds": 4, "steps": 9}
CONFIG = {"experiment": "x", "keep_curves": 1, "cells": [CELL | {"name": n, "records": 8, "chunks": 2} for n in "ab"]}
SHARDS = [CONFIG | {"num_shards": 2, "shard_index": number} for number in range(2)]
ENTRIES = {"command": "python x.py --out=a", "git": "1", "started": "2026-01-01", "seconds": 1.5, "machine": "m"}
ENTRIES |= {"versions": {"jaxmyopia": "0.2.0", "jax": "0"}, "devices": ["cpu"], "compile_seconds": {"0": 1.0}}
NAMES = ("../outside", "/etc/passwd", "seeds/../../outside", "curves/chunk-000-00000.loss\0.npy", "", "..", "a\nb")
NAMES += ("chunk-000-99999", "chunk-9-9", "seeds/chunk-001-00000.parquet", "curves/chunk-000-00000.../../x.npy")


def chunk(index: int) -> Chunk:
    """A chunk of four trials, whose numbers are made up."""
    values = np.arange(4.0) + index
    rows = {"seed": np.arange(4) + 2 * index, "learning_rate": np.tile([0.1, 0.2], 2), "loss": values}
    rows |= {"diverged": np.zeros(4, bool)}
    curve = np.tile(values, (7, 1))
    kept = {"loss": curve[:, :1]} if index == 0 else {}
    return Chunk(index, rows, kept, {"loss": Sketch.of(curve, np.tile([0, 1], 2), 2)})


def write(path: pathlib.Path, config: dict, mine, status: str) -> RunFolder:
    folder = RunFolder(path, config)
    for number in range(4):
        if mine(number):
            folder.write_chunk(number // 2, CELL["settings"], chunk(number % 2))
    folder.write_manifest(**ENTRIES, status=status)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, one that still has completion records, and two shards; beside them a file of somebody's."""
    root = tmp_path_factory.mktemp("made")
    (root / "outside").write_text("somebody's")
    whole = write(root / "whole", CONFIG, lambda number: True, "complete")
    whole.sweep()
    point = GridPoint({"delta": 0.1}, 0.5, 0.1, 0.9)
    piece = Evidence("a", "s", Interval(0.5, 0.1, 0.9, 64, "BCa"), 0.0, 1, (point,), 1.0, "supported", "so")
    whole.write_json("claims.json", claims_json([Judgement("id", "Text.", "supported", "so", evidence=(piece,))]))
    write(root / "begun", CONFIG, lambda number: number < 3, "running")
    for shard in range(2):
        write(root / f"shard{shard}", SHARDS[shard], lambda n, shard=shard: n % 2 == shard, "complete shard").sweep()
    return root


def files(root: pathlib.Path) -> dict[pathlib.Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Nothing waits for the disk, and no revision is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxmyopia.engine.files.os.fsync", lambda handle: None)
        for module in ("merge", "provenance"):
            patch.setattr(f"jaxmyopia.engine.{module}.environment", lambda: {"git": "1"})
        yield


@contextlib.contextmanager
def changed(root: pathlib.Path, contents: dict[str, bytes]):
    """A folder of folders with some files changed; afterwards it is as it was, and nothing outside it has changed."""
    before = _before(root)
    for name, content in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    try:
        yield
        assert (root / "outside").read_text() == "somebody's"
    finally:
        shutil.rmtree(root / "merged", ignore_errors=True)
        after = files(root)
        for path in after.keys() - before.keys():
            path.unlink()
        for path, content in before.items():
            if after.get(path) != content:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)


@functools.cache
def _before(root: pathlib.Path) -> dict[pathlib.Path, bytes]:
    return files(root)


def in_one_line(*readers) -> list[str]:
    """What each said, where it refused; anything else that is raised fails the test."""
    said = []
    for reader in readers:
        try:
            reader()
        except (RunError, ArgumentError) as error:
            assert "\n" not in str(error) and len(str(error)) < 600
            said.append(str(error))
    return said


def load(folder: pathlib.Path) -> None:
    """Reads all that a finished folder holds."""
    numbers(folder)
    answer = jm.load(folder)
    str(answer), claims_html(answer.claims), len(answer.kept), answer.steps
    [cell.labels() and cell.title(answer.cells) for cell in answer.cells]


def numbers(folder: pathlib.Path) -> None:
    answer = jm.load(folder)
    in_one_line(lambda: [answer.trials[name] for name in answer.trials.columns])
    in_one_line(lambda: [answer.curves[name] for name in answer.curves])
    in_one_line(lambda: answer.quantiles("loss").quantile(0.5))
    in_one_line(lambda: answer.quantiles("loss", cell=1).mean())


def resume(path: pathlib.Path) -> None:
    """All that a run does with the folder it resumes, but for its trials."""
    folder = RunFolder(path, CONFIG)
    folder.damaged(), folder.finished(), first_entries(folder.manifest, "x")
    in_one_line(lambda: len(folder.table()), lambda: folder.forget(["chunk-000-00000", "chunk-009-00000"]))
    folder.write_chunk(0, {}, chunk(0))
    folder.sweep()


def join(root: pathlib.Path) -> None:
    merge([str(root / "shard0"), str(root / "shard1")], str(root / "merged"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**30, -1, 0, 1e308, float("nan")]) | st.text()
    | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
BYTES = st.sampled_from([b"", b"{", b"[]", b"null", b"{}", b"7", b'"x"', b"\xff\xfe{}", b"[" * 9999, b'{"a":1,"a":2}'])


def places(value, at=()):
    """All paths into a JSON value."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


@st.composite
def mutated(draw, value):
    """A JSON text that was one of `value`, or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(BYTES | st.binary())
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.sampled_from(list(places(value))))
        if not at:
            value = draw(JSON)
            continue
        holder = value
        for key in at[:-1]:
            holder = holder[key]
        how = draw(st.sampled_from(("replace", "delete", "rename")))
        if how == "delete":
            del holder[at[-1]]
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(NAMES) | st.text())] = holder.pop(at[-1])
        else:
            holder[at[-1]] = draw(JSON)
    return json.dumps(value).encode()


def read(path: pathlib.Path):
    return json.loads(path.read_text())


@settings(max_examples=EXAMPLES)
@given(data=st.data())
@pytest.mark.parametrize("where", ("whole", "begun", "shard1"))
def test_manifests(made, where, data):
    TRIED[where] += 1
    reader = {"whole": lambda: load(made / where), "begun": lambda: resume(made / where), "shard1": lambda: join(made)}
    with changed(made, {f"{where}/manifest.json": data.draw(mutated(read(made / where / "manifest.json")))}):
        in_one_line(reader[where])


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_completion_records(made, data):
    TRIED["record"] += 1
    stem = data.draw(st.sampled_from([stem_of(0, 0), stem_of(1, 0), "chunk-000-77777", "chunk-x", "chunk-0-0"]))
    content = data.draw(mutated(read(made / "begun" / "seeds" / f"{stem_of(0, 0)}.json")))
    with changed(made, {f"begun/seeds/{stem}.json": content}):
        in_one_line(lambda: resume(made / "begun"), lambda: load(made / "begun"))


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_claims(made, data):
    TRIED["claims"] += 1
    with changed(made, {"whole/claims.json": data.draw(mutated(read(made / "whole" / "claims.json")))}):
        in_one_line(lambda: load(made / "whole"), lambda: jm.load(made / "whole")._repr_html_())


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_heartbeats(made, data):
    TRIED["heartbeat"] += 1
    beat = {"kernel": "k", "who": "w", "owner": "o", "processes": 1, "state": "running", "beat": 1}
    number = data.draw(st.sampled_from((0, 1, 10**30, "x")))
    with pytest.MonkeyPatch.context() as patch, changed(made, {f".alive-{number}.json": data.draw(mutated(beat))}):
        patch.setattr(lock, "_changes", lambda path: False)
        with Lock(made, processes=data.draw(st.integers(1, 2))) as held:
            held._looked = -9
            in_one_line(held.check_peers)
            held.peers_finished()


def parquet(table: pa.Table) -> bytes:
    pq.write_table(table, stream := io.BytesIO())
    return stream.getvalue()


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A file of numbers that was cut, altered, or is another one."""
    how = draw(st.sampled_from(("cut", "alter", "array", "table", "shape", "names")))
    if how == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    if how == "alter":
        place, by = draw(st.integers(0, len(content) - 1)), draw(st.integers(1, 255))
        return content[:place] + bytes([content[place] ^ by]) + content[place + 1 :]
    if how == "array":
        array = draw(st.sampled_from([np.zeros(3), np.zeros((7, 1, 2), "i8"), np.array("x"), np.zeros((0, 0))]))
        np.save(stream := io.BytesIO(), array)
        return stream.getvalue()
    if how == "names":
        names = draw(st.lists(st.sampled_from(("cell", "seed", "group", "bucket", "count", "loss")), unique=True))
        columns = st.sampled_from(([1, 2], [0.5, None], ["a", "b"], [None, None], [-1, 2**40], [[1], [2]]))
        return parquet(pa.table({name: draw(columns) for name in names}))
    if how == "table" or not content.startswith(b"PAR1"):
        return parquet(pa.table({}))
    shape = draw(JSON | st.sampled_from([[7, 2], [1, 1], [10**30, 2], [0, 2], [7, 2, 1], [7.0, 2], [True, 2]]))
    table = pq.read_table(io.BytesIO(content))
    return parquet(table.replace_schema_metadata({"shape": json.dumps(shape)}))


@settings(max_examples=EXAMPLES)
@given(data=st.data())
@pytest.mark.parametrize("kind", ("seeds/STEM.parquet", "curves/STEM.loss.parquet", "curves/STEM.loss.npy"))
def test_numbers_whose_checksum_is_right(made, kind, data):
    TRIED[kind] += 1
    stem = stem_of(data.draw(st.integers(0, 1)), 0)
    name, manifest = kind.replace("STEM", stem), read(made / "whole" / "manifest.json")
    content = data.draw(damaged((made / "whole" / name).read_bytes()))
    manifest["chunks"][stem][name] = hashlib.sha256(content).hexdigest()
    with changed(made, {f"whole/{name}": content, "whole/manifest.json": json.dumps(manifest).encode()}):
        in_one_line(lambda: numbers(made / "whole"))


def test_so_many_cases_were_tried(made):
    """And where nothing is wrong, nothing is refused."""
    assert in_one_line(lambda: load(made / "whole"), lambda: resume(made / "begun"), lambda: join(made)) == []
    assert not TRIED or (min(TRIED.values()) >= EXAMPLES and len(TRIED) == 9)
