# SPDX-License-Identifier: Apache-2.0
"""The interpretability binary: what it refuses, and a small run of all its parts with its figures."""

import json

import pytest

from experiments import interpretability
from experiments.benchmarks.fuzz_pools import OF_PART

SMALL = [
    *(f"--{name}={value}" for part in OF_PART.values() for name, value in part.items() if not name.endswith("_seeds")),
    *(f"--{part}_seeds=24" for part in ("capacity", "published", "shape", "geometry")),
    "--capacities=1,2,3,4,5", "--features=20", "--neuron_seeds=2", "--actives=0.5,0", "--spans=10",
    "--parts=" + ",".join(OF_PART),
]  # fmt: skip


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--parts=all", "must be one of"), ("--parts=shapes,shapes", "without repeats"),
        ("--capacities=90", "at most features=64"), ("--capacities=0", "whole number from 1"),
        ("--actives=1.5", "must be probabilities"), ("--actives=-0.1", "must be probabilities"),
        ("--spans=0.5", "at least 1"), ("--optimizers=adom", "must be 'momentum' or an optax optimiser"),
        ("--capacity_rates=0.1,0.2", "one for each of adam"), ("--capacity_rates=0", "positive"),
        ("--features=2", "must be at most features=2"), ("--pentagon_actives=0", "a probability above 0"),
        ("--phase_spans=0", "at least 1"), ("--polygon_features=2", "from 3 to 16"), ("--scales=-1", "not negative"),
        ("--shape_decays=-1", "not negative"), ("--levels=20", "from 0 to 19"),
        ("--geometry_hidden=300", "at most 200"),
        ("--batch=0", "at least 1"), ("--shape_seeds=0", "at least 1"), ("--rates=inf", "positive and finite"),
        ("--published_steps=0", "at least 1"), ("--spans=1e9", "capacities up to a quarter"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_one_line_and_nothing_is_written(flag, allowed, tmp_path, capsys):
    out = tmp_path / "run"
    parts = [] if flag.startswith("--parts") else ["--parts=capacity,published,shapes,geometry,neurons"]
    assert interpretability.main.exit_code([*parts, flag, f"--out={out}"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and allowed in said[0] and flag[2:].partition("=")[0] in said[0]
    assert not out.exists()


def test_a_small_run_of_all_parts_has_its_figures_and_judges_what_it_can(tmp_path, capsys):
    out = tmp_path / "run"
    assert interpretability.main.exit_code([*SMALL, f"--out={out}", "--keep_curves=2"]) == 0
    capsys.readouterr()
    figures = {path.stem for path in (out / "figures").glob("*.svg")}
    assert {"capacity", "geometries", "phases", "basins", "dimensions", "monosemantic_neurons"} <= figures
    claims = {each["id"]: each for each in json.loads((out / "claims.json").read_text())}
    failed = [
        (name, control["name"])
        for name, each in claims.items()
        for control in each["controls"]
        if control["came_out"] == "failed"
    ]
    assert not failed and claims["total-dips"]["evidence"] and claims["lines"]["evidence"]
