# SPDX-License-Identifier: Apache-2.0
"""Until decided: what is waited for, and how many seeds that takes, by simulation and by a formula."""

import dataclasses
import math

import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims.sequential import how_many, looks_ahead, seeds_needed, undecided_cells
from jaxmyopia.claims.verdicts import Question
from jaxmyopia.stats.table import Trials


def trials(values, diverged=(), cell=0) -> Trials:
    rows = {"seed": np.arange(len(values)), "score": np.asarray(values, float), "cell": np.full(len(values), cell)}
    return Trials(rows | {"diverged": np.isin(np.arange(len(values)), diverged)})


@jm.claim("It is large.")
def it_is_large(t):
    return jm.mean(t, "score").above(0, least=0.2)


def test_more_seeds_are_added_while_a_piece_is_open_and_not_for_what_cannot_be_judged():
    noise = np.random.default_rng(0).normal(size=400)
    assert not undecided_cells([it_is_large], trials(1 + noise))
    assert not undecided_cells([it_is_large], trials(noise - 1))
    assert undecided_cells([it_is_large], trials(0.2 + noise, cell=7)) == {7}
    gone = jm.claim("Nobody ran it.")(lambda t: jm.mean(t.where(seed=-1), "score").above(0))
    assert not undecided_cells([it_is_large, gone], trials(1 + noise))
    lost = trials(0.2 + noise, diverged=range(100))  # too many to be judged on a mean
    assert not undecided_cells([it_is_large], lost)
    few = lost.keep(lost["seed"] < 23)
    assert it_is_large.judge(few).verdict == "not judged" and undecided_cells([it_is_large], few) == {0}


def test_a_decision_needs_more_than_an_interval_that_is_looked_at_once():
    noise = np.random.default_rng(1).normal(size=64)
    values = 0.2 + 0.27 + (noise - noise.mean()) / noise.std()  # two errors above the bar
    assert it_is_large.judge(trials(values)).verdict == "supported"
    assert undecided_cells([it_is_large], trials(values)) == {0}


def test_the_cells_of_an_undecided_piece_are_named_and_where_it_names_none_all_that_are_no_controls():
    noise, other = np.random.default_rng(0).normal(size=(2, 400))
    parts = [1 + noise, 0.2 + noise, 0.2 + other, 1 + other]
    several = trials(parts[0]).joined(*(trials(parts[cell], cell=cell) for cell in (1, 2, 3)))
    each = lambda t: [jm.mean(t.where(cell=k), "score").above(0, least=0.2).at(cell=k) for k in t.unique("cell")]
    by_cell = jm.claim("Each is large.", id="each")(each)
    assert undecided_cells([by_cell], several) == {1, 2}
    assert undecided_cells([by_cell], dataclasses.replace(several, controls=(2,))) == {1}
    both = jm.claim("One is larger.", id="both")(
        lambda t: jm.paired(t.where(cell=0), t.where(cell=3), "score").above(0)
    )
    assert undecided_cells([both], several) == {0, 3}  # though each of them by itself is decided
    assert undecided_cells([by_cell, both], several) == {0, 1, 2, 3}
    nameless = lambda t: dataclasses.replace(it_is_large.pieces(t.where(cell=1)), cells=())
    unnamed = jm.claim("It names no cell.", id="unnamed")(nameless)
    assert undecided_cells([unnamed], several) == {0, 1, 2, 3}
    assert undecided_cells([unnamed], dataclasses.replace(several, controls=(2,))) == {0, 1, 3}


def test_how_many_agrees_with_the_reach_of_the_sequence_and_falls_with_the_effect():
    pilot = trials(np.random.default_rng(2).normal(size=64))
    by_effect = {effect: how_many(it_is_large, pilot, effect=effect, repeats=60)[0] for effect in (0.5, 0.8, 1.4)}
    medians = [each.median for each in by_effect.values()]
    assert medians == sorted(medians, reverse=True) and medians[0] > medians[-1]
    # Of normal numbers at the median: (effect - least) sqrt(n) = sqrt(2 log 20 + log(1 + n r)) or so.
    n = by_effect[0.5].median
    assert 0.5 < 0.3 * math.sqrt(n) / math.sqrt(2 * math.log(20) + math.log(1 + n / 16)) < 2
    assert by_effect[0.5].most >= n


def test_a_truth_on_the_bar_is_hardly_ever_decided():
    draw = lambda rng, n: rng.normal(0.2, 1, n)
    found = seeds_needed(draw, Question(0.0, 1, 0.2), None, repeats=100, rng=np.random.default_rng(3), most=1024)
    # A share of 5 % on either side of the bar, at most, whenever one looks.
    assert np.isfinite(found).mean() <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 100)


def test_looks_grow_by_half():
    assert looks_ahead(64, 400) == [64, 96, 144, 216, 328, 400]


def test_few_seeds_make_no_pilot():
    with pytest.raises(ArgumentError, match="pilot="):
        how_many(it_is_large, trials(np.arange(10)), effect=1)
