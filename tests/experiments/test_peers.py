# SPDX-License-Identifier: Apache-2.0
"""The peers of whole runs do the same work: one start, the same curves within rounding, the same counts."""

import jax
import numpy as np
import pytest

from experiments.benchmarks import peers, whole
from experiments.benchmarks.baselines import Case
from experiments.benchmarks.peers import Whole

CASES = {
    "square sgd": Case("square", "sgd", 6, 2, seeds=5, learning_rate=0.03),
    "cross-entropy adam": Case("cross_entropy", "adam", 6, 2, seeds=5, learning_rate=0.1),
    "square sgd, wide": Case("square", "sgd", 18, 17, seeds=5, learning_rate=0.01),
}
TOLD = (
    "upticks",
    "plateaus_r0.5_f0.02_log_b1",
    "descents_r0.75_f0.01_linear_b0.3",
    "bumps_inner_delta=0.05_b1",
    "half_time",
)
TOLD += ("half_time", "final_alignment")


def pairs() -> list[tuple[str, str]]:
    """C in all cases; jit(vmap), which compiles for seconds, in one; torch.compile, which takes a minute, in none."""
    known = {"jit(vmap)": ["cross-entropy adam"], "C": list(CASES)}
    return [(name, case) for name in peers.peers() for case in known.get(name, ())]


def tiny(case: str) -> Whole:
    """60 steps of 5 seeds."""
    return Whole(CASES[case], steps=60, records=16)


@pytest.fixture(scope="module")
def ours():
    """This project's outcome of each case, run once."""
    found = {}
    return lambda whole: found.setdefault(whole, peers.jaxmyopia(whole, keep=True)())


@pytest.mark.parametrize(("name", "case"), pairs())
def test_a_peer_has_the_start_the_curves_and_the_counts_of_ours(ours, name, case):
    whole = tiny(case)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # a user's plain optax
        found = peers.peers()[name](whole)()
    wanted = ours(whole)
    for field in ("loss", "norm_a", "norm_b", "align_a", "align_b", "inner_a", "inner_b"):
        mine, other = (np.asarray(getattr(each.curves, field)) for each in (wanted, found))
        assert mine.shape == other.shape
        np.testing.assert_allclose(other, mine, rtol=1e-4, atol=1e-5 * np.abs(mine).max(initial=1))
    np.testing.assert_array_equal(np.asarray(found.curves.step)[0], wanted.curves.step)
    assert set(found.table) == set(wanted.table)
    for column, values in wanted.table.items():
        np.testing.assert_allclose(
            found.table[column].astype(float), values.astype(float), rtol=1e-3, atol=1e-5, err_msg=column
        )


def test_counts_are_compared_where_there_is_something_to_count(ours):
    table = ours(tiny("cross-entropy adam")).table
    assert all((np.isfinite(table[name]) & (table[name] > 0)).any() for name in TOLD)


def test_a_race_of_whole_runs_has_a_row_each(capsys):
    entered = dict.fromkeys(("jaxmyopia", "jit(vmap)"), peers.jaxmyopia)
    rows = whole.race(tiny("square sgd"), entered, seconds=0, repeats=2)
    assert [row["baseline"] for row in rows] == ["jaxmyopia", "jit(vmap)"] and rows[1]["ratio"] == 1
    for row in rows:
        assert (
            len(row["took"]) == 2 and min(row["took"]) <= row["seconds"] <= max(row["took"]) and row["compiling"] >= 0
        )
    assert "; other load " in capsys.readouterr().err


def test_the_growth_of_whole_runs_is_that_of_records_or_of_steps(monkeypatch):
    run = []
    monkeypatch.setattr(whole, "race", lambda case, entered, **options: run.append((case, *entered)) or [{}])
    for name in ("records", "steps"):
        assert len(list(whole.growth(name, seconds=0, repeats=1))) == 8
        assert len({getattr(case, name) for case, _ in run[-8:]}) == 4
    assert {entered for _, entered in run} == {"jaxmyopia"} and len({case.case.seeds for case, _ in run}) == 1
