# SPDX-License-Identifier: Apache-2.0
"""Injected faults: each ends in one line that says what is wrong, and in a folder that goes on."""

import errno
import os
import pathlib
import shutil
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from jaxmyopia.checks import RunError
from jaxmyopia.engine import chunk as runner
from jaxmyopia.engine import session
from jaxmyopia.engine.checkpoints import Checkpoints
from jaxmyopia.engine.chunk import ChunkRun
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

SWEEP = (("learning_rate", (0.003, 0.03)), ("init_scale", (0.5,)))
CELLS = [Cell(study=LowRank(n=6, rank=2), sweep=SWEEP, seeds=70, steps=30, records=12)]


def go(path, **options):
    options = RunOptions(**{"keep_curves": 2, "progress": False} | options)
    folder = open_folder(str(path), {"experiment": "test"}, CELLS, options)
    run_cells(folder, CELLS, options, command="the command")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of every chunk of a run that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxmyopia.studies.lowrank.gradients._CPU_BLOCK", (0, 32, 32))
        patch.setattr(runner, "_CHUNK_BYTES", {"cpu": 0})
        patch.setattr(runner, "_FEWEST_BLOCKS", 2)
        folder = go(tmp_path_factory.mktemp("whole") / "run")
    return {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("chunk-*")}


def assert_whole(folder: RunFolder, whole: dict[pathlib.Path, bytes]) -> None:
    found = {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("chunk-*")}
    assert found == whole
    assert folder.manifest["status"] == "complete"
    assert sorted(path.name for path in folder.path.iterdir()) == [
        ".lock-0",
        ".lock-entry",
        "curves",
        "manifest.json",
        "seeds",
    ]
    assert (
        len(folder.table())
        == 140
        == len(set(zip(*(folder.table()[n] for n in ("seed", "learning_rate")), strict=True)))
    )


@pytest.mark.parametrize("number", (errno.ENOSPC, errno.EROFS, errno.EIO))
@pytest.mark.parametrize("after", (1, 2, 5, 12))
def test_a_disk_that_is_full_or_read_only_is_said_and_the_run_goes_on_later(
    tmp_path, monkeypatch, whole, number, after
):
    count = [0]
    replace = os.replace

    def fail(source, target):
        count[0] += 1
        if count[0] > after and "alive" not in str(target):
            raise OSError(number, os.strerror(number))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("jaxmyopia.engine.files.os.replace", fail)
        with pytest.raises((RunError, ValueError), match=rf"\(?{os.strerror(number)}\)") as caught:
            go(tmp_path / "run")
        assert "\n" not in str(caught.value)
    assert_whole(go(tmp_path / "run"), whole)


def test_a_folder_that_vanishes_is_said(tmp_path, monkeypatch, whole):
    write = RunFolder.write_chunk

    def vanish(self, *args):
        shutil.rmtree(self.path)
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_chunk", vanish)
        with pytest.raises(RunError, match=r"could not be written \(the folder has vanished\)"):
            go(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert_whole(go(tmp_path / "run"), whole)


@pytest.mark.parametrize("kind", ("seeds/*.parquet", "curves/*.parquet", "curves/*.loss.npy"))
@pytest.mark.parametrize("damage", ("truncated", "altered", "missing"))
def test_a_damaged_chunk_is_named_and_repaired(tmp_path, whole, kind, damage):
    folder = go(tmp_path / "run")
    file = sorted(folder.path.glob(kind))[0]
    bytes_then = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(bytes_then[: len(bytes_then) // 2])
    else:
        file.write_bytes(bytes_then[:100] + bytes([bytes_then[100] ^ 1]) + bytes_then[101:])
    with pytest.raises(RunError, match=rf"{file.name} is damaged, missing or another run's; add --repair"):
        go(tmp_path / "run")
    reading = RunFolder(folder.path, folder.config)
    with pytest.raises(RunError, match=rf"{file.name} is damaged, missing or another run's; add --repair"):
        (reading.table(), reading.curves(0, "loss"), reading.sketch(0, "relative_loss"))
    assert_whole(go(tmp_path / "run", repair=True), whole)


def test_a_damaged_manifest_is_said(tmp_path):
    folder = go(tmp_path / "run")
    text = (folder.path / "manifest.json").read_text()
    (folder.path / "manifest.json").write_text(text[: len(text) // 2])
    with pytest.raises(RunError, match=r"manifest.json is damaged: it is not JSON"):
        go(tmp_path / "run")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is done about it."""


@pytest.mark.parametrize("lost", (0, 1, 2))
def test_a_killed_run_goes_on_from_its_newest_whole_checkpoint(tmp_path, monkeypatch, whole, lost):
    """Checkpoints at every record; the run is killed at the ninth, and the newest `lost` of them are damaged."""
    paused = []
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_STRETCH_SECONDS", 1e-9)
        save = Checkpoints.save

        def save_or_die(self, chunk, in_flight, *, wait=False):
            if in_flight.record == 9:
                raise Killed
            save(self, chunk, in_flight, wait=True)
            paused.append(in_flight.record)

        patch.setattr(Checkpoints, "save", save_or_die)
        patch.setattr(session.Session, "end", lambda self, status: None)
        with pytest.raises(Killed):
            go(tmp_path / "run", checkpoint_secs=1e-9)
    assert paused[-1] == 8
    kept = sorted((tmp_path / "run" / "checkpoints" / "0").rglob("in_flight.npz"))
    assert len(kept) == 2
    for file in kept[::-1][:lost]:
        file.write_bytes(file.read_bytes()[:-7])
    began = []
    advance = ChunkRun._advance_all

    def watch(self, *args):
        began.append(self.resume.record if self.resume else 0)
        return advance(self, *args)

    monkeypatch.setattr(ChunkRun, "_advance_all", watch)
    said = []
    monkeypatch.setattr(session, "say", said.append)
    assert_whole(go(tmp_path / "run"), whole)
    assert began[0] == (8, 7, 0)[lost]
    assert len(said) == lost and all("cannot be used and is passed over" in text for text in said)


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch, whole):
    times = iter(np.where(np.arange(10**6) % 2, -1e8, 4e9).tolist())
    monkeypatch.setattr(time, "time", lambda: next(times))
    folder = go(tmp_path / "run")
    assert_whole(folder, whole)
    assert 0 <= folder.manifest["seconds"] < 600


def test_nothing_that_is_read_is_unpickled(tmp_path):
    folder = go(tmp_path / "run")
    stem = "chunk-000-00000"
    name = f"curves/{stem}.loss.npy"
    checksum = folder.write_with(name, lambda path: _pickle(path))
    files = folder.completed()[stem] | {name: checksum}
    folder.write_json(f"seeds/{stem}.json", files)
    with pytest.raises(RunError, match="allow_pickle=False"):
        folder.curves(0, "loss")
    for path in (*folder.path.glob("seeds/*.parquet"), *folder.path.glob("curves/*.parquet")):
        pq.read_table(path)


def _pickle(path: str) -> None:
    with open(path, "wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
