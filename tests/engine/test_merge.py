# SPDX-License-Identifier: Apache-2.0
"""Shards of machines that do not know of each other, joined: the same bytes, or a refusal by name."""

import hashlib
import json
import shutil

import pytest

import jaxmyopia as jm
from jaxmyopia.checks import RunError
from jaxmyopia.commands import CURVES
from jaxmyopia.engine import merge as merging
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.lock import Lock
from jaxmyopia.engine.merge import merge, whole_command
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

# Cells are those of test_folder and test_faults but for their seeds, so that their programs are shared.
SWEEP = (("learning_rate", (0.003, 0.03)), ("init_scale", (0.5,)))
COMMAND = "python -m experiments.plateaus --num_shards=3 --shard_index 1 --out=runs/x --seeds=40"


def cells(seeds: int = 70):
    return [
        Cell(study=LowRank(n=6, rank=rank, optimizer="adam"), sweep=SWEEP, seeds=seeds, steps=30, records=12)
        for rank in (1, 2)
    ]


def go(path, *, seeds: int = 70, shard: int = 0, shards: int = 1):
    options = RunOptions(keep_curves=2, progress=False, share=Share(shard=shard, shards=shards))
    folder = open_folder(str(path), {"experiment": "test"}, cells(seeds), options)
    entries = run_cells(folder, cells(seeds), options, command=COMMAND)
    assert (entries is None) == (shards > 1)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole run, and the same in three shards, run last to first."""
    path = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:  # two blocks of 32 seeds a chunk, as in this folder's tests
        patch.setattr("jaxmyopia.studies.lowrank.gradients._CPU_BLOCK", (0, 32, 32))
        patch.setattr("jaxmyopia.engine.chunk._CHUNK_BYTES", {"cpu": 0})
        patch.setattr("jaxmyopia.engine.chunk._FEWEST_BLOCKS", 2)
        go(path / "whole")
        for shard in (2, 1, 0):
            go(path / f"shard{shard}", shard=shard, shards=3)
        go(path / "other", seeds=71, shard=0, shards=3)
    return path


def shards(made, *numbers: int) -> list[str]:
    return [str(made / f"shard{number}") for number in numbers]


def test_shards_joined_are_the_whole_run_to_the_byte(made, tmp_path):
    whole, command = merge(shards(made, 1, 0, 2), str(tmp_path / "merged"))
    files = sorted(path.relative_to(made / "whole") for path in (made / "whole").rglob("chunk-*"))
    assert len(files) == 26  # rows and a sketch of each of four chunks, nine curves of the two with kept seeds
    assert files == sorted(path.relative_to(whole.path) for path in whole.path.rglob("chunk-*"))
    for file in files:
        assert (whole.path / file).read_bytes() == (made / "whole" / file).read_bytes(), file
    assert whole.manifest["chunks"] and whole.manifest["status"] == "complete"
    assert command == f"python -m experiments.plateaus --seeds=40 --out={tmp_path / 'merged'}"
    # The command finds nothing left to do: the configuration is that of the whole run.
    options = RunOptions(keep_curves=2, progress=False)
    again = open_folder(str(whole.path), {"experiment": "test"}, cells(), options)
    assert len(again.table()) == 4 * 70


@pytest.mark.parametrize(
    ("chosen", "message"),
    (
        (("shard0", "shard1"), r"must be all shards; of 3, missing: 2; 2 chunks, first \['chunk-000-00002'\]"),
        (
            ("shard0", "shard1", "shard2", "shard1"),
            r"must hold a chunk each once, but chunk-000-00001 is in .*shard1 too",
        ),
        (("shard0", "other", "shard2"), r"must have .*shard0's configuration: cells.0.seeds: 70, now 71"),
        (("whole", "shard1"), "must be folders of shards, made with --num_shards and --shard_index"),
        (("nowhere",), "must be folders of runs, but it has no manifest.json"),
    ),
)
def test_what_does_not_make_a_whole_run_is_refused_by_name(made, tmp_path, chosen, message):
    with pytest.raises(ValueError, match=message) as caught:
        merge([str(made / name) for name in chosen], str(tmp_path / "merged"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "merged").exists()


def test_a_damaged_file_of_a_shard_is_named(made, tmp_path):
    copied = [
        str(shutil.copytree(folder, tmp_path / f"copy{number}")) for number, folder in enumerate(shards(made, 0, 1, 2))
    ]
    file = sorted((tmp_path / "copy0" / "curves").glob("*.npy"))[0]
    whole = file.read_bytes()
    for damage in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(damage)
        with pytest.raises(RunError, match=rf"{file.name} is damaged or missing; give its shard's command again"):
            merge(copied, str(tmp_path / f"merged{len(damage)}{damage[-1]}"))
    file.unlink()
    with pytest.raises(RunError, match=f"{file.name} is damaged or missing"):
        merge(copied, str(tmp_path / "merged"))


@pytest.mark.parametrize(
    "name",
    ("../../outside", "/tmp/outside", "seeds/../../outside", "seeds/chunk-000-00001.parquet", "manifest.json",
     "curves/chunk-000-00000.x\0.npy", "curves/chunk-000-00000.../../x.npy", "seeds//chunk-000-00000.parquet", ""),
)  # fmt: skip
def test_names_of_a_shard_lead_nowhere_else(made, tmp_path, name):
    shutil.copytree(made / "shard0", tmp_path / "shard0")
    manifest = json.loads((tmp_path / "shard0" / "manifest.json").read_text())
    outside = tmp_path / "outside"
    outside.write_text("somebody's")
    manifest["chunks"]["chunk-000-00000"][name] = hashlib.sha256(b"somebody's").hexdigest()
    (tmp_path / "shard0" / "manifest.json").write_text(json.dumps(manifest))
    for read in (lambda: merge([str(tmp_path / "shard0"), *shards(made, 1, 2)], str(tmp_path / "merged")),
                 lambda: RunFolder.existing(tmp_path / "shard0")):  # fmt: skip
        with pytest.raises(RunError, match=r"shard0/manifest.json is damaged: .* is no file of chunk-000-00000;"):
            read()
    assert outside.read_text() == "somebody's" and not (tmp_path / "merged").exists()


@pytest.mark.parametrize("stem", ("chunk-000-00009", "chunk-000-0", "chunk-2-00000", "../x", "chunk-000-00000/../x"))
def test_a_chunk_that_is_none_of_the_run_is_refused(made, tmp_path, stem):
    shutil.copytree(made / "shard0", tmp_path / "shard0")
    manifest = json.loads((tmp_path / "shard0" / "manifest.json").read_text())
    manifest["chunks"][stem] = {}
    (tmp_path / "shard0" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"is damaged: '.*' is no (name of a chunk|chunk of this run)"):
        merge([str(tmp_path / "shard0"), *shards(made, 1, 2)], str(tmp_path / "merged"))


def test_home_is_what_the_user_means_by_a_tilde(made, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        shutil.copytree(made / f"shard{number}", tmp_path / f"shard{number}")
    folder, command = merge(["~/shard0", "~/shard1", "~/shard2"], "~/merged")
    assert folder.path == tmp_path / "merged" and "'--out=~/merged'" in command
    assert folder.manifest["shards"] == [str(tmp_path / f"shard{number}") for number in range(3)]
    found = jm.load("~/merged")
    assert found.save("~/saved").folder.path == tmp_path / "saved"
    assert found.page("~/pages/page.html") == tmp_path / "pages" / "page.html"
    assert RunFolder("~/new", {}).path == tmp_path / "new"
    assert len(RunFolder.existing("~/saved").table()) == 4 * 70
    (tmp_path / "curves.csv").write_text("step,a\n0,1\n1,0.5\n2,0.2\n")
    CURVES.main(CURVES.settings(), ["~/curves.csv"])
    assert not (tmp_path / "~").exists()
    for value in ("", "a\0b", "~nobody-of-this-name/x", 7):
        with pytest.raises(ValueError, match=r"^folder=.* is not allowed: must be a path"):
            jm.load(value)


def test_a_merge_into_a_folder_in_use_is_refused(made, tmp_path):
    (tmp_path / "merged").mkdir()
    with Lock(tmp_path / "merged"), pytest.raises(RunError, match="merged is in use by another run"):
        merge(shards(made, 0, 1, 2), str(tmp_path / "merged"))
    merge(shards(made, 0, 1, 2), str(tmp_path / "merged"))


def test_a_merge_that_was_cut_is_given_again(made, tmp_path, monkeypatch):
    out = tmp_path / "merged"
    with monkeypatch.context() as patch:
        copied = []

        def cut(*args):
            if len(copied) == 9:
                raise KeyboardInterrupt
            copied.append(args)
            copy(*args)

        copy = merging._copy
        patch.setattr(merging, "_copy", cut)
        with pytest.raises(KeyboardInterrupt):
            merge(shards(made, 0, 1, 2), str(out))
    merge(shards(made, 0, 1, 2), str(out))
    for path in (made / "whole").rglob("chunk-*"):
        assert (out / path.relative_to(made / "whole")).read_bytes() == path.read_bytes()
    with pytest.raises(ValueError, match="must be a new folder, or that of this merge, but it holds a run"):
        merge(shards(made, 0, 1, 2), str(out))


def test_the_command_of_a_shard_becomes_that_of_the_whole():
    assert whole_command("python -m x --out a --shard_index=0 --num_shards 2 --outer=1", "b c") == (
        "python -m x --outer=1 '--out=b c'"
    )
