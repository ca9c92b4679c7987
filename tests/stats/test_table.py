# SPDX-License-Identifier: Apache-2.0
"""Choosing, ordering and pairing the rows of a table of seeds."""

import numpy as np
import pytest

from jaxmyopia.checks import ArgumentError
from jaxmyopia.measures import Derived, Measure
from jaxmyopia.stats.pairs import over_seeds, pair
from jaxmyopia.stats.table import NoTrials, Trials


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
    assert len(RUNS.matching()) == 5
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


def differences(a: Trials, b: Trials, name: str, **how) -> list[tuple[int, float]]:
    pairs = pair(a, b, **how)
    return list(zip(pairs.seed.tolist(), (a.values(name)[pairs.a] - b.values(name)[pairs.b]).tolist(), strict=True))


def test_pairs_share_their_seed_whatever_the_order_of_rows():
    a = table(seed=[5, 3, 9, 1], loss=[50.0, 30, 90, 10])
    b = table(seed=[3, 1, 7, 5], loss=[3.0, 1, 7, 5])
    assert differences(a, b, "loss") == [(1, 9), (3, 27), (5, 45)]
    assert differences(b, a, "loss") == [(1, -9), (3, -27), (5, -45)]


def swept(optimizer: str, rates: list[float], scales: list[float], loss: list[float]) -> Trials:
    """Seed 0 and 1 at each rate and scale."""
    rows = [(seed, rate, scale) for rate in rates for scale in scales for seed in (0, 1)]
    seed, rate, scale = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"seed": seed, "learning_rate": rate, "init_scale": scale, "loss": np.array(loss, float)}
    columns |= {"optimizer": np.full(len(rows), optimizer, object), "diverged": np.zeros(len(rows), bool)}
    return Trials(columns, (("optimizer", "learning_rate", "init_scale"),))


def test_pairs_agree_in_every_setting_that_does_not_tell_the_sides_apart():
    sgd = swept("sgd", [0.1], [1.0, 2.0], [1, 2, 3, 4])  # the rate, one on each side, tells them apart
    adam = swept("adam", [0.3], [2.0, 1.0], [30, 40, 10, 20])
    assert sorted(differences(adam, sgd, "loss")) == [(0, 9), (0, 27), (1, 18), (1, 36)]
    both = swept("adam", [0.1], [2.0, 1.0], [30, 40, 10, 20])  # the same rate on both sides: shared
    assert sorted(differences(both, sgd, "loss")) == [(0, 9), (0, 27), (1, 18), (1, 36)]


def test_a_side_with_two_trials_for_one_pair_is_refused_by_what_they_differ_in():
    sgd, adam = swept("sgd", [0.2], [1.0], [1, 2]), swept("adam", [0.1, 0.3], [1.0], [10, 20, 30, 40])
    with pytest.raises(ArgumentError, match=r"the first side has several.*learning_rate"):
        pair(adam, sgd)
    assert sorted(differences(adam, sgd, "loss", over=("learning_rate",))) == [(0, 9), (0, 29), (1, 18), (1, 38)]
    assert sorted(differences(sgd, adam, "loss", over=("learning_rate",))) == [(0, -29), (0, -9), (1, -38), (1, -18)]


def test_a_setting_that_is_shared_in_part_is_refused_by_name():
    a, b = swept("sgd", [0.1], [1.0], [1, 2]), swept("adam", [0.3], [1.0, 2.0], [10, 20, 30, 40])
    with pytest.raises(ArgumentError, match=r"init_scale=.*must be the same on both sides"):
        pair(a, b)


def test_settings_named_as_apart_do_not_hinder_a_pair():
    a, b = swept("sgd", [0.1], [1.0], [1, 2]), swept("adam", [0.1], [1.0], [10, 20])
    a = a.joined(swept("sgd", [0.3], [2.0], [3, 4]))
    b = b.joined(swept("adam", [0.1], [2.0], [30, 40]))
    c = swept("adam", [0.3], [1.0], [10, 20]).joined(swept("adam", [0.1], [2.0], [30, 40]))
    assert len(pair(a, b, apart=("learning_rate",)).seed) == 4
    with pytest.raises(ArgumentError, match="must be sides that agree in seed, learning_rate, init_scale"):
        pair(a, c)  # the same rates and scales on both sides, but never together
    assert len(pair(a, c, apart=("learning_rate",)).seed) == 4


def test_cells_without_a_common_seed_have_no_pair_and_say_so():
    with pytest.raises(ArgumentError, match="must be sides that agree in seed"):
        pair(table(seed=[0, 1], loss=[1.0, 2]), table(seed=[2, 3], loss=[1.0, 2]))


def test_a_number_a_seed_is_the_mean_of_its_trials_and_a_seed_that_lacks_one_is_left_out():
    seed = np.array([0, 0, 1, 1, 2, 3, 3])
    values = np.array([1.0, 3.0, 5.0, np.nan, 7.0, 2.0, 4.0])
    np.testing.assert_array_equal(over_seeds(seed, values)[0], [2.0, 3.0])
    np.testing.assert_array_equal(over_seeds(seed, values, np.max)[0], [3.0, 4.0])


def test_where_says_what_it_does_not_find():
    with pytest.raises(ArgumentError, match=r"column='optimiser' is not allowed: must be a column .*optimizer"):
        RUNS.where(optimiser="sgd")
    with pytest.raises(NoTrials, match="optimizer='lion' is not allowed: must be among this run's values: sgd, adam"):
        RUNS.where(optimizer="lion")
    with pytest.raises(ArgumentError, match="column='bump' is not allowed: must be a column of the table"):
        RUNS["bump"]


def test_a_measure_is_asked_as_a_column_is():
    measure = Measure("bumps", lambda curves: curves)
    np.testing.assert_array_equal(RUNS[measure], RUNS.values("bumps")[[2, 0, 1, 3, 4]])
    doubled = Derived("doubled", lambda trials, by: by * trials.values("bumps"), by=(2, 3))
    np.testing.assert_array_equal(RUNS.values(doubled, {"by": 3}), 3 * RUNS.values("bumps"))


def test_pandas_has_every_column_and_row():
    pandas = pytest.importorskip("pandas")
    frame = RUNS.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame.shape == (5, 6)
    assert frame.groupby("optimizer")["bumps"].sum().to_dict() == {"sgd": 4, "adam": 16}
