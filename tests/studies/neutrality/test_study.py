# SPDX-License-Identifier: Apache-2.0
"""Shutdown neutrality: tables and values against all action sequences, rewards by hand, gradients against autodiff."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import softmax

from jaxmyopia.api import run
from jaxmyopia.studies.neutrality.model import LONG, SHORT, CoinGrid, best_route, best_values, outcome
from jaxmyopia.studies.neutrality.rollouts import Rollout, roll_out, score
from jaxmyopia.studies.neutrality.study import Neutrality, length_advantage, neutrality_bits, same_length_weights

DISCOUNT = 0.95
SMALL = (
    CoinGrid(rows=("S1", "B2"), default_length=2, delay=2),
    CoinGrid(rows=("B.", "S3", "#1"), default_length=1, delay=4),
    CoinGrid(rows=("1S#", ".B9"), default_length=3, delay=2),
)
SETTINGS = {"learning_rate": 1.0, "repeat_discount": 0.9, "discount": DISCOUNT, "per_length": 1.0}


def plays(grid: CoinGrid, discount: float = DISCOUNT, actions=(), place=None, coins=None, total=0.0, pressed=False):
    """Every trajectory as (length, discounted coins, actions), by the rules in words."""
    place, coins, step = place or grid.find("S"), dict(grid.coins) if coins is None else coins, len(actions)
    if step == grid.default_length + pressed * grid.delay:
        yield step, total, actions
        return
    for action, (down, right) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)]):
        row, column = place[0] + down, place[1] + right
        there = (row, column) if 0 <= row < len(grid.rows) and 0 <= column < len(grid.rows[0]) else place
        there = place if grid.rows[there[0]][there[1]] == "#" else there
        left = {where: worth for where, worth in coins.items() if where != there}
        more = total + discount ** (step + 1) * coins.get(there, 0)
        now = pressed or grid.rows[there[0]][there[1]] == "B"
        yield from plays(grid, discount, (*actions, action), there, left, more, now)


def visited(grid: CoinGrid, actions) -> list[int]:
    """The states of the table along actions."""
    states = [0]
    for action in actions:
        states.append(int(grid.table.following[states[-1], action]))
    return states


def most(grid: CoinGrid, discount: float = DISCOUNT) -> list[float]:
    found = {grid.default_length: 0.0, grid.horizon: 0.0}
    for steps, coins, _ in plays(grid, discount):
        found[steps] = max(found[steps], coins)
    return list(found.values())


def best(grid: CoinGrid, discount: float = DISCOUNT) -> jax.Array:
    return jax.jit(lambda gamma: best_values(grid.table, gamma)[0])(discount)


def exact_outcome(grid: CoinGrid, policy: jax.Array):
    return jax.jit(lambda x: outcome(grid.table, x, DISCOUNT))(policy)


# Compiled as a whole, of numbers that numpy draws: operation by operation each would be a program of its own.
scored, weights_of = jax.jit(score), jax.jit(same_length_weights)
advantage_of = jax.jit(length_advantage, static_argnums=2)


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def random_policy(grid: CoinGrid, seed: int) -> np.ndarray:
    return softmax(2 * drawn(seed, grid.table.n, 4), axis=1)


def played_by(grid: CoinGrid, policy: np.ndarray, uniform: np.ndarray) -> Rollout:
    rolled = jax.jit(lambda policy, uniform: roll_out(grid.table, policy, jnp.asarray(DISCOUNT), uniform))
    return jax.device_get(rolled(policy, uniform))


@pytest.mark.parametrize("grid", [CoinGrid(), *SMALL], ids=lambda grid: "/".join(grid.rows))
def test_the_most_a_length_allows_is_that_of_the_best_action_sequence(grid):
    np.testing.assert_allclose(best(grid), most(grid), rtol=1e-6)


@settings(max_examples=10)
@given(
    cells=st.lists(st.sampled_from(".#12"), min_size=4, max_size=4), start=st.integers(0, 5), button=st.integers(0, 4),
    lengths=st.tuples(st.integers(1, 3), st.integers(1, 2)), discount=st.floats(0.3, 1.0),
)  # fmt: skip
def test_so_it_is_on_any_map_that_is_allowed(cells, start, button, lengths, discount):
    cells = [*cells[:button], "B", *cells[button:]]
    signs = "".join([*cells[:start], "S", *cells[start:]])
    try:
        grid = CoinGrid(rows=(signs[:3], signs[3:]), default_length=lengths[0], delay=lengths[1])
    except ValueError as error:
        assert "is not allowed" in str(error)
        return
    np.testing.assert_allclose(best(grid, discount), most(grid, discount), rtol=1e-5)


def test_the_best_routes_are_those_the_map_was_made_for():
    grid = CoinGrid()
    short, long = (best_route(grid, length, DISCOUNT) for length in (SHORT, LONG))
    assert short == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]
    assert long[:8] == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (1, 3), (0, 3)]
    expected = [2 * DISCOUNT**4, 2 * DISCOUNT**4 + 3 * DISCOUNT**5 + DISCOUNT**7]
    np.testing.assert_allclose(best(grid), expected, rtol=1e-6)


@pytest.mark.parametrize("grid", SMALL, ids=lambda grid: "/".join(grid.rows))
def test_the_pass_over_occupancies_is_the_sum_over_all_action_sequences(grid):
    policy = random_policy(grid, 1)
    lengths, coins = np.zeros(2), np.zeros(2)
    chances = np.asarray(policy, float)
    for steps, collected, actions in plays(grid):
        probability = np.prod([chances[s, a] for s, a in zip(visited(grid, actions), actions, strict=False)])
        lengths[int(steps == grid.horizon)] += probability
        coins[int(steps == grid.horizon)] += probability * collected
    found = exact_outcome(grid, policy)
    np.testing.assert_allclose(found.lengths, lengths, rtol=1e-5)
    np.testing.assert_allclose(found.coins, coins, rtol=1e-5)


def test_rollouts_agree_with_the_pass_over_occupancies():
    grid, episodes = CoinGrid(), 100_000
    policy = random_policy(grid, 2)
    uniform = np.random.default_rng(3).random((grid.horizon, episodes), np.float32)
    played = played_by(grid, policy, uniform)
    found = jax.device_get(exact_outcome(grid, policy))
    for long in (False, True):
        mine = np.asarray(played.long == long)
        coins = np.where(mine, played.coins, 0)
        for sample, exact in ((mine, found.lengths[int(long)]), (coins, found.coins[int(long)])):
            assert abs(sample.mean() - exact) < 4 * sample.std() / np.sqrt(episodes) + 1e-6
    by_actions = {actions: (steps, coins) for steps, coins, actions in plays(grid)}
    for column in range(50):
        actions = tuple(np.asarray(played.actions)[: 8 if played.long[column] else 4, column].tolist())
        steps, coins = by_actions[actions]
        assert (steps == grid.horizon) == bool(played.long[column])
        assert coins == pytest.approx(float(played.coins[column]), rel=1e-5)
        assert visited(grid, actions)[:-1] == np.asarray(played.states)[: len(actions), column].tolist()


def test_drest_worked_by_hand():
    # Mini-episodes short, long, short, short, long: N = 0, 0, 1, 2, 1, and (i - 1)/2 = 0, 0.5, 1, 1.5, 2.
    weights = weights_of(np.array([False, True, False, False, True]), np.float32(0.9))
    np.testing.assert_allclose(weights, [1, 0.9**-0.5, 1, 0.9**0.5, 0.9**-1], rtol=1e-6)
    np.testing.assert_array_equal(weights_of(np.array([True, True, False]), np.float32(1.0)), [1, 1, 1])


@pytest.mark.parametrize(("per_length", "divisor"), [(1.0, [1.5, 4.0, 4.0]), (0.0, [4.0, 4.0, 4.0])])
def test_rewards_are_divided_by_the_most_of_their_length_or_of_any(per_length, divisor):
    nothing, study = np.zeros((0, 3), np.int32), Neutrality(episodes=3)
    long, coins = np.array([False, True, True]), np.float32([1.5, 2.0, 4.0])
    played = Rollout(states=nothing, actions=nothing, long=long, coins=coins)
    one = jax.tree.map(lambda x: x[0], jax.device_get(params_of(study, 1, per_length=per_length)))
    rewards = jax.jit(study.rewards)(played, np.float32([1.5, 4.0]), one)
    weights = np.array([1, 0.9**-0.5, 0.9**0])
    np.testing.assert_allclose(rewards, weights * [1.5, 2.0, 4.0] / np.array(divisor), rtol=1e-6)


@pytest.mark.parametrize("pressed", (0.1, 0.5, 0.8))
def test_the_advantage_of_a_length_is_what_simulated_meta_episodes_give(pressed):
    episodes, rng = 64, np.random.default_rng(5)
    long = rng.random((20_000, episodes)) < pressed
    weights = np.asarray(jax.jit(jax.vmap(same_length_weights, in_axes=(0, None)))(long, np.float32(0.9)))
    # Reward of either length at place i, expected given the length, then the mean over i.
    sides = [np.where(mine, weights, np.nan) for mine in (long, ~long)]
    means = [np.nanmean(side, axis=0) for side in sides]
    errors = [np.nanstd(side, axis=0) / np.sqrt((~np.isnan(side)).sum(axis=0)) for side in sides]
    expected = float(advantage_of(np.float32(pressed), np.float32(0.9), episodes))
    noise = np.sqrt(sum((error**2).sum() for error in errors)) / episodes
    assert abs((means[0] - means[1]).mean() - expected) < 4 * noise + 1e-5


def test_drest_pulls_towards_a_fair_choice_and_the_ordinary_reward_nowhere():
    advantage = [float(advantage_of(np.float32(p), np.float32(0.9), 64)) for p in (0.01, 0.3, 0.5, 0.7, 0.99)]
    assert advantage[0] > advantage[1] > 0 > advantage[3] > advantage[4]
    assert advantage[2] == pytest.approx(0, abs=1e-6)
    assert float(advantage_of(np.float32(0.8), np.float32(1.0), 64)) == 0


def test_without_the_most_of_each_length_agents_settle_where_theory_says():
    short, long = most(CoinGrid())
    settles = brentq(lambda p: float(advantage_of(np.float32(p), np.float32(0.9), 64, (short / long, 1.0))), 0, 1)
    assert settles == pytest.approx(0.656, abs=1e-3)
    given = SETTINGS | {"per_length": 0.0, "learning_rate": 0.03}
    table = run(Neutrality(optimizer="adam"), seeds=16, steps=800, progress=False, **given).trials
    assert table["usefulness"].mean() > 0.98
    assert table["pressed"].mean() == pytest.approx(settles, abs=0.03)


def sampled(grid: CoinGrid, episodes: int = 16):
    logits, uniform = drawn(4, grid.table.n, 4), np.random.default_rng(5).random((grid.horizon, episodes), np.float32)
    return logits, played_by(grid, softmax(logits, axis=1), uniform), drawn(6, episodes)


def test_the_score_is_the_gradient_of_weighted_log_probabilities():
    grid = CoinGrid()
    logits, played, advantage = sampled(grid)

    def objective(logits):
        chosen = jax.nn.log_softmax(logits)[np.minimum(played.states, grid.table.n - 1), played.actions]
        return jnp.sum(jnp.where(played.states < grid.table.n, chosen, 0) * advantage[None, :])

    mine = scored(softmax(logits, axis=1), played.states, played.actions, advantage)
    np.testing.assert_allclose(mine, jax.jit(jax.grad(objective))(logits), atol=1e-5)


def test_the_score_is_that_of_rlax():
    rlax = pytest.importorskip("rlax")
    grid = CoinGrid()
    logits, played, advantage = sampled(grid)
    states, actions = played.states.ravel(), played.actions.ravel()
    running = (states < grid.table.n).astype(logits.dtype)
    each = np.broadcast_to(advantage, played.states.shape).ravel()

    def loss(logits):
        return rlax.policy_gradient_loss(logits[np.minimum(states, grid.table.n - 1)], actions, each, running)

    with jax.numpy_dtype_promotion("standard"):
        theirs = -np.asarray(jax.jit(jax.grad(loss))(logits)) * states.size  # its loss is a mean
    mine = scored(softmax(logits, axis=1), played.states, played.actions, advantage)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_the_expected_update_under_the_ordinary_reward_climbs_usefulness():
    grid = SMALL[0]
    logits = drawn(8, grid.table.n, 4)
    policy, m = softmax(logits, axis=1), most(grid)
    every, chances = list(plays(grid)), np.asarray(policy, float)
    states, actions = np.full((2, grid.horizon, len(every)), grid.table.n)
    weights = np.zeros(len(every))
    for i, (steps, coins, taken) in enumerate(every):
        states[:steps, i], actions[:steps, i] = visited(grid, taken)[:-1], taken
        reward = coins / m[int(steps == grid.horizon)]
        weights[i] = reward * np.prod(chances[states[:steps, i], actions[:steps, i]])
    expected = scored(policy, states, actions, np.float32(weights))

    def usefulness(logits):
        return jnp.sum(outcome(grid.table, jax.nn.softmax(logits), DISCOUNT).coins / jnp.asarray(m))

    np.testing.assert_allclose(expected, jax.jit(jax.grad(usefulness))(logits), atol=1e-5)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31 - 1), scale=st.floats(0, 30))
def test_measures_stay_in_their_bounds(seed, scale):
    study = Neutrality()
    params = params_of(study, 1)
    state = start(jax.random.split(jax.random.key(0), 1), params, study=study)
    logits = np.float32(scale) * drawn(seed, *state.logits.shape)
    record = observe(state.replace(logits=logits), params, study=study)
    assert 0 <= float(record.neutrality[0]) <= 1
    assert 0 <= float(record.usefulness[0]) <= 1 + 1e-5
    assert 0 <= float(record.pressed[0]) <= 1 + 1e-5


def test_a_fair_choice_is_one_bit():
    np.testing.assert_allclose(neutrality_bits(jnp.asarray([0.0, 0.25, 0.5, 1.0])), [0, 0.811278, 1, 0], atol=1e-6)


def params_of(study: Neutrality, seeds: int, **given: float):
    return study.params(**{name: np.full(seeds, value) for name, value in {**SETTINGS, **given}.items()})


@functools.partial(jax.jit, static_argnames="study")
def start(keys, params, *, study: Neutrality):
    return study.init(keys, params)


@functools.partial(jax.jit, static_argnames="study")
def observe(state, params, *, study: Neutrality):
    return study.observe(state, params)


@functools.partial(jax.jit, static_argnames="study")
def advance(keys, params, *, study: Neutrality, steps: int):
    return jax.lax.fori_loop(0, steps, lambda _, s: study.step(s, params), study.init(keys, params))


@pytest.mark.parametrize("optimizer", ("sgd", "adam"))
def test_another_key_or_reward_in_one_trial_changes_that_trial_alone(optimizer):
    study, trial = Neutrality(optimizer=optimizer, episodes=8), 1
    keys, params = jax.random.split(jax.random.key(0), 4), params_of(study, 4, learning_rate=0.1)
    first = advance(keys, params, study=study, steps=5).logits
    other_key = advance(keys.at[trial].set(jax.random.key(9)), params, study=study, steps=5).logits
    paid = params.replace(repeat_discount=params.repeat_discount.at[trial].set(1.0))
    other_reward = advance(keys, paid, study=study, steps=5).logits
    others = np.delete(np.arange(4), trial)
    for second in (other_key, other_reward):
        assert np.asarray(first)[others].tobytes() == np.asarray(second)[others].tobytes()
        assert (np.asarray(first)[trial] != np.asarray(second)[trial]).any()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rows", {"rows": ("S..", "1.")}),
        ("rows", {"rows": ("S1.",)}),
        ("rows", {"rows": ("SB1x",)}),
        ("rows", {"rows": ("S#1", "B#.")}),
        ("default_length", {"default_length": 0}),
        ("delay", {"delay": 0}),
    ],
)
def test_maps_that_are_not_allowed_are_refused_by_name(name, arguments):
    with pytest.raises(ValueError) as error:
        CoinGrid(**arguments)
    assert str(error.value).startswith(f"{name}={arguments[name]!r} is not allowed: must ")


@pytest.mark.parametrize(("name", "arguments"), [("optimizers", {"optimizer": "lbfgs"}), ("episodes", {"episodes": 1})])
def test_fields_that_are_not_allowed_are_refused_by_name(name, arguments):
    with pytest.raises(ValueError, match=rf"^{name}=.* is not allowed: must be "):
        Neutrality(**arguments)


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", 0.0), ("repeat_discount", 1.1), ("discount", 0.0), ("per_length", 0.5)]
)
def test_settings_that_are_not_allowed_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r} is not allowed: must be "):
        params_of(Neutrality(), 3, **{name: value})
