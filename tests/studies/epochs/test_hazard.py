# SPDX-License-Identifier: Apache-2.0
"""A cutoff drawn by a hazard and never seen: brute force over policies and cutoffs, and sampling."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxmyopia.draws import uniform
from jaxmyopia.studies.epochs import hazard, planner, rollouts, tables
from jaxmyopia.studies.epochs.env_params import LURES, SCHEDULES
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.model import WORK, EpochEnv, env_params
from jaxmyopia.studies.epochs.selection import Selection, shared_rollout
from jaxmyopia.studies.epochs.study import Myopia

KEY = jax.random.key(0)
ELEVEN = np.linspace(0, 1, 11)
make_model = jax.jit(tables.make_model, static_argnums=0)
outcome = jax.jit(planner.outcome)


def places_of(epochs, steps):
    """The places `(t, p)` that a run can come to: as many lures as there were steps to take them."""
    most = [t % steps or (steps if t else 0) for t in range(epochs * steps)]
    return [(t, p) for t, count in enumerate(most) for p in range(count + 1)]


def earned_by_all(epochs, steps, cutoff, schedule, lure, penalty):
    """What every deterministic policy earns where the cutoff is this one, in plain arithmetic, `(N,)`."""
    places = places_of(epochs, steps)
    policies = np.array(list(itertools.product(range(3), repeat=len(places))))
    table = {place: policies[:, i] for i, place in enumerate(places)}
    now, later = LURES[lure]
    total, owed, running = np.zeros(len(policies)), np.zeros(len(policies), int), np.ones(len(policies), bool)
    for t in range(epochs * steps):
        action = np.zeros(len(policies), int)
        for p in range(steps + 1):
            if (t, p) in table:
                action = np.where(owed == p, table[t, p], action)
        running &= action != 2
        paid = 1 + now * (action == 1) + (later * owed if t % steps == 0 else 0)
        if t // steps >= cutoff:
            paid = np.minimum(paid - penalty, SCHEDULES[schedule])
        total += np.where(running, paid, 0)
        owed = np.where(running, (0 if t % steps == 0 else owed) + (action == 1), owed)
    return total


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (2, 1), (3, 1), (2, 2), (1, 3), (4, 1)])
def test_no_policy_beats_the_planner_over_all_cutoffs_of_tiny_cases(epochs, steps):
    env = EpochEnv(epochs=epochs, epoch_steps=steps)
    settings = list(itertools.product(SCHEDULES, LURES, (0.0, 0.7) if epochs < 4 else (0.0,)))
    for schedule, lure, penalty in settings:
        each = {k: earned_by_all(epochs, steps, k, schedule, lure, penalty) for k in range(epochs + 1)}
        for cutoff, h in itertools.product(range(epochs + 1), (0.0, 0.3, 0.5, 1.0)):
            chances = {0: 1.0} if cutoff == 0 else {k: h * (1 - h) ** (k - 1) for k in range(1, cutoff)}
            chances |= {cutoff: 1.0 if cutoff == 0 else (1 - h) ** (cutoff - 1)}
            assert sum(chances.values()) == pytest.approx(1)
            mean = sum(chance * each[k] for k, chance in chances.items())
            params = env_params(schedule, lure, cutoff=cutoff, penalty=penalty, hazard=h)
            values, _ = optimal(env, params)
            assert float(values[0, 0]) == pytest.approx(mean.max(), abs=1e-4), (schedule, lure, penalty, cutoff, h)


@functools.partial(jax.jit, static_argnums=0)
def optimal(env, params, discount=1.0, credit=1.0):
    """The planner's values and policy."""
    return planner.optimal(tables.make_model(env, params), planner.discounts(env, discount, credit))


def test_without_chances_the_model_is_to_the_bit_what_it_is_without_a_hazard():
    env = EpochEnv(epochs=4, epoch_steps=3)
    for schedule, lure, cutoff in itertools.product(SCHEDULES, LURES, range(5)):
        plain, none = (env_params(schedule, lure, cutoff=cutoff, hazard=h) for h in (None, 0.0))
        pair = make_model(env, plain), make_model(env, none)
        for a, b in zip(*map(jax.tree.leaves, pair), strict=True):
            np.testing.assert_array_equal(a, b)
        # And a border that is sure to be the one is a cutoff of 1.
        sure = make_model(env, env_params(schedule, lure, cutoff=cutoff, hazard=1.0))
        np.testing.assert_array_equal(
            sure.reward, make_model(env, env_params(schedule, lure, cutoff=min(cutoff, 1))).reward
        )


@pytest.mark.parametrize("h", [0.0, 0.05, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("cutoff", [0, 1, 6])
def test_cutoffs_are_drawn_as_the_geometric_ones_of_scipy_cut_short(cutoff, h):
    count = 20_000
    draws = jax.random.uniform(KEY, (count,))
    found = np.bincount(hazard.drawn(jnp.int32(cutoff), jnp.float32(h), draws), minlength=cutoff + 1)
    geometric = stats.geom(h) if h else None
    expected = np.zeros(cutoff + 1)
    if geometric and cutoff:
        expected[1:cutoff] = geometric.pmf(np.arange(1, cutoff))
    expected[cutoff] = 1 - expected[:cutoff].sum()
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[expected == 0], 0)
    some = expected > 0
    if some.sum() > 1:
        assert stats.chisquare(found[some], count * expected[some]).pvalue > 1e-3
    held = hazard.chance_to_hold(cutoff, jnp.float32(h), jnp.arange(cutoff + 1))
    np.testing.assert_allclose(held, np.cumsum(expected), atol=1e-6)


def test_what_the_planner_says_is_earned_is_what_steps_pay():
    env = EpochEnv(epochs=4, epoch_steps=2)
    params = env_params("negative", "borrow", cutoff=3, penalty=0.5, hazard=0.35)
    policy = jax.random.dirichlet(KEY, jnp.array([4.0, 3.0, 0.5]), (env.steps, env.epoch_steps + 1))

    def live(key):
        first, rest = jax.random.split(key)

        def step(state, now):
            chances, key = now
            action = jax.random.categorical(key, jnp.log(chances[state.pending])).astype(jnp.int32)
            _, after, reward, _, _ = env.step_env(None, state, action, params)
            return after, reward

        return jax.lax.scan(step, env.reset(first, params)[1], (policy, jax.random.split(rest, env.steps)))[1]

    paid = np.asarray(jax.jit(jax.vmap(live))(jax.random.split(jax.random.key(1), 60_000)), float)
    by_epoch = paid.reshape(len(paid), 4, 2).sum(axis=2)
    error = by_epoch.std(axis=0) / np.sqrt(len(paid))
    earned = outcome(make_model(env, params), policy).earned
    assert (np.abs(by_epoch.mean(axis=0) - earned) < 4 * error).all()
    assert np.abs(outcome(make_model(env, params.replace(hazard=None)), policy).earned - earned).max() > 0.1


def test_a_run_that_starts_again_draws_another_cutoff_and_no_one_sees_it():
    env, params = EpochEnv(epochs=2, epoch_steps=1), env_params(cutoff=2, hazard=0.5)
    state, found = env.reset(KEY, params)[1], []
    for key in jax.random.split(KEY, 30):
        _, state, *_ = env.step(key, state, 2, params)
        found.append(int(state.cutoff))
        seen = [env.get_obs(state.replace(cutoff=jnp.int32(k)), params) for k in (1, 2)]
        np.testing.assert_array_equal(*seen)
    assert set(found) == {1, 2}
    with pytest.raises(ValueError, match="key=None is not allowed"):
        env.reset(None, params)
    assert int(env.reset(None, params.replace(hazard=None))[1].cutoff) == 2


@pytest.mark.parametrize("agents", [None, 3])
def test_rollouts_draw_a_cutoff_a_run_and_take_the_actions_they_took_without(agents):
    env, runs = EpochEnv(epochs=5, epoch_steps=2), 2000
    keys = KEY if agents is None else jax.random.split(KEY, agents)
    tail = () if agents is None else (agents,)
    chances = jax.random.dirichlet(KEY, jnp.array([4.0, 3.0, 0.5]), (env.steps, env.epoch_steps + 1))
    wide = jnp.broadcast_to(jnp.moveaxis(chances, -1, 0).reshape(3, env.steps, 3, *[1] * len(tail)), (3, 10, 3, *tail))
    hazards = [None] + [jnp.full(tail, h, jnp.float32) for h in (0.0, 0.3)]
    base = env_params("negative", "invest", cutoff=4)
    none, zero, some = (rollouts.rollout(env, base.replace(hazard=h), wide, keys, runs) for h in hazards)
    for name in ("action", "pending", "running"):
        for other in (zero, some):
            np.testing.assert_array_equal(getattr(none, name), getattr(other, name))
    np.testing.assert_array_equal(none.reward, zero.reward)
    earned = outcome(make_model(env, base.replace(hazard=jnp.float32(0.3))), chances).earned
    paid = np.asarray(some.reward, float).reshape(5, 2, runs, -1).sum(axis=1)
    error = paid.std(axis=1) / np.sqrt(runs)
    assert (np.abs(paid.mean(axis=1) - np.asarray(earned)[:, None]) < 4.5 * error).all()
    if agents:
        alone = rollouts.rollout(env, base.replace(hazard=jnp.float32(0.3)), wide[..., 1], keys[1], runs)
        np.testing.assert_array_equal(alone.reward, some.reward[..., 1])


def test_a_run_that_changes_hands_keeps_its_cutoff():
    env, params = EpochEnv(epochs=4, epoch_steps=2), env_params("negative", "none", cutoff=4, hazard=0.5)
    chances = jnp.zeros((3, 8, 3, 3)).at[WORK].set(1.0)
    cutoffs = jnp.array([[1, 2, 4]])
    for swap in (0, 1):
        lived = shared_rollout(env, params, chances, jnp.full((8, 1, 3), 0.5), jnp.full(3, float(swap)), 3, cutoffs)
        for agent, epoch in itertools.product(range(3), range(4)):
            run = (agent - swap * (epoch + 1)) % 3  # places are handed on at the start of every epoch
            expected = 1 if epoch < cutoffs[0, run] else -1
            np.testing.assert_array_equal(lived.reward[2 * epoch : 2 * epoch + 2, 0, agent], expected)


@functools.partial(jax.jit, static_argnums=0)
def advance(study, state, params):
    state = jax.lax.fori_loop(0, 4, lambda _, s: study.step(s, params), state)
    return state, study.observe(state, params)


def columns(seeds=3, **changed):
    settings = {"schedule": 0.0, "lure": 1.0, "credit": 1.0, "cutoff": 2.0, "learning_rate": 0.02} | changed
    return {name: np.broadcast_to(np.asarray(value, float), seeds) for name, value in settings.items()}


@pytest.mark.parametrize("kind", ["alone", "populations"])
def test_agents_learn_from_runs_with_cutoffs_of_their_own(kind):
    if kind == "alone":
        study, more = Myopia(epochs=3, epoch_steps=2, width=4, settings_of_learner=Settings(runs_a_batch=4)), {}
    else:
        study, more = Selection(epochs=3, epoch_steps=2, population=4), {"interval": 2.0, "swap": 1.0}
    keys = jax.random.split(KEY, 3)
    found = []
    for h in (None, 0.0, [0.0, 0.9, 0.0]):
        params = study.params(**columns(**more), **({} if h is None else {"hazard": np.broadcast_to(h, 3)}))
        state, _ = advance(study, study.init(keys, params), params)
        agents = state.agent if kind == "alone" else state.agents
        axis = -1 if kind == "alone" else -2
        found.append([np.moveaxis(np.asarray(x), axis, 0) for x in jax.tree.leaves(agents.variables)])
    for none, zero, some in zip(*found, strict=True):
        np.testing.assert_allclose(none, zero, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(some[[0, 2]], zero[[0, 2]])  # another's hazard is another's
    assert not all(np.array_equal(some[1], zero[1]) for _, zero, some in zip(*found, strict=True))


def test_usefulness_is_what_is_earned_before_the_cutoff_of_each_run():
    study = Myopia(epochs=3, epoch_steps=2, width=4)
    params = study.params(**columns(2, cutoff=3.0, lure=0.0), hazard=np.array([0.0, 0.5]))
    record = jax.jit(study.observe)(study.init(jax.random.split(KEY, 2), params), params)
    # At the start each action is as likely: 2/3 of what runs on, of a most of 2 a step.
    goes_on = (2 / 3) ** np.arange(1, 7)
    for i, h in enumerate((0.0, 0.5)):
        open_yet = np.repeat((1 - h) ** np.arange(3), 2)
        np.testing.assert_allclose(record.usefulness[i], (goes_on * open_yet).sum() / open_yet.sum(), rtol=1e-5)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_a_hazard_that_is_no_chance_is_refused(bad):
    with pytest.raises(ValueError, match=r"hazard=.*is not allowed: must be between 0 and 1"):
        env_params(hazard=bad)
    for study, more in ((Myopia(), {}), (Selection(), {"interval": 2.0, "swap": 0.0})):
        with pytest.raises(ValueError, match=r"hazard=.*is not allowed: must be between 0 and 1"):
            study.params(**columns(**more), hazard=np.full(3, bad))
    env = EpochEnv(epochs=2, epoch_steps=1)
    with pytest.raises(ValueError, match="cutoffs=None is not allowed"):
        rollouts.live(env, env_params(hazard=0.5), jnp.ones((3, 2, 2)), uniform(KEY[None], (2, 3))[..., 0])
