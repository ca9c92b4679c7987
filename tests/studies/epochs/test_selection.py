# SPDX-License-Identifier: Apache-2.0
"""Populations: who is copied over whom, who finds what another left, and that no population sees another."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.studies.epochs.learners import Agent
from jaxmyopia.studies.epochs.measures import INTENSITY, lure_rate
from jaxmyopia.studies.epochs.model import LURE, WORK, EpochEnv, env_params
from jaxmyopia.studies.epochs.selection import Selection, select, shared_rollout
from jaxmyopia.studies.epochs.study import Myopia

SMALL = Selection(epochs=3, epoch_steps=2, population=4)
SEEDS = 3


def test_the_best_are_copied_over_the_worst_with_all_they_have():
    agents = Agent(variables=jnp.arange(5.0), state=10 * jnp.arange(5.0))
    after = select(agents, jnp.array([3.0, 1.0, 5.0, 2.0, 4.0]), 2)
    np.testing.assert_array_equal(after.variables, [0, 2, 2, 4, 4])  # 1 earned least, 3 next; 2 most, 4 next
    np.testing.assert_array_equal(after.state, 10 * np.array([0, 2, 2, 4, 4]))


def test_with_context_swap_another_reaps_what_an_agent_sowed():
    env, params = EpochEnv(epochs=2, epoch_steps=2), env_params("flat", cutoff=2)
    chances = np.zeros((3, 3, 4, 3), np.float32)  # three agents; the first takes lures, the others work
    chances[0, LURE], chances[1:, WORK] = 1, 1
    chances, draws = jnp.moveaxis(jnp.asarray(chances), 0, -1), jnp.full((4, 1, 3), 0.5)
    for swap, heir in ((0.0, 0), (1.0, 1)):
        reward = shared_rollout(env, params, chances, draws, jnp.full(3, swap), 3).reward[:, 0].T
        expected = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]], float)
        expected[heir, 2] += 6
        np.testing.assert_array_equal(reward, expected)


def params_of(**changed):
    columns = {"schedule": 0.0, "lure": 1.0, "credit": 0.0, "cutoff": 2.0, "learning_rate": 0.1} | changed
    columns = {"interval": 2.0, "swap": 0.0} | columns
    return SMALL.params(**{name: np.broadcast_to(np.asarray(value, float), SEEDS) for name, value in columns.items()})


@functools.partial(jax.jit, static_argnums=0, static_argnames="steps")
def advance(study, state, params, steps=3):
    state = jax.lax.fori_loop(0, steps, lambda _, s: study.step(s, params), state)
    return state, study.observe(state, params)


def by_seed(state, record):
    """Whatever is kept of each seed, its axis first; populations stand in the last but one."""
    agents = [np.moveaxis(np.asarray(leaf), -2, 0) for leaf in jax.tree.leaves(state.agents) if leaf.ndim]
    return [*agents, *(np.asarray(x) for x in jax.tree.leaves((state.key, state.earned, record)) if x.ndim)]


def test_another_key_or_another_interval_in_one_trial_changes_that_trial_alone():
    keys, params = jax.random.split(jax.random.key(0), SEEDS), params_of()
    first = advance(SMALL, SMALL.init(keys, params), params)
    others = np.array([0, 2])
    for keys_now, params_now in ((keys.at[1].set(jax.random.key(5)), params), (keys, params_of(interval=[2, 1, 2]))):
        second = advance(SMALL, SMALL.init(keys_now, params_now), params_now)
        for old, new in zip(by_seed(*first), by_seed(*second), strict=True):
            assert new[others].tobytes() == old[others].tobytes()
        assert not np.array_equal(first[1].lured[1], second[1].lured[1])


@pytest.mark.parametrize("study", [SMALL, Myopia(epoch_steps=2, policy="table")], ids=("selection", "reinforce"))
def test_a_short_run_is_but_for_rounding_the_run_of_an_environment_with_so_few_epochs(study):
    selection = isinstance(study, Selection)
    columns = {"schedule": 2.0, "lure": [1.0, 1.0, 2.0], "credit": [0.0, 1.0, 0.0], "cutoff": 2.0, "learning_rate": 0.1}
    columns |= {"interval": 2.0, "swap": [0.0, 0.0, 1.0]} if selection else {}
    seen = []
    for epochs, length in ((5, 2.0), (2, 2.0)):
        # Agents that start alike: what is drawn for a start depends on the number of epochs.
        now = dataclasses.replace(study, epochs=epochs, **({"spread": 0.0} if selection else {}))
        given = {name: np.broadcast_to(value, SEEDS) for name, value in columns.items()}
        params = now.params(**given, length=np.full(SEEDS, length))
        _, record = advance(now, now.init(jax.random.split(jax.random.key(0), SEEDS), params), params, steps=12)
        seen.append([np.asarray(getattr(record, name)) for name in ("running", "acting", "lured")])
    for short, few in zip(*seen, strict=True):
        # Adam makes up to 2e-5 of rounding in these steps; counting steps after the end makes 3e-3.
        np.testing.assert_allclose(short[:, :2], few, atol=2e-4)
        assert not short[:, 2:].any() and few.any()


def test_the_lures_before_k_less_one_of_a_short_run_are_read_off_its_table():
    trials = {"schedule": (0.0, 2.0), "lure": 1.0, "credit": 0.0, "cutoff": 2.0, "learning_rate": 0.1}
    trials |= {"interval": 0.0, "swap": 0.0, "length": (2.0, 3.0)}
    table = run(SMALL, seeds=4, steps=4, progress=False, **trials).trials
    for length in (2.0, 3.0):
        rows = table.matching(schedule=2.0, length=length)
        np.testing.assert_array_equal(INTENSITY.of(rows), rows.values("lured_0") / rows.values("acting_0"))
    assert not table.matching(schedule=2.0, length=2.0).values("acting_2").any()


def test_selection_by_whole_runs_brings_lures_that_pay_later_and_swap_takes_them_away():
    # Selection alone: the learning rate is next to nothing, and what is left is what is copied.
    study = Selection(epochs=3, epoch_steps=2, population=40)
    trials = {"schedule": 2.0, "lure": 1.0, "credit": 0.0, "cutoff": 3.0, "learning_rate": 1e-6}
    table = run(study, seeds=32, steps=40, interval=(0.0, 1.0), swap=(0.0, 1.0), progress=False, **trials).trials
    none, selected = (lure_rate(table.matching(interval=interval, swap=0.0), 0, 2) for interval in (0.0, 1.0))
    swapped = lure_rate(table.matching(interval=1.0, swap=1.0), 0, 2)
    assert selected.mean() - 0.05 > none.mean() > swapped.mean() + 0.05, (selected.mean(), none.mean(), swapped.mean())


@pytest.mark.parametrize(
    "bad", [{"population": 1}, {"replaced": 0.6}, {"replaced": 0.0}, {"spread": -1}, {"epochs": 0}]
)
def test_bad_fields_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        Selection(**bad)


@pytest.mark.parametrize("bad", [{"interval": -1.0}, {"interval": 0.5}, {"swap": 2.0}])
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        params_of(**bad)
