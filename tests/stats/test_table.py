# SPDX-License-Identifier: Apache-2.0
"""Choosing, ordering and pairing the rows of a table of seeds."""

import numpy as np

from jaxmyopia.stats.table import Trials, paired


def table(**columns: list) -> Trials:
    """A table with the columns given; by default no seed diverged."""
    columns = {"diverged": [False] * len(columns["seed"])} | columns
    return Trials({name: np.array(values) for name, values in columns.items()})


RATES = np.array([0.1, 0.1, 0.01, 0.01, 0.1], np.float32).astype(float)  # as a table read from a file has them
RUNS = Trials(
    {
        "seed": np.array([1, 0, 0, 1, 2]),
        "optimizer": np.array(["sgd", "sgd", "adam", "adam", "adam"]),
        "rank": np.array([2, 2, 2, 4, 4]),
        "learning_rate": RATES,
        "diverged": np.array([False, False, False, True, False]),
        "bumps": np.array([3, 1, 4, 7, 5]),
    }
)


def test_rows_are_chosen_by_all_the_values_given():
    assert len(RUNS.where()) == 5
    assert RUNS.matching(optimizer="adam")["bumps"].tolist() == [4, 7, 5]
    assert RUNS.matching(optimizer="adam", rank=2)["bumps"].tolist() == [4]
    assert RUNS.matching(rank=2, optimizer="adam")["bumps"].tolist() == [4]
    assert RUNS.matching(optimizer="adam").matching(rank=4)["seed"].tolist() == [1, 2]
    assert RUNS.matching(diverged=True)["bumps"].tolist() == [7]
    none = RUNS.matching(optimizer="lion")
    assert len(none) == 0 and set(none.columns) == set(RUNS.columns)


def test_a_rate_matches_its_float32_and_no_other():
    assert RATES[0] != 0.1
    assert RUNS.matching(learning_rate=0.1)["bumps"].tolist() == [3, 1, 5]
    assert len(RUNS.matching(learning_rate=0.1001)) == 0
    assert len(table(seed=[0, 1], learning_rate=[1e-9, 0.0]).matching(learning_rate=0.0)) == 1


def test_distinct_values_are_sorted_and_plain():
    assert RUNS.unique("optimizer") == ["adam", "sgd"]
    assert RUNS.unique("rank") == [2, 4]
    (low, high) = RUNS.unique("learning_rate")
    assert len(RUNS.matching(learning_rate=low)) == 2 and len(RUNS.matching(learning_rate=high)) == 3


def test_values_come_in_the_order_of_seeds_with_nan_for_the_diverged():
    values = RUNS.matching(optimizer="adam").values("bumps")
    assert values.dtype == float
    np.testing.assert_array_equal(values, [4, np.nan, 5])
    np.testing.assert_array_equal(RUNS.matching(optimizer="sgd").values("bumps"), [1, 3])
    assert RUNS["bumps"].tolist() == [3, 1, 4, 7, 5]  # the table itself is left as it was


def test_pairs_share_their_seed_whatever_the_order_of_rows():
    a = table(seed=[5, 3, 9, 1], loss=[50.0, 30, 90, 10])
    b = table(seed=[3, 1, 7, 5], loss=[3.0, 1, 7, 5])
    x, y, lost = paired(a, b, "loss")
    assert (x.tolist(), y.tolist(), lost) == ([10, 30, 50], [1, 3, 5], 0)
    x, y, lost = paired(b, a, "loss")
    assert (x.tolist(), y.tolist(), lost) == ([1, 3, 5], [10, 30, 50], 0)


def test_a_diverged_partner_leaves_the_pair_out_and_is_counted():
    seeds = [0, 1, 2, 3, 4, 5, 6]
    a = table(seed=seeds, loss=[0.0, 1, 2, np.nan, 4, 5, 6], diverged=[s in (1, 5, 6) for s in seeds])
    b = table(seed=seeds[::-1], loss=[6.0, 5, np.inf, 3, 2, 1, 0], diverged=[s in (5, 6) for s in seeds[::-1]])
    x, y, lost = paired(a, b, "loss")
    # Left out: 1 (a diverged), 3 (NaN in a), 4 (infinite in b), 5 and 6 (both diverged: a pair, counted once).
    assert (x.tolist(), y.tolist(), lost) == ([0, 2], [0, 2], 5)


def test_cells_without_a_common_seed_have_no_pair():
    x, y, lost = paired(table(seed=[0, 1], loss=[1.0, 2]), table(seed=[2, 3], loss=[1.0, 2]), "loss")
    assert (x.size, y.size, lost) == (0, 0, 0)
