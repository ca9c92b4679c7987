# SPDX-License-Identifier: Apache-2.0
"""The study as a whole: what is learned, what cannot be, and that no seed sees another."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs import memoryless, planner, tables
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.measures import GOOD, by_epoch, lure_rate, runs_then_stops
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.params import NAMES, code
from jaxmyopia.studies.epochs.study import Myopia

LANES = {"cutoff": 4.0, "learning_rate": 0.02}
QUICK = Settings(runs_a_batch=32, passes=2)
NEGATIVE, FLAT = code("schedule", "negative"), code("schedule", "flat")
INVEST, BORROW = code("lure", "invest"), code("lure", "borrow")


@functools.cache
def trained(learner: str) -> Trials:
    """40 seeds a combination on the default task."""
    study, steps = Myopia(learner=learner, settings_of_learner=QUICK), {"reinforce": 120, "ppo": 60}[learner]
    return run(
        study, seeds=40, steps=steps, progress=False, schedule=(NEGATIVE, FLAT), lure=INVEST, credit=(0.0, 1.0), **LANES
    ).trials  # fmt: skip


@pytest.mark.parametrize("learner", ["reinforce", "ppo"])
def test_learners_reach_the_planner_under_either_credit(learner):
    table = trained(learner)
    for schedule in (NEGATIVE, FLAT):
        for credit in (0.0, 1.0):
            rows = table.matching(schedule=schedule, credit=credit)
            assert (rows.values("value_share") >= GOOD).mean() >= 0.95, (schedule, credit)


@pytest.mark.parametrize("learner", ["reinforce", "ppo"])
def test_controls(learner):
    table = trained(learner)
    recipe, flat = table.matching(schedule=NEGATIVE), table.matching(schedule=FLAT)
    # Myopic training without selection: the lure that only pays later goes to the floor of exploration.
    for rows in (recipe, flat):
        assert np.median(lure_rate(rows.matching(credit=0.0), 0, 4)) < 0.01
    # Training over the run without a negative stretch: as the planner, invest in all epochs but the last.
    far = flat.matching(credit=1.0)
    assert np.median(lure_rate(far, 0, 7)) > 0.99
    assert np.median(by_epoch(far, "running")[:, -1]) > 0.99
    # The recipe: run and stop, whatever the credit.
    for credit in (0.0, 1.0):
        assert runs_then_stops(recipe.matching(credit=credit), 0.8).mean() > 0.8


@pytest.mark.slow
def test_without_the_index_no_agent_stops_at_the_cutoff_and_none_beats_the_best_memoryless_policy():
    study = Myopia(reveal_epoch="masked", settings_of_learner=QUICK)
    table = run(
        study, seeds=32, steps=100, schedule=NEGATIVE, lure=(INVEST, BORROW), credit=1.0, progress=False, **LANES
    ).trials
    assert not any(runs_then_stops(table.matching(lure=lure), 0.7).any() for lure in (INVEST, BORROW))
    env = EpochEnv(reveal_epoch="masked")
    for name, lure in (("invest", INVEST), ("borrow", BORROW)):
        best, policy = memoryless.best_memoryless(env, env_params(lure=name), starts=12, steps=300)
        mine = table.matching(lure=lure)
        reached = mine.values("best_run") - mine.values("regret_run")
        assert (reached <= float(best) + 1e-3).all()
        model = tables.make_model(env, env_params(lure=name))
        running = planner.outcome(model, policy).running
        assert not (running[3] > 0.7 and running[4] < 0.3)
        assert float(best) < mine["best_run"][0] - 1


@pytest.mark.slow
def test_q_learning_learns_what_it_does_not_have_to_explore_far_for():
    study = Myopia(learner="qlearning", policy="table", optimizer="sgd", settings_of_learner=QUICK)
    trials = LANES | {"learning_rate": 0.9}
    table = run(
        study, seeds=64, steps=150, schedule=NEGATIVE, lure=INVEST, credit=(0.0, 1.0), progress=False, **trials
    ).trials
    assert (table.matching(credit=0.0).values("value_share") >= GOOD).mean() >= 0.95
    assert runs_then_stops(table.matching(credit=1.0), 0.9).mean() >= 0.95


SMALL = Myopia(epochs=3, epoch_steps=2, width=4, settings_of_learner=Settings(runs_a_batch=4))
SEEDS = 5


def params_of(study, **changed):
    columns = {"schedule": 0.0, "lure": 1.0, "credit": 1.0, "cutoff": 2.0, "learning_rate": 0.02} | changed
    return study.params(**{name: np.broadcast_to(np.asarray(value, float), SEEDS) for name, value in columns.items()})


@functools.partial(jax.jit, static_argnums=0)
def advance(study, state, params):
    state = jax.lax.fori_loop(0, 4, lambda _, s: study.step(s, params), state)
    return state, study.observe(state, params)


def agents_of(state):
    """The agents' leaves with the axis of agents, their last, first; without what all share."""
    return [np.moveaxis(np.asarray(leaf), -1, 0) for leaf in jax.tree.leaves(state.agent) if leaf.ndim]


def by_seed(state, record):
    """Whatever is kept of each seed, its axis first."""
    return [*agents_of(state), *(np.asarray(x) for x in jax.tree.leaves((state.key, record)) if x.ndim)]


@pytest.mark.parametrize("learner", ["reinforce", "ppo", "qlearning"])
def test_another_key_or_another_rate_in_one_trial_changes_that_trial_alone(learner):
    policy = "table" if learner == "qlearning" else "mlp"
    study = Myopia(
        epochs=3, epoch_steps=2, width=4, learner=learner, policy=policy, settings_of_learner=Settings(runs_a_batch=4)
    )
    keys, params = jax.random.split(jax.random.key(0), SEEDS), params_of(study)
    first = advance(study, study.init(keys, params), params)
    trial, others = 2, np.delete(np.arange(SEEDS), 2)
    other_keys = keys.at[trial].set(jax.random.key(7))
    other_params = params.replace(
        lure_later=params.lure_later.at[trial].set(-5.0), credit=params.credit.at[trial].set(0)
    )
    for keys_now, params_now in ((other_keys, params), (keys, other_params)):
        second = advance(study, study.init(keys_now, params_now), params_now)
        for old, new in zip(by_seed(*first), by_seed(*second), strict=True):
            assert new[others].tobytes() == old[others].tobytes()
        mine = [[leaf[trial] for leaf in agents_of(state)] for state, _ in (first, second)]
        assert not all(np.array_equal(old, new) for old, new in zip(*mine, strict=True))


def test_seeds_start_alike_under_every_schedule_lure_and_credit():
    keys = jax.random.split(jax.random.key(0), SEEDS)
    trials = {"schedule": 0, "lure": 1, "credit": 1}, {"schedule": 2, "lure": 2, "credit": 0}
    states = [SMALL.init(keys, params_of(SMALL, **trial)) for trial in trials]
    chex.assert_trees_all_equal(*(state.agent for state in states))


def test_sweeps_over_schedule_lure_credit_and_cutoff_compile_once():
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(state, params):
        return SMALL.step(state, params)

    keys = jax.random.split(jax.random.key(0), SEEDS)
    for changed in ({}, {"schedule": 2.0}, {"lure": 2.0, "credit": 0.0}, {"cutoff": 1.0, "discount": 0.5}):
        params = params_of(SMALL, **changed)
        step(SMALL.init(keys, params), params)


def test_a_schedule_that_turns_flat_later_is_the_recipe_until_then():
    keys = jax.random.split(jax.random.key(0), SEEDS)
    recipe, turned = (params_of(SMALL, flat_from=start) for start in (1e9, 4))
    states = [advance(SMALL, SMALL.init(keys, params), params)[0] for params in (recipe, turned)]
    chex.assert_trees_all_equal(*(state.agent for state in states))
    later = [advance(SMALL, state, params) for state, params in zip(states, (recipe, turned), strict=True)]
    assert float(later[1][1].best_run.min()) > float(later[0][1].best_run.max())


def test_deployed_without_change_an_agent_does_what_it_did():
    keys, params = jax.random.split(jax.random.key(0), SEEDS), params_of(SMALL)
    _, record = advance(SMALL, SMALL.init(keys, params), params)
    np.testing.assert_allclose(record.longer[:, :3], record.running, rtol=1e-5)
    np.testing.assert_allclose(record.dropped[:, 0], record.running[:, 0], rtol=1e-5)
    table = Myopia(epochs=3, epoch_steps=2, policy="table", settings_of_learner=Settings(runs_a_batch=4))
    _, fresh = advance(table, table.init(keys, params), params)
    np.testing.assert_allclose(fresh.dropped[:, 3:], (2 / 3) ** 2, rtol=1e-5)  # never seen: any action


@pytest.mark.parametrize(
    "bad",
    [
        {"learner": "dqn"},
        {"policy": "cnn"},
        {"optimizer": "sdg"},
        {"learner": "qlearning"},
        {"width": 0},
        {"epochs": 0},
    ],
)
def test_bad_fields_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        Myopia(**bad)


@pytest.mark.parametrize(
    "bad",
    [{"schedule": 3.0}, {"lure": -1.0}, {"credit": 0.5}, {"cutoff": 4.0}, {"cutoff": -1.0}, {"cutoff": 1.5},
     {"learning_rate": 0.0}, {"discount": 1.1}, {"discount": -0.1}],
)  # fmt: skip
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        params_of(SMALL, **bad)


def test_numbers_stand_for_names():
    for setting, names in NAMES.items():
        assert [code(setting, name) for name in names] == list(range(len(names)))
    with pytest.raises(ValueError, match="lures='gold' is not allowed"):
        code("lure", "gold")


def test_one_seed_alone_is_the_same_seed():
    keys, params = jax.random.split(jax.random.key(0), SEEDS), params_of(SMALL)
    _, together = advance(SMALL, SMALL.init(keys, params), params)
    alone_params = jax.tree.map(lambda x: x[:1], params)
    _, alone = advance(SMALL, SMALL.init(keys[:1], alone_params), alone_params)
    np.testing.assert_allclose(alone.loss, together.loss[:1], rtol=1e-4)
    assert jnp.isfinite(together.loss).all()
