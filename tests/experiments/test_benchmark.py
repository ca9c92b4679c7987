# SPDX-License-Identifier: Apache-2.0
"""The benchmark and the experiment on Adam's bumps, as a user runs them, at sizes of a moment."""

import copy
import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from experiments.benchmarks import benchmark
from jaxmyopia import cli, launch
from jaxmyopia.studies.lowrank.adam_bumps import ADAM_BUMPS

ROOT = pathlib.Path(__file__).parents[2]


def call(name: str, *arguments: str) -> subprocess.CompletedProcess:
    name = {"benchmark": "benchmarks.benchmark"}.get(name, name)
    cache = f"--compilation_cache={jax.config.jax_compilation_cache_dir}"
    command = [sys.executable, "-m", f"experiments.{name}", cache, *arguments]
    quickly = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.run(command, cwd=ROOT, env=quickly, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_the_benchmark_races_all_baselines_and_draws_them(tmp_path):
    small = ["--sizes=6x1,7x2", "--batches=8,16", "--repeats=2", "--seconds=0.001", f"--out={tmp_path}"]
    done = call("benchmark", "--sections=cells,seeds", "--contestants=jaxmyopia,jit(vmap)", *small)
    assert done.returncode == 0, done.stderr
    assert "--contestants is called --baselines now" in done.stderr  # the older name
    sections = json.loads((tmp_path / "benchmark.json").read_text())["sections"]
    cases = {(row["loss"], row["optimizer"], row["n"], row["rank"]) for row in sections["cells"]}
    assert len(cases) == 2 * 2 * 2
    for row in (*sections["cells"], *sections["seeds"]):
        assert len(row["speeds"]) == 2 and min(row["speeds"]) <= row["speed"] <= max(row["speeds"])
        assert row["ratio"] == 1 or row["baseline"] != "jit(vmap)"
    assert {row["seeds"] for row in sections["seeds"]} == {8, 16}
    machine, _, *table = done.stdout.splitlines()
    assert " (cpu), python 3." in machine
    assert "jit(vmap)" in table[0] and len(table) == 1 + len(cases)
    assert "other work took" in done.stderr.splitlines()[-1] or "is not known here" in done.stderr.splitlines()[-1]
    assert all("other_load" in row for row in (*sections["cells"], *sections["seeds"]))
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {"cells.png", "growth.png"}


@pytest.mark.slow
def test_the_predictions_on_adams_bumps_are_judged(tmp_path):
    small = ["--n=8", "--seeds=24", "--steps=60", "--ranks=1,2", f"--out={tmp_path}", "--root_seed=1"]
    assert cli.binary(ADAM_BUMPS).exit_code(small) == 0
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert [claim["id"] for claim in claims] == ["no-excess-below", "excess-above"]
    for claim in claims:
        names = ("rank", "adam_rate", "init_scale", "definition")
        places = {tuple(piece["condition"][name] for name in names) for piece in claim["evidence"]}
        # Nine of twenty pairs of rate and scale, at either rank, under either definition.
        assert len(places) == len(claim["evidence"]) == 36
        assert {definition for *_, definition in places} == {"inner", "cosine"}
        for _, rate, scale, _ in places:
            assert rate <= 0.101 * scale if claim["id"] == "no-excess-below" else rate >= 0.999 * scale
        assert all(piece["interval"]["n"] + piece["diverged"] == 24 for piece in claim["evidence"])
    assert (tmp_path / "figures" / "excess.svg").is_file() and (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("name", "flag", "message"),
    (
        ("benchmark", "--sections=cell", "error: --sections='cell' is not allowed: must be one of cells, "),
        (
            "benchmark",
            "--sizes=100",
            "error: --sizes='100' is not allowed: must be a side and a rank, as in 100x2",
        ),
        ("benchmark", "--repeats=0", "error: --repeats=0 is not allowed: must be at least 1"),
        ("adam_bumps", "--seeds=0", "error: --seeds=0 is not allowed: must be at least 1"),
        ("adam_bumps", "--ranks=17", "error: --ranks=17 is not allowed: must be between 1 and 16"),
        ("benchmark", "--agents=0", "error: --agents=0 is not allowed: must be at least 1"),
        ("benchmark", "--batches=0", "error: --batches=0 is not allowed: must be at least 1"),
        (
            "benchmark",
            "--sizes=10x20",
            "error: --sizes='10x20' is not allowed: must be a side and a rank, as in 100x2",
        ),
        ("benchmark", "--peak_tflops=-1", "error: --peak_tflops=-1.0 is not allowed: must be positive"),
    ),
)
def test_bad_input_takes_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, name, flag, message):
    words = [flag, f"--out={tmp_path / 'out'}"]
    if name == "adam_bumps":
        code = cli.binary(ADAM_BUMPS).exit_code(words)
    else:
        monkeypatch.setattr(benchmark, "FLAGS", copy.deepcopy(benchmark.FLAGS))
        launch.parse(benchmark.FLAGS, [name, *words])
        code = launch.finish(benchmark.main, benchmark.FLAGS)
    printed = capsys.readouterr().err
    assert code == 2 and printed.startswith(message) and printed.count("\n") == 1
    assert not (tmp_path / "out").exists()
