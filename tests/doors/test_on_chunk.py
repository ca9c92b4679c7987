# SPDX-License-Identifier: Apache-2.0
"""A function of the user's is told of every chunk once, with means that are the table's; its errors lose nothing."""

import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.engine import chunk as chunks
from jaxmyopia.engine.processes import Share
from jaxmyopia.engine.session import RunOptions, Session

ASKED = {"seeds": 500, "steps": 8, "records": 4, "learning_rate": (0.01, 50.0), "scale": 0.5}
ASKED |= {"optimizer": ("sgd", "momentum"), "progress": False}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setitem(chunks._CHUNK_BYTES, "cpu", 1)
    monkeypatch.setattr(chunks, "_FEWEST_BLOCKS", 1)  # of 256 trials


def test_each_chunk_is_told_once_with_the_means_of_its_rows(bowl):
    told = []
    answer = jm.run(bowl, on_chunk=told.append, **ASKED)
    assert [(each.number, each.of) for each in told] == [(number, 4) for number in (1, 2, 3, 4)] * 2
    assert len({each.cell for each in told}) == 2 and sum(each.trials for each in told) == len(answer.trials) == 2000
    trials, start = answer.trials, 0
    assert trials["diverged"].any() and not trials["diverged"].all()
    for each in told:
        rows = slice(start, start + each.trials)
        start += each.trials
        assert each.means["diverged"] == trials["diverged"][rows].mean()
        loss = np.where(trials["diverged"], np.nan, trials["late_s0.5_no"])[rows]
        np.testing.assert_allclose(each.means["late_s0.5_no"], np.nanmean(loss), rtol=1e-6)
        assert each.seconds > 0 and not {"seed", "learning_rate", "init_scale"} & set(each.means)
        assert all(isinstance(value, float) for value in each.means.values())


def test_an_error_is_said_once_and_loses_no_work(bowl, capsys):
    told = []

    def fails(record):
        told.append(record)
        raise ValueError("no\nnetwork")

    answer = jm.run(bowl, on_chunk=fails, **ASKED)
    assert len(told) == 8 and len(answer.trials) == 2000
    first, last = capsys.readouterr().err.strip().splitlines()
    assert first.startswith(f"on_chunk failed for chunk 1 of {told[0].cell} (ValueError: no network); the run goes on")
    assert last == "on_chunk failed for 8 of 8 chunks"


def test_a_stop_in_it_keeps_the_chunk_and_what_stands_is_not_told_again(bowl, tmp_path):
    first, rest = [], []

    def stops(record):
        first.append((record.cell, record.number))
        if len(first) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jm.run(bowl, on_chunk=stops, out=tmp_path / "run", **ASKED)
    told = lambda record: rest.append((record.cell, record.number))
    answer = jm.run(bowl, on_chunk=told, out=tmp_path / "run", **ASKED)
    assert len(rest) == 5 and len({*first, *rest}) == 8
    whole = jm.run(bowl, **ASKED)
    np.testing.assert_array_equal(answer.trials["late_s0.5_no"], whole.trials["late_s0.5_no"])


def test_it_is_no_part_of_a_run_and_is_refused_before_one(bowl, tmp_path):
    with pytest.raises(jm.ArgumentError, match="on_chunk=3 is not allowed: must be a function") as error:
        jm.run(bowl, on_chunk=3, out=tmp_path / "run", **ASKED)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_seeds_that_are_added_are_told_and_only_the_leader_tells(bowl, late):
    @jm.claim("Nearly all records are late.")
    def all_late(trials):
        return jm.mean(trials, late).above(0.9)

    told, changed = [], {"seeds": 64, "optimizer": "sgd", "learning_rate": 0.01}
    answer = jm.settle(bowl, [all_late], until_decided=True, cap=256, on_chunk=told.append, **ASKED | changed)
    assert sum(each.trials for each in told) == len(answer.trials) and told[0].trials == 64
    assert all(each.number <= each.of for each in told)
    options = RunOptions(on_chunk=told.append, share=Share(process=1, processes=2))
    session = Session(answer.folder, answer.studies, options, "", lock=None)
    assert session._teller._on_chunk is None
