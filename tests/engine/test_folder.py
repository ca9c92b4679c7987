# SPDX-License-Identifier: Apache-2.0
"""The run's folder: refused when foreign, whole at every moment, read back as written."""

import json
import os
import shutil

import numpy as np
import pytest

from jaxmyopia.checks import RunError
from jaxmyopia.engine.chunk import Chunk, run_chunks
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.stats.sketch import Sketch
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

SWEEP = (("learning_rate", (0.003, 0.03)), ("init_scale", (0.5,)))


def small_cells(**changes):
    settings = {"seeds": 40, "steps": 30, "records": 12} | changes
    return [Cell(study=LowRank(n=6, rank=rank, optimizer="adam"), sweep=SWEEP, **settings) for rank in (1, 2)]


def go(path, cells, **changes):
    options = RunOptions(**{"root_seed": 3, "keep_curves": 2, "progress": False} | changes)
    folder = open_folder(str(path), {"experiment": "test"}, cells, options)
    return folder, run_cells(folder, cells, options, command="the command")


def test_a_run_reads_back_as_its_parts(tmp_path):
    cells = small_cells()
    folder, entries = go(tmp_path / "run", cells)
    table = folder.table()
    assert entries["status"] == folder.manifest["status"] == "complete"
    assert len(table) == sum(cell.trials for cell in cells)
    for index, cell in enumerate(cells):
        chunks = list(run_chunks(cell, root_seed=3, keep_curves=2))
        rows = table.matching(cell=index)
        np.testing.assert_array_equal(rows["loss_ratio"], np.concatenate([b.rows["loss_ratio"] for b in chunks]))
        kept = [b.kept["loss"] for b in chunks if b.kept]
        np.testing.assert_array_equal(folder.curves(index, "loss"), np.concatenate(kept, axis=1))
        merged = Sketch.merged([b.sketches["relative_loss"] for b in chunks])
        read = folder.sketch(index, "relative_loss")
        for name in ("group", "bucket", "count"):
            np.testing.assert_array_equal(getattr(read, name), getattr(merged, name))
        kept = folder.curves(index, "align_a")
        assert kept.shape[1] == 2 * len(cell.combinations)
        assert kept.shape[2:] == (cell.study.rank, cell.study.rank)


def test_an_interrupted_run_keeps_what_is_finished_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    cells = small_cells()
    whole, _ = go(tmp_path / "whole", cells)
    write, written = RunFolder.write_chunk, []

    def write_then_interrupt(self, cell, settings, chunk):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append((cell, chunk.index))
        write(self, cell, settings, chunk)

    monkeypatch.setattr(RunFolder, "write_chunk", write_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", cells)
    interrupted = json.loads((tmp_path / "cut" / "manifest.json").read_text())
    assert interrupted["status"] == "interrupted"
    chunks = (tmp_path / "cut" / "seeds").glob("*.parquet")
    finished = {path.name: path.stat().st_mtime_ns for path in chunks}
    assert len(finished) == 3
    monkeypatch.setattr(RunFolder, "write_chunk", write)
    resumed, _ = go(tmp_path / "cut", cells)
    for path in (tmp_path / "whole").rglob("chunk-*"):
        assert path.read_bytes() == (resumed.path / path.relative_to(whole.path)).read_bytes(), path.name
    assert resumed.manifest["seconds"] >= interrupted["seconds"]
    assert resumed.manifest["started"] == interrupted["started"]
    for name, time in finished.items():
        assert (resumed.path / "seeds" / name).stat().st_mtime_ns == time, "a finished chunk was computed again"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    folder.write_text("claims.json", "old")

    def fail(path):
        with open(path, "w") as file:
            file.write("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"claims.json could not be written \(No space left on device\)"):
        folder.write_with("claims.json", fail)
    assert [path.name for path in folder.path.iterdir()] == ["claims.json"]
    assert (folder.path / "claims.json").read_text() == "old"


@pytest.mark.parametrize(
    ("changes", "named"), [({"root_seed": 4}, "root_seed: 3, now 4"), ({"keep_curves": 0}, "keep_curves: 2, now 0")]
)
def test_another_configuration_is_refused_with_what_differs(tmp_path, changes, named):
    cells = small_cells(seeds=3)
    folder, _ = go(tmp_path / "run", cells)
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    with pytest.raises(ValueError, match=named) as caught:
        go(tmp_path / "run", cells, **changes)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"cells.0.seeds: 3, now 5"):
        go(tmp_path / "run", small_cells(seeds=5))
    assert before == {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}


def test_files_and_foreign_folders_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("")
    for name in ("file", "foreign", "file/below"):
        with pytest.raises(ValueError, match=r"^out='") as caught:
            RunFolder(tmp_path / name, {})
        assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="must be a folder that can be written"):
        RunFolder("/proc/jaxmyopia", {})


def test_numbers_that_json_lacks_become_null(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    folder.write_json("claims.json", {"a": np.float32("nan"), "b": [float("inf"), np.int64(3)], "c": (np.bool_(True),)})
    assert json.loads((folder.path / "claims.json").read_text()) == {"a": None, "b": [None, 3], "c": [True]}


A = np.array
COLUMNS = {
    "whole and float": ((A([1, 2]), A([0.5, 3.0])), [1.0, 2.0, 0.5, 3.0]),
    "bool and float": ((A([True, False]), A([0.5, 3.0])), [1.0, 0.0, 0.5, 3.0]),
    "bool and whole": ((A([True, False]), A([4, 5])), [1, 0, 4, 5]),
    "whole of several widths": ((A([1, 2], np.int32), A([3, 2**32 - 1], np.uint32)), [1, 2, 3, 2**32 - 1]),
    "whole and absent": ((A([1, 2]), None), [1.0, 2.0, np.nan, np.nan]),
    "absent, bool, float": ((None, A([True, True]), A([0.25, 0.5])), [np.nan, np.nan, 1.0, 1.0, 0.25, 0.5]),
    "bool": ((A([True, False]), A([True, True])), [True, False, True, True]),
    "name and absent": ((A(["a", "b"], object), None), ["a", "b", None, None]),
    "blank and whole": ((A([None, None]), A([1, 2])), [np.nan, np.nan, 1.0, 2.0]),
    "blank and name": ((A([None, None]), A(["a", "b"], object)), [None, None, "a", "b"]),
    "name, whole, absent": ((A(["a", "b"], object), A([1, 2]), None), ["a", "b", 1, 2, None, None]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_that_is_of_another_kind_in_another_cell_is_read(tmp_path, kind):
    pieces, expected = COLUMNS[kind]
    folder = RunFolder(tmp_path / "run", {})
    for index, piece in enumerate(pieces):
        rows = {"seed": np.arange(2), "diverged": np.zeros(2, bool)} | ({} if piece is None else {"x": piece})
        folder.write_chunk(index, {}, Chunk(index=0, rows=rows, kept={}, sketches={}))
    found = folder.table()["x"].tolist()
    assert repr(found) == repr(expected)  # NaN, and kinds of numbers, as they are
    assert len(folder.table().matching(x=expected[-1])) == (expected[-1] == expected[-1]) * expected.count(expected[-1])


def test_a_folder_that_holds_no_chunk_yet_says_so(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    with pytest.raises(RunError, match="run holds no finished chunk yet; give its command again"):
        folder.table()


def test_chunks_come_in_the_order_of_numbers_not_of_names(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    for cell, index in ((1000, 0), (101, 100_000), (101, 99_999)):
        rows = {"seed": np.arange(1), "diverged": np.zeros(1, bool)}
        folder.write_chunk(cell, {}, Chunk(index=index, rows=rows, kept={}, sketches={}))
    assert folder.table()["cell"].tolist() == [101, 101, 1000]
    assert list(folder.completed()) == ["chunk-101-99999", "chunk-101-100000", "chunk-1000-00000"]


def test_files_have_the_mode_that_the_umask_says(tmp_path):
    for mask in (0o022, 0o027, 0o077, 0o002):
        before = os.umask(mask)
        try:
            folder = RunFolder(tmp_path / f"run{mask}", {})
            folder.write_text("report.html", "x")
        finally:
            os.umask(before)
        assert (folder.path / "report.html").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_is_written_is_on_the_disk_before_its_name_and_its_name_before_what_follows(tmp_path, monkeypatch):
    """The order of what the file system is asked for: the file, its name, its folder's name; then the next file."""
    asked, fsync, replace = [], os.fsync, os.replace

    def note_sync(handle):
        asked.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}")).split(".")[-1]))
        fsync(handle)

    def note_name(source, target):
        asked.append(("name", os.path.basename(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_name)
    folder = RunFolder(tmp_path / "above" / "run", {})
    assert asked[:2] == [("sync", tmp_path.name), ("sync", "above")]
    del asked[:]
    folder.write_text("figures/a.svg", "x")
    folder.write_text("figures/b.svg", "x")
    assert [what if what[0] == "name" or "~" not in what[1] else ("sync", "file") for what in asked] == [
        ("sync", "run"), ("sync", "file"), ("name", "a.svg"), ("sync", "figures"),
        ("sync", "file"), ("name", "b.svg"), ("sync", "figures"),
    ]  # fmt: skip


def test_what_a_deleted_folder_s_last_checkpoint_left_is_no_foreign_folder(tmp_path):
    (tmp_path / "run" / "checkpoints" / "0" / "000000-000002").mkdir(parents=True)
    RunFolder(tmp_path / "run", {}).sweep()
    assert not (tmp_path / "run" / "checkpoints").exists()
    (tmp_path / "mine" / "checkpoints" / "best").mkdir(parents=True)
    with pytest.raises(ValueError, match="must be a new folder or that of a run"):
        RunFolder(tmp_path / "mine", {})


def test_a_folder_that_was_deleted_is_not_made_again(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    shutil.rmtree(tmp_path / "run")
    for name in ("claims.json", "seeds/x"):
        with pytest.raises(RunError, match="the folder has vanished"):
            folder.write_text(name, "x")
    assert not (tmp_path / "run").exists()


def test_what_killed_writers_left_is_swept(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    folder.write_text("figures/a.svg", "x")
    for name in (".manifest.json.0123abcd~", ".probe.0123abcd~", "figures/.a.svg.89abcdef~"):
        (folder.path / name).write_text("half")
    (folder.path / ".notes").write_text("somebody's")
    folder.sweep()
    assert sorted(path.name for path in folder.path.rglob("*") if path.is_file()) == [
        ".notes",
        "a.svg",
        "manifest.json",
    ]


def test_a_name_in_one_study_and_a_number_in_another_is_read_as_each_is(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    for index, policy in enumerate((np.array([0.5, 0.25]), np.array(["mlp", "mlp"], object))):
        rows = {"seed": np.arange(2), "diverged": np.zeros(2, bool), "policy": policy}
        folder.write_chunk(index, {}, Chunk(index=0, rows=rows, kept={}, sketches={}))
    assert folder.table()["policy"].tolist() == [0.5, 0.25, "mlp", "mlp"]
    assert folder.table().matching(policy="mlp")["seed"].tolist() == [0, 1]
