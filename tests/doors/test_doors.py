# SPDX-License-Identifier: Apache-2.0
"""What leaves a run is what the run holds: read back by the tools it is for."""

import dataclasses
import json
import re
import sys

import numpy as np
import pandas
import pytest

import jaxmyopia as jm
from jaxmyopia.api import execute
from jaxmyopia.doors.csv_file import write_csv
from jaxmyopia.doors.specifications import specification_columns
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.study import Cell

ASKED = {"seeds": 32, "steps": 40, "records": 12, "keep_curves": 3, "learning_rate": (0.01, 0.1), "scale": 0.5}
TWICE = {"optimizer": ("sgd", "momentum"), "progress": False}


@pytest.fixture(scope="module")
def claim(late):
    @jm.claim("Momentum is late more often than SGD.")
    def momentum_late(trials):
        return jm.paired(trials.where(optimizer="momentum"), trials.where(optimizer="sgd"), late).above(0)

    return momentum_late


@pytest.fixture(scope="module")
def answer(bowl, claim):
    return jm.settle(bowl, [claim], **TWICE, **ASKED)


def same(read, column):
    """Whether a column that was read back is the one that was written, in its own type, to the bit."""
    if column.dtype == object:
        return [None if each != each else each for each in read.tolist()] == column.tolist()
    return read.to_numpy().astype(column.dtype).tobytes() == column.tobytes()


def test_the_csv_is_the_table_to_the_bit(answer, tmp_path):
    path = answer.to_csv(tmp_path / "new" / "table.csv")
    read = pandas.read_csv(path)
    assert list(read.columns) == list(answer.trials.columns) and len(read) == 2 * 2 * 32
    assert [name for name in read.columns if not same(read[name], answer.trials[name])] == []
    pandas.testing.assert_frame_equal(read, answer.trials.to_pandas(), check_dtype=False, rtol=1e-6)
    assert [each.name for each in path.parent.iterdir()] == ["table.csv"]


def test_the_csv_of_what_is_missing_infinite_and_of_several_kinds(tmp_path):
    columns = {
        "x": np.array([np.nan, np.inf, -0.0, 1e-300]),
        "kind": np.array([None, 'a, "b"\nc', "nan", ""], object),
        "mixed": np.array([True, np.nan, 1.5, "text"], object),
        "seed": np.array([2**64 - 1, 0, 1, 2], np.uint64),
    }
    text = write_csv(columns, tmp_path / "t.csv").read_text()
    assert text.startswith('"x","kind","mixed","seed"\n,,"True",18446744073709551615\n')
    read = pandas.read_csv(tmp_path / "t.csv", keep_default_na=False, na_values={"x": [""]}, dtype={"seed": np.uint64})
    assert read["x"].to_numpy().tobytes() == columns["x"].tobytes()
    assert read["kind"].tolist() == ["", *columns["kind"][1:]] and read["mixed"].tolist() == ["True", "", "1.5", "text"]
    assert read["seed"].tolist() == columns["seed"].tolist()


def test_a_csv_that_cannot_be_written_says_so_and_leaves_the_old_one(answer, tmp_path):
    with pytest.raises(jm.ArgumentError, match="must be a file, but it is a folder"):
        answer.to_csv(tmp_path)
    with pytest.raises(jm.ArgumentError, match="must be a path"):
        answer.trials.to_csv("")
    (tmp_path / "file").write_text("old")
    with pytest.raises(jm.RunError, match="could not be written") as error:
        answer.to_csv(tmp_path / "file" / "table.csv")
    assert "\n" not in str(error.value) and (tmp_path / "file").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_curves_from_elsewhere_leave_with_what_was_counted(tmp_path):
    trials = jm.curves({"step": range(4), "a": [4, 2, 1, 1], "b": [3, 3, 3, 1]})
    least = jm.Measure("least", lambda curves: curves["loss"].min(axis=0))
    assert trials[least].tolist() == [1, 1]
    assert pandas.read_csv(trials.to_csv(tmp_path / "t.csv"))["least"].tolist() == [1, 1]


def test_kept_curves_have_dimensions_by_name(answer):
    pytest.importorskip("xarray")
    found = answer.to_xarray()
    assert dict(found.loss.sizes) == {"step": 12, "trial": 12} and found.outer.dims[2:] == ("outer_0", "outer_1")
    assert found.step.values.tolist() == answer.steps.tolist() and set(found) == set(answer.curves)
    row = answer.kept.where(optimizer="momentum", learning_rate=0.1, seed=2)
    mine = found.isel(trial=(found.optimizer == "momentum") & (found.learning_rate == 0.1) & (found.seed == 2))
    assert mine.sizes["trial"] == len(row) == 1
    (again,) = (each for each in (answer.replay(seed=2, cell=1),) if not each.faults)
    place = again.rows["learning_rate"].tolist().index(0.1)
    np.testing.assert_array_equal(mine.loss.values[:, 0], again.curves["loss"][:, place])
    assert found.attrs["receipt"] == answer.receipt
    np.testing.assert_array_equal(answer.to_xarray(cell=1).loss, found.loss[:, found.cell.values == 1])


def test_curves_are_those_of_the_table_where_controls_ran_too(bowl):
    sweep = (("learning_rate", (0.1,)), ("scale", (0.5,)))
    cells = [Cell(study=bowl, sweep=sweep, seeds=2 + n, steps=4 + n, records=4, control=n == 1) for n in range(2)]
    answer = execute(cells, RunOptions(keep_curves=9, progress=False), config={}, out=None, command="")
    assert answer.curves["loss"].shape[1] == len(answer.kept) == len(answer.trials) == 2
    assert answer.steps.tolist() == [0, 1, 2, 4] and len(answer.curves.of_cell(1)["loss"][0]) == 3


def test_names_that_two_things_have_are_told_apart(bowl, late):
    @jm.claim("Half of it is late.")
    def half(trials):
        return jm.mean(trials, late).above(0.5)

    answer = jm.settle(bowl, [half], weights=(1, 2), progress=False, **ASKED | {"seeds": 4, "steps": 4, "records": 4})
    found = answer.to_xarray()
    assert found.weights.dims == ("step", "trial", "weights_0") and set(found.weights_setting.values) == {1, 2}
    piece = answer.claims[0].evidence[0].at(estimate=7.0, n=2)
    columns = specification_columns([dataclasses.replace(answer.claims[0], evidence=(piece,))])
    assert columns["setting.estimate"] == [7.0] * 4 and columns["n"] == [2] * 4 and 7.0 not in columns["estimate"]
    assert len(columns["weights"]) == 4


def test_curves_that_no_dataset_can_hold_are_refused(answer, bowl):
    with pytest.raises(jm.ArgumentError, match="cell=2 is not allowed: must be a number below 2"):
        answer.to_xarray(cell=2)
    bare = jm.run(bowl, progress=False, **ASKED | {"seeds": 2, "keep_curves": 0})
    with pytest.raises(jm.ArgumentError, match="keep_curves=0 is not allowed"):
        bare.to_xarray()


@pytest.mark.parametrize("name", ["xarray", "pandas"])
def test_what_is_not_installed_is_named(answer, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(jm.RunError, match=rf"^{name} is not installed: pip install {name}, or .* extra \[{name}\]$"):
        answer.to_xarray() if name == "xarray" else answer.trials.to_pandas()


def test_the_matrix_has_paired_seeds_as_rows(answer, late):
    found = answer.trials.matrix(late, by="optimizer")
    assert set(found) == {"sgd", "momentum"} and found.conditions == [{"learning_rate": 0.01}, {"learning_rate": 0.1}]
    assert {each.shape for each in found.values()} == {(32, 2)} and found.seeds.tolist() == list(range(32))
    for optimizer, matrix in found.items():  # the oracle: a pivot of the table
        mine = answer.trials.where(optimizer=optimizer)
        frame = mine.to_pandas().assign(value=mine[late])
        np.testing.assert_array_equal(matrix, frame.pivot(index="seed", columns="learning_rate", values="value"))
    difference = (found["momentum"] - found["sgd"]).mean(axis=0)
    np.testing.assert_allclose(difference, [each.interval.estimate for each in answer.claims[0].evidence], rtol=1e-6)
    both = answer.trials.matrix("late_s0.5_no", by=["optimizer", "learning_rate"])
    assert both["momentum", 0.1].shape == (32, 1) and both.conditions == [{}]
    other = answer.trials.matrix(late, by="optimizer", choice={"share": 0.25})
    assert other["sgd"].sum() == answer.trials.where(optimizer="sgd").values(late, {"share": 0.25}).sum()


def test_a_matrix_keeps_the_seeds_that_all_sides_have(answer, late):
    trials = answer.trials
    fewer = trials.keep((trials["optimizer"] == "sgd") | (trials["seed"] % 2 == 1))
    shuffled = fewer.keep(fewer["seed"] > 20).joined(fewer.keep(fewer["seed"] <= 20))
    found, whole = shuffled.matrix(late, by="optimizer"), trials.matrix(late, by="optimizer")
    assert found.seeds.tolist() == list(range(1, 32, 2))
    for name in found:
        np.testing.assert_array_equal(found[name], whole[name][1::2])
    for by, message in [
        ("rate", "by='rate' is not allowed: must be a setting"),
        ([], "must be a setting, or several"),
        ("seed", "must be a setting"),
    ]:
        with pytest.raises(jm.ArgumentError, match=re.escape(message)):
            trials.matrix(late, by=by)
    one_sided = trials.keep((trials["optimizer"] == "sgd") | (trials["learning_rate"] < 0.05))
    with pytest.raises(jm.ArgumentError, match=r"must have the same conditions, but one alone has learning_rate 0\.1"):
        one_sided.matrix(late, by="optimizer")
    with pytest.raises(jm.ArgumentError, match="must hold one trial a seed and condition"):
        trials.joined(trials).matrix(late, by="optimizer")
    apart = trials.keep((trials["optimizer"] == "sgd") == (trials["seed"] < 16))
    with pytest.raises(jm.ArgumentError, match="must have a seed that has all conditions"):
        apart.matrix(late, by="optimizer")


def test_a_row_a_specification(answer, bowl, late, tmp_path):
    read = pandas.read_csv(answer.specifications_to_csv(tmp_path / "s.csv"))
    assert len(read) == 2 * 4 and read["main"].sum() == 2 and set(read["claim"]) == {"momentum-late"}
    wanted = {"learning_rate", "share", "last", "estimate", "conf.low", "conf.high", "seeds", "p.value"}
    assert wanted <= set(read.columns)
    trials = answer.trials
    for row in read.to_dict("records"):  # each number anew, from the table
        choice, at = {"share": row["share"], "last": row["last"]}, {"learning_rate": row["learning_rate"]}
        sides = [trials.where(optimizer=each, **at).values(late, choice) for each in ("momentum", "sgd")]
        np.testing.assert_allclose(row["estimate"], np.nanmean(sides[0] - sides[1]), rtol=1e-6)
        assert row["seeds"] == np.isfinite(sides[0] - sides[1]).sum()
        known = not np.isnan(row["conf.low"])
        assert known == (not np.isnan(row["p.value"]))
        if known:  # at 95 %, which the intervals of two conditions may exceed
            assert row["conf.low"] <= row["estimate"] <= row["conf.high"]
            assert row["p.value"] < 0.05 or row["conf.low"] <= 0 <= row["conf.high"]
    kept = jm.load(answer.save(tmp_path / "run").folder.path)
    again = pandas.read_csv(kept.specifications_to_csv(tmp_path / "again.csv"))
    shown = ["estimate", "conf.low", "conf.high", "learning_rate", "share", "last", "main", "verdict"]
    pandas.testing.assert_frame_equal(read[shown], again[shown])
    pandas.testing.assert_frame_equal(read[read["main"]], again[again["main"]], check_dtype=False)
    assert again[~again["main"]][["seeds", "p.value"]].isna().all(axis=None)
    with pytest.raises(jm.ArgumentError, match="claims=0 is not allowed: must be judged first"):
        jm.run(bowl, progress=False, **ASKED | {"seeds": 2}).specifications_to_csv(tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_the_receipt_names_what_the_numbers_hang_on(answer, bowl, tmp_path):
    line = answer.receipt
    assert "\n" not in line and repr(answer) == f"{answer}\n{line}" and line in answer._repr_html_()
    assert "root_seed 0" in line and f"jaxmyopia {jm.__version__}" in line and "claims momentum-late" in line
    again = jm.run(bowl, out=tmp_path / "run", **TWICE, **ASKED)
    identity = re.search(r"run ([0-9a-f]{12})", line)[1]
    assert f"run {identity}" in again.receipt  # the same call, another folder
    assert all(again.trials[name].tolist() == answer.trials[name].tolist() for name in ("late_s0.5_no", "diverged"))
    other = jm.run(bowl, progress=False, root_seed=2**63, **ASKED)
    assert f"run {identity}" not in other.receipt and f"root_seed {2**63}" in other.receipt
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["config"]["experiment"], manifest["command"] = "plateaus", "python -m jaxmyopia run plateaus --out=x"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    assert jm.load(tmp_path / "run").receipt.endswith("again: python -m jaxmyopia run plateaus --out=x")
