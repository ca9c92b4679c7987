# SPDX-License-Identifier: Apache-2.0
"""Descents, plateaus and upticks of curves whose counts are known by construction."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import interpolate

from jaxmyopia.checks import ArgumentError
from jaxmyopia.measures.descents import count_upticks, descents
from jaxmyopia.measures.progress import walk

T = 301
STEPS = np.arange(T)
find = jax.jit(descents, static_argnames="time")
upticks = jax.jit(count_upticks, static_argnames=("rise", "floor"))


def fall(middle: float, width: float, height: float = 1.0) -> np.ndarray:
    """A smooth fall by `height`, fastest at the record `middle`."""
    return height * (1 - np.tanh((STEPS - middle) / (2 * width))) / 2


def ramps(*pieces: tuple[int, float]) -> np.ndarray:
    """A loss of straight pieces from 1 on, each `(records, fall)`, then level to the end."""
    times, heights = np.cumsum([(0, 0.0), *pieces], axis=0).T
    return np.interp(STEPS, times, 1 - heights)


def counts(loss: np.ndarray, steps: np.ndarray = STEPS, **thresholds: float) -> list[int]:
    found = find(jnp.asarray(steps), jnp.asarray(loss, jnp.float32), **thresholds)
    return [int(found.count), int(found.plateaus)]


def listed(loss: np.ndarray) -> list[tuple[int, int, int, bool]]:
    found = jax.tree.map(np.asarray, find(jnp.asarray(STEPS), jnp.asarray(loss, jnp.float32)))
    fields = (found.start, found.peak, found.end, found.plateau)
    return list(zip(*(field[found.closed].tolist() for field in fields), strict=True))


def lines(*points: tuple[int, float]) -> np.ndarray:
    """A loss of straight pieces between points `(record, loss)`."""
    return np.interp(STEPS, *np.array(points, float).T)


def turns(*points: tuple[int, float]) -> np.ndarray:
    """A loss that is smooth between points, and level at each."""
    return interpolate.PchipInterpolator(*np.array(points, float).T)(STEPS)


# Loss, descents, plateaus.
KNOWN = {
    "an exponential decay": (np.exp(-STEPS / 30), 1, 0),
    "a decay within one record": (np.exp(-STEPS / 1.0), 1, 0),
    "a decay not yet at its end": (np.exp(-STEPS / 3000), 1, 0),
    "an S-curve": (fall(150, 8), 1, 1),
    "a steep S-curve": (fall(150, 0.8), 1, 1),
    "an S-curve down to a floor": (0.5 + fall(150, 8), 1, 1),
    "two S-curves": (fall(80, 6) + fall(220, 6), 2, 2),
    "a high and a low S-curve": (fall(80, 6) + fall(220, 6, 0.05), 2, 2),
    "three S-curves": (fall(50, 5) + fall(150, 5) + fall(250, 5), 3, 3),
    "a descent, a plateau, a descent": (np.exp(-STEPS / 8) + fall(200, 6), 2, 1),
    "a small step between": (fall(60, 6) + fall(140, 3, 0.01) + fall(240, 6), 2, 2),
    "a small step before": (fall(60, 6, 0.01) + fall(140, 6) + fall(240, 6), 2, 2),
    "a small step after": (fall(60, 6) + fall(140, 6) + fall(240, 6, 0.01), 2, 2),
    "small steps that add up to one descent": (1 + sum(fall(40 * k, 2, 0.009) for k in range(1, 4)), 1, 1),
    "small steps that add up to two": (1 + sum(fall(40 * k, 2, 0.009) for k in range(1, 7)), 2, 2),
    "a fall of less than the least": (1 + fall(150, 8, 0.015), 0, 0),
    "a straight line": (ramps((300, 0.9)), 1, 0),
    "a drop at the first record": (ramps((1, 0.5)), 1, 0),
    "a drop at the last record": (ramps((299, 0.0), (1, 0.5)), 1, 1),
    "a rise": (1 + STEPS / 100, 0, 0),
    "a constant": (np.ones(T), 0, 0),
    "zero throughout": (np.zeros(T), 0, 0),
    "a rise and a smooth fall": (turns((0, 1), (100, 10), (300, 3)), 1, 1),
    "a rise and a straight fall": (lines((0, 1), (100, 10), (300, 3)), 1, 0),
    "a descent that is undone": (lines((0, 1), (100, 0.1), (200, 5), (300, 0.1)), 2, 0),
    "two plateaus that are undone": (lines((0, 1), (50, 1), (60, 0.5), (100, 0.5), (150, 2), (200, 2), (250, 0)), 2, 2),
    "a descent that is not quite undone": (lines((0, 1), (100, 0.1), (200, 0.9), (300, 0.1)), 1, 0),
    "a rise on a plateau": (lines((0, 1), (50, 0.5), (100, 0.9), (150, 0.5), (200, 0.5), (250, 0)), 2, 1),
    "small falls that rises part": (
        lines((0, 1), (50, 0.985), (100, 1.01), (150, 0.995), (200, 1.02), (250, 1.01)),
        0,
        0,
    ),
    "a spike in a descent": (np.exp(-STEPS / 60) + 0.4 * ((STEPS > 40) & (STEPS < 45)), 1, 0),
    "a spike on a plateau": (fall(60, 6) + fall(220, 6) + 0.5 * (abs(STEPS - 140) < 3), 2, 2),
    "a drift upwards before": (0.1 * np.minimum(STEPS / 150, 1) + ramps((150, 0.0), (50, 0.9)), 1, 1),
}
LOSSES = np.stack([loss for loss, _, _ in KNOWN.values()], axis=1)
COUNTS = np.array([expected for _, *expected in KNOWN.values()]).T


@pytest.mark.parametrize("name", KNOWN)
def test_counts_of_known_curves(name):
    loss, *expected = KNOWN[name]
    assert counts(loss) == expected


class DescentsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_trials_and_trailing_axes(self):
        losses = jnp.asarray(np.stack([LOSSES, LOSSES[:, ::-1]], axis=2), jnp.float32)
        found = self.variant(descents)(jnp.asarray(STEPS), losses)
        for side, expected in enumerate((COUNTS, COUNTS[:, ::-1])):
            np.testing.assert_array_equal((found.count[:, side], found.plateaus[:, side]), expected)

    @chex.variants(with_jit=True, without_jit=True)
    def test_upticks_of_curves_drawn_by_hand(self):
        curves, expected = zip(*UPTICKS.values(), strict=True)
        for unit in (1, 1e-3, 1e3):
            count = self.variant(count_upticks)(jnp.asarray(unit * np.array(curves).T, jnp.float32))
            np.testing.assert_array_equal(count, expected, err_msg=str(list(UPTICKS)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 3, 150, T - 1])
def test_a_curve_that_is_not_finite_has_none_and_spoils_no_other(bad, place):
    losses = LOSSES.copy()
    losses[place, ::2] = bad
    found = find(jnp.asarray(STEPS), jnp.asarray(losses, jnp.float32))
    expected = np.where(np.arange(LOSSES.shape[1]) % 2 == 0, 0, COUNTS)
    np.testing.assert_array_equal((found.count, found.plateaus), expected)


def test_records_of_descents():
    assert listed(np.exp(-STEPS / 8) + fall(200, 6))[0][:2] == (0, 0)
    (start, peak, end, _), (start_2, peak_2, end_2, _) = listed(fall(80, 6) + fall(220, 6))
    assert (start, start_2, end_2) == (0, end, T - 1)
    assert peak in (79, 80) and peak_2 in (219, 220)
    assert abs(end - 150) <= 1  # the two falls are as slow as each other halfway between
    # Of stretches that merge, the one that falls furthest gives the peak: the later or the earlier.
    (_, peak, _, _), _ = listed(1 + fall(60, 4, 0.02) + fall(140, 4, 0.03) + fall(240, 4, 1))
    assert peak in (139, 140)
    (_, peak, end, _), _ = listed(1 + fall(60, 4, 0.03) + fall(140, 4, 0.02) + fall(240, 4, 1))
    assert peak in (59, 60) and end > 150


def random_walks(seed: int, drift: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(0.1 * rng.normal(-drift, 1, (T, 32)).cumsum(axis=0)).astype(np.float32)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), drift=st.sampled_from([0.0, 0.01, 0.1]), share=st.sampled_from([0.02, 0.1]))
def test_descents_are_in_order_and_each_falls_by_the_share(seed, drift, share):
    loss = np.minimum.accumulate(random_walks(seed, drift))
    found = jax.tree.map(np.asarray, find(jnp.asarray(STEPS), jnp.asarray(loss), fall=jnp.asarray(share)))
    assert found.count.sum() > 0
    for trial in range(32):
        start, peak, end = (field[found.closed[:, trial], trial] for field in (found.start, found.peak, found.end))
        assert np.all(start <= peak) and np.all(peak < end)
        assert np.array_equal(start[1:], end[:-1]) and np.all(start[:1] == 0)
        needed, slack = share * loss[0, trial], 1e-6 * loss[0, trial]
        assert np.all(loss[start, trial] - loss[end, trial] >= needed - slack)
        # What is left after the last one would not make another.
        assert loss[np.append(0, end)[-1], trial] - loss[-1, trial] <= needed + slack
        # There is a plateau between any two descents, and one before the first if it is slower than half at some time.
        plateau = found.plateau[found.closed[:, trial], trial]
        speed = -np.diff(loss[:, trial])
        assert plateau[1:].all()
        assert all(plateau[:1] == [speed[: place + 1].min() <= speed[place] / 2 for place in peak[:1]])


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), drift=st.sampled_from([-0.1, 0.0, 0.1]), time=st.sampled_from(["linear", "log"]))
def test_descents_of_curves_that_rise_and_fall_are_falls_of_their_progress(seed, drift, time):
    loss = random_walks(seed, drift)
    found = jax.tree.map(np.asarray, find(jnp.asarray(STEPS), jnp.asarray(loss), time=time))
    _, undone, low = (np.asarray(each) for each in walk(jnp.asarray(loss)))
    assert found.count.sum() > 0
    for trial in range(32):
        start, peak, end = (field[found.closed[:, trial], trial] for field in (found.start, found.peak, found.end))
        assert np.all(start <= peak) and np.all(peak <= end) and np.all(start[1:] >= end[:-1])
        assert np.all(low[start, trial] - low[end, trial] >= 0.02 * loss[0, trial] * (1 - 1e-5))
        for first, last in zip(start, end, strict=True):  # no rise within a descent undoes what it gained
            assert not undone[first + 1 : last + 1, trial].any()


def test_progress_is_the_running_minimum_since_the_loss_was_last_at_its_highest():
    pieces = [(0, 1.0), (40, 0.5), (60, 0.9), (120, 0.2), (160, 2.0), (200, 4.0), (240, 0.1), (260, 0.3), (300, 0.3)]
    loss = np.interp(STEPS, *np.array(pieces).T)
    _, undone, low = walk(jnp.asarray(loss, jnp.float32))
    since = np.cumsum(np.diff(np.maximum.accumulate(loss), prepend=loss[0]) > 0)  # new highs so far
    expected = np.concatenate([np.minimum.accumulate(loss[since == k]) for k in np.unique(since)])
    np.testing.assert_allclose(low, expected, rtol=1e-6)
    assert np.flatnonzero(undone)[[0, -1]].tolist() == [138, 200]
    # The loss rises half as fast, at most, as it falls from record 200 on.
    assert [(start, end, plateau) for start, _, end, plateau in listed(loss)] == [
        (0, 40, False), (40, 120, True), (200, 240, True),
    ]  # fmt: skip


@settings(max_examples=50)
@given(c=st.floats(1e-3, 1e3), factor=st.integers(1, 10_000))
def test_counts_do_not_depend_on_the_units(c, factor):
    for time in ("linear", "log"):
        found = find(jnp.asarray(STEPS * factor), jnp.asarray(c * LOSSES, jnp.float32), time=time)
        expected = find(jnp.asarray(STEPS), jnp.asarray(LOSSES, jnp.float32), time=time)
        np.testing.assert_array_equal((found.count, found.plateaus), (expected.count, expected.plateaus))


def test_records_at_log_spaced_steps_show_the_same_curves():
    steps = np.unique(np.rint(np.geomspace(1, 10_001, 600)).astype(int))[-T:] - 1

    def log_fall(middle):
        return 1 / (1 + (steps / middle) ** 6)

    assert counts(np.exp(-steps / 300), steps) == [1, 0]
    assert counts(log_fall(600), steps) == [1, 1]
    assert counts(log_fall(200) + log_fall(3000), steps) == [2, 2]


def test_a_descent_a_million_times_slower_than_the_first_is_seen():
    steps = np.unique(np.rint(np.geomspace(1, 2_000_001, 400)).astype(int))[-T:] - 1
    steps = np.append(np.arange(20), steps[20:])
    assert counts(np.exp(-steps / 2) + 1 / (1 + (steps / 300_000) ** 6), steps) == [2, 1]


def test_in_log_time_what_lies_before_the_first_descent_is_no_plateau():
    steps = np.unique(np.rint(np.geomspace(1, 10_001, 400)).astype(int)) - 1

    def log_fall(middle):
        return 1 / (1 + (steps / middle) ** 3)

    for loss, expected in (
        (np.exp(-steps / 300), [1, 0]),
        (log_fall(600), [1, 0]),
        (log_fall(60) + log_fall(3000), [2, 1]),
        (log_fall(20) + log_fall(300) + log_fall(5000), [3, 2]),
        (1 - steps / 10_001, [1, 0]),
    ):
        for unit in (1, 0.001, 30):  # of steps; the first record is at step 0
            found = find(jnp.asarray(steps * unit, jnp.float32), jnp.asarray(loss, jnp.float32), time="log")
            assert [int(found.count), int(found.plateaus)] == expected


def test_log_time_parts_what_linear_time_merges():
    # Two exponentials, a hundred times as slow: on a linear axis one falls while the other hardly moves, and both ever
    # more slowly, so that there is one descent; on a logarithmic axis there are two.
    steps = np.unique(np.rint(np.geomspace(1, 100_001, 400)).astype(int)) - 1
    loss = jnp.asarray(np.exp(-steps / 100) + np.exp(-steps / 10_000), jnp.float32)
    found = [find(jnp.asarray(steps), loss, time=time) for time in ("linear", "log")]
    assert [[int(each.count), int(each.plateaus)] for each in found] == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("ratio", 1), ("ratio", 0.0), ("ratio", np.nan), ("fall", 0), ("fall", 1.5), ("time", "steps"),
        ("steps", np.r_[0, 0:300]), ("steps", STEPS[::-1]), ("steps", np.where(STEPS == 7, np.nan, STEPS)),
        ("loss", np.where(STEPS == 7, np.nan, 1.0)),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused_where_it_is_known(argument, wrong):
    with pytest.raises(ArgumentError, match=f"^{argument}="):
        descents(**({"steps": STEPS, "loss": jnp.ones(T)} | {argument: wrong}))


def test_log_time_refuses_steps_below_zero():
    descents(STEPS - 1, jnp.ones(T))
    with pytest.raises(ArgumentError, match=r"^steps="):
        descents(STEPS - 1, jnp.ones(T), time="log")


def test_rounding_noise_changes_no_count():
    rng = np.random.default_rng(0)
    for name in ("an exponential decay", "an S-curve", "two S-curves", "a descent, a plateau, a descent"):
        loss, *expected = KNOWN[name]
        noisy = loss[:, None] * (1 + 1e-6 * rng.normal(size=(T, 200)))
        found = find(jnp.asarray(STEPS), jnp.asarray(noisy, jnp.float32))
        for count, value in zip((found.count, found.plateaus), expected, strict=True):
            np.testing.assert_array_equal(count, value, err_msg=name)


@pytest.mark.parametrize("speed", [0.41, 0.2])
def test_a_slow_stretch_is_a_plateau_from_the_ratio_down(speed):
    # Speeds 1, `speed`, 1; and `speed`, 1: a plateau before the first descent.
    between, before = ramps((50, 0.25), (100, 0.5 * speed), (50, 0.25)), ramps((100, 0.5 * speed), (50, 0.25))
    assert counts(between, ratio=speed + 0.02) == [2, 1]
    assert counts(between, ratio=speed - 0.02) == [1, 0]
    assert counts(before, ratio=speed + 0.02) == [1, 1]
    assert counts(before, ratio=speed - 0.02) == [1, 0]


def test_a_slow_stretch_is_measured_against_both_neighbours():
    # Speeds 1, 0.3, 0.5: slow against the first (0.3) and not against the second (0.6).
    loss = ramps((50, 0.25), (100, 0.15), (50, 0.125))
    assert counts(loss, ratio=0.5) == [1, 0]
    assert counts(loss, ratio=0.65) == [2, 1]


@pytest.mark.parametrize("height", [0.03, 0.2])
def test_a_descent_falls_at_least_by_its_share_of_the_first_loss(height):
    loss = ramps((50, 0.5), (100, 0.0), (50, height))
    assert counts(loss, fall=height - 0.005) == [2, 1]
    assert counts(loss, fall=height + 0.005) == [1, 0]


# Losses, upticks (at a rise of 5 %).
UPTICKS = {
    "one": ([1, 0.9, 0.96, 0.5, 0.4, 0.3, 0.2, 0.1], 1),
    "too small": ([1, 0.9, 0.94, 0.5, 0.4, 0.3, 0.2, 0.1], 0),
    "from the start": ([1, 1.06, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 1),
    "to the end": ([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.43], 1),
    "in small steps": ([1, 0.9, 0.92, 0.94, 0.96, 0.5, 0.4, 0.3], 1),
    "with a dip too small to part it": ([1, 0.5, 0.6, 0.59, 0.7, 0.4, 0.3, 0.2], 1),
    "parted by a dip": ([1, 0.5, 0.6, 0.55, 0.7, 0.4, 0.3, 0.2], 2),
    "three": ([1, 2, 1, 2, 1, 2, 1, 1], 3),
    "far down": ([1, 1e-3, 2e-3, 1e-5, 2e-5, 1e-5, 2e-5, 1e-5], 3),
    "below the floor": ([1, 1e-3, 1e-7, 9e-7, 1e-8, 9e-7, 0, 9e-7], 0),
    "out of the floor": ([1, 1e-3, 1e-7, 1.1e-6, 1e-8, 1.02e-6, 0, 0], 1),
    "none": ([1, 1, 0.9, 0.9, 0.5, 0.2, 0.1, 0.1], 0),
    "not a number": ([1, 2, 1, np.nan, 1, 2, 1, 2], 0),
    "overflow": ([1, 2, 1, 2, 1, 2, 1, np.inf], 0),
}


def test_upticks_at_other_thresholds():
    loss = jnp.asarray([1, 0.5, 0.56, 0.3, 0.36, 0.1, 0.2, 1e-7, 2e-7])
    assert [int(count_upticks(loss, rise=rise)) for rise in (1.05, 1.15, 1.5, 2.5)] == [3, 2, 1, 0]
    assert int(count_upticks(loss, floor=1e-8)) == 4


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), c=st.floats(1e-3, 1e3))
def test_upticks_are_counted_in_no_unit(seed, c):
    # Factors away from the threshold of 1.05, so that rounding decides nothing.
    factors = np.random.default_rng(seed).choice([0.8, 0.9, 0.98, 1.02, 1.12, 1.3], (60, 32), p=[0.2] * 4 + [0.1] * 2)
    loss = factors.cumprod(axis=0)
    count = upticks(jnp.asarray(loss, jnp.float32), floor=1e-12)
    np.testing.assert_array_equal(count, upticks(jnp.asarray(c * loss, jnp.float32), floor=1e-12))
    assert int(count.sum()) > 0
