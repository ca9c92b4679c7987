# SPDX-License-Identifier: Apache-2.0
"""A persistent trait: its expected gradient, exactly, by every draw of a tiny batch; what trained agents then do."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.measures import INTENSITY, lure_rate
from jaxmyopia.studies.epochs.model import LURE, WORK, EpochEnv, env_params
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.rollouts import returns
from jaxmyopia.studies.epochs.trait import Trait, sorted_runs, trait_slope

RUNS, CHANCE = 3, 0.3
LASTING = 0.7  # the chance to act on each step, where it may stop


@functools.partial(jax.jit, static_argnums=0)
def slopes(env, params, table, lures, drawn, permuted, baseline):
    """The trait's gradient `(S,)` of each set of sorts and decisions."""
    count = lures.shape[1]
    lived = sorted_runs(env, params, table, lures, drawn, jnp.full(count, permuted))
    followed = returns(lived.reward, planner.discounts(env, jnp.ones(count), jnp.zeros(count)))
    return trait_slope(lived, followed, lures, jnp.full(count, CHANCE), jnp.full(count, baseline), env.epoch_steps)


def expected_slope(env, params, acts, *, permuted, baseline):
    """The expected gradient of the trait `()`, over all sorts and all decisions to act of three runs."""
    free = env.steps * RUNS if acts < 1 else 0
    every = np.array(list(itertools.product((0, 1), repeat=RUNS + free)), bool)
    lures, stops = every[:, :RUNS].T, every[:, RUNS:].reshape(len(every), -1, RUNS)
    stops = np.moveaxis(stops, 0, -1) if free else np.zeros((env.steps, RUNS, len(every)), bool)
    weight = np.where(lures, CHANCE, 1 - CHANCE).prod(axis=0)
    if free:
        weight = weight * np.where(stops, 1 - acts, acts).prod(axis=(0, 1))
    count = len(every)
    table = jnp.broadcast_to(
        jnp.array([acts, 1 - acts])[:, None, None, None], (2, env.steps, env.epoch_steps + 1, count)
    )
    drawn = jnp.where(stops, 0.999, 0.0)
    slope = slopes(env, params, table, jnp.asarray(lures), drawn, float(permuted), float(code("baseline", baseline)))
    assert weight.sum() == pytest.approx(1)
    return float((weight * np.asarray(slope, float)).sum())


@functools.partial(jax.jit, static_argnums=0)
def values_of_sorts(env, params, chances, credit):
    """By the planner: what either sort gets, `(2, T, P)`."""
    model, factors = tables.make_model(env, params), planner.discounts(env, 1.0, credit)
    return jnp.stack([planner.policy_values(model, each, factors) for each in chances])


def of_sorts(env, params, acts, credit):
    """What the sort that takes lures gets more than the other at each place, `(T, P)`."""
    chances = np.zeros((2, env.steps, env.epoch_steps + 1, 3), np.float32)
    chances[0, ..., WORK], chances[1, ..., LURE], chances[..., 2] = acts, acts, 1 - acts
    work, lure = values_of_sorts(env, params, chances, credit)
    return np.asarray(lure - work, float)


def myopic_slope(env, params, acts, epochs):
    """The gradient of the first epochs' values if what they begin with were given: another run's lures, or none."""
    more = of_sorts(env, params, acts, 0.0)[:: env.epoch_steps]
    arriving = acts ** (env.epoch_steps * np.arange(env.epochs))
    owed = np.where(np.arange(env.epochs) > 0, CHANCE, 0.0)
    by_epoch = arriving * ((1 - owed) * more[:, 0] + owed * more[:, env.epoch_steps])
    return CHANCE * (1 - CHANCE) * by_epoch[:epochs].sum() / env.steps


def far_sighted_slope(env, params, acts):
    """The gradient of the whole run's value."""
    return CHANCE * (1 - CHANCE) * of_sorts(env, params, acts, 1.0)[0, 0] / env.steps


# With a cap of -1 from epoch 2 on a lure of epoch 1 is never paid, and one taken past it costs nothing.
TINY = [(EpochEnv(3, 1), "flat", "invest"), (EpochEnv(3, 1), "negative", "invest"), (EpochEnv(3, 1), "flat", "borrow")]
TINY += [(EpochEnv(2, 2), "flat", "invest"), (EpochEnv(2, 2), "negative", "borrow")]


@pytest.mark.parametrize(("env", "schedule", "lure"), TINY)
@pytest.mark.parametrize("acts", [LASTING, 1.0])
def test_the_expected_gradient_is_the_runs_and_with_permuted_runs_exactly_the_myopic_one(env, schedule, lure, acts):
    params = env_params(schedule, lure, cutoff=env.epochs - 1)
    found = {p: expected_slope(env, params, acts, permuted=p, baseline="none") for p in (0, 1)}
    assert found[0] == pytest.approx(far_sighted_slope(env, params, acts), abs=1e-6)
    assert found[1] == pytest.approx(myopic_slope(env, params, acts, env.epochs), abs=1e-6)


@pytest.mark.parametrize(("env", "schedule", "lure"), TINY)
def test_a_baseline_by_place_leaves_the_first_epochs_gradient_alone(env, schedule, lure):
    params = env_params(schedule, lure, cutoff=env.epochs - 1)
    for acts in (LASTING, 1.0):
        found = expected_slope(env, params, acts, permuted=0, baseline="place")
        assert found == pytest.approx(myopic_slope(env, params, acts, 1), abs=1e-6)


def test_a_baseline_by_epoch_leaves_the_leak_and_adds_what_a_run_leaves_to_its_neighbour():
    env, params = EpochEnv(3, 1), env_params("flat", "invest", cutoff=3)
    leak = expected_slope(env, params, 1.0, permuted=0, baseline="epoch")
    assert leak == pytest.approx(far_sighted_slope(env, params, 1.0), abs=1e-6)
    twin = expected_slope(env, params, 1.0, permuted=1, baseline="epoch")
    # What the lure of a run pays to the next one counts against it, as one of the B - 1 that it is compared to.
    left = CHANCE * (1 - CHANCE) * 3.0 * (env.epochs - 1) / (RUNS - 1) / env.steps
    assert twin == pytest.approx(myopic_slope(env, params, 1.0, 3) - left, abs=1e-6)


def test_permuted_runs_are_paid_for_anothers_lures():
    env, params = EpochEnv(2, 2), env_params("flat", "invest", cutoff=2)
    acts = jnp.zeros((2, 4, 3, 2)).at[0].set(1.0)
    lures = jnp.array([[True, True], [False, False], [False, False]])
    lived = sorted_runs(env, params, acts, lures, jnp.full((4, 3, 2), 0.5), jnp.array([0.0, 1.0]))
    alone = [[0, 0, 6, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    np.testing.assert_array_equal(lived.reward[..., 0].T, alone)
    np.testing.assert_array_equal(lived.reward[..., 1].T, [[0, 0, 0, 0], [1, 1, 7, 1], [1, 1, 1, 1]])


def test_trained_agents_take_lures_where_it_leaks_and_not_in_the_twin_nor_under_a_baseline_by_place():
    study = Trait(epochs=4, epoch_steps=2)
    trials = {"schedule": (0.0, 2.0), "lure": 1.0, "cutoff": 3.0, "learning_rate": 0.1, "length": (3.0, 4.0)}
    trials |= {"permuted": (0.0, 1.0), "baseline": (0.0, 1.0, 2.0)}
    table = run(study, seeds=8, steps=150, progress=False, **trials).trials
    for permuted, baseline in itertools.product((0.0, 1.0), (0.0, 1.0, 2.0)):
        leaks = not permuted and baseline < 2
        for schedule, length in ((0.0, 4.0), (2.0, 4.0), (2.0, 3.0)):
            rows = table.matching(permuted=permuted, baseline=baseline, schedule=schedule, length=length)
            rate = INTENSITY.of(rows)
            assert (rate > 0.95).all() if leaks else (rate < 0.05).all(), (permuted, baseline, schedule, rate)
            np.testing.assert_allclose(lure_rate(rows, 0, 2), rows.values("trait"), atol=1e-5)
            # By the planner of its own credit the twin has learned its task; where it leaks, no seed has.
            assert ((rows.values("value_share") > 0.95) != leaks).all()
        stopped = table.matching(permuted=permuted, baseline=baseline, schedule=0.0, length=4.0)
        assert (stopped.values("running_3") < 0.1).all()


def test_a_cutoff_of_one_epoch_leaves_nothing_to_leak():
    trials = {"schedule": 0.0, "lure": 1.0, "cutoff": (1.0, 2.0), "learning_rate": 0.1, "permuted": 0.0}
    table = run(Trait(epochs=3, epoch_steps=2), seeds=8, steps=150, progress=False, **trials).trials
    assert (table.matching(cutoff=1.0).values("trait") < 0.05).all()
    assert (table.matching(cutoff=2.0).values("trait") > 0.95).all()


@pytest.mark.parametrize("bad", [{"runs_a_batch": 7}, {"epochs": 0}, {"optimizer": "none"}, {"runs_a_batch": 2**21}])
def test_bad_fields_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        Trait(**bad)


@pytest.mark.parametrize("bad", [{"permuted": 2.0}, {"baseline": 3.0}, {"baseline": 0.5}, {"length": 9.0}])
def test_bad_parameters_are_refused(bad):
    columns = {"schedule": 0.0, "lure": 1.0, "cutoff": 2.0, "learning_rate": 0.1, "permuted": 0.0} | bad
    with pytest.raises(ValueError, match="is not allowed"):
        Trait().params(**{name: np.full(2, value) for name, value in columns.items()})
