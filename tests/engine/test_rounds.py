# SPDX-License-Identifier: Apache-2.0
"""Seeds in rounds, cell by cell: the rows of a plain run with as many seeds, and one decision, whatever happens."""

import dataclasses
import itertools
import json
import shutil
import threading

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmyopia.checks import RunError
from jaxmyopia.engine import session
from jaxmyopia.engine.chunk import chunks, trials_of_chunk
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.merge import merge
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.rounds import as_planned, in_rounds, looks, next_looks, pairs_of_rounds, told
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.replay import replay_seed
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell
from jaxmyopia.verify import verify

# Cells are those of test_folder but for their seeds, so that their programs are shared. Looks are at no multiple of a
# block of 32 trials: at 24, 40, 64, 96 and 100 seeds of the first, 12, 24, 32, 48 and 50 of the second. The first cell
# is decided at its third look, the second at its first.
SWEEP = (("learning_rate", (0.003, 0.03)), ("init_scale", (0.5,)))
CAP, SEEDS, UNTIL = 100, [24, 40, 64, 96, 100], (2, 0)


def plain(first: int = 24, second: int = 12) -> list[Cell]:
    studies = [LowRank(n=6, rank=rank, optimizer="adam") for rank in (1, 2)]
    seeds = zip(studies, (first, second), strict=True)
    return [Cell(study=study, sweep=SWEEP, seeds=count, steps=30, records=12) for study, count in seeds]


def go(path, *, share=None, seen=None, until=UNTIL, repair=False, cells=None):
    """Runs each cell until the round of its number; `seen` is told of each that was asked about, and its table."""
    cells = in_rounds(plain(), CAP) if cells is None else cells
    options = RunOptions(root_seed=3, keep_curves=30, progress=False, repair=repair, share=share or Share())
    folder = open_folder(str(path), {"experiment": "test"}, cells, options)

    def undecided(number: int) -> list[int]:
        if seen is not None:
            seen.append((number, len(folder.table(number + 1))))
        return [cell for cell, last in enumerate(until) if number < last]

    ask = undecided if cells[0].looks else None
    folder.entries = run_cells(folder, cells, options, command="python x.py", undecided=ask)
    return folder


def files(path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("chunk-*"))}


def rows(folder) -> dict[str, bytes]:
    table = folder.table()
    columns = {name: table[name] for name in table.columns}
    return {name: repr(x.tolist()).encode() if x.dtype == object else x.tobytes() for name, x in columns.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that ended after the third look of one cell and the first of the other, and what was asked."""
    path, seen = tmp_path_factory.mktemp("rounds"), []
    with pytest.MonkeyPatch.context() as patch:  # two blocks of 32 trials a chunk, as in this folder's tests
        patch.setattr("jaxmyopia.studies.lowrank.gradients._CPU_BLOCK", (0, 32, 32))
        patch.setattr("jaxmyopia.engine.chunk._CHUNK_BYTES", {"cpu": 0})
        patch.setattr("jaxmyopia.engine.chunk._FEWEST_BLOCKS", 2)
        folder = go(path / "run", seen=seen)
        go(path / "plain", cells=plain(64, 12))
    folder.seen = seen
    return folder


@given(seeds=st.integers(1, 3000), more=st.integers(0, 20_000))
def test_looks_grow_by_half_and_only_the_last_knows_the_cap(seeds, more):
    found = looks(seeds, seeds + more)
    unit = 64 if seeds >= 64 else 8
    assert found[0] == seeds and found[-1] == seeds + more
    for before, after in itertools.pairwise(found):
        assert before < after < 1.5 * before + unit
    assert all(each % unit == 0 and each >= 1.5 * before for before, each in itertools.pairwise(found[:-1]))
    assert looks(seeds, 10**6)[: len(found) - 1] == found[:-1]
    assert looks(seeds)[-1] == max(1024, 4 * seeds)


@pytest.mark.parametrize("cap", (63, 0, 2**32 + 1, 64.0, True))
def test_a_cap_that_is_not_allowed_is_refused(cap):
    message = rf"^cap={cap} is not allowed: must be a whole number from 64, the seeds to begin with, to 4294967296$"
    with pytest.raises(ValueError, match=message):
        looks(64, cap)


@settings(max_examples=20)
@given(seeds=st.lists(st.integers(1, 200), min_size=1, max_size=3), cap=st.integers(200, 1000))
def test_cells_keep_their_share_of_seeds_and_chunks_end_at_looks(seeds, cap):
    cells = [Cell(study=plain()[0].study, sweep=SWEEP, seeds=each, steps=30, records=12) for each in seeds]
    found, most = in_rounds(cells, cap), max(seeds)
    for before, after in zip(cells, found, strict=True):
        assert after.looks[0] == before.seeds and after.looks[-1] == after.seeds
        assert len(after.looks) == len(looks(most, cap)) and list(after.looks) == sorted(after.looks)
        for own, all_ in zip(after.looks, looks(most, cap), strict=True):
            assert 0 <= own - all_ * before.seeds / most <= 64
        every = [trials_of_chunk(after, index) for index in range(chunks(after))]
        np.testing.assert_array_equal(np.concatenate(every), np.arange(after.trials))
        assert {2 * look for look in after.looks} <= {int(each[-1]) + 1 for each in every}
    pairs = [pair for each in pairs_of_rounds(found) for pair in each]
    assert sorted(pairs) == [(cell, chunk) for cell, each in enumerate(found) for chunk in range(chunks(each))]
    assert as_planned(cells, {"cells": [{"looks": each.looks, "seeds": each.seeds} for each in found]}) == found


def test_a_run_in_rounds_has_the_rows_of_a_plain_run_of_as_many_seeds(made):
    other = RunFolder.existing(made.path.parent / "plain")
    rounds = {"of": 5, "run": 3, "seeds": SEEDS[:3], "cells": [3, 1], "decided": True, "ended": True}
    assert made.manifest["rounds"] == rounds and made.entries["status"] == "complete"
    assert told(made.manifest) == "decided after 64 seeds (1 of 2 cells needed fewer)"
    assert rows(made) == rows(other) and len(made.table()) == 2 * (64 + 12)
    assert [cell.seeds for cell in made.cells()] == [64, 12] and made.plan() == [3, 1]
    assert sorted(made.finished()) == [(0, 0), (0, 1), (0, 2), (1, 0)]  # nothing was run in vain
    for cell in range(2):
        for name in other.names(cell, ".npy"):
            mine, its = made.curves(cell, name), other.curves(cell, name)
            assert mine.tobytes() == its.tobytes() and mine.shape[1] == 2 * (30, 12)[cell], name
        for name in ("group", "bucket", "count"):
            mine, its = (getattr(each.sketch(cell, "relative_loss"), name) for each in (made, other))
            np.testing.assert_array_equal(mine, its)


def test_each_look_sees_the_seeds_up_to_it(made):
    assert in_rounds(plain(), CAP)[1].looks == (12, 24, 32, 48, 50)
    assert made.seen == [(number, 2 * (SEEDS[number] + 12)) for number in range(3)]
    whole = made.table()
    for number in range(3):
        part = made.table(number + 1)
        of_both = np.where(whole["cell"] == 0, SEEDS[number], 12)
        np.testing.assert_array_equal(part["loss_ratio"], whole["loss_ratio"][whole["seed"] < of_both])
        assert part.anytime


def test_a_run_that_nothing_decides_ends_at_the_cap(tmp_path):
    folder = go(tmp_path / "run", until=(9, 9), seen=(seen := []))
    assert [number for number, _ in seen] == [0, 1, 2, 3, 4]
    rounds = {"of": 5, "run": 5, "seeds": SEEDS, "cells": [5, 5], "decided": False, "ended": True}
    assert folder.manifest["rounds"] == rounds
    assert told(folder.manifest) == "not decided by the cap of 100 seeds" and len(folder.table()) == 2 * 150
    manifest = json.loads((folder.path / "manifest.json").read_text())
    before = rows(folder)
    for name in ("cells", "ended"):  # as it was written before cells were told apart
        del manifest["rounds"][name]
    (folder.path / "manifest.json").write_text(json.dumps(manifest))
    old = RunFolder.existing(folder.path)
    assert rows(old) == before and [cell.seeds for cell in old.cells()] == [100, 50] and old.plan() == folder.plan()
    assert len(old.table(2)) == 2 * (40 + 24) and told(old.manifest) == told(manifest) == told(folder.manifest)


def test_what_a_look_has_passed_by_stays_closed_and_a_run_may_end_with_it_undecided(tmp_path):
    cells, options = in_rounds(plain(), CAP), RunOptions(root_seed=3, keep_curves=30, progress=False)
    folder = open_folder(str(tmp_path / "run"), {"experiment": "test"}, cells, options)
    asked = [[0], [0, 1], [1], [0, 1]]  # after the second and the third look the second cell comes too late
    run_cells(folder, cells, options, command="python x.py", undecided=lambda number: asked[number])
    rounds = {"of": 5, "run": 3, "seeds": SEEDS[:3], "cells": [3, 1], "decided": False, "ended": True}
    assert folder.manifest["rounds"] == rounds
    assert told(folder.manifest) == "not decided after 64 seeds (1 of 2 cells needed fewer)"


def test_cells_of_controls_have_the_first_look_alone(tmp_path):
    cells = [each if number else dataclasses.replace(each, control=True) for number, each in enumerate(plain())]
    folder = go(tmp_path / "run", until=(9, 1), cells=in_rounds(cells, CAP))
    rounds = folder.manifest["rounds"]
    assert rounds["cells"] == [1, 2] and rounds["seeds"] == [12, 24] and not rounds["decided"]
    assert told(folder.manifest) == "not decided after 24 seeds" and len(folder.table()) == 2 * (24 + 24)


@given(asked=st.lists(st.sets(st.integers(0, 3)), max_size=6))
def test_a_cell_goes_on_for_as_long_as_it_is_asked_for_without_a_gap(asked):
    cells = [dataclasses.replace(each, control=number == 3) for number, each in enumerate(in_rounds(plain() * 2, CAP))]
    own, before = [1] * 4, None
    for undecided in asked:
        before, own = own, next_looks(cells, own, undecided)
        if own == before:
            break  # the run ends
        assert max(own) == max(before) + 1
    for number, each in enumerate(own[:3]):
        gap = next((look for look, undecided in enumerate(asked) if number not in undecided), len(asked))
        assert each == min(1 + gap, 5)
    assert own[3] == 1


@pytest.mark.parametrize("place", range(4))
def test_a_run_that_was_cut_anywhere_ends_as_if_it_was_not(made, tmp_path, monkeypatch, place):
    write, written = RunFolder.write_chunk, itertools.count()

    def cut(self, *args):
        if next(written) == place:
            raise KeyboardInterrupt
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_chunk", cut)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "run")
    began = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert began["status"] == "interrupted" and not began["rounds"]["decided"] and not began["rounds"]["ended"]
    again = go(tmp_path / "run", seen=(seen := []))
    assert seen == made.seen  # every look is judged again: nothing rests on what an earlier session said
    assert again.manifest["rounds"] == made.manifest["rounds"] and files(again.path) == files(made.path)


def test_a_run_that_was_cut_while_it_was_judged_is_judged_again(made, tmp_path):
    cells, options = in_rounds(plain(), CAP), RunOptions(root_seed=3, keep_curves=30, progress=False)
    folder = open_folder(str(tmp_path / "run"), {"experiment": "test"}, cells, options)

    def interrupted(number: int) -> list[int]:
        if number == 1:
            raise KeyboardInterrupt
        return [0]

    with pytest.raises(KeyboardInterrupt):
        run_cells(folder, cells, options, command="python x.py", undecided=interrupted)
    assert folder.manifest["rounds"]["run"] == 2 and folder.manifest["status"] == "interrupted"
    assert files(go(tmp_path / "run").path) == files(made.path)
    later = go(tmp_path / "run", until=(1, 3))  # the claims have changed: seeds are added to those that stand
    assert later.manifest["rounds"]["cells"] == [2, 4] and len(later.table()) == 2 * (40 + 48)
    sooner = go(tmp_path / "run", until=(0, 0))  # what is beyond the look that decides stays, and does not count
    assert sooner.manifest["rounds"]["run"] == 1 and len(sooner.table()) == 2 * (24 + 12)
    assert files(sooner.path) == files(later.path) and sooner.entries["status"] == "complete"


def test_one_device_makes_the_same_bytes_as_eight(made, tmp_path, monkeypatch):
    devices = jax.local_devices()
    assert len(devices) == 8
    monkeypatch.setattr(jax, "local_devices", lambda: devices[:1])
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    folder = go(tmp_path / "run")
    assert files(folder.path) == files(made.path) and folder.manifest["rounds"] == made.manifest["rounds"]


def test_shards_run_all_rounds_and_the_whole_is_judged_look_by_look(made, tmp_path):
    for shard in (1, 0):
        folder = go(tmp_path / f"shard{shard}", share=Share(shard=shard, shards=2), seen=(seen := []))
        assert not seen and folder.entries is None and "rounds" not in folder.manifest
    whole, _ = merge([str(tmp_path / f"shard{shard}") for shard in range(2)], str(tmp_path / "merged"))
    assert len(whole.table()) == 2 * 150
    before = files(whole.path)
    judged = go(tmp_path / "merged", seen=(seen := []))
    assert seen == made.seen and judged.manifest["rounds"] == made.manifest["rounds"]
    assert rows(judged) == rows(made) and files(judged.path) == before
    for name in made.names(0, ".npy"):
        assert judged.curves(0, name).tobytes() == made.curves(0, name).tobytes()
    assert judged.sketch(1, "relative_loss").count.sum() == made.sketch(1, "relative_loss").count.sum()
    assert not verify(judged.path, cells=plain(), replay=20).faults


def test_of_two_processes_one_judges_and_the_other_waits_for_its_word(made, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_WAIT", 0.01)
    go(tmp_path / "run", until=(0, 0))  # what an earlier session said does not count
    write, makers, asked = RunFolder.write_chunk, [], [[], []]

    def told_apart(self, *args):
        makers.append(threading.current_thread() is other)
        write(self, *args)

    monkeypatch.setattr(RunFolder, "write_chunk", told_apart)
    shares = [Share(process=process, processes=2) for process in range(2)]
    run = lambda process: go(tmp_path / "run", share=shares[process], seen=asked[process])
    other = threading.Thread(target=run, args=(1,))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    del manifest["rounds"]  # in truth the two meet between the leader's first word and the other's first look
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    other.start()
    folder = run(0)
    other.join(60)
    assert not other.is_alive() and asked == [made.seen, []]
    assert sorted(makers) == [False, True]  # the two chunks of the one cell that goes on are dealt evenly
    assert folder.manifest["rounds"] == made.manifest["rounds"] and files(folder.path) == files(made.path)


def test_every_process_has_its_part_of_every_round():
    pairs = pairs_of_rounds(in_rounds(plain(), CAP))
    numbers = itertools.accumulate((len(each) for each in pairs), initial=0)
    for first, each in zip(numbers, pairs, strict=False):
        mine = [sum(Share(process=p, processes=2).mine(first + i) for i in range(len(each))) for p in range(2)]
        assert abs(mine[0] - mine[1]) <= 1


def test_a_run_in_rounds_is_verified_and_what_lacks_of_its_rounds_is_found(made, tmp_path):
    found = verify(made.path, cells=plain(), replay=40)
    assert not found.faults and found.checks[-1].right == 40
    copy = shutil.copytree(made.path, tmp_path / "run")
    manifest = json.loads((copy / "manifest.json").read_text())
    last = max(stem for stem in manifest["chunks"] if stem.startswith("chunk-000"))
    told_of = manifest["chunks"].pop(last)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert f"manifest.json: lacks {last}" in verify(copy, cells=plain()).faults
    manifest["chunks"][last] = told_of
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / "seeds" / f"{last}.parquet").unlink()
    assert f"seeds/{last}.parquet: is missing" in verify(copy, cells=plain()).faults
    with pytest.raises(RunError, match=f"{last}.parquet is damaged, missing or another run's; add --repair"):
        go(copy)
    assert files(go(copy, repair=True).path) == files(made.path)


def test_a_seed_of_the_rounds_that_were_run_is_replayed_and_no_other(made):
    cells = as_planned(plain(), made.config)
    found = replay_seed(made, cells, 0, 63)  # the last, in a round and a chunk of its own
    assert not found.faults and found.rows["seed"].tolist() == [63, 63]
    for cell, seeds in enumerate((64, 12)):
        allowed = f"must be from 0 to {seeds - 1}, the seeds of cell"
        with pytest.raises(ValueError, match=f"seed={seeds} is not allowed: {allowed}"):
            replay_seed(made, cells, cell, seeds)


def test_a_folder_belongs_to_its_looks(made, tmp_path):
    copy = shutil.copytree(made.path, tmp_path / "run")
    for cells, message in ((plain(), "cells.0.looks: .*, now null"), (in_rounds(plain(), 90), "cells.0.looks")):
        with pytest.raises(ValueError, match=f"it holds a run of another configuration .*{message}"):
            go(copy, cells=cells)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        (lambda m: m["rounds"].update(run=6), "rounds is"),
        (lambda m: m["rounds"].update(run=0), "rounds is"),
        (lambda m: m["rounds"].update(seeds=[24]), "rounds is"),
        (lambda m: m["rounds"].update(decided=1), "rounds.decided must be"),
        (lambda m: m["rounds"].update(ended=1), "rounds.ended must be"),
        (lambda m: m["rounds"].update(cells=3), "rounds.cells must be"),
        (lambda m: m["rounds"].update(cells=[3]), "rounds.cells is"),
        (lambda m: m["rounds"].update(cells=[3, 0]), "rounds.cells is"),
        (lambda m: m["rounds"].update(cells=[2, 1]), "rounds.cells is"),
        (lambda m: m["rounds"].update(cells=[3, 4]), "rounds.cells is"),
        (lambda m: m["config"]["cells"][1].update(looks=[12, 24, 32, 48, 51]), "config.cells.1.looks is"),
        (lambda m: m["config"]["cells"][0].update(looks=[40, 24, 64, 96, 100]), "config.cells.0.looks is"),
        (lambda m: m["config"]["cells"][1].pop("chunks_of_rounds"), "config.cells.1.chunks_of_rounds is"),
        (lambda m: m["config"]["cells"][1].pop("looks"), "config.cells.1.looks is"),
    ),
)
def test_a_manifest_whose_rounds_cannot_be_is_refused(made, tmp_path, change, message):
    manifest = json.loads((made.path / "manifest.json").read_text())
    change(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=rf"^{tmp_path}/manifest.json is damaged: {message}[^\n]*$"):
        RunFolder.existing(tmp_path)
