# SPDX-License-Identifier: Apache-2.0
"""The dilemma against one's own past: held against a plain simulation, its drift, its fixed points, and its bounds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmyopia.api import run
from jaxmyopia.studies.dilemma.learners import LEARNERS, P_MIN, Memory
from jaxmyopia.studies.dilemma.measures import cooperative
from jaxmyopia.studies.dilemma.study import SelfDilemma

SETTINGS = {"learning_rate": 0.01, "epsilon": 0.1, "cost": 1.0, "gain": 3.0, "seen": 0.0, "swap": 0.0}
VARIANTS = [  # a study, and for each of four trials whether history is seen and whether agents swap
    (SelfDilemma(learner="policy_gradient", population=2, window=30), (0, 1, 0, 1), (0, 0, 1, 1)),
    (SelfDilemma(learner="q_all_past", population=3, window=30), (0, 1, 0, 1), (0, 0, 1, 1)),
    (SelfDilemma(learner="q_running", window=1000), (0, 1, 0, 1), (0, 0, 0, 0)),
]


def make_params(study: SelfDilemma, seeds: int, **settings: float):
    return study.params(**{name: np.full(seeds, value) for name, value in {**SETTINGS, **settings}.items()})


@functools.partial(jax.jit, static_argnames="study")
def advance(keys, params, *, study: SelfDilemma, steps: int):
    state = jax.lax.fori_loop(0, steps, lambda _, s: study.step(s, params), study.init(keys, params))
    return state, study.observe(state, params)


class PlainAgent:
    """One agent in plain Python, written from the paper's text."""

    def __init__(self, learner: str, policy: list[float]):
        self.learner, self.p = learner, [min(max(p, 0.01), 0.99) for p in policy]
        self.q, self.rewards = [[0.0, 0.0], [0.0, 0.0]], [[[], []], [[], []]]

    def probability(self, view: int) -> float:
        if self.learner == "policy_gradient":
            return self.p[view]
        c, d = self.q[view]
        return 0.5 if np.isclose(c, d, rtol=0, atol=1e-7) else (0.95 if c > d else 0.05)

    def learn(self, view: int, cooperated: bool, reward: float) -> None:
        if self.learner == "policy_gradient":
            p = self.p[view]
            p += 0.01 * reward * (1 / p if cooperated else -1 / (1 - p))
            self.p[view] = min(max(p, 0.01), 0.99)
        elif self.learner == "q_all_past":
            mine = self.rewards[view][1 - cooperated]
            mine.append(reward)
            self.q[view][1 - cooperated] = sum(mine) / len(mine)
        else:
            self.q[view][1 - cooperated] += 0.01 * (reward - self.q[view][1 - cooperated])


@functools.partial(jax.jit, static_argnames="population")
def draw(key, steps, *, population: int):
    return jax.vmap(lambda step: jax.random.uniform(jax.random.fold_in(key, step), (population,)))(steps)


def plain_actions(study: SelfDilemma, key: jax.Array, steps: int, seen: bool, swap: bool) -> np.ndarray:
    """The actions `(steps + 1, M)` of one seed, from the same random numbers."""
    policy_key, action_key = jax.random.split(jax.random.fold_in(key, 0))
    policies = np.asarray(jax.random.uniform(policy_key, (study.population, 2)), float)
    agents = [PlainAgent(study.learner, policy.tolist()) for policy in policies]
    actions = [np.asarray(jax.random.bernoulli(action_key, 0.5, (study.population,))).astype(int).tolist()]
    for uniform in np.asarray(draw(key, 1 + jnp.arange(steps), population=study.population)):
        before, now = actions[-1], []
        for i, agent in enumerate(agents):
            found = before[i - 1] if swap else before[i]
            view = found if seen else 0
            now.append(int(uniform[i] < agent.probability(view)))
            agent.learn(view, bool(now[i]), 3.0 * found - 1.0 * now[i])
        actions.append(now)
    return np.array(actions)


@pytest.mark.parametrize(("study", "seen", "swap"), VARIANTS, ids=str)
def test_every_action_is_that_of_a_plain_simulation_and_the_last_are_counted_exactly(study, seen, swap):
    steps, keys = 400, jax.random.split(jax.random.key(3), 4)
    params = make_params(study, 4).replace(seen=jnp.asarray(seen, float), swap=jnp.asarray(swap, float))
    state, record = advance(keys, params, study=study, steps=steps)
    for trial, key in enumerate(keys):
        actions = plain_actions(study, key, steps, bool(seen[trial]), bool(swap[trial]))
        last = actions[-min(study.window, steps) :]
        found = actions[-len(last) - 1 : -1]
        np.testing.assert_array_equal(record.recent[trial], last.sum(axis=0))
        np.testing.assert_allclose(-record.loss[trial], 3 * found.mean() - last.mean(), rtol=1e-5, atol=1e-6)
        rows = np.arange(max(steps - study.window, 0), steps + 1) % (study.window + 1)
        np.testing.assert_array_equal(np.asarray(state.actions)[rows, trial], actions[-len(rows) :])


def simulated_shares(learner: str, runs: int, steps: int) -> np.ndarray:
    """Share of C in the last 500 steps of many plain runs with hidden history, `(runs,)`, from numbers of their own."""
    rng = np.random.default_rng(11)
    p, before = np.clip(rng.random(runs), 0.01, 0.99), rng.random(runs) < 0.5
    (sums, counts, q), last = np.zeros((3, 2, runs)), []
    for _ in range(steps):
        value = sums / np.maximum(counts, 1) if learner == "q_all_past" else q
        greedy = np.where(value[0] == value[1], 0.5, np.where(value[0] > value[1], 0.95, 0.05))
        cooperates = rng.random(runs) < (p if learner == "policy_gradient" else greedy)
        reward, index = 3.0 * before - cooperates, np.where(cooperates, 0, 1)
        p = np.clip(p + 0.01 * reward * np.where(cooperates, 1 / p, -1 / (1 - p)), 0.01, 0.99)
        everyone = np.arange(runs)
        sums[index, everyone] += reward
        counts[index, everyone] += 1
        q[index, everyone] += 0.01 * (reward - q[index, everyone])
        before = cooperates
        last = [*last[-499:], cooperates]
    return np.mean(last, axis=0)


@pytest.mark.parametrize("learner", sorted(LEARNERS))
def test_as_many_runs_end_cooperative_as_in_a_simulation_of_its_own_randomness(learner):
    runs, steps, study = 800, 1500, SelfDilemma(learner=learner)
    _, record = advance(jax.random.split(jax.random.key(7), runs), make_params(study, runs), study=study, steps=steps)
    found, plain = np.asarray(record.recent)[:, 0] / study.window, simulated_shares(learner, runs, steps)
    for mine, theirs in ((found >= 0.5, plain >= 0.5), (found, plain)):
        error = np.sqrt((np.var(mine) + np.var(theirs)) / runs)
        assert abs(mine.mean() - theirs.mean()) <= 4 * error + 1 / runs


@given(p=st.floats(0.05, 0.95), found=st.booleans(), rate=st.floats(0, 1e-3), cost=st.floats(0, 2))
def test_the_drift_of_policy_gradient_is_minus_rate_times_cost_whatever_came_before(p, found, rate, cost):
    memory = Memory(total=jnp.asarray([[p, 1 - p]]), visits=jnp.zeros((1, 2)))
    drift = 0.0
    for index, probability in enumerate((p, 1 - p)):
        reward = 3.0 * found - cost * (index == 0)
        taken = jnp.zeros((1, 2)).at[0, index].set(1)
        after = LEARNERS["policy_gradient"].learn(memory, taken, jnp.asarray(reward), jnp.asarray(rate))
        drift += probability * (float(after.total[0, 0]) - float(memory.total[0, 0]))
    assert drift == pytest.approx(-rate * cost, abs=1e-6)


@given(
    p=st.floats(0, 1), reward=st.floats(-1e6, 1e6, width=32), rate=st.floats(0, 1, width=32), cooperated=st.booleans()
)
def test_probabilities_stay_clipped(p, reward, rate, cooperated):
    learner = LEARNERS["policy_gradient"]
    memory = learner.begin(jnp.asarray([p]))
    taken = jnp.asarray([[1.0, 0.0] if cooperated else [0.0, 1.0]])
    for _ in range(2):
        memory = learner.learn(memory, taken, jnp.asarray(reward), jnp.asarray(rate))
        probability = float(learner.cooperates(memory, jnp.asarray(0.1))[0])
        assert np.float32(P_MIN) <= probability <= np.float32(1 - P_MIN)


@pytest.mark.parametrize("learner", ("q_all_past", "q_running"))
def test_values_go_to_the_rewards_of_each_view_if_history_is_seen(learner):
    study = SelfDilemma(learner=learner)
    keys, params = jax.random.split(jax.random.key(0), 8), make_params(study, 8, epsilon=0.5, seen=1.0)
    state, _ = advance(keys, params, study=study, steps=20_000)
    values = np.asarray(state.memory.total[:, 0])
    if learner == "q_all_past":
        values = values / np.asarray(state.memory.visits[:, 0])
    expected = np.array([[-1.0, 0.0], [2.0, 3.0]])  # D came before, then C; columns C and D
    np.testing.assert_allclose(values, np.broadcast_to(expected, values.shape), atol=1e-3)


def test_under_a_fixed_policy_cooperation_is_worth_less_by_its_cost():
    study = SelfDilemma(learner="q_all_past")
    keys, params = jax.random.split(jax.random.key(0), 16), make_params(study, 16, epsilon=1.0, cost=0.7)
    state, record = advance(keys, params, study=study, steps=20_000)
    values = np.asarray(state.memory.total[:, 0, 0] / state.memory.visits[:, 0, 0])
    # Each value is a mean over about 10,000 rewards of standard deviation 1.5.
    np.testing.assert_allclose(values[:, 0] - values[:, 1], -0.7, atol=4.5 * 1.5 * np.sqrt(2 / 10_000))
    np.testing.assert_allclose(record.policy, 0.5)


def test_with_averages_of_all_the_past_cooperation_lives_where_both_actions_look_the_same():
    study, seeds = SelfDilemma(learner="q_all_past"), 200
    params = make_params(study, seeds)
    state, record = advance(jax.random.split(jax.random.key(2), seeds), params, study=study, steps=20_000)
    values = np.asarray(state.memory.total / jnp.maximum(state.memory.visits, 1))[:, 0, 0]
    gap, cooperative = values[:, 0] - values[:, 1], np.asarray(record.recent)[:, 0] >= 250
    assert 0.1 < cooperative.mean() < 0.4
    assert np.abs(gap[cooperative]).max() < 0.01
    assert gap[~cooperative].max() < -0.5


def test_another_key_in_one_trial_changes_that_trial_alone():
    study, trial = SelfDilemma(learner="q_running", population=4), 2
    params, keys = make_params(study, 5, swap=1.0), jax.random.split(jax.random.key(0), 5)
    changed = keys.at[trial].set(jax.random.key(9))
    old, new = (advance(each, params, study=study, steps=300)[0] for each in (keys, changed))
    others = np.delete(np.arange(5), trial)
    for a, b in ((old.memory.total, new.memory.total), (old.actions.swapaxes(0, 1), new.actions.swapaxes(0, 1))):
        assert np.asarray(a)[others].tobytes() == np.asarray(b)[others].tobytes()
        assert (np.asarray(a)[trial] != np.asarray(b)[trial]).any()


def test_a_run_is_judged_at_its_step_and_at_its_end():
    study, columns = SelfDilemma(window=20, judged=60), [cooperative(late=late).column() for late in (False, True)]
    table = run(study, seeds=5, steps=600, progress=False, **SETTINGS).trials
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(0), seed))(jnp.arange(5, dtype=jnp.uint32))
    assert len(table) == 5 and not table["diverged"].any()
    for name, column, steps in (("cooperation", columns[0], 60), ("cooperation_late", columns[1], 600)):
        _, record = advance(keys, make_params(study, 5), study=study, steps=steps)
        np.testing.assert_allclose(table[name], record.recent[:, 0] / 20, rtol=1e-6)
        np.testing.assert_array_equal(table[column], table[name] >= 0.5)


@pytest.mark.parametrize(("name", "value"), [("learner", "sarsa"), ("population", 0), ("window", 0), ("judged", 0)])
def test_fields_that_are_not_allowed_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r} is not allowed: must be "):
        SelfDilemma(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 1.5), ("epsilon", -0.1), ("cost", -1.0), ("gain", float("inf")), ("seen", 0.5), ("swap", 1.0)],
)
def test_settings_that_are_not_allowed_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r} is not allowed: must be "):
        make_params(SelfDilemma(), 3, **{name: value})
