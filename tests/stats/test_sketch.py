# SPDX-License-Identifier: Apache-2.0
"""The quantile sketch: within its stated error of exact quantiles, and the same whatever was merged with what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmyopia.stats.sketch import Sketch

numbers = st.floats(width=32, allow_nan=False, allow_subnormal=False)
curves = st.integers(1, 40).flatmap(
    lambda trials: st.tuples(
        st.lists(st.lists(numbers, min_size=trials, max_size=trials), min_size=1, max_size=4),
        st.lists(st.integers(0, 2), min_size=trials, max_size=trials),
    )
)


def same(a: Sketch, b: Sketch) -> bool:
    return a.shape == b.shape and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("group", "bucket", "count")
    )


@given(curves, st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]))
def test_quantiles_are_those_of_the_values_within_the_stated_error(drawn, q):
    values, column = np.array(drawn[0], np.float32), np.array(drawn[1])
    sketch = Sketch.of(values, column, 3)
    found = sketch.quantile(q)
    for record, row in enumerate(values):
        for number in range(3):
            mine = np.sort(row[column == number]).astype(float)
            assert sketch.counts()[record, number] == mine.size
            if not mine.size:
                assert np.isnan(found[record, number])
                continue
            exact = mine[int(np.floor(q * (mine.size - 1) + 0.5))]
            assert found[record, number] == pytest.approx(exact, rel=2**-8, abs=1e-37)


@given(curves, st.randoms(use_true_random=False))
def test_parts_merged_in_any_order_are_the_whole(drawn, random):
    values, column = np.array(drawn[0], np.float32), np.array(drawn[1])
    whole = Sketch.of(values, column, 3)
    trials = list(range(values.shape[1]))
    random.shuffle(trials)
    cut = random.randint(0, len(trials))
    pieces = [trials[cut:], trials[:cut]]
    parts = [Sketch.of(values[:, piece], column[piece], 3) for piece in pieces if piece]
    assert same(Sketch.merged(parts), whole)
    assert same(Sketch.merged(parts[::-1]), whole)


def test_shares_below_a_value_are_exact_between_buckets():
    values = np.array([[-2.0, -1.0, 0.0, 1e-20, 0.5, 1.0, np.inf, np.nan]], np.float32)
    sketch = Sketch.of(values, np.zeros(8, int), 1)
    for value, expected in ((-3, 0), (-1.5, 1), (0, 2), (1e-25, 3), (0.4, 4), (0.75, 5), (1, 5), (2, 6), (3e38, 6)):
        assert sketch.share_below(value)[0, 0] == expected / 8, value
    assert sketch.quantile(1.0)[0, 0] == np.inf
    assert sketch.quantile(2 / 7)[0, 0] == 0


def test_means_are_those_of_the_values_within_the_stated_error():
    values = np.random.default_rng(1).gamma(2.0, size=(3, 500)).astype(np.float32)
    column = np.arange(500) % 2
    sketch = Sketch.of(values, column, 3)
    for number in (0, 1):
        mine = values[:, column == number]
        np.testing.assert_allclose(sketch.mean()[:, number], mine.mean(axis=1), rtol=2**-8)
        expected = mine.std(axis=1) / np.sqrt(mine.shape[1])
        np.testing.assert_allclose(sketch.standard_error()[:, number], expected, rtol=2**-6)
    assert np.isnan(sketch.mean()[:, 2]).all()


def test_its_size_does_not_grow_with_the_trials():
    rng = np.random.default_rng(0)
    sizes = [
        Sketch.of(rng.lognormal(size=(3, trials)), np.zeros(trials, int), 1).bucket.size for trials in (10**4, 10**5)
    ]
    assert sizes[1] < 1.6 * sizes[0] < 10**4
