# SPDX-License-Identifier: Apache-2.0
"""Bumps by their three definitions, on curves made by hand, against scipy and brute force, and in the study."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from jaxmyopia import measures
from jaxmyopia.checks import ArgumentError
from jaxmyopia.measures.turning_points import count_maxima, find_falls, turning_points
from jaxmyopia.studies.lowrank.bumps import DEFINITIONS, bumps
from jaxmyopia.studies.lowrank.measures import Record, Thresholds
from jaxmyopia.studies.lowrank.study import LowRank

BUDGETS = (1.0, 0.5, 0.25)


def record(inner: np.ndarray, other: np.ndarray | None = None, cosine: np.ndarray | None = None) -> Record:
    """Curves `(T, S, r, R)` of inner products, the same on both sides unless there are others."""
    sides = [inner, inner if other is None else other]
    cosines = [np.zeros_like(inner) if cosine is None else cosine] * 2
    inner_a, inner_b, align_a, align_b = (jnp.asarray(x, jnp.float32) for x in (*sides, *cosines))
    points, seeds, rank, _ = inner.shape
    norm = jnp.ones((points, seeds, rank))
    return Record(
        step=jnp.arange(points), loss=jnp.ones((points, seeds)), norm_a=norm, norm_b=norm,
        align_a=align_a, align_b=align_b, inner_a=inner_a, inner_b=inner_b,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames="measure")
def taken(curves: Record, measure: measures.Measure) -> dict[str, jax.Array]:
    return measures.summarise((measure,), curves)


def counts(curves: Record, measure: measures.Measure | None = None, **choice: object) -> float:
    """Of one seed, bumps in all its curves of both sides."""
    measure = measure or bumps()
    pairs = 2 * curves.align_a.shape[2] * curves.align_a.shape[3]
    return float(taken(curves, measure)[measure.column(choice)][0]) * pairs


def curves_of_one_seed(*rows: list[float]) -> np.ndarray:
    """Of learned vectors with one target, `(T, 1, r, 1)`."""
    return np.array(rows, float).T[:, None, :, None]


FALLS = [0, 1, 2, 3, 2, 1, 1, 1, 1]  # from 3 to 1; the greatest at the end is 10: prominence 0.2


@pytest.mark.parametrize(
    ("rival", "competes"),
    (
        ([0, 1, 2, 3, 5, 7, 8, 9, 10], True),  # gains 4 while the other falls
        ([0, 1, 2, 3, 3, 4, 8, 9, 10], True),  # gains 1, which is a tenth of 10
        ([0, 1, 2, 3, 3.5, 3.9, 8, 9, 10], False),  # 0.9, and the rest once it has fallen
        ([0, 4, 7, 10, 10, 10, 10, 10, 10], False),  # before
        ([9, 9, 9, 9, 8, 7, 8, 9, 10], False),  # falls too
    ),
)
def test_a_bump_competes_where_another_vector_gains_as_much_meanwhile(rival, competes):
    curves = record(curves_of_one_seed(FALLS, rival))
    assert counts(curves) == 2  # the other's none: it starts at its maximum, or ends there
    assert counts(curves, definition="competition") == 2 * competes


def test_what_another_vector_gains_on_another_target_is_no_competition():
    inner = np.zeros((9, 1, 2, 2))
    inner[:, 0, 0, 0], inner[:, 0, 1, 1] = FALLS, np.linspace(0, 10, 9)
    assert counts(record(inner)) == 2 and counts(record(inner), definition="competition") == 0


def test_a_vector_that_rises_again_is_done_falling():
    # It falls from 3 to 1 and is back at 3 before the other gains anything: in vain for the first definition alone.
    falls, rival = [0, 3, 1, 3, 3, 3, 3], [0, 0, 0, 0, 5, 9, 10]
    curves = record(curves_of_one_seed(falls, rival))
    assert counts(curves) == 2 and counts(curves, definition="competition") == 0
    assert counts(record(curves_of_one_seed([0, 3, 1, 1, 0.5, 0.5, 0.5], rival)), definition="competition") == 2


def test_more_bumps_of_a_curve_than_one_pass_tells_are_all_counted():
    # Nine bumps; during the falls of the 1st, 6th and 9th the other vector gains.
    high, low = 5.0 * np.ones(9), 1.0 * np.ones(9)
    falls = [0.0, *np.stack([high, low], axis=1).ravel()]
    gains = np.zeros(19)
    gains[[2, 12, 18]] = 3.0
    curves = record(curves_of_one_seed(falls, np.cumsum(gains)))
    assert counts(curves) == 18 and counts(curves, definition="competition") == 6


def test_each_side_has_a_scale_of_its_own_and_each_seed():
    bump = curves_of_one_seed([0, 3, 2, 2], [0, 0, 5, 9])  # 1 of 9
    small, large = bump / 100, 100 * bump
    seeds = record(np.concatenate([small, large], axis=1), np.concatenate([large, small], axis=1))
    column = bumps().column()
    np.testing.assert_allclose(taken(seeds, bumps())[column], [0.5, 0.5])
    mixed = record(np.concatenate([bump, 0 * bump], axis=3) + np.array([0, 20]))  # to 20 at the end: 1 is too little
    assert counts(mixed) == 0


def test_an_early_peak_of_a_tiny_vectors_cosine_is_no_bump_of_its_inner_product():
    time = np.linspace(0, 1, 40)
    norm = 1e-3 + 1 / (1 + np.exp(-20 * (time - 0.7)))  # tiny until it grows
    cosine = np.where(time < 0.1, 9 * time, np.maximum(0.9 - 3 * (time - 0.1), 0.1)) + 0.9 * (norm - 1e-3)
    curves = record((norm * cosine)[:, None, None, None], cosine=cosine[:, None, None, None])
    assert counts(curves, definition="cosine") == 2
    assert counts(curves, definition="inner") == 0 and counts(curves, definition="competition") == 0


def test_what_crosses_zero_has_a_bump_only_if_it_rose_on_the_other_side_first():
    crosses, rose_first = np.linspace(-0.5, 1, 16), np.array([-0.1, -0.2, -0.4, -0.2, 0, 0.5, 0.9, 1])
    for signed, found in ((crosses, 0), (rose_first, 2)):
        for sign in (1, -1):
            assert counts(record(np.abs(sign * signed)[:, None, None, None])) == found


walks = st.integers(0, 2**31 - 1).map(lambda seed: np.random.default_rng(seed))


@given(walks)
def test_inner_bumps_are_scipys_peaks_by_their_prominence_and_have_no_units(rng):
    inner = np.abs(rng.normal(size=(30, 1, 3, 2)).cumsum(axis=0) + 3).astype(np.float32)
    curves = record(inner)
    for delta in (0.05, 0.1, 0.2):
        least = np.float32(delta) * inner[-1].max()
        flat = inner.reshape(len(inner), -1).T
        peaks = sum(len(signal.find_peaks(curve, prominence=least)[0]) for curve in flat)
        assert counts(curves, delta=delta) == pytest.approx(2 * peaks)
    found = taken(curves, bumps())
    for factor in (2.0**-20, 2.0**15):  # powers of two round nothing
        scaled = taken(record(inner * np.float32(factor)), bumps())
        for definition in ("inner", "competition"):
            column = bumps().column({"definition": definition})
            assert scaled[column] == found[column], definition


def competing(inner: np.ndarray, least: float) -> int:
    """Competing bumps of curves `(T, r, R)`, by loops: as the definition reads."""
    found = 0
    for j in range(inner.shape[2]):
        for k in range(inner.shape[1]):
            curve = inner[:, k, j]
            for peak in signal.find_peaks(curve, prominence=least)[0]:
                bottom = after = peak
                while after < len(curve) and curve[after] - curve[bottom] < least:
                    bottom = after if curve[after] < curve[bottom] else bottom
                    after += 1
                found += (
                    max(inner[bottom, other, j] - inner[peak, other, j] for other in range(inner.shape[1])) >= least
                )
    return found


@given(walks)
def test_competition_is_what_its_definition_says(rng):
    inner = np.abs(rng.normal(size=(40, 3, 2)).cumsum(axis=0)).astype(np.float32)
    curves = record(inner[:, None])
    for delta in (0.05, 0.1, 0.2):
        least = np.float32(delta) * inner[-1].max()
        assert counts(curves, delta=delta, definition="competition") == pytest.approx(2 * competing(inner, least))


def test_budgets_are_those_of_any_measure():
    inner, other = np.abs(np.random.default_rng(0).normal(size=(2, 33, 60, 2, 2)).cumsum(axis=1) + 1)
    curves = record(inner, other, cosine=inner / inner.max())
    own = bumps(budgets=BUDGETS)
    usual = measures.Measure(
        "bumps", lambda curves, definition, delta: own.fn(curves, definition, delta, 1.0), conditions=("definition",),
        definition=DEFINITIONS, delta=(0.1, 0.05, 0.2),
    ).at_budgets(*BUDGETS)  # fmt: skip
    assert own.columns == usual.columns and own.conditions == usual.conditions
    found, expected = taken(curves, own), taken(curves, usual)
    for column in own.columns:
        np.testing.assert_array_equal(found[column], expected[column], err_msg=column)
    assert np.ptp([np.mean(found[column]) for column in own.columns]) > 0.1


def test_falls_begin_at_the_turning_points_and_end_at_the_next():
    curve, slots = np.random.default_rng(0).normal(size=(40, 200)).cumsum(axis=0).astype(np.float32), 8
    points, falls, later = jax.jit(
        lambda x: (turning_points(x, 1.0), find_falls(x, 1.0, slots=slots), find_falls(x, 1.0, slots=3, skip=2))
    )(curve)
    np.testing.assert_array_equal(falls.count, count_maxima(curve, 1.0))
    assert 3 < falls.count.max() <= slots
    np.testing.assert_array_equal(later.top, falls.top[2:5])
    np.testing.assert_array_equal(later.bottom, falls.bottom[2:5])
    for i in range(curve.shape[1]):
        count, kind = int(falls.count[i]), np.asarray(points.kind[:, i])
        tops, bottoms = np.asarray(falls.top[:count, i]), np.asarray(falls.bottom[:count, i])
        index = np.asarray(points.index[:, i])
        np.testing.assert_array_equal(tops, index[kind == 1])
        minima = [place for place in index[kind == -1] if count and place > tops[0]]
        np.testing.assert_array_equal(bottoms[: len(minima)], minima)
        for top, bottom in zip(tops[len(minima) :], bottoms[len(minima) :], strict=True):  # the last, not risen from
            assert curve[bottom, i] == curve[top:, i].min()
        assert not falls.top[count:, i].any() and not falls.bottom[count:, i].any()


def test_falls_of_a_curve_end_where_it_is_held_and_what_comes_later_may_be_anything():
    curve = np.array([[0, 2, 1, 0.5, 0.2, 5, np.nan]], np.float32).T
    for last, bottom in ((2, 2), (3, 3), (4, 4), (5, 4)):
        falls = find_falls(curve, 0.9, slots=2, last=last)
        assert (falls.count, falls.top[0], falls.bottom[0]) == (1, 1, bottom)
    assert find_falls(curve, 0.9, slots=2, last=1).count == 0 == find_falls(curve, 0.9, slots=2).count


def test_of_nothing_nothing_is_a_bump():
    curves = record(np.array([0, 1.0, 0.5, 0, 0])[:, None, None, None])
    assert counts(curves) == 0 and counts(curves, definition="competition") == 0


def test_there_is_one_measure_under_three_conditions():
    measure = Thresholds().bumps
    assert measure.conditions == ("definition", "budget") and measure.main["definition"] == "inner"
    assert len(measure.columns) == 3 * 5 * 3 and len(measure.choices_at(definition="cosine")) == 5
    assert set(Thresholds().bumps_by("inner", "cosine").columns) < set(measure.columns)


@pytest.mark.parametrize(
    ("name", "arguments"),
    (
        ("delta", {"delta": (0.1, 0.0)}),
        ("definitions", {"definitions": ("inner", "outer")}),
        ("definitions", {"definitions": ("inner",)}),
        ("budgets", {"budgets": (1.0, 0.0)}),
    ),
)
def test_what_is_not_allowed_is_refused(name, arguments):
    with pytest.raises(ArgumentError, match=rf"^{name}=.* is not allowed: must be [^\n]*$"):
        bumps(**arguments)


@pytest.mark.parametrize("optimizer", ("sgd", "adam"))
def test_a_record_holds_cosines_and_inner_products_of_one_state(x64, optimizer):
    study, seeds = LowRank(n=12, rank=2, target_rank=3, optimizer=optimizer), 3
    assert study.in_span == (optimizer == "sgd")
    params = study.params(learning_rate=np.full(seeds, 0.01), init_scale=np.full(seeds, 0.3))

    @jax.jit
    def observed(keys):
        state = study.init(keys, params)
        state = jax.lax.fori_loop(0, 20, lambda _, state: study.step(state, params), state)
        return study.observe(state, params), state.factors, state.target.factors

    found, factors, target = observed(jax.random.split(jax.random.key(0), seeds))
    layout = study.path.layout
    pairs = [np.asarray(jax.vmap(layout.turn, in_axes=layout.seed_axis)(x)) for x in (factors, target)]
    learned, true = (pair.swapaxes(0, 1) for pair in pairs)  # (2, S, n, r) and (2, S, n, R)
    lengths = np.linalg.norm(true, axis=2)
    for side, (inner, align, norm) in enumerate(
        ((found.inner_a, found.align_a, found.norm_a), (found.inner_b, found.align_b, found.norm_b))
    ):
        assert inner.shape == (seeds, 2, 3)
        np.testing.assert_allclose(inner, np.abs(learned[side].swapaxes(1, 2) @ true[side]), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(inner, align * norm[..., None] * lengths[side][:, None], rtol=1e-11, atol=1e-13)
