# SPDX-License-Identifier: Apache-2.0
"""The plateaus binary: its flags, what it refuses, and what it leaves behind."""

import dataclasses
import itertools
import json
import pathlib
import typing

import numpy as np
import pytest

import jaxmyopia as jm
from experiments import plateaus
from jaxmyopia import cli, launch
from jaxmyopia.claims.verdicts import Verdict
from jaxmyopia.engine import probe
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.studies.lowrank.sweep import PLATEAUS, PRESETS, Sweep, default_rates

ROOT = pathlib.Path(__file__).parents[2]
# Matrices of side 2 are of rank 2 and of full rank at once: the claims about either are judged on the same programs.
SMALL = ["--n=2", "--ranks=2", "--seeds=40", "--steps=60", "--learning_rates=0.01,0.05", "--keep_curves=2",
         "--losses=square", "--init_scale=1,0.1"]  # fmt: skip


def again(*arguments):
    """As `call`, without drawing the experiment's figures a second time."""
    return cli.binary(dataclasses.replace(plateaus.main.experiment, report=None)).exit_code(arguments)


def call(*arguments):
    """Runs the binary on command-line flags, in this process; gives the exit code."""
    return plateaus.main.exit_code(arguments)


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--losses=hinge", "must be one of cross_entropy, square"),
        ("--optimizers=sdg", "optax optimiser"),
        ("--optimizers=adam_", "optax optimiser"),
        ("--targets=gauss", "must be one of gaussian, orthogonal, spectrum"),
        ("--spectrum=two", "numbers"),
        ("--ranks=0", "between 1 and n=100"),
        ("--ranks=-3", "between 1 and n=100"),
        ("--ranks=101", "between 1 and n=100"),
        ("--ranks=two", "whole numbers"),
        ("--ranks=", "comma-separated list"),
        ("--ranks=2,2", "without repeats"),
        ("--seeds=0", "at least 1"),
        ("--seeds=many", "invalid literal"),
        ("--steps=0", "at least 1"),
        ("--learning_rates=0", "positive and finite"),
        ("--learning_rates=-0.1", "positive and finite"),
        ("--learning_rates=nan", "positive and finite"),
        ("--learning_rates=inf", "positive and finite"),
        ("--init_scale=0", "positive and finite"),
        ("--bump_delta=0", "between 0 and 1"),
        ("--bump_delta=-0.1", "between 0 and 1"),
        ("--plateau_ratio=1", "between 0 and 1"),
        ("--zero_loss=nan", "between 0 and 1"),
        ("--uptick=1", "above 1"),
        ("--preset=huge", "quick|full"),
        ("--keep_curves=-1", "a whole number from 0"),
        ("--frobnicate", "Unknown command line flag"),
    ],
)
def test_bad_input_takes_one_line_and_writes_nothing(flag, allowed, tmp_path, capsys):
    out = tmp_path / "run"
    assert call(flag, f"--out={out}") == 2
    error = capsys.readouterr().err
    name, _, value = flag.lstrip("-").partition("=")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert name in error
    assert allowed in error
    assert value.split(",")[0] in error
    assert not out.exists()


@pytest.mark.slow
def test_a_small_run_leaves_a_whole_folder_and_goes_on_where_it_was(tmp_path, capsys):
    out = tmp_path / "run"
    assert call(*SMALL, f"--out={out}") == 0
    printed = capsys.readouterr().out
    claims = json.loads((out / "claims.json").read_text())
    assert len(claims) == 9
    for claim in claims:
        assert claim["id"] in printed
        assert claim["verdict"] in typing.get_args(Verdict) and claim["headline"]
    assert {claim["id"]: claim["verdict"] for claim in claims}["ce-rank10-stuck"] == "not judged"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert {"python", "jax", "optax"} <= manifest["versions"].keys()
    figures = sorted(path.name for path in (out / "figures").iterdir())
    own = [name for name in figures if not name.startswith(("evidence_", "map_", "specifications_"))]
    assert len(own) == 14 and {path.suffix for path in (out / "figures").iterdir()} == {".svg"}
    judged = [claim for claim in claims if claim["evidence"]]
    controls = [control for claim in judged for control in claim["controls"]]
    assert len(controls) >= 2 * len(judged) > 8 and {control["came_out"] for control in controls} == {"held"}
    assert all({f"evidence_{claim['id']}.svg", f"map_{claim['id']}.svg"} & set(figures) for claim in judged)
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.index("<h2>Claims") < page.index("<h2>Figures") < page.index("<h2>What was run")
    assert page.count('<img src="data:image/svg+xml;base64,') == len(figures)
    assert [each.verdict for each in jm.load(out).claims] == [claim["verdict"] for claim in claims]
    chunks = {path: path.stat().st_mtime_ns for path in out.rglob("chunk-*")}
    assert again(*SMALL, f"--out={out}") == 0
    assert chunks == {path: path.stat().st_mtime_ns for path in out.rglob("chunk-*")}
    assert json.loads((out / "claims.json").read_text()) == claims
    assert call(*SMALL, f"--out={out}", "--seeds=41") == 2
    assert "seeds: 40, now 41" in capsys.readouterr().err


def test_a_rate_far_too_high_ends_normally_with_its_seeds_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxmyopia.studies.lowrank.controls.cells", lambda thresholds: [])  # not asked
    out = tmp_path / "run"
    arguments = ["--n=2", "--ranks=2", "--losses=square", "--seeds=12", "--steps=60", "--learning_rates=0.01,30"]
    arguments += ["--init_scale=1"]
    assert call(*arguments, "--optimizers=sgd", f"--out={out}") == 0
    table = read_table(out)
    np.testing.assert_array_equal(table["diverged"], table["learning_rate"] > 1)
    assert "NOT JUDGED" in capsys.readouterr().out


def read_table(out):
    return RunFolder(out, json.loads((out / "manifest.json").read_text())["config"]).table()


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probe, "SECONDS", 0)  # no program is timed
    assert call("--dry_run", "--preset=full") == 0
    plan = capsys.readouterr().out.splitlines()
    cells = len(PRESETS["full"].cells())
    lines = [line for line in plan if not line.startswith(" ")]  # a cell whose line is too long goes on below it
    assert lines[cells].startswith(f"{cells} cells")
    assert f"of {cells} cells" in " ".join(lines[cells + 1 :]) and any(line.startswith("Memory") for line in lines)
    assert not list(tmp_path.iterdir())


def test_flags_override_the_preset_and_flagfiles_work(tmp_path):
    flagfile = tmp_path / "flags"
    flagfile.write_text("--ranks=1,2\n--steps=77\n--bump_delta=0.2\n")
    values = plateaus.main.flags()
    launch.parse(values, ["plateaus", f"--flagfile={flagfile}", "--preset=full", "--seeds=5"])
    sweep = plateaus.main.sweep(values)
    assert (sweep.ranks, sweep.steps, sweep.thresholds.bump_delta) == ((1, 2), 77, 0.2)
    assert (sweep.seeds, sweep.wide_seeds, sweep.wide_steps) == (5, 5, 77)
    assert sweep.rates == PRESETS["full"].rates


def test_the_full_preset_holds_what_is_promised_of_it():
    cells = [each for each in PRESETS["full"].cells() if not each.control]
    narrow = [each for each in cells if each.study.rank <= 10]
    assert {each.seeds for each in narrow} == {64} and {each.seeds for each in cells if each not in narrow} == {48}
    settings = [{**each.study.settings(), **{name: value for name, (value,) in each.sweep}} for each in cells]
    assert len({tuple(sorted(each.items())) for each in settings}) == len(cells)  # a cell a condition
    scales = {each["init_scale"] for each in settings if each["rank"] <= 10}
    assert scales == {1.0, 0.3, 0.1, 0.03, 0.01}
    for loss, optimizer, rank in itertools.product(
        ("square", "cross_entropy"), ("sgd", "adam", "adamw"), (1, 2, 4, 10)
    ):
        mine = [each for each in settings if (each["loss"], each["optimizer"], each["rank"]) == (loss, optimizer, rank)]
        assert len(mine) == 5 * 3 * (2 if optimizer == "adamw" else 1)


def test_rates_follow_the_gradients_scale():
    assert default_rates("square", "sgd", 10, 3) == pytest.approx(
        np.multiply(10, default_rates("square", "sgd", 100, 3))
    )
    assert default_rates("cross_entropy", "adam", 10, 3) == default_rates("square", "adam", 100, 3)
    assert PLATEAUS.resolve("quick", {}) == Sweep()
