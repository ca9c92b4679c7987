# SPDX-License-Identifier: Apache-2.0
"""Monosemantic neurons: planted networks whose counts are known, LAMB by hand, padding, claims on made tables."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.checks import ArgumentError
from jaxmyopia.claims import judge_all
from jaxmyopia.curves import Curves
from jaxmyopia.measures import summarise
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition import neurons
from jaxmyopia.studies.superposition.neuron_claims import LEAST, make_claims
from jaxmyopia.studies.superposition.neuron_figures import monosemantic_against_loss
from jaxmyopia.studies.superposition.neuron_measures import LOG_LOSS, MEASURES, MONOSEMANTIC, MONOSEMANTIC_SHARE
from jaxmyopia.studies.superposition.neurons import Decoder, Features, Monosemanticity, lamb, ratios
from jaxmyopia.testing import check_study

BRIEF = functools.partial(lamb, horizon=10)
SMALL = Monosemanticity(
    features=12, dimensions=5, width=8, probability=0.2, batch_size=32, evaluated=64, optimizer=BRIEF
)


@functools.partial(jax.jit, static_argnums=0)
def started(study: Monosemanticity, neurons: float, bias: float = -0.3) -> tuple[Decoder, Features]:
    return study.init(jax.random.key(0), initial_bias=jnp.asarray(bias), neurons=jnp.asarray(neurons))


def test_neurons_along_a_feature_are_monosemantic_once_their_bias_is_below_the_nearest_cosine():
    _, data = started(Monosemanticity(features=24, dimensions=12, width=4), 4.0)
    e = data.embedder
    nearest = jnp.max(e @ e.T - 2 * jnp.eye(24), axis=1)  # of each feature's cosines with others the greatest
    alone = Decoder(e.T, -nearest - 1e-4, jnp.zeros((24, 24)))
    np.testing.assert_array_equal(ratios(alone, e), 1)
    shared = alone._replace(bias=-nearest + 0.01 * (1 - nearest))  # the next one shows by 1 % or so
    assert (np.asarray(ratios(shared, e)) < 0.9999).all()


def test_a_planted_layer_has_as_many_monosemantic_neurons_as_were_planted():
    rows = [[1.0, 0, 0, 0]] * 3 + [[1, 1, 0, 0]] * 2 + [[1, 0.005, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 0]]
    found = ratios(Decoder(jnp.asarray(rows).T, jnp.zeros(8), jnp.zeros((8, 4))), jnp.eye(4))
    np.testing.assert_allclose(found, [1, 1, 1, 0.5, 0.5, 1 / 1.005, 0, 0], rtol=1e-6)
    both = jnp.stack([jnp.ones((1, 8)), found[None]])  # at the end, not at the start
    loss = jnp.asarray([[1.0], [0.25]])
    curves = Curves.of({"step": jnp.arange(2), "loss": loss, "ratios": both, "blank": jnp.ones((2, 1))})
    columns = {name: float(value[0]) for name, value in summarise(MEASURES, curves).items()}
    assert [columns[name] for name in MONOSEMANTIC.columns] == [3, 4, 3]  # above 0.999, 0.99, 0.9999
    assert columns["alive"] == 6
    np.testing.assert_allclose([columns[name] for name in MONOSEMANTIC_SHARE.columns], [1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose([columns["log_loss"], columns["unexplained"]], [np.log(0.25), 0.25], rtol=1e-6)


def test_features_are_there_as_often_as_they_should_and_uniform():
    study = Monosemanticity(features=16, dimensions=4, width=2, probability=0.1, power=1.1, evaluated=20_000)
    p = study.probabilities
    np.testing.assert_allclose([p.mean(), p[0] / p[7]], [0.1, 8**1.1])
    values = np.asarray(started(study, 2.0)[1].values)
    there = values > 0
    assert (np.abs(there.mean(axis=0) - p) < 4.5 * np.sqrt(p * (1 - p) / len(values))).all()
    first = np.sort(values[there[:, 0], 0])
    gaps = np.abs(first - (np.arange(len(first)) + 0.5) / len(first))
    assert gaps.max() < 1.95 / np.sqrt(len(first))  # Kolmogorov and Smirnov, 1 in 1,000
    assert Monosemanticity(features=4, dimensions=2, probability=0.5, power=3.0).probabilities[0] == 1


def test_the_embedder_has_the_angles_of_the_singular_vectors():
    embedder = np.asarray(started(SMALL, 8.0)[1].embedder)
    np.testing.assert_allclose(np.linalg.norm(embedder, axis=1), 1, rtol=1e-6)
    drawn = jax.random.normal(jax.random.split(jax.random.key(0), 3)[0], (12, 5))
    u = np.linalg.svd(np.asarray(drawn), full_matrices=False)[0]
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder @ embedder.T, u @ u.T, atol=2e-6)


def test_the_loss_by_hand_and_that_of_who_answers_zero():
    decoder, data = started(SMALL, 8.0)
    np.testing.assert_allclose(
        SMALL.loss(decoder._replace(readout=jnp.zeros((8, 12))), data), SMALL.observe(decoder, data)["blank"]
    )
    v, e, w, b, out = (np.asarray(x, float) for x in (data.values, data.embedder, *decoder))
    errors = [out.T @ np.maximum(w.T @ (e.T @ each) + b, 0) - each for each in v]
    np.testing.assert_allclose(SMALL.loss(decoder, data), np.mean([each @ each for each in errors]), rtol=1e-5)


@functools.partial(jax.jit, static_argnums=0)
def steps_of(study: Monosemanticity, decoder: Decoder, data: Features, steps: int) -> Decoder:
    rate = jnp.asarray(0.05)

    def step(number: jax.Array, carry: tuple) -> tuple:
        batch = study.batch(jax.random.fold_in(jax.random.key(9), number), data)
        return study.update(carry[0], batch, carry[1], rate)

    return jax.lax.fori_loop(0, steps, step, (decoder, BRIEF(rate).init(decoder)))[0]


def test_neurons_that_are_not_there_change_nothing():
    """The start is the same to the byte; sums over more zeros are rounded otherwise, so that steps are the same within
    float32's rounding."""
    (wide, data), (narrow, alike) = (
        started(study, 5.0) for study in (SMALL, Monosemanticity(**_fields(SMALL, width=5)))
    )
    for a, b in zip(jax.tree.leaves((_first(wide), data)), jax.tree.leaves((narrow, alike)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    wide, narrow = (steps_of(SMALL, each, data, 8) for each in (wide, narrow))
    for a, b in zip(_first(wide), narrow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    beyond = wide.weights[:, 5:], wide.bias[5:], wide.readout[5:]
    assert not any(np.asarray(each).any() for each in beyond)


def _first(decoder: Decoder) -> Decoder:
    return Decoder(decoder.weights[:, :5], decoder.bias[:5], decoder.readout[:5])


def _fields(study: Monosemanticity, **changed: int) -> dict:
    names = ("features", "dimensions", "probability", "batch_size", "evaluated", "optimizer")
    return {name: getattr(study, name) for name in names} | changed


def test_a_step_of_lamb_and_the_decay_of_the_bias_by_hand():
    """The first step of corrected Adam is the gradient's sign; LAMB gives it the length of what it changes, times the
    rate."""
    start = Decoder(jnp.asarray([[3.0, 4.0]]), jnp.asarray([-2.0]), jnp.asarray([[1.0], [2.0]]))
    gradient = Decoder(jnp.asarray([[1.0, -5.0]]), jnp.asarray([4.0]), jnp.asarray([[0.0], [2.0]]))
    optimizer = lamb(jnp.asarray(0.1), horizon=4, decay=0.5)

    @jax.jit
    def step(gradient: Decoder, state: tuple, now: Decoder) -> tuple:
        change, state = optimizer.update(gradient, state, now)
        return jax.tree.map(jnp.add, now, change), state

    with jax.numpy_dtype_promotion("standard"):
        after, _ = step(gradient, optimizer.init(start), start)
        still, state, now, biases = jax.tree.map(jnp.zeros_like, start), optimizer.init(start), start, []
        for _ in range(6):
            now, state = step(still, state, now)
            biases.append(float(now.bias[0]))
    np.testing.assert_allclose(after.weights, [[3 - 0.5 / np.sqrt(2), 4 + 0.5 / np.sqrt(2)]], rtol=1e-5)
    np.testing.assert_allclose(after.bias, [(-2 - 0.2) * (1 - 0.05)], rtol=1e-5)
    np.testing.assert_allclose(after.readout, [[1], [2 - 0.1 * np.sqrt(5)]], rtol=1e-5)
    np.testing.assert_allclose(biases, -2 * 0.95 ** np.minimum(np.arange(1, 7), 2), rtol=1e-6)  # two of four steps


def test_the_rate_is_gone_at_the_end():
    start, data = started(SMALL, 8.0)
    ended = steps_of(SMALL, start, data, 10)
    after = steps_of(SMALL, start, data, 12)
    for a, b in zip(ended, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_keeps_the_contract():
    check_study(SMALL, learning_rate=0.05, initial_bias=-0.3, neurons=8.0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Monosemanticity(dimensions=65), "dimensions"),
        (lambda: Monosemanticity(probability=0.0), "probability"),
        (lambda: Monosemanticity(power=-1.0), "power"),
        (lambda: Monosemanticity(width=0), "width"),
        (lambda: SMALL.params(neurons=np.array([8.0, 9.0])), "neurons"),
        (lambda: SMALL.params(neurons=np.array([2.5])), "neurons"),
    ],
)
def test_what_is_refused(make, name):
    with pytest.raises(ArgumentError) as refused:
        make()
    assert refused.value.name == name and "\n" not in str(refused.value)


def test_a_sweep_is_a_program_for_each_decay_whose_rate_lasts_as_long_as_it():
    cells = neurons.cells(3, steps=500, neurons=(4, 8), initial_bias=(0.0, -1.0), decay=(0.3, 0.1))
    assert [(cell.trials, cell.study.width) for cell in cells] == [(12, 8)] * 2
    names = [cell.study.settings()["optimizer"] for cell in cells]
    assert names == ["lamb(horizon=500, decay=0.3)", "lamb(horizon=500, decay=0.1)"]


SEEDS = 32


def make_table(count, share, loss) -> Trials:
    """A run's table of 2 start biases, 2 numbers of neurons; functions of the seeds, bias and number give columns."""
    parts, seed = [], np.arange(SEEDS)
    for bias, number in itertools.product((0.0, -1.0), (32.0, 64.0)):
        jitter = np.sin(7 * seed + number + 3 * bias)
        columns = {"initial_bias": bias, "neurons": number, "learning_rate": 0.01, "seed": seed, "diverged": False}
        columns |= dict.fromkeys(MONOSEMANTIC.columns, count(bias, number) + np.round(jitter))
        columns |= dict.fromkeys(MONOSEMANTIC_SHARE.columns, share(bias, number) + 0.001 * jitter)
        columns |= dict.fromkeys(LOG_LOSS.columns, loss(bias, number) + 0.01 * jitter) | {"study": "Monosemanticity"}
        columns["optimizer"] = "lamb"
        columns["unexplained"] = np.exp(columns["log_loss"])
        parts.append({name: np.broadcast_to(np.asarray(value), SEEDS) for name, value in columns.items()})
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Trials(whole, (("initial_bias", "neurons", "learning_rate", "study", "optimizer"),))


AS_PUBLISHED = make_table(
    lambda bias, number: number / 8 - 10 * bias, lambda bias, number: number / 640, lambda bias, number: -2.0
)


def verdicts(table: Trials) -> list[str]:
    judged = judge_all(make_claims(), table)
    assert all(control.came_out == "held" for each in judged for control in each.controls)
    return [each.verdict for each in judged]


def test_claims_hold_on_what_was_published_and_not_on_its_opposites():
    assert verdicts(AS_PUBLISHED) == ["supported"] * 4
    opposite = make_table(
        lambda bias, number: 20 - number / 8 + 10 * bias, lambda bias, number: 0.2 - number / 640, lambda *_: -2.0
    )
    assert verdicts(opposite) == ["contradicted"] * 4
    dearer = make_table(lambda bias, number: 10 - 10 * bias, lambda *_: 0.1, lambda bias, number: -2.0 - bias)
    assert verdicts(dearer) == ["contradicted", "supported", "no difference", "no difference"]
    small = make_table(lambda bias, number: 10 - 0.6 * LEAST * bias, lambda *_: 0.1, lambda *_: -2.0)
    assert verdicts(small)[1] in ("real but small", "inconclusive")


def test_a_run_without_the_published_bias_is_not_judged_on_it():
    kept = AS_PUBLISHED.keep(AS_PUBLISHED["initial_bias"] == 0)
    assert verdicts(kept)[:2] == ["not judged"] * 2


def test_the_figure_has_a_point_a_seed():
    figure = monosemantic_against_loss(AS_PUBLISHED)
    (axes,) = figure.axes
    points = sorted(len(line.get_xdata()) for line in axes.lines)
    assert points == [1] * 4 + [SEEDS] * 4  # a mean beside each
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "start bias 0", "start bias -1", "32 neurons", "64 neurons",
    ]  # fmt: skip
