# SPDX-License-Identifier: Apache-2.0
"""The study as a whole: what is paired with what, which seeds diverge, and what is refused."""

import functools

import chex
import jax
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.studies.lowrank.study import LowRank

N, RANK, SEEDS = 5, 2, 5
init = jax.jit(LowRank.init, static_argnums=0)


@functools.partial(jax.jit, static_argnames=("study", "steps"))
def advance(state, params, *, study: LowRank, steps: int):
    state = jax.lax.fori_loop(0, steps, lambda _, s: study.step(s, params), state)
    return state, study.observe(state, params)


def keys(root: int = 0) -> jax.Array:
    return jax.random.split(jax.random.key(root), SEEDS)


def settings(study: LowRank, rates=(0.01,) * SEEDS, scales=(1.0,) * SEEDS):
    return study.params(learning_rate=np.array(rates), init_scale=np.array(scales))


def problem(state):
    return state.target.factors, state.factors


def test_a_seed_has_one_target_and_one_start_under_every_optimiser_loss_and_rate():
    study = LowRank(n=N, rank=RANK, optimizer="adam")
    first = problem(init(study, keys(), settings(study)))
    for other in (
        LowRank(n=N, rank=RANK, optimizer="muon"),
        LowRank(n=N, rank=RANK, optimizer="adam", loss="cross_entropy"),
    ):
        chex.assert_trees_all_equal(problem(init(other, keys(), settings(other))), first)
    other_rates = settings(study, rates=np.geomspace(1e-4, 10, SEEDS))
    chex.assert_trees_all_equal(problem(init(study, keys(), other_rates)), first)


def inner_products(state):
    """Of all columns of U, A and of V, B: `(2, 2 RANK, 2 RANK, S)`."""
    columns = np.concatenate(problem(state), axis=2)
    return np.einsum("inks,injs->ikjs", columns, columns)


@pytest.mark.parametrize("optimizer", ("sgd", "momentum"))
def test_in_its_span_a_seed_starts_from_the_same_columns_up_to_a_rotation(optimizer):
    spanned, direct = LowRank(n=N, rank=RANK, optimizer=optimizer), LowRank(n=N, rank=RANK, optimizer="adam")
    found, expected = (init(study, keys(), settings(study)) for study in (spanned, direct))
    assert found.factors.shape == (2, 2 * RANK, RANK, SEEDS) and expected.factors.shape == (2, N, RANK, SEEDS)
    np.testing.assert_allclose(inner_products(found), inner_products(expected), atol=2e-6)


def test_another_key_in_one_trial_changes_that_trial_alone():
    study = LowRank(n=N, rank=RANK, optimizer="adam", loss="cross_entropy")
    params = settings(study)
    trial, others = 2, np.delete(np.arange(SEEDS), 2)
    records = []
    for mine in (keys(), keys().at[trial].set(keys(1)[0])):
        _, record = advance(init(study, mine, params), params, study=study, steps=5)
        records.append(record)
    for old, new in zip(*(jax.tree.leaves(record) for record in records), strict=True):
        if new.ndim:
            assert np.asarray(new)[others].tobytes() == np.asarray(old)[others].tobytes()
            assert (np.asarray(new)[trial] != np.asarray(old)[trial]).all()


def test_one_seed_is_a_batch_too():
    study = LowRank(n=N, rank=RANK)
    params = settings(study)
    state, record = advance(init(study, keys(), params), params, study=study, steps=20)
    alone_params = jax.tree.map(lambda x: x[:1], params)
    alone, alone_record = advance(init(study, keys()[:1], alone_params), alone_params, study=study, steps=20)
    np.testing.assert_allclose(alone.factors[..., 0], state.factors[..., 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(alone_record.loss, record.loss[:1], rtol=1e-4)
    assert int(record.step) == 20


def test_a_rate_far_too_high_diverges_and_its_neighbour_does_not():
    study = LowRank(n=N, rank=RANK)
    table = run(study, seeds=4, steps=400, progress=False, learning_rate=(0.02, 30.0), init_scale=0.5).trials
    pairs = set(zip(table["seed"].tolist(), table["learning_rate"].tolist(), strict=True))
    assert len(table) == 8 and pairs == {(seed, rate) for seed in range(4) for rate in (0.02, 30.0)}
    wild, tame = table.matching(learning_rate=30.0), table.matching(learning_rate=0.02)
    assert wild["diverged"].all() and not tame["diverged"].any()
    counts = [name for name in table.columns if name.startswith(("bumps", "descents", "plateaus", "upticks"))]
    for name in counts:
        assert np.isnan(wild[name]).all() and np.isfinite(tame[name]).all()
    assert (tame["loss_ratio"] < 0.1).all() and (tame[study.thresholds.descents] >= 1).all()


def test_a_target_of_lower_rank_than_the_learned_matrix_is_learned():
    study = LowRank(n=N, rank=4, target_rank=1)
    params = settings(study, rates=(0.03,) * SEEDS, scales=(0.1,) * SEEDS)
    state = init(study, keys(), params)
    assert state.target.factors.shape == (2, N, 1, SEEDS) and state.factors.shape == (2, N, 4, SEEDS)
    _, record = advance(state, params, study=study, steps=1000)
    assert record.align_a.shape == (SEEDS, 4, 1)
    # The columns that grew all point at the one target.
    assert np.asarray(record.loss < 1e-3 * study.observe(state, params).loss).all()
    longest = np.asarray(record.norm_a).argmax(axis=1)
    assert (np.asarray(record.align_a)[np.arange(SEEDS), longest, 0] > 0.99).all()


def test_weight_decay_varies_by_trial_in_one_program_and_only_where_there_is_one():
    study, scale = LowRank(n=N, rank=RANK, optimizer="adamw"), {"learning_rate": 0.03, "init_scale": 0.5}
    sizes = {"seeds": 6, "steps": 200, "progress": False}
    (cell,) = study.cells(seeds=6, steps=200, weight_decay=(0.0, 0.01, 1.0), **scale)
    assert cell.trials == 18
    decayed = run(study, weight_decay=(0.0, 0.01, 1.0), **scale, **sizes).trials
    final = [decayed.where(weight_decay=decay)["loss_ratio"] for decay in (0.0, 0.01, 1.0)]
    assert (final[1] < 0.1).all() and (final[2] > 3 * final[1]).all()  # it keeps from the target what it pulls at
    adam = run(LowRank(n=N, rank=RANK, optimizer="adam"), **scale, **sizes).trials
    np.testing.assert_allclose(final[0], adam["loss_ratio"], rtol=1e-4, atol=1e-9)
    both = study.cells(seeds=6, steps=200, optimizer=("sgd", "adamw"), weight_decay=(0.0, 0.01), **scale)
    assert "weight_decay" not in adam.columns and ["weight_decay" in dict(each.sweep) for each in both] == [False, True]
    (usual,) = study.cells(seeds=6, steps=200, **scale)  # by optax's default, which is no setting
    assert set(dict(usual.sweep)) == set(scale)


@pytest.mark.parametrize("optimizer", ("adam", "sgd", "momentum", "rmsprop"))
def test_weight_decay_is_refused_where_there_is_none(optimizer):
    study, given = LowRank(n=N, rank=RANK, optimizer=optimizer), {"learning_rate": 0.1, "init_scale": 1.0}
    with pytest.raises(ValueError, match=r"^weight_decay=0.1 is not allowed: must be one of what LowRank has: [^\n]*$"):
        study.cells(seeds=1, steps=9, weight_decay=0.1, **given)
    columns = {name: np.full(3, value) for name, value in (given | {"weight_decay": 0.1}).items()}
    with pytest.raises(ValueError, match=rf"^weight_decay=0.1 is not allowed: {optimizer} takes none$"):
        study.params(**columns)


@pytest.mark.parametrize("value", (-0.1, float("nan"), float("inf")))
def test_weight_decay_that_is_negative_or_not_finite_is_refused(value):
    columns = {"learning_rate": np.full(3, 0.1), "init_scale": np.full(3, 0.1), "weight_decay": np.array([0, value, 1])}
    with pytest.raises(ValueError, match=rf"^weight_decay={value!r} is not allowed: must be finite, and not negative$"):
        LowRank(n=N, rank=RANK, optimizer="adamw").params(**columns)


@pytest.mark.parametrize(
    ("name", "arguments"),
    (
        ("n", {"n": 1}),
        ("ranks", {"rank": 0}),
        ("ranks", {"rank": -1}),
        ("ranks", {"rank": N + 1}),
        ("target_ranks", {"rank": 2, "target_rank": 0}),
        ("target_ranks", {"rank": 2, "target_rank": N + 1}),
        ("targets", {"target": "gausian"}),
        ("losses", {"loss": "mse"}),
        ("optimizers", {"optimizer": "adamm"}),
        ("spectrum", {"target": "spectrum", "spectrum": ()}),
        ("spectrum", {"target": "spectrum", "spectrum": (1.0,)}),
        ("spectrum", {"target": "spectrum", "spectrum": (1.0, 0.0)}),
        ("spectrum", {"target": "spectrum", "spectrum": (1.0, float("nan"))}),
        ("spectrum", {"target": "spectrum", "spectrum": (1.0, float("inf"))}),
    ),
)
def test_fields_that_are_not_allowed_are_refused_by_name(name, arguments):
    with pytest.raises(ValueError) as error:
        LowRank(**{"n": N, "rank": RANK} | arguments)
    assert str(error.value).startswith(f"{name}={list(arguments.values())[-1]!r} is not allowed: must be ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", (0.0, -0.1, float("nan"), float("inf")))
@pytest.mark.parametrize("name", ("learning_rate", "init_scale"))
def test_settings_that_are_not_positive_and_finite_are_refused_by_name(name, value):
    columns = {"learning_rate": np.full(3, 0.1), "init_scale": np.full(3, 0.1)}
    columns[name][1] = value
    with pytest.raises(ValueError, match=rf"^{name}s?={value!r} is not allowed: must be positive and finite$"):
        LowRank(n=N, rank=RANK).params(**columns)
