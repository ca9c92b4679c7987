# SPDX-License-Identifier: Apache-2.0
"""The myopia binary: its flags, what it refuses, and what it leaves behind."""

import dataclasses
import json
import re

import pytest

import jaxmyopia as jm
from experiments import myopia
from jaxmyopia import cli
from jaxmyopia.engine import probe
from jaxmyopia.studies.epochs.sweep import PRESETS

OF_EPOCHS = ["--epochs=4", "--epoch_steps=2", "--cutoff=2", "--steps=3", "--runs_a_batch=4"]
OF_LEAKS = [
    "--populations=4", "--selection_steps=3", "--intervals=2", "--leak_seeds=6", "--trait_steps=3", "--traces_steps=3",
]  # fmt: skip
OF_TRANSFER = ["--codes=scalar", "--trained=1,3", "--transfer_steps=3"]
OF_COMPANIONS = ["--dilemma_steps=20", "--meta_episodes=3"]
SMALL = [
    *OF_EPOCHS, *OF_LEAKS, *OF_TRANSFER, *OF_COMPANIONS, "--learners=reinforce", "--seeds=6", "--keep_curves=2",
]  # fmt: skip


def again(*arguments):
    """As `call`, without drawing the experiment's figures a second time."""
    return cli.binary(dataclasses.replace(myopia.main.experiment, report=None)).exit_code(arguments)


def call(*arguments):
    """Runs the binary on command-line flags, in this process; gives the exit code."""
    return myopia.main.exit_code(arguments)


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--cutoff=9", "from 0 to epochs=8"),
        ("--cutoff=-1", "from 0 to epochs=8"),
        ("--epochs=0", "at least 1"),
        ("--epochs=3", "from 0 to epochs=3"),
        ("--epoch_steps=0", "at least 1"),
        ("--schedules=up", "must be one of flat, negative, zero"),
        ("--lures=gold", "must be one of borrow, invest, none"),
        ("--credits=life", "must be one of epoch, run"),
        ("--learners=dqn", "must be one of ppo, qlearning, reinforce"),
        ("--optimizers=sdg", "must be 'momentum' or an optax optimiser"),
        ("--reveals=half", "must be one of digits, masked, one_hot, scalar, sinusoidal"),
        ("--learning_rates=0", "positive and finite"),
        ("--learning_rates=nan", "positive and finite"),
        ("--learning_rates=fast", "numbers"),
        ("--discount=1.5", "between 0 and 1"),
        ("--discount=-0.1", "between 0 and 1"),
        ("--exploration=2", "between 0 and 1"),
        ("--decay=-1", "between 0 and 1"),
        ("--clip=0", "between 0 and 1"),
        ("--entropy=-1", "at least 0"),
        ("--runs_a_batch=1", "at least 2"),
        ("--runs_a_batch=6", "a multiple of"),
        ("--parts=all", "must be one of hazards, leaks, penalties, recipe, transfer"),
        ("--leaks=water", "must be one of selection, traces, trait"),
        ("--cutoff=2,2", "without repeats"),
        ("--optimism=-1", "at least 0"),
        ("--leak_seeds=0", "at least 1"),
        ("--trait_steps=0", "at least 1"),
        ("--traces=0", "above 0"),
        ("--penalties=0", "above 0"),
        ("--penalties=2,2", "without repeats"),
        ("--hazards=1.1", "at most 1"),
        ("--codes=masked", "must be one of"),
        ("--transfer_rate=0", "positive and finite"),
        ("--transfer_width=0", "at least 1"),
        ("--debts=inf", "finite"),
        ("--populations=1", "at least 2"),
        ("--intervals=0", "at least 1"),
        ("--steps=0", "at least 1"),
        ("--selection_steps=0", "at least 1"),
        ("--seeds=0", "at least 1"),
        ("--sure=0.4", "between 0.5 and 1"),
        ("--lowered=0", "between 0 and 1"),
        ("--lures=invest,invest", "without repeats"),
        ("--preset=huge", "quick|full"),
        ("--sections=all", "must be one of dilemma, epochs, neutrality"),
        ("--epsilons=0.1,1.5", "between 0 and 1"),
        ("--meta_episodes=0", "at least 1"),
        ("--dilemma_steps=0", "at least 1"),
        ("--keep_curves=-1", "a whole number from 0"),
    ],
)
def test_bad_input_takes_one_line_and_writes_nothing(flag, allowed, tmp_path, capsys):
    out = tmp_path / "run"
    assert call(flag, f"--out={out}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert allowed in error
    assert not out.exists()


@pytest.mark.slow
def test_a_small_run_leaves_a_whole_folder_and_goes_on_where_it_was(tmp_path, capsys):
    out = tmp_path / "run"
    assert call(*SMALL, f"--out={out}") == 0
    printed = capsys.readouterr().out
    claims = json.loads((out / "claims.json").read_text())
    ids = [
        "runs-then-stops", "index-needed", "shortening-is-all", "blocks-leaks", "stop-shows-myopia",
        "uncertainty-shortens-sight", "survives-transfer", "selection-undoes-it",
    ]  # fmt: skip
    assert [claim["id"] for claim in claims[:8]] == ids
    assert len(claims) == 17
    ended = [claim["verdict"] for claim in claims]  # three updates teach nothing, and the dilemma has 20 steps
    assert set(ended[:8]) <= {"inconclusive", "not applicable"} and "not applicable" in ended[:8]
    assert ended[8:] == 6 * ["not judged"] + 3 * ["inconclusive"]
    assert all(name in printed for name in ids)
    assert json.loads((out / "manifest.json").read_text())["status"] == "complete"
    page = (out / "report.html").read_text()
    figures = [path.name for path in (out / "figures").iterdir()]
    own = [name for name in figures if not name.startswith(("evidence_", "map_", "specifications_"))]
    assert len(own) == 13 and page.count('<img src="data:image/svg+xml;base64,') == len(figures)
    assert [each.verdict for each in jm.load(out).claims] == [claim["verdict"] for claim in claims]
    chunks = {path: path.stat().st_mtime_ns for path in out.rglob("chunk-*")}
    assert again(*SMALL, f"--out={out}") == 0
    assert chunks == {path: path.stat().st_mtime_ns for path in out.rglob("chunk-*")}
    assert json.loads((out / "claims.json").read_text()) == claims
    assert call(*SMALL, f"--out={out}", "--seeds=7") == 2
    assert "seeds: 6, now 7" in capsys.readouterr().err


def test_a_run_without_recipe_index_or_selection_is_a_run_too(tmp_path, capsys):
    only = [
        "--sections=epochs",
        "--parts=recipe",
        "--learners=reinforce",
        "--schedules=zero,flat",
        "--reveals=scalar",
        "--lures=none",
        "--credits=epoch",
    ]
    assert call(*OF_EPOCHS, *only, "--seeds=6", "--keep_curves=0", f"--out={tmp_path / 'run'}") == 0
    assert "NOT JUDGED" in capsys.readouterr().out


def test_the_companions_are_runs_by_themselves(tmp_path, capsys):
    assert call(*OF_COMPANIONS, "--seeds=6", "--sections=dilemma,neutrality", f"--out={tmp_path / 'run'}") == 0
    printed = capsys.readouterr().out
    assert printed.count("NOT JUDGED") == 14
    assert re.search(r"INCONCLUSIVE  Trained with DREST.*\(drest-neutral\)", printed, re.S)


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probe, "SECONDS", 0)  # no program is timed
    assert call("--dry_run", "--preset=full") == 0
    assert any(line.startswith("63 cells") for line in capsys.readouterr().out.splitlines())
    assert not list(tmp_path.iterdir())


def test_presets_hold_what_is_promised_of_them():
    assert all(cell.seeds >= 24 for cell in PRESETS["quick"].cells())
    full = PRESETS["full"]
    assert full.cutoff == (2, 4, 6) and full.leaks.populations == (10, 100) and full.leaks.selection_steps >= 600
    assert all(cell.seeds >= 64 for cell in full.cells())
