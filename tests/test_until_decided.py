# SPDX-License-Identifier: Apache-2.0
"""Runs that add seeds until their claims are decided, from the command line and from Python."""

import dataclasses
import json
import shutil

import pytest

import jaxmyopia as jm
from jaxmyopia import cli
from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.claims.sequential import undecided_cells
from jaxmyopia.engine.merge import merge
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.report.page import Report
from jaxmyopia.verify import Declared, opened, verify_folder

RATIO = jm.measures.final_ratio()
STUDY = jm.LowRank(n=4, rank=1)
SETTINGS = {"learning_rate": (0.01, 0.1), "init_scale": 0.5, "steps": 8, "records": 4}


@jm.claim("The larger rate ends lower.")
def larger_is_better(trials):
    return jm.paired(trials.where(learning_rate=0.1), trials.where(learning_rate=0.01), RATIO).below(0)


@jm.claim("Even seeds are more than half.")
def half(trials):
    few = trials.where(learning_rate=0.1)
    return jm.share(few, RATIO, lambda ratio: few["seed"] % 2 == 0).above(0.5)


@jm.claim("There is a rank 3.")
def rank_three(trials):
    return jm.mean(trials.where(rank=3), RATIO).below(1)


@dataclasses.dataclass(frozen=True)
class Sweep:
    seeds: int = flag(8, "Seeds to begin with.")
    undecided: bool = flag(False, "Claim what no number of seeds decides.")

    def cells(self):
        return [cell for n in (4, 5) for cell in dataclasses.replace(STUDY, n=n).cells(seeds=self.seeds, **SETTINGS)]

    def claims(self):
        return [larger_is_better, *([half] if self.undecided else [])]


OWN = Experiment(
    "own", "A small run.", {"only": Sweep()}, Sweep.cells, Sweep.claims,
    report=lambda answer, sweep: Report("Own"), apart=lambda sweep: [{"n": 4}, {"n": 5}],
)  # fmt: skip


def call(*words: object) -> int:
    return cli.binary(OWN).exit_code([str(word) for word in words])


def first_decided(folder, judge) -> int:
    """How many rounds it takes, by the rows that there are."""
    run = folder.rounds["run"]
    return next((k for k in range(1, run + 1) if judge(folder.table(k))), run + 1)


@pytest.fixture(scope="module")
def decided_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("decided") / "run"
    assert call(f"--out={path}", "--until_decided", "--cap=200") == 0
    rounds = opened(path).rounds
    assert OWN.undecided_cells(opened(path).table(1), Sweep()) == {0, 1}
    assert rounds["decided"] and rounds["run"] > 1 and rounds["of"] == 8
    return path


def test_the_binary_stops_at_the_first_look_that_decides_and_says_so(tmp_path, capsys):
    out = tmp_path / "run"
    assert call(f"--out={out}", "--until_decided", "--cap=200") == 0
    printed, folder = capsys.readouterr(), opened(out)
    rounds = folder.rounds
    assert rounds["decided"] and rounds["run"] < rounds["of"] == 8
    assert rounds["run"] == first_decided(folder, lambda trials: not OWN.undecided_cells(trials, Sweep()))
    seeds = rounds["seeds"][-1]
    assert printed.out.endswith(f"\ndecided after {seeds} seeds; not registered\n") and "look 2 of 8: " in printed.err
    claims = json.loads((out / "claims.json").read_text())
    assert {piece["interval"]["n"] for each in claims for piece in each["evidence"]} == {seeds}
    assert f"status: complete · decided after {seeds} seeds" in (out / "report.html").read_text()
    assert call(f"--out={out}", "--until_decided", "--cap=200") == 0  # nothing is left to run, the same is decided
    assert opened(out).rounds == rounds
    declared = Declared.by(OWN, folder.config, {})
    assert not verify_folder(folder, declared, replay=30).faults
    found = str(verify_folder(folder, declared)).splitlines()[-1]
    assert found == f"looks   {rounds['run']} of {rounds['run']} looks decide as the manifest says"
    assert call(f"--out={out}", "--verify", "--replay=4") == 0
    assert call(f"--out={out}", f"--replay_seed={seeds - 1}") == 0
    assert call(f"--out={out}", f"--replay_seed={seeds}") == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    (
        ({"decided": False}, "manifest.json: look {run}, at {last} seeds, is decided by the rows"),
        ({"run": 1, "seeds": [8], "cells": [1, 1]}, "manifest.json: look 1, at 8 seeds, is not decided by the rows"),
        (
            {"run": 1, "seeds": [8], "cells": [1, 1], "decided": False},
            "manifest.json: the run ended at look 1 of 8, not decided",
        ),
        ({"seeds": [8, 16, 24, 41]}, "manifest.json: rounds.seeds is [8, 16, 24, 41], planned [8, 16, 24, 40]"),
    ),
)
def test_a_look_that_did_not_decide_as_told_is_found(decided_run, change, fault):
    folder, written = opened(decided_run), (decided_run / "manifest.json").read_text()
    rounds = folder.rounds
    manifest = json.loads(written)
    manifest["rounds"] |= change
    (decided_run / "manifest.json").write_text(json.dumps(manifest))
    try:
        faults = verify_folder(opened(decided_run), Declared.by(OWN, folder.config, {})).faults
    finally:
        (decided_run / "manifest.json").write_text(written)
    assert fault.format(run=rounds["run"], last=rounds["seeds"][-1]) in faults


@pytest.mark.parametrize(("decided", "right"), ((True, 4), (False, 3)))
def test_looks_that_were_written_before_cells_were_told_apart_are_verified(decided_run, tmp_path, decided, right):
    copy = shutil.copytree(decided_run, tmp_path / "run")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["rounds"] = {name: manifest["rounds"][name] for name in ("of", "run", "seeds")} | {"decided": decided}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = verify_folder(opened(copy), Declared.by(OWN, manifest["config"], {}))
    assert str(found.checks[-1]).startswith(f"looks   {right} of 4 looks decide as the manifest says")
    assert len(found.faults) == 4 - right


@jm.claim("With n = 4 the larger rate ends lower.")
def clear(trials):
    return larger_is_better.pieces(trials.where(n=4))


@jm.claim("Even seeds are more than half, with n = 5.")
def even(trials):
    return half.pieces(trials.where(n=5))


@jm.claim("The ratio does not change with n.")
def across(trials):
    """Of the seeds that both cells have."""
    few = trials.where(learning_rate=0.1)
    return jm.paired(few.where(n=4), few.where(n=5), RATIO, range=(0, 2)).within(0.9)


@jm.claim("Zero with n = 4 is above zero with n = 5.")
def open_across(trials):
    few = trials.where(learning_rate=0.1)
    return jm.paired(few.where(n=4), few.where(n=5), RATIO, lambda ratio: 0 * ratio, range=(0, 1)).above(0)


BOTH = [dataclasses.replace(STUDY, n=n) for n in (4, 5)]
CALL = SETTINGS | {"seeds": 64, "progress": False}


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A run of two cells of which one is decided at 64 seeds, the other nowhere."""
    out = tmp_path_factory.mktemp("apart") / "run"
    return jm.settle(BOTH, [clear, even, across], until_decided=True, cap=200, out=out, **CALL)


def seeds_of(answer) -> dict[str, int]:
    return {each.id: each.evidence[0].interval.n for each in answer.claims}


def test_seeds_are_added_where_something_is_undecided_alone(apart):
    assert apart.folder.rounds["cells"] == [1, 4] and apart.folder.rounds["seeds"] == [64, 128, 192, 200]
    assert [cell.seeds for cell in apart.cells] == [64, 200] and len(apart.trials) == 2 * (64 + 200)
    # What rests on both has the seeds that both have: further looks of one cell do not touch it.
    assert seeds_of(apart) == {"clear": 64, "even": 200, "across": 64}
    verdicts = [each.verdict for each in apart.claims]
    assert verdicts == ["supported", "inconclusive", "supported"]
    last = "not decided by the cap of 200 seeds (1 of 2 cells needed fewer): 528 trials in 2 cells, not registered"
    assert str(apart).splitlines()[-1] == last
    plain = jm.settle(BOTH, [clear, even], **CALL | {"seeds": 200})
    stand = plain.trials.keep((plain.trials["cell"] == 1) | (plain.trials["seed"] < 64))
    for name in plain.trials.columns:
        assert apart.trials[name].tolist() == stand[name].tolist(), name
    assert not apart.verify(replay=10).faults and not apart.replay(cell=1, seed=199).faults


@pytest.mark.parametrize("claims", ([open_across], [open_across, clear]))
def test_a_pair_that_is_undecided_keeps_both_its_cells(claims):
    found = jm.settle(BOTH, claims, until_decided=True, cap=128, **CALL)
    assert found.folder.rounds["cells"] == [2, 2] and seeds_of(found)["open-across"] == 128


def test_cells_that_did_not_go_on_as_told_are_named(apart, tmp_path):
    copy = shutil.copytree(apart.folder.path, tmp_path / "run")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["rounds"]["cells"] = [4, 1]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    folder = opened(copy)
    faults = verify_folder(folder, Declared.of(folder, apart.studies, [clear, even, across])).faults
    for cell, now in enumerate(("closed", "open")):
        assert f"manifest.json: look 1, at 64 seeds, cell {cell} is {now} by the rows" in faults
    assert "manifest.json: lacks chunk-000-00001" in faults


def test_claims_that_no_seed_decides_go_to_the_cap(tmp_path, capsys):
    assert call(f"--out={tmp_path}/run", "--until_decided", "--cap=32", "--undecided") == 0
    assert capsys.readouterr().out.endswith("\nnot decided by the cap of 32 seeds; not registered\n")
    assert len(opened(tmp_path / "run").table()) == 2 * 2 * 32


def test_shards_are_judged_where_they_are_joined(tmp_path, capsys):
    flags = "--until_decided", "--cap=64"
    assert call(f"--out={tmp_path}/direct", *flags) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    for shard in range(2):
        assert call(f"--out={tmp_path}/{shard}", *flags, "--num_shards=2", f"--shard_index={shard}") == 0
    merge([f"{tmp_path}/{shard}" for shard in range(2)], f"{tmp_path}/whole")
    assert call(f"--out={tmp_path}/whole", *flags) == 0
    assert capsys.readouterr().out.splitlines()[-1] == said
    one, other = opened(tmp_path / "direct"), opened(tmp_path / "whole")
    assert one.rounds == other.rounds and len(one.table()) == len(other.table())
    read = lambda folder: [each | {"receipt": ""} for each in json.loads((folder.path / "claims.json").read_text())]
    assert read(one) == read(other)
    assert call(f"--out={tmp_path}/whole", "--verify") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    (
        (("--cap=100",), "--cap=100 is not allowed: it would do nothing: it acts only with --until_decided"),
        (("--until_decided", "--cap=7"), "--cap=7 is not allowed: must be a whole number from 8, the seeds to begin"),
    ),
)
def test_what_cannot_be_decided_is_refused_in_one_line(tmp_path, capsys, words, message):
    assert call(f"--out={tmp_path}/run", *words) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (tmp_path / "run").exists()


def test_without_claims_there_is_nothing_to_decide(tmp_path, capsys):
    own = cli.binary(dataclasses.replace(OWN, claims=None))
    assert own.exit_code([f"--out={tmp_path}/run", "--until_decided"]) == 2
    said = "error: --until_decided=True is not allowed: must be of an experiment with claims; own has none to decide\n"
    assert capsys.readouterr().err == said


def test_a_dry_run_says_from_how_many_seeds_to_how_many(tmp_path, capsys):
    assert call(f"--out={tmp_path}/run", "--until_decided", "--cap=48", "--dry_run") == 0
    assert ": 2 settings x 8 to 48 seeds x 8 steps" in capsys.readouterr().out


def test_settle_adds_seeds_and_the_answer_says_how_many(tmp_path):
    claims = [larger_is_better, rank_three]
    answer = jm.settle(STUDY, claims, until_decided=True, cap=200, seeds=8, progress=False, **SETTINGS)
    rounds = answer.folder.rounds
    judge = lambda trials: not undecided_cells(claims, trials)
    assert rounds["decided"] and rounds["run"] == first_decided(answer.folder, judge)
    seeds = rounds["seeds"][-1]
    assert [cell.seeds for cell in answer.cells] == [seeds] and len(answer.trials) == 2 * seeds < 400
    assert str(answer).splitlines()[-1] == f"decided after {seeds} seeds: {2 * seeds} trials in 1 cells, not registered"
    plain = jm.settle(STUDY, claims, seeds=seeds, progress=False, **SETTINGS)
    assert plain.folder.rounds is None and not plain.trials.anytime and answer.trials.anytime
    for name in plain.trials.columns:
        assert answer.trials[name].tolist() == plain.trials[name].tolist(), name
    assert not answer.verify(replay=10).faults and not answer.replay(seed=seeds - 1).faults
    with pytest.raises(ArgumentError, match=r"^cap=9 is not allowed: it would do nothing: it acts only with until_dec"):
        jm.settle(STUDY, claims, cap=9, seeds=8, **SETTINGS)


def test_a_claim_that_raises_leaves_a_run_that_goes_on(tmp_path):
    @jm.claim("This one is broken.")
    def broken(trials):
        return jm.mean(trials, "no_such_column").below(1)

    settings = SETTINGS | {"seeds": 8, "progress": False, "out": tmp_path / "run", "until_decided": True, "cap": 16}
    with pytest.raises(ArgumentError, match="no_such_column"):
        jm.settle(STUDY, [broken], **settings)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "failed"
    with pytest.raises(RunError, match="is not completed"):
        opened(tmp_path / "run")
