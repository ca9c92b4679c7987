# SPDX-License-Identifier: Apache-2.0
"""What is read off a run, on factors and curves made by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxmyopia import measures
from jaxmyopia.studies.lowrank import measures as observables
from jaxmyopia.studies.lowrank import theory
from jaxmyopia.studies.lowrank.layouts import SEEDS_FIRST, SEEDS_LAST, Layout
from jaxmyopia.studies.lowrank.measures import Record, Thresholds


@functools.partial(jax.jit, static_argnames="thresholds")
def summarise(curves: Record, thresholds: Thresholds) -> dict[str, jax.Array]:
    """What the study makes of curves."""
    taken = thresholds.measures(aligned=bool(curves.align_a.size))
    return observables.summarise(curves) | measures.summarise(taken, curves)


LAYOUTS = pytest.mark.parametrize("layout", (SEEDS_LAST, SEEDS_FIRST))


def twice(layout: Layout, x: np.ndarray) -> jax.Array:
    """The factor `(n, r, S)` on both sides of a pair in the layout's order."""
    return jax.vmap(layout.turn, in_axes=-1, out_axes=layout.seed_axis)(jnp.stack([x, x]))


@functools.partial(jax.jit, static_argnums=0)
def alignments(layout: Layout, x: np.ndarray, y: np.ndarray) -> jax.Array:
    """Of factors `(n, r, S)`: `(S, r, R)`."""
    return observables.alignments(layout, twice(layout, x), twice(layout, y))[1]


columns = hnp.arrays(np.float32, (4, 2, 3), elements=st.floats(-1e6, 1e6, width=32))


@LAYOUTS
@given(columns, columns)
def test_alignments_are_cosines(layout, x, y):
    found = np.asarray(alignments(layout, x, y))
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    for s in range(3):
        wide = [np.asarray(each[..., s], float) for each in (x, y)]
        lengths = np.linalg.norm(wide[0], axis=0)[:, None] * np.linalg.norm(wide[1], axis=0)
        sound = (np.linalg.norm(wide[0], axis=0)[:, None] > 1e-15) & (np.linalg.norm(wide[1], axis=0) > 1e-15)
        cosines = np.abs(wide[0].T @ wide[1]) / np.where(lengths > 0, lengths, 1)
        np.testing.assert_allclose(found[s][sound], cosines[sound], atol=1e-5)


@LAYOUTS
def test_alignments_of_equal_opposite_orthogonal_and_zero_columns(layout):
    e = np.eye(3, dtype=np.float32)
    learned = np.stack([2 * e[0], -e[1], 0 * e[0]], axis=1)[..., None]
    target = np.stack([e[0], 5 * e[1]], axis=1)[..., None]
    np.testing.assert_allclose(alignments(layout, learned, target)[0], [[1, 0], [0, 1], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("rank", "target_rank", "shape"), ((16, 16, (2, 16, 16)), (17, 1, (2, 0, 0)), (1, 17, (2, 0, 0)))
)
def test_alignments_are_left_out_above_rank_16(rank, target_rank, shape):
    assert alignments(SEEDS_FIRST, jnp.ones((20, rank, 2)), jnp.ones((20, target_rank, 2))).shape == shape


def record(loss: np.ndarray, align_a=None, align_b=None, steps=None) -> Record:
    """Curves `(T,)`, or `(T, r, R)` of alignments, of a single seed; inner products are those of unit vectors."""
    points = len(loss)
    empty = np.zeros((points, 0, 0))
    align_a, align_b = (np.asarray(empty if x is None else x, np.float32)[:, None] for x in (align_a, align_b))
    norm = jnp.ones((points, 1, max(align_a.shape[2], 1)))
    return Record(
        step=jnp.arange(points, dtype=jnp.int32) if steps is None else jnp.asarray(steps, jnp.int32),
        loss=jnp.asarray(loss, jnp.float32)[:, None], norm_a=norm, norm_b=norm,
        align_a=jnp.asarray(align_a), align_b=jnp.asarray(align_b),
        inner_a=jnp.asarray(align_a), inner_b=jnp.asarray(align_b),
    )  # fmt: skip


def test_bumps_are_those_drawn_by_hand_averaged_over_pairs_and_factors():
    points, thresholds = 8, Thresholds()
    flat = np.full((points, 2, 2), 0.3)
    align_a, align_b = flat.copy(), flat.copy()
    align_a[:, 0, 1] = [0, 0.5, 0.38, 0.9, 0.9, 0.9, 0.9, 0.9]  # falls by 0.12 after its maximum
    align_a[:, 1, 0] = [0, 0.6, 0.54, 0.6, 0.3, 0.3, 0.9, 0.7]  # by 0.06; by 0.3 in all; by 0.2
    align_b[:, 1, 1] = [0.9, 0.5, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0]  # only falls: its maximum is where it starts
    row = summarise(record(np.linspace(1, 0.1, points), align_a, align_b), thresholds)
    # By threshold: bumps of the eight (learned, target) curves.
    bumps = {0.05: 1 + 3, 0.075: 1 + 2, 0.1: 1 + 2, 0.15: 0 + 2, 0.2: 0 + 1}
    assert sorted(bumps) == sorted(choice["delta"] for choice in thresholds.bumps.choices_at(definition="cosine"))
    for delta, count in bumps.items():
        column = thresholds.bumps.column({"definition": "cosine", "delta": delta})
        np.testing.assert_allclose(row[column], [count / 8], rtol=1e-6)
    # The best learned column of each target at the end: 0.7 and 0.9; 0.3 and 0.3.
    np.testing.assert_allclose(row["final_alignment"], [(0.8 + 0.3) / 2], rtol=1e-6)


def test_an_s_curve_has_a_descent_and_a_plateau_and_a_decay_no_plateau():
    time, thresholds = np.linspace(0, 12, 121), Thresholds()
    s_curve = (1 - theory.two_factor_mode(time, 1.0, 1e-3)) ** 2 / 2
    for loss, plateaus in ((s_curve, 1), (np.exp(-time), 0)):
        row = summarise(record(loss), thresholds)
        for choice in thresholds.plateaus.choices_at():
            assert row[thresholds.descents.column(choice)] == 1
            assert row[thresholds.plateaus.column(choice)] == plateaus
        assert row["upticks"] == 0 and not row["diverged"]
        assert "final_alignment" not in row and thresholds.bumps.column() not in row  # no alignments were recorded


def test_losses_and_times_are_read_at_the_right_records():
    steps = [0, 1, 3, 10, 24, 26, 49, 60, 100]
    loss = np.array([8.0, 7.0, 6.0, 5.0, 4.5, 4.0, 3.0, 3.5, 1.0])
    row = summarise(record(loss, steps=steps), Thresholds())
    assert row["initial_loss"] == 8
    assert row["half_time"] == 26  # the first record at or below 4
    np.testing.assert_allclose(row["loss_ratio_at_b0.1"], 5 / 8)  # step 10 of the 10
    np.testing.assert_allclose(row["loss_ratio_at_b0.3"], 4 / 8)  # step 26 of the 30
    np.testing.assert_allclose(row["loss_ratio"], 1 / 8)
    assert row["upticks"] == 1
    assert summarise(record(np.array([8.0, 7.0, 5.0])), Thresholds())["half_time"] == np.inf


@pytest.mark.parametrize(
    ("loss", "diverged", "counted"),
    (
        ((4.0, 2.0, 1.0, 0.5), False, True),
        ((4.0, 9.0, 1.0, 4.0), False, True),  # up and back again is no divergence
        ((4.0, 2.0, 1.0, 4.1), True, True),
        ((4.0, 2.0, np.inf, 1.0), True, False),
        ((4.0, 2.0, 1.0, np.nan), True, False),
        ((np.nan, 2.0, 1.0, 0.5), True, False),
    ),
)
def test_a_diverged_seed_is_flagged_and_counts_only_where_its_loss_is_finite(loss, diverged, counted):
    align = np.array([0, 0.9, 0.5, 0.9])[:, None, None]
    row = summarise(record(np.array(loss), align, align), Thresholds())
    assert row["diverged"] == diverged
    counts = [name for name in row if name.startswith(("bumps", "descents", "plateaus", "upticks"))]
    assert len(counts) == 3 * (3 * 5 + 2 * 2 * 9) + 1  # at three budgets
    for name in (each for each in counts if not each.endswith(("_b0.3", "_b0.1"))):  # before it is not finite
        assert np.isfinite(row[name][0]) == counted, name
    if counted:
        assert row[Thresholds().bumps.column()] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(("bump_delta", "plateau_ratio", "descent_fall", "zero_loss"), (0.0, 1.0, -0.1, np.nan)),
        *(("uptick", value) for value in (1.0, 0.5, np.inf, np.nan)),
    ],
)
def test_thresholds_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r} is not allowed: must be [^\n]*$"):
        Thresholds(**{name: value})


@given(st.floats(1e-3, 0.999), st.floats(1e-3, 0.999), st.floats(1e-3, 0.999))
def test_grids_hold_the_main_thresholds_and_only_such_as_are_allowed(bump, ratio, fall):
    bump, ratio, fall = (round(x, 4) for x in (bump, ratio, fall))
    thresholds = Thresholds(bump_delta=bump, plateau_ratio=ratio, descent_fall=fall, zero_loss=fall)
    mains = {thresholds.bumps: (bump,), thresholds.plateaus: (ratio, fall), thresholds.at_zero: (fall,)}
    for measure, main in mains.items():
        thresholds_of = lambda choice: tuple(x for k, x in choice.items() if isinstance(x, float) and k != "budget")
        assert thresholds_of(measure.main) == main and measure.main["budget"] == 1
        assert len(set(measure.columns)) == len(measure.choices)
        assert all(0 < x < 1 for choice in measure.choices for x in thresholds_of(choice))


@LAYOUTS
def test_norms_are_those_of_the_columns(layout):
    x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(
        observables.column_norms(layout, twice(layout, x))[0], np.linalg.norm(x, axis=0).T, rtol=1e-6
    )
