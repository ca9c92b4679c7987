# SPDX-License-Identifier: Apache-2.0
"""Measures over their grids, inside jit, against the functions they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia import measures
from jaxmyopia.checks import ArgumentError
from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure, summarise
from jaxmyopia.measures.descents import count_upticks, descents
from jaxmyopia.measures.turning_points import count_maxima

STEPS = np.arange(0, 240, 2)


def made_curves(seeds=6) -> Curves:
    rng = np.random.default_rng(0)
    middles, t = np.sort(rng.uniform(40, 200, (2, seeds)), axis=0), STEPS[:, None]
    loss = 0.1 + sum(1 / (1 + np.exp((t - middle) / 6)) for middle in middles)
    align = np.abs(np.cumsum(rng.normal(0, 0.1, (len(STEPS), seeds, 2, 2)), axis=0))
    wide = {"step": STEPS.astype(np.int32), "loss": loss, "align": align}
    return Curves({name: jnp.asarray(x, jnp.int32 if name == "step" else jnp.float32) for name, x in wide.items()})


CURVES = made_curves()


def found(*taken: Measure) -> dict[str, np.ndarray]:
    return jax.tree.map(np.asarray, jax.jit(lambda curves: summarise(taken, curves))(CURVES))


def test_built_in_measures_are_the_counts_they_name_at_every_choice():
    plateaus, falls = measures.plateaus(), measures.descents()
    bumps, upticks = measures.bumps("align", delta=(0.2, 0.1)), measures.upticks(rise=(1.05, 1.5))
    columns = found(plateaus, falls, bumps, upticks, measures.time_to(share=0.5), measures.final_ratio())
    assert len(columns) == 9 + 9 + 2 + 2 + 1 + 1
    for choice in plateaus.choices:
        counted = descents(CURVES.step, CURVES.loss, **choice)
        np.testing.assert_array_equal(columns[plateaus.column(choice)], counted.plateaus)
        np.testing.assert_array_equal(columns[falls.column(choice)], counted.count)
    for delta in (0.2, 0.1):
        counts = np.asarray(count_maxima(CURVES.align, delta)).mean(axis=(1, 2))
        np.testing.assert_allclose(columns[bumps.column({"delta": delta})], counts, rtol=1e-6)
    np.testing.assert_array_equal(columns["upticks_r1.5"], count_upticks(CURVES.loss, rise=1.5))
    np.testing.assert_array_equal(columns["loss_ratio"], CURVES.loss[-1] / CURVES.loss[0])
    halved = STEPS[(np.asarray(CURVES.loss) <= 0.5 * np.asarray(CURVES.loss)[0]).argmax(axis=0)]
    np.testing.assert_array_equal(columns["time_to"], halved)


def test_at_a_budget_a_measure_is_that_of_a_run_which_ended_there():
    taken = measures.plateaus().at_budgets(1, 0.5, 0.25), measures.bumps("align").at_budgets(1, 0.5, 0.25)
    columns = found(*taken)
    assert [measure.main["budget"] for measure in taken] == [1, 1] and len(columns) == 3 * (9 + 3)
    for budget in (1, 0.5, 0.25):
        ended = int((budget * STEPS[-1] >= STEPS).sum())
        short = Curves({name: x[:ended] for name, x in CURVES.items()})
        for choice in measures.plateaus().choices:
            wanted = descents(short.step, short.loss, **choice).plateaus
            np.testing.assert_array_equal(columns[taken[0].column(choice | {"budget": budget})], wanted)
        for choice in measures.bumps("align").choices_at():
            wanted = np.asarray(count_maxima(short.align, choice["delta"])).mean(axis=(1, 2))
            np.testing.assert_allclose(columns[taken[1].column(choice | {"budget": budget})], wanted, rtol=1e-6)


@pytest.mark.parametrize("share", [0, 1.5, "half"])
def test_a_budget_is_a_share_of_the_steps(share):
    with pytest.raises(ArgumentError, match="shares="):
        measures.plateaus().at_budgets(share)


def test_a_column_names_what_has_several_values():
    assert measures.plateaus().column() == "plateaus_r0.5_f0.02"
    assert measures.plateaus(ratio=0.5).column({"fall": 0.01}) == "plateaus_f0.01"
    assert measures.plateaus(ratio=0.5, fall=0.02).columns == ("plateaus",)
    clash = Measure("m", len, share=(0.5, 0.1), scale=(1, 2))
    assert clash.column() == "m_share=0.5_scale=1"


def test_measures_that_share_a_function_and_a_grid_are_computed_once():
    traced = []

    def both(curves, by):
        traced.append(by)
        return {"low": by * curves.loss.min(axis=0), "high": by * curves.loss.max(axis=0)}

    low, high = (Measure(part, both, part=part, by=(1, 2)) for part in ("low", "high"))
    columns = found(low, high)
    assert len(traced) == 1  # one trace for both measures and both choices
    np.testing.assert_array_equal(columns["high_b2"], 2 * CURVES.loss.max(axis=0))


def test_definitions_are_a_grid_too():
    def span(curves, kind, by):
        value = curves.loss.max(axis=0) - curves.loss.min(axis=0)
        return by * (jnp.log(value) if kind == "log" else value)

    measure = Measure("span", span, kind=("plain", "log"), by=(1, 3))
    columns = found(measure)
    assert set(columns) == {"span_plain_b1", "span_plain_b3", "span_log_b1", "span_log_b3"}
    np.testing.assert_allclose(columns["span_log_b3"], 3 * np.log(columns["span_plain_b1"]), rtol=1e-6)


def test_both_definitions_of_time_are_conditions_of_one_measure():
    both = measures.plateaus(ratio=(0.5, 0.25), fall=0.02, time=("linear", "log"))
    assert both.columns == ("plateaus_r0.5_linear", "plateaus_r0.5_log", "plateaus_r0.25_linear", "plateaus_r0.25_log")
    assert both.conditions == ("time",) and measures.plateaus().conditions == ()
    assert [choice["time"] for choice in both.choices_at(time="log")] == ["log", "log"]
    columns = found(both)
    for choice in both.choices:
        np.testing.assert_array_equal(
            columns[both.column(choice)], descents(CURVES.step, CURVES.loss, **choice).plateaus
        )
    assert measures.plateaus(time="log", noise="estimated").columns == measures.plateaus().columns


def test_with_estimated_noise_counts_are_those_without_it_or_nan():
    exact, estimated = (measures.plateaus(ratio=0.5, fall=0.02, noise=noise) for noise in ("none", "estimated"))
    noise = jnp.asarray(np.random.default_rng(1).normal(size=CURVES.loss.shape), jnp.float32)
    expected = found(exact)["plateaus"]
    for size, least in ((0.0, 6), (1e-4, 5), (2.0, 0)):
        curves = Curves(dict(CURVES) | {"loss": CURVES.loss + size * noise})
        counts = np.asarray(jax.jit(lambda curves: summarise((estimated,), curves))(curves)["plateaus"])
        given = np.isfinite(counts)
        assert given.sum() >= least and (least > 0 or not given.any())
        np.testing.assert_array_equal(counts[given], expected[given])


def test_oscillation_is_the_share_of_records_above_the_least_so_far():
    t = np.arange(400)
    waves = np.where(t >= 200, 0.5 * (1 + 0.2 * (t % 2)), 1 - t / 400)
    undone = np.interp(t, [0, 100, 200, 399], [1, 0.1, 5, 0.1])
    lesser = np.interp(t, [0, 100, 200, 300, 399], [1, 0.1, 0.5, 0.1, 0.1])
    loss = jnp.asarray(np.stack([np.exp(-t / 50), 1 + t / 50, waves, undone, lesser], axis=1), jnp.float32)
    shares = summarise((measures.oscillation(),), Curves({"step": jnp.arange(400), "loss": loss}))["oscillation"]
    # On the way back to 1 the loss of the fourth is above 0.1 for 18 records, that of the fifth for 200.
    np.testing.assert_allclose(shares, [0, 0, 0.25, 18 / 400, 197 / 400], atol=0.01)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: measures.plateaus(ratio=1), "ratio"),
        (lambda: measures.descents(fall=(0.02, 1.0)), "fall"),
        (lambda: measures.plateaus(time=("linear", "steps")), "time"),
        (lambda: measures.descents(noise="some"), "noise"),
        (lambda: measures.bumps("align", delta=0), "delta"),
        (lambda: measures.bumps("align", delta=True), "delta"),
        (lambda: measures.oscillation(rise=1), "rise"),
        (lambda: count_maxima(CURVES.align, 0.0), "delta"),
        (lambda: count_upticks(CURVES.loss, rise=1.0), "rise"),
        (lambda: count_upticks(CURVES.loss, floor=0.0), "floor"),
    ],
)
def test_thresholds_at_or_beyond_the_ends_of_their_ranges_are_refused(make, argument):
    with pytest.raises(ArgumentError, match=rf"^{argument}="):
        make()


def test_counts_of_a_curve_that_is_not_finite_are_nan():
    curves = Curves(dict(CURVES) | {"loss": CURVES.loss.at[3, 1].set(jnp.nan)})
    columns = summarise((measures.plateaus(), measures.upticks()), curves)
    for column in columns.values():
        assert np.isnan(np.asarray(column)).tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("wrong", "came"),
    [
        (lambda curves: curves.loss, "(120, 6)"),
        (lambda curves: 3.0, "'float'"),
        (lambda curves: curves.loss.sum(), "()"),
    ],
)
def test_a_measure_that_gives_no_number_a_trial_is_refused_by_name(wrong, came):
    with pytest.raises(ArgumentError, match="must give one number a trial") as error:
        found(Measure("mine", wrong))
    assert str(error.value).startswith(f"mine={came}")


def test_measures_made_alike_are_equal_and_hashable():
    assert measures.plateaus() == measures.plateaus() and len({measures.plateaus(), measures.plateaus()}) == 1
    assert measures.plateaus() != measures.descents() != measures.plateaus(ratio=0.3)


def test_an_unrolled_grid_gives_the_same():
    by_data = Measure("share", lambda curves, c: (curves.loss > c).mean(axis=0), c=(0.5, 0.2, 1.0))
    by_constants = Measure("share", by_data.fn, unroll=True, c=(0.5, 0.2, 1.0))
    one, other = found(by_data), found(by_constants)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
