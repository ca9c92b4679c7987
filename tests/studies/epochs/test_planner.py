# SPDX-License-Identifier: Apache-2.0
"""The planner against brute force over every sequence of actions, and against other ways to know the answer."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs import memoryless, planner, tables
from jaxmyopia.studies.epochs.env_params import LURES, SCHEDULES
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.rollouts import rollout

KEY = jax.random.key(3)
make_model = jax.jit(tables.make_model, static_argnums=0)
policy_values = jax.jit(planner.policy_values)
optimal = jax.jit(planner.optimal)
outcome = jax.jit(planner.outcome)
CASES = list(itertools.product(SCHEDULES, LURES, (1.0, 0.9), (1.0, 0.5, 0.0)))


def play(
    sequences, *, epochs, steps, cutoff, schedule, lure, factors, first_epoch=0, pending=0, binds=False, debt=0
):  # fmt: skip
    """What each sequence of actions `(N, T)` is worth, in plain arithmetic."""
    now, later = LURES[lure]
    total, weight = np.zeros(len(sequences)), np.ones(len(sequences))
    running, owed = np.ones(len(sequences), bool), np.full(len(sequences), pending)
    bound = np.zeros(len(sequences), bool)
    for t, action in enumerate(sequences.T):
        epoch, step = first_epoch + t // steps, t % steps
        bound = (owed > 0) & binds if step == 0 else bound
        running &= (action != 2) | bound
        paid = 1 + now * (action == 1) + (later * owed if step == 0 else 0)
        if epoch == cutoff and step == 0:
            paid = paid - debt
        if epoch >= cutoff:
            paid = np.minimum(paid, SCHEDULES[schedule])
        total += np.where(running, weight * paid, 0)
        owed = (0 if step == 0 else owed) + (action == 1)
        weight = weight * factors[first_epoch * steps + t]
    return total


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (3, 2), (2, 3), (5, 1)])
def test_values_are_those_of_brute_force_in_every_tiny_case(epochs, steps):
    env = EpochEnv(epochs=epochs, epoch_steps=steps)
    everything = {length: np.array(list(itertools.product(range(3), repeat=length))) for length in range(1, 7)}

    @jax.jit
    @jax.vmap
    def plan(params, discount, credit):
        model, factors = tables.make_model(env, params), planner.discounts(env, discount, credit)
        values, policy = optimal(model, factors)
        return values, policy_values(model, policy, factors), factors

    cases = list(itertools.product(range(epochs + 1), CASES))
    params = [env_params(schedule, lure, cutoff=cutoff) for cutoff, (schedule, lure, _, _) in cases]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    planned = plan(stacked, *(jnp.array([case[1][i] for case in cases]) for i in (2, 3)))
    for (cutoff, (schedule, lure, _, _)), values, own, factors in zip(cases, *map(np.asarray, planned), strict=True):
        np.testing.assert_allclose(own, values, atol=1e-4)
        for epoch, pending in itertools.product(range(epochs), range(steps + 1)):
            sequences = everything[(epochs - epoch) * steps]
            worth = play(
                sequences, epochs=epochs, steps=steps, cutoff=cutoff, schedule=schedule, lure=lure, factors=factors,
                first_epoch=epoch, pending=pending,
            )  # fmt: skip
            assert values[epoch * steps, pending] == pytest.approx(worth.max(), abs=1e-4)


def test_no_policy_of_a_tiny_case_beats_the_planner_anywhere():
    env, params = EpochEnv(epochs=2, epoch_steps=1), env_params(cutoff=1)
    model = make_model(env, params)
    places = [(0, 0), (1, 0), (1, 1)]
    tables = np.zeros((27, 2, 2, 3), np.float32)
    for number, actions in enumerate(itertools.product(range(3), repeat=3)):
        for (t, p), action in zip(places, actions, strict=True):
            tables[number, t, p, action] = 1
    for credit in (0.0, 1.0):
        factors = planner.discounts(env, 1.0, credit)
        values = jax.vmap(lambda table, factors=factors: policy_values(model, table, factors))(tables)
        best = optimal(model, factors)[0]
        for t, p in places:
            assert float(values[:, t, p].max()) == pytest.approx(float(best[t, p]))


def lure_and_run(schedule, lure, credit, epochs=6, steps=4, cutoff=3):
    env, params = EpochEnv(epochs=epochs, epoch_steps=steps), env_params(schedule, lure, cutoff=cutoff)
    model = make_model(env, params)
    _, policy = optimal(model, planner.discounts(env, 1.0, planner.CREDITS[credit]))
    found = outcome(model, policy)
    return np.nan_to_num(found.lure_rate, nan=-1).tolist(), found.running.tolist(), float(found.earned.sum())


def test_the_best_policies_are_those_that_the_study_is_about():
    off = [-1, -1, -1]
    # Far-sighted under the recipe: invest until it no longer pays off before the cutoff; then stop.
    assert lure_and_run("negative", "invest", "run") == ([1, 1, 0, *off], [1, 1, 1, 0, 0, 0], 2 * 4 * 2 + 3 * 4)
    assert lure_and_run("negative", "invest", "epoch") == ([0, 0, 0, *off], [1, 1, 1, 0, 0, 0], 12)
    assert lure_and_run("negative", "borrow", "run") == ([0, 0, 1, *off], [1, 1, 1, 0, 0, 0], 16)
    # A debtor still gains by running on, so that myopia shows in lures and not in stopping early.
    assert lure_and_run("negative", "borrow", "epoch") == ([1, 1, 1, *off], [1, 1, 1, 0, 0, 0], 24 - 2 * 6)
    assert lure_and_run("flat", "invest", "run") == ([1, 1, 1, 1, 1, 0], [1] * 6, 24 + 5 * 8)
    assert lure_and_run("flat", "borrow", "run") == ([0, 0, 0, 0, 0, 1], [1] * 6, 28)
    assert lure_and_run("zero", "invest", "run")[1] == [1] * 6  # nothing to gain by stopping: a tie, and WORK is first


def random_policy(env, seed=0):
    return jax.random.dirichlet(jax.random.key(seed), jnp.ones(3), (env.steps, env.epoch_steps + 1))


def test_credit_by_epoch_is_credit_by_run_where_there_is_one_epoch():
    env, params = EpochEnv(epochs=1, epoch_steps=5), env_params(cutoff=1)
    model, policy = make_model(env, params), random_policy(EpochEnv(epochs=1, epoch_steps=5))
    arriving = outcome(model, policy).arriving
    found = []
    for credit in (0.0, 1.0):
        factors = planner.discounts(env, 0.9, credit)
        values = policy_values(model, policy, factors), optimal(model, factors)[0]
        found.append([float(planner.credited(value, arriving, credit)) for value in values])
    assert found[0] == found[1]


def test_what_a_random_policy_comes_to_is_what_sampling_shows():
    env, params = EpochEnv(epochs=3, epoch_steps=2), env_params("flat", cutoff=3)
    model, policy = make_model(env, params), random_policy(env)
    policy = policy.at[..., 2].multiply(0.2)
    policy = policy / policy.sum(axis=-1, keepdims=True)

    def live(key):
        def step(state, now):
            chances, key = now
            action = jax.random.categorical(key, jnp.log(chances[state.pending])).astype(jnp.int32)
            _, after, reward, _, _ = env.step_env(key, state, action, params)
            acts = after.running
            return after, (acts, acts & (action == 1), reward)

        return jax.lax.scan(step, env.reset(key, params)[1], (policy, jax.random.split(key, 6)))[1]

    acting, lured, paid = jax.jit(jax.vmap(live))(jax.random.split(jax.random.key(1), 40_000))
    found = outcome(model, policy)
    np.testing.assert_allclose(acting.mean(axis=0)[1::2], found.running, atol=0.01)
    np.testing.assert_allclose(acting.mean(axis=0).reshape(3, 2).mean(axis=1), found.acting, atol=0.01)
    np.testing.assert_allclose(lured.mean(axis=0).reshape(3, 2).mean(axis=1), found.lured, atol=0.01)
    np.testing.assert_allclose(paid.sum(axis=1).mean(), found.earned.sum(), atol=0.05)
    value = policy_values(model, policy, planner.discounts(env, 1.0, 1.0))[0, 0]
    np.testing.assert_allclose(value, found.earned.sum(), rtol=1e-5)


def test_the_best_memoryless_policy_stops_by_chance_and_no_grid_holds_a_better_one():
    env = EpochEnv(epochs=4, epoch_steps=1, show_pending=False)
    params = env_params(lure="none", cutoff=2)
    value, policy = memoryless.best_memoryless(env, params, starts=16, steps=800)
    goes_on = np.linspace(0, 1, 2001)
    grid = goes_on + goes_on**2 - goes_on**3 - goes_on**4  # +1 in each of two epochs, -1 in each of two
    assert float(value) == pytest.approx(grid.max(), abs=1e-4)
    assert 1 - float(policy[0, 0, 2]) == pytest.approx(goes_on[grid.argmax()], abs=0.01)
    assert float(value) < 2  # what the index would give


def test_lures_pending_are_a_memory_of_a_kind_and_the_climb_finds_it():
    # One lure more in every epoch counts the epochs: with the index hidden, but not what is pending.
    params = env_params(cutoff=2)
    env = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="masked")
    value, policy = memoryless.best_memoryless(env, params, starts=32, steps=800)
    model, factors = make_model(env, params), planner.discounts(env, 1.0, 1.0)
    seen = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    tables = np.zeros((3**6, 2, 3, 3), np.float32)
    for number, actions in enumerate(itertools.product(range(3), repeat=6)):
        for (t, p), action in zip(seen, actions, strict=True):
            tables[number, t, p, action] = 1
    values = jax.vmap(lambda table: policy_values(model, jnp.tile(table, (3, 1, 1)), factors)[0, 0])(tables)
    best = float(values.max())  # of the policies that always do the same where they see the same
    assert float(value) >= best - 1e-4
    assert float(value) <= float(optimal(model, factors)[0][0, 0]) + 1e-4
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("credit", [0.0, 1.0])
@pytest.mark.parametrize("lure", ["invest", "borrow"])
def test_a_short_run_is_an_environment_of_as_many_epochs(lure, credit):
    long, short = EpochEnv(epochs=5, epoch_steps=2), EpochEnv(epochs=3, epoch_steps=2)
    found = []
    for env in (long, short):
        model = tables.make_model(env, env_params("flat", lure, length=3))
        values, policy = optimal(model, planner.discounts(env, 1.0, credit))
        told = outcome(model, policy)
        found.append([values[: short.steps], *(getattr(told, name)[:3] for name in ("running", "lured", "earned"))])
        assert not any(np.asarray(getattr(told, name)[3:]).any() for name in ("running", "acting", "lured", "earned"))
    chex.assert_trees_all_equal(*found)


@pytest.mark.parametrize(("penalty", "runs_past"), [(0.5, True), (0.99, True), (1.01, False), (5.0, False)])
def test_past_the_cutoff_work_pays_less_by_the_penalty(penalty, runs_past):
    env = EpochEnv(epochs=4, epoch_steps=2)
    model = tables.make_model(env, env_params("flat", "none", cutoff=2, penalty=penalty))
    _, policy = optimal(model, planner.discounts(env, 1.0, 1.0))
    told = outcome(model, policy)
    np.testing.assert_allclose(told.running, [1, 1, runs_past, runs_past])
    np.testing.assert_allclose(told.earned, [2, 2, *[2 * max(1 - penalty, 0)] * 2], rtol=1e-6)


@pytest.mark.parametrize(("epochs", "steps"), [(2, 1), (2, 2), (3, 1), (3, 2), (2, 3)])
@pytest.mark.parametrize(("binds", "debt"), [(True, 0.0), (True, 2.5), (False, 2.5), (False, -4.0)])
def test_values_with_lures_that_bind_and_with_a_debt_are_those_of_brute_force(epochs, steps, binds, debt):
    env = EpochEnv(epochs=epochs, epoch_steps=steps, lure_binds=binds)
    sequences = np.array(list(itertools.product(range(3), repeat=env.steps)))

    @jax.jit
    @jax.vmap
    def plan(params, credit):
        model, factors = tables.make_model(env, params), planner.discounts(env, 0.9, credit)
        values, policy = optimal(model, factors)
        return values, policy_values(model, policy, factors), factors

    cases = list(itertools.product(range(epochs + 1), ("negative", "flat"), ("invest", "borrow"), (1.0, 0.0)))
    params = [env_params(schedule, lure, cutoff=cutoff, debt=debt) for cutoff, schedule, lure, _ in cases]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    planned = plan(stacked, jnp.array([case[3] for case in cases]))
    for (cutoff, schedule, lure, _), values, own, factors in zip(cases, *map(np.asarray, planned), strict=True):
        np.testing.assert_allclose(own, values, atol=1e-4)
        for epoch, pending in itertools.product(range(epochs), range(steps + 1)):
            left = sequences[: 3 ** ((epochs - epoch) * steps), epoch * steps :]
            worth = play(
                left, epochs=epochs, steps=steps, cutoff=cutoff, schedule=schedule, lure=lure, factors=factors,
                first_epoch=epoch, pending=pending, binds=binds, debt=debt,
            )  # fmt: skip
            assert values[epoch * steps, pending] == pytest.approx(worth.max(), abs=1e-4)


@pytest.mark.parametrize("binds", [False, True])
def test_stops_by_what_is_pending_add_up_to_the_stops_of_an_epoch(binds):
    env = EpochEnv(epochs=3, epoch_steps=2, lure_binds=binds)
    policy = jax.random.dirichlet(KEY, jnp.ones(3), (env.steps, env.pending_places))
    model = make_model(env, env_params("flat"))
    told = outcome(model, policy)
    before = np.array([1.0, *np.asarray(told.running)[:-1]])
    for epoch in range(3):
        stops = planner.stops_in(model, policy, epoch)
        gone = float((told.arriving[epoch] * stops).sum())
        assert gone == pytest.approx(float(before[epoch] - told.running[epoch]), abs=1e-6)
        if binds:  # who arrives with a lure pending cannot stop, whatever it wants
            np.testing.assert_allclose(stops[1:3], 0, atol=1e-6)
            assert float(stops[0]) > 0.1


def test_a_lure_that_binds_keeps_a_myopic_agent_past_the_cutoff():
    env, found = EpochEnv(epochs=5, epoch_steps=2, lure_binds=True), {}
    for lure, credit in itertools.product(("invest", "borrow"), (1.0, 0.0)):
        model = make_model(env, env_params("negative", lure, cutoff=3))
        _, policy = optimal(model, planner.discounts(env, 1.0, credit))
        found[lure, credit] = np.asarray(outcome(model, policy).running).tolist()
    assert found["invest", 1.0] == found["invest", 0.0] == found["borrow", 1.0] == [1, 1, 1, 0, 0]
    assert found["borrow", 0.0][3] == 1  # it took the lure in the last good epoch, and cannot shut down


def test_where_lures_bind_agents_live_through_what_the_planner_says():
    env, params = EpochEnv(epochs=3, epoch_steps=2, lure_binds=True), env_params("negative", cutoff=1, debt=0.5)
    policy = jax.random.dirichlet(KEY, jnp.ones(3), (env.steps, env.pending_places))

    @jax.jit
    def both():
        lived = rollout(env, params, jnp.moveaxis(policy, -1, 0), jax.random.key(1), 40_000)
        return lived, outcome(tables.make_model(env, params), policy)

    lived, told = both()
    np.testing.assert_allclose(np.asarray(lived.running).mean(axis=1)[2::2], told.running[:-1], atol=0.01)
    paid = np.asarray(lived.reward).mean(axis=1).reshape(3, 2).sum(axis=1)
    np.testing.assert_allclose(paid, told.earned, atol=0.03)
