# SPDX-License-Identifier: Apache-2.0
"""gymnax's tools on the environment: what its own tests ask of its environments, and its own step as the oracle."""

import copy
import dataclasses
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs import spaces
from jaxmyopia.studies.epochs.model import LURE, SHUTDOWN, WORK, EnvState, EpochEnv, env_params

KEY, KEYS = jax.random.key(0), jax.random.split(jax.random.key(1), 16)
ENVS = [
    EpochEnv(epochs=3, epoch_steps=2),
    EpochEnv(epochs=3, epoch_steps=1, indices=5, show_pending=False),
    EpochEnv(epochs=2, epoch_steps=3, reveal_epoch="scalar"),
    EpochEnv(epochs=2, epoch_steps=2, reveal_epoch="masked"),
    EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="digits", indices=5, show_cutoff=True, lure_binds=True),
]
every_env = pytest.mark.parametrize("env", ENVS, ids=lambda env: f"{env.reveal_epoch}, {env.seen}")


@pytest.fixture
def gymnax():
    """gymnax 1.0, under the promotion of types that it is written for."""
    pytest.importorskip("gymnasium")
    found = pytest.importorskip("gymnax")
    wrappers = pytest.importorskip("gymnax.wrappers")
    if not hasattr(wrappers, "LegacyStepAPIWrapper"):
        pytest.skip("gymnax before 1.0: its step returns five values")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield found


def reference(env):
    """The same transitions under gymnax's own `reset` and `step`."""
    from gymnax.environments import environment

    class Reference(environment.Environment):
        default_params = env.default_params
        step_env, reset_env, observe = env.step_env, env.reset_env, env.observe
        is_truncated, is_terminated = env.is_truncated, env.is_terminated

    return Reference()


def live(env, actions, params):
    """All that a batch of runs of these actions `(T, B)` returns, compiled."""

    def of_one(key, actions):
        first, state = env.reset(key, params)
        step = lambda state, action: (lambda out: (out[1], out))(env.step(key, state, action, params))
        return first, jax.lax.scan(step, state, actions)[1]

    return jax.jit(jax.vmap(of_one, in_axes=(0, 1)))(KEYS[: actions.shape[1]], actions)


def draw(steps):
    return jax.random.choice(KEY, jnp.asarray([WORK, WORK, LURE, LURE, SHUTDOWN]), (steps, len(KEYS)))


@every_env
@pytest.mark.parametrize("limit", [None, 1, 3])
def test_a_run_is_what_gymnaxs_own_step_makes_of_the_transitions(gymnax, env, limit):
    params = env.default_params if limit is None else env.default_params.replace(max_steps_in_episode=limit)
    ours, theirs = live(env, draw(40), params), live(reference(env), draw(40), params)
    chex.assert_trees_all_equal(ours, theirs)
    _, (_, _, _, terminated, truncated, _) = ours
    assert truncated.any() and (terminated.any() or limit == 1)


@every_env
def test_spaces_are_gymnaxs_and_hold_all_that_comes_out(gymnax, env):
    from gymnax.environments import spaces as theirs

    params = env.default_params
    assert isinstance(env.action_space(params), theirs.Discrete)
    assert isinstance(env.observation_space(params), theirs.Box) and isinstance(env.state_space(params), theirs.Dict)
    _, (seen, state, *_, info) = live(env, draw(60), params)
    for observations in (seen, info["final_observation"]):
        assert observations.shape == (len(KEYS), 60, *env.observation_space(params).shape)
        assert observations.dtype == env.observation_space(params).dtype
        assert env.observation_space(params).contains(observations)
    contains = jax.vmap(jax.vmap(env.state_space(params).contains))
    assert contains(state).all()
    assert not contains(state.replace(pending=state.pending + env.pending_places)).any()


def test_it_has_what_gymnaxs_environments_have(gymnax):
    from gymnax.environments import environment

    asked = {name for name in dir(environment.Environment) if not name.startswith("_")}
    asked -= {name for name in asked if "transition_gradients" in name}  # asked for by a caller alone
    assert asked <= set(dir(EpochEnv))
    env, state = ENVS[0], ENVS[0].reset(KEY)[1]
    params = env.default_params
    assert params.max_steps_in_episode == 6
    chex.assert_trees_all_equal(env.observe(KEY, state, None, params), env.get_obs(state, params))
    off = state.replace(running=jnp.bool_(False))
    assert (bool(env.is_terminal(off, params)), float(env.discount(off, params))) == (True, 0.0)
    assert (bool(env.is_terminal(state, params)), float(env.discount(state, params))) == (False, 1.0)


@every_env
def test_flattened_it_is_the_same(gymnax, env):
    from gymnax.wrappers import FlattenObservationWrapper

    flat, params = FlattenObservationWrapper(env), env.default_params
    assert flat.observation_space(params).shape == env.observation_space(params).shape
    chex.assert_trees_all_equal(live(flat, draw(20), params), live(env, draw(20), params))


@every_env
def test_returns_and_lengths_are_logged(gymnax, env):
    from gymnax.wrappers import LogWrapper

    params, logged = env_params("flat"), LogWrapper(env)
    _, (_, _, paid, terminated, truncated, _) = jax.tree.map(np.asarray, live(env, draw(40), params))
    _, (*_, info) = jax.tree.map(np.asarray, live(logged, draw(40), params))
    over = terminated | truncated
    np.testing.assert_array_equal(info["returned_episode"], over)
    for run, ended in enumerate(over):
        (ends,) = np.nonzero(ended)
        starts = [0, *(ends[:-1] + 1)]
        returns = [paid[run, i : j + 1].sum() for i, j in zip(starts, ends, strict=True)]
        np.testing.assert_allclose(info["returned_episode_returns"][run, ends], returns, rtol=1e-6, atol=1e-6)
        lengths = [j + 1 - i for i, j in zip(starts, ends, strict=True)]
        np.testing.assert_array_equal(info["returned_episode_lengths"][run, ends], lengths)


def test_a_log_may_be_reset_within_a_program(gymnax):
    from gymnax.wrappers import LogWrapper

    logged, params = LogWrapper(ENVS[0]), ENVS[0].default_params
    _, state = logged.reset(KEY, params)

    def reset_or_step(reset, state):
        first, further = (lambda: logged.reset(KEY, params)[1]), (lambda: logged.step(KEY, state, WORK, params)[1])
        return jax.lax.cond(reset, first, further)

    for reset in (True, False):
        chex.assert_trees_all_equal_shapes_and_dtypes(jax.jit(reset_or_step)(reset, state), state)


@every_env
def test_it_is_one_of_gymnasiums_environments(gymnax, env):
    import gymnasium
    from gymnax.wrappers import GymnaxToGymWrapper

    params, wrapped = env.default_params, GymnaxToGymWrapper(env)
    assert isinstance(wrapped.action_space, gymnasium.spaces.Discrete)
    wrapped.action_space.seed(0)
    seen, _ = wrapped.reset(seed=1)
    _, state = env.reset(KEY, params)
    for _ in range(40):
        assert wrapped.observation_space.contains(np.asarray(seen))
        action = wrapped.action_space.sample()
        found = wrapped.step(action)
        expected, state, *rest = env.step(KEY, state, action, params)
        chex.assert_trees_all_equal(found, (expected, *rest))
        seen = found[0]
    with pytest.raises(ValueError, match="action=3 is not allowed"):
        wrapped.step(3)
    wrapped.reset(options={"env_params": params.replace(max_steps_in_episode=1)})
    assert wrapped.step(np.int64(WORK))[3]
    wrapped.render()


@every_env
def test_it_is_one_of_gymnasiums_vector_environments(gymnax, env):
    import gymnasium
    from gymnax.wrappers import GymnaxToVectorGymWrapper

    params, runs = env.default_params, 5
    before = hash(env)
    wrapped = GymnaxToVectorGymWrapper(env, runs, params, 0)
    assert isinstance(wrapped.action_space, gymnasium.spaces.MultiDiscrete)
    assert isinstance(wrapped.single_observation_space, gymnasium.spaces.Box)
    wrapped.action_space.seed(0)
    seen, _ = wrapped.reset(seed=1)
    states = jax.vmap(lambda key: env.reset(key, params)[1])(KEYS[:runs])
    for _ in range(40):
        assert wrapped.observation_space.contains(np.asarray(seen))
        actions = np.random.default_rng(0).integers(0, 3, runs)
        found = wrapped.step(actions)
        step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
        expected, states, *rest = step(KEYS[:runs], states, jnp.asarray(actions), params)
        chex.assert_trees_all_equal(found, (expected, *rest))
        seen = found[0]
    assert np.isnan(wrapped.step(np.full(runs, 3))[1]).all()  # compiled: nothing can be refused
    assert env.reset(KEY, params)[0].ndim == 1 and hash(env) == before  # what is wrapped is a copy


def test_gymnaxs_other_wrappers_run(gymnax):
    from gymnax.experimental.rollout import RolloutWrapper
    from gymnax.wrappers import GymnaxToDmEnvWrapper, LegacyStepAPIWrapper, StickyActionWrapper

    env, params, runs = ENVS[0], env_params("flat", cutoff=3), 5
    _, _, _, done, info = LegacyStepAPIWrapper(env).step(KEY, env.reset(KEY)[1], SHUTDOWN, params)
    assert done and info["terminated"] and not info["truncated"]
    still = StickyActionWrapper(env)
    assert still.step(KEY, still.reset(KEY, params)[1], LURE, params)[1].last_action == LURE
    dm = GymnaxToDmEnvWrapper(env)
    assert dm.step(KEY, dm.reset(KEY, params), SHUTDOWN, params).discount == 0
    work = lambda _, seen, key: jnp.int32(WORK)
    whole = RolloutWrapper(work, env=env)  # as many steps as `max_steps_in_episode` says
    seen, *_ = whole.single_rollout(KEY, None)
    assert seen.shape == (6, env.seen)
    short = RolloutWrapper(work, env=env, env_params={"max_steps_in_episode": 4, "cutoff": 3})
    *_, rewarded = short.batch_rollout(jax.random.split(KEY, runs), None)
    np.testing.assert_allclose(rewarded, np.full((runs, 1), 4.0))


def test_own_spaces_draw_what_gymnaxs_draw(gymnax):
    from gymnax.environments import spaces as theirs

    for key in KEYS[:4]:
        for made in (lambda of: of.Discrete(5), lambda of: of.Box(-1.0, 2.0, (3, 2))):
            chex.assert_trees_all_equal(made(spaces).sample(key), made(theirs).sample(key))
        both = [of.Dict({"a": of.Discrete(3), "b": of.Box(0.0, 1.0, (2,))}).sample(key) for of in (spaces, theirs)]
        chex.assert_trees_all_equal(*both)


@every_env
def test_without_gymnax_spaces_are_own_ones_that_hold_the_same(env, monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax.environments", None)  # as if it were not installed
    spaces.kinds.cache_clear()
    try:
        assert spaces.kinds() is spaces
        state = env.state_space()
        _, (seen, states, *_) = live(env, draw(30), env.default_params.replace(hazard=0.5))
        assert env.observation_space().contains(seen) and jax.vmap(jax.vmap(state.contains))(states).all()
        assert not jax.vmap(jax.vmap(state.contains))(states.replace(step=states.step - env.epoch_steps)).any()
        assert state.contains(EnvState(**state.sample(KEY)))
        assert env.action_space().contains(env.action_space().sample(KEY))
    finally:
        spaces.kinds.cache_clear()


def test_a_copy_takes_other_methods_but_keeps_its_fields():
    env = ENVS[0]
    other = copy.deepcopy(env)
    other.step = "another"
    assert (other, hash(other)) == (env, hash(env)) and callable(env.step)
    for change in (lambda: setattr(other, "epochs", 5), lambda: delattr(other, "epochs")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert dataclasses.replace(env, epochs=5, indices=0) == EpochEnv(epochs=5, epoch_steps=2) != env
