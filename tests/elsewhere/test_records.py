# SPDX-License-Identifier: Apache-2.0
"""Rows of a run: what is harmless is left out and told, all else is a reason, and their order does not matter."""

import io

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import jaxmyopia as jm
from jaxmyopia.elsewhere.losses import Losses
from jaxmyopia.elsewhere.records import Raw, checked

PLATEAUS = jm.measures.plateaus(ratio=0.5, fall=0.02)


def run(steps, loss, **options):
    steps, loss = np.asarray(steps, float), np.asarray(loss, float)
    return checked(Raw("a", steps, loss, **({"empty": np.zeros(len(steps), bool)} | options)))


@pytest.mark.parametrize(
    ("steps", "loss", "reason"),
    [
        ([0, 1, 1, 2], [4, 2, 3, 1], "step 1 is there twice, with losses 2 and 3"),
        ([0, np.nan, 2, 3], [4, 2, 1, 1], "a record has no step, its loss is 2"),
        ([0, 1, 2, 3], [4, 2, np.nan, 1], "it is not finite at step 2"),
        ([0, 1, 2, 3], [4, np.inf, 2, 1], "it is not finite at step 1"),
        ([0, 1, 2, 3], [4, 1e39, 2, 1], "it is too large at step 1"),
        ([0, 1], [4, 2], "it has 2 records, and needs 3"),
        ([], [], "it has 0 records, and needs 3"),
        ([0, 1, 2], [0, 2, 1], "it does not start above zero"),
        ([0, 1, 2], [-1, -2, -3], "it does not start above zero"),
        (1.6e9 + np.arange(4.0) / 10, [4, 3, 2, 1], "its steps are too large to be told apart: subtract the first"),
        (
            [*range(10), *range(200, 210)], [4.0] * 10 + [1.0] * 10,
            "nothing is recorded between steps 9 and 200, and the loss changes by 75% of the first",
        ),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_counted_says_why_and_where(steps, loss, reason):
    found = run(steps, loss)
    assert found.reason == reason
    assert np.isnan(Losses([found]).columns(PLATEAUS)["plateaus"]).all()


@pytest.mark.parametrize(
    ("steps", "loss"),
    [
        ([0, 1, 10, 100, 1000, 10000], [6, 5, 4, 3, 2, 1]),  # they thin out evenly
        ([*range(10), *range(200, 210)], [4.0] * 10 + [3.99] * 10),  # nothing happens in the gap
        ([0, *range(100, 10_000, 100)], np.linspace(4, 1, 100)),
        (1.6e9 + 600 * np.arange(4.0), [4, 3, 2, 1]),
        (np.arange(4) / 4, [4, 3, 2, 1]),
    ],
)
def test_uneven_and_fractional_steps_are_fine(steps, loss):
    found = run(steps, loss)
    assert found.reason == "" and np.diff(found.steps.astype(float)) == pytest.approx(np.diff(steps), rel=0.01)


def test_a_record_that_is_there_twice_is_left_out_and_told():
    found = run([0, 1, 1, 2, 3], [4, 2, 2, 1, 1])
    assert (found.steps.tolist(), found.left_out, found.reason) == ([0, 1, 2, 3], 1, "")


def test_steps_may_decrease_where_rows_have_no_order():
    assert run([0, 3, 2, 1], [4, 1, 2, 3]).loss.tolist() == [4, 3, 2, 1]
    assert run([0, 3, 2, 4], [4, 1, 2, 0], ordered=True).reason == "step 2 comes after step 3"
    wide = jm.curves({"step": [0, 2, 1, 3], "a": [4, 3, 2, 1], "b": pa.array([4, 3, None, 1], pa.float64())})
    assert wide["reason"].tolist() == ["step 1 comes after step 2", ""]


def test_a_clock_shows_that_a_run_was_resumed():
    found = run([0, 10, 20, 15, 25], [4, 3, 2, 3, 1], clock=np.arange(5.0))
    assert found.reason == "step 20 was logged before step 15: was the run resumed?"


def test_nan_in_a_frame_is_no_record_unless_it_may_be_a_run_that_diverged():
    frame = pd.DataFrame({"step": range(6), "a": [4, np.nan, 2, np.nan, 1, 1], "b": [4, 2, 1, 0.5, np.nan, np.nan]})
    trials = jm.curves(frame)
    told = "NaN from step 4 on: no record or not finite? drop these rows to say the first, or give the file's path"
    assert trials["reason"].tolist() == ["", told] and trials["left_out"].tolist() == [2, 2]
    assert jm.curves({name: frame[name].to_numpy() for name in frame})["reason"].tolist() == [
        "it is not finite at step 1", "it is not finite at step 4",
    ]  # fmt: skip
    assert jm.curves(frame.convert_dtypes())["reason"].tolist() == trials["reason"].tolist()


def test_a_file_tells_an_empty_cell_from_nan(tmp_path):
    (tmp_path / "a.csv").write_text("step,a,b,c\n0,4,4,4\n1,,NaN,inf\n2,2,2,2\n3,1,1,1\n4,0.5,,\n")
    trials = jm.curves(tmp_path / "a.csv")
    assert trials["reason"].tolist() == ["", "it is not finite at step 1", "it is not finite at step 1"]
    assert trials["records"].tolist() == [4, 4, 4] and trials["diverged"].tolist() == [False, True, True]


curve = st.tuples(st.integers(3, 12), st.integers(0, 2**32 - 1))


def long_table(shapes):
    parts = []
    for number, (length, seed) in enumerate(shapes):
        rng = np.random.default_rng(seed)
        steps = np.sort(rng.choice(50, length, replace=False))
        loss = np.round(np.abs(rng.normal(3, 2, length)), 1)  # some zero, some alike
        parts.append(pd.DataFrame({"run": f"r{number}", "step": steps, "loss": loss, "kind": "ab"[number % 2]}))
    return pd.concat(parts, ignore_index=True)


@hypothesis.settings(max_examples=25)
@hypothesis.given(shapes=st.lists(curve, min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1), twice=st.booleans())
def test_the_order_of_rows_does_not_matter(shapes, seed, twice):
    table = long_table(shapes)
    if twice:  # a row that is there twice, and a step that is
        table = pd.concat([table, table.iloc[:1], table.iloc[-1:].assign(loss=9.0)])
    shuffled = table.sample(frac=1, random_state=np.random.default_rng(seed))
    first, second = jm.curves(table), jm.curves(shuffled)
    pd.testing.assert_frame_equal(first.to_pandas(), second.to_pandas())
    assert first.settings == second.settings
    for a, b in zip(first.runs, second.runs, strict=True):
        np.testing.assert_array_equal(a.steps, b.steps)
        np.testing.assert_array_equal(a.loss, b.loss)


@hypothesis.settings(max_examples=25)
@hypothesis.given(shapes=st.lists(curve, min_size=1, max_size=4))
def test_long_wide_and_written_tables_are_the_same(shapes):
    table = long_table(shapes).drop(columns="kind")
    wide = table.pivot(index="step", columns="run", values="loss").reset_index()
    text = io.StringIO()
    wide.to_csv(text, index=False)
    arrow = pa.csv.read_csv(io.BytesIO(text.getvalue().encode()))
    for a, b in zip(jm.curves(table).runs, jm.curves(arrow).runs, strict=True):
        assert (a.name, a.steps.tolist(), a.loss.tolist(), a.reason) == (
            b.name, b.steps.tolist(), b.loss.tolist(), b.reason,
        )  # fmt: skip


def test_runs_of_many_steps_and_lengths_are_measured_as_each_by_itself(monkeypatch):
    rng = np.random.default_rng(0)
    runs = []
    for length, same in ((40, True), (40, False), (60, True)):
        for i in range(5):
            steps = np.arange(length) * 2 if same else np.cumsum(rng.integers(1, 9, length))
            middles = rng.uniform(0.2, 0.8, i % 3) * steps[-1]
            loss = 0.1 + sum(1 / (1 + np.exp((steps - middle) / 5)) for middle in middles) + np.exp(-steps / 9)
            runs.append(run(steps, loss))
    runs.append(run([0, 1, 1], [3, 2, 1]))
    measures = [PLATEAUS, jm.measures.descents(ratio=0.5, fall=0.02), jm.measures.final_ratio(), jm.measures.time_to()]
    monkeypatch.setattr("jaxmyopia.elsewhere.losses._BLOCK", 120)  # several blocks, the last one short
    found = Losses(runs).columns(*measures)
    monkeypatch.undo()
    assert len({each for each in found["descents"] if np.isfinite(each)}) >= 2
    for place, each in enumerate(runs[::5]):
        for name, column in Losses([each]).columns(*measures).items():
            assert column[0] == pytest.approx(found[name][5 * place], rel=1e-6, nan_ok=True)
