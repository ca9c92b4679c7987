# SPDX-License-Identifier: Apache-2.0
"""The soak's own instruments: a trap that counts, a disk that forgets what was not synced."""

import json
import os
import pathlib

import pytest

from experiments.benchmarks.faults import job
from experiments.benchmarks.faults.disk import Disk
from experiments.benchmarks.faults.trap import Trap
from experiments.publish import faults_table
from jaxmyopia.engine.files import sync


def tree(folder: pathlib.Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A disk whose folder `run` is followed."""
    followed, fsync = Disk(tmp_path / "run"), os.fsync

    def follow(handle):
        fsync(handle)
        followed.synced(handle)

    monkeypatch.setattr(os, "fsync", follow)
    (tmp_path / "run" / "sub").mkdir(parents=True)
    return followed


def after(disk: Disk, target: pathlib.Path, **how: bool) -> dict[str, str] | None:
    disk.after_loss(target, **how)
    return tree(target) if target.exists() else None


def test_what_was_not_synced_is_lost_with_its_name(tmp_path, disk):
    run = tmp_path / "run"
    (run / "a").write_text("old")
    assert after(disk, tmp_path / "1", names_last=False) is None
    sync(tmp_path)
    assert after(disk, tmp_path / "2", names_last=False) == {}
    sync(run)
    assert after(disk, tmp_path / "3", names_last=False) == {"a": ""}
    sync(run / "a")
    (run / "sub" / "b").write_text("b")
    (run / "a").write_text("new")
    assert after(disk, tmp_path / "4", names_last=False) == {"a": "old"}
    (run / "c").write_text("c")
    os.replace(run / "c", run / "a")  # neither its contents nor its name were synced
    assert after(disk, tmp_path / "5", names_last=False) == {"a": "old"}
    assert after(disk, tmp_path / "6", names_last=True) == {"a": "", "sub/b": ""}
    sync(run / "a")
    assert after(disk, tmp_path / "7", names_last=False) == {"a": "old"}
    sync(run)
    (run / "a").unlink()
    assert after(disk, tmp_path / "8", names_last=False) == {"a": "c"}


@pytest.mark.filterwarnings("ignore:os.fork")  # what is forked calls no JAX
def test_every_operation_is_counted_before_it_is_done(tmp_path):
    """In a forked process: an audit hook lasts."""
    run, seen = tmp_path / "run", tmp_path / "seen.json"

    def go() -> int:
        found = []
        trap = Trap(run, lambda count, name, path: found.append((count, name, pathlib.Path(path).name, run.exists())))
        trap.arm()
        run.mkdir()
        (run / "a").write_text("x")
        (run / "a").read_text()  # changes nothing
        (tmp_path / "elsewhere").write_text("x")
        sync(run / "a")
        os.replace(run / "a", run / "b")
        (run / "b").unlink()
        run.rmdir()
        seen.write_text(json.dumps([*found, trap.count]))
        return 0

    assert job.wait(job.fork(tmp_path / "log", go)) == 0
    names = (
        ("os.mkdir", "run"),
        ("open", "a"),
        ("sync", "a"),
        ("os.rename", "a"),
        ("os.remove", "b"),
        ("os.rmdir", "run"),
    )
    expected = [[number, *each, number > 1] for number, each in enumerate(names, 1)]
    assert json.loads(seen.read_text()) == [*expected, 6]


def test_the_table_says_what_was_tried_and_what_went_wrong():
    row = {"operations": 278, "seconds": 9, "tried": 1278, "survived": 1277, "what": "killed", "wrong": ["7: it hangs"]}
    made = {"started": "2026-01-02T", "machine": "x86", "versions": {"jax": "0"}, "command": "python", "seconds": 90}
    text = faults_table({"faults": [row]}, made)
    assert "| killed | The process is killed before an operation | 1,278 | 1,277 |" in text
    assert "2 minutes, a run of 278 operations" in text and text.endswith("- killed at 7: it hangs")
