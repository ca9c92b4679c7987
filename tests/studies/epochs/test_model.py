# SPDX-License-Identifier: Apache-2.0
"""The environment: rewards by hand, and what can never happen."""

import dataclasses
import functools

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.checks import ArgumentError
from jaxmyopia.studies.epochs.env_params import LURES, SCHEDULES
from jaxmyopia.studies.epochs.model import LURE, SHUTDOWN, WORK, EpochEnv, env_params

KEY = jax.random.key(0)


@functools.partial(jax.jit, static_argnums=0)
def play(env: EpochEnv, actions, params):
    """Every state before and after, and every reward, of a run of these actions `(T,)`."""

    def step(state, action):
        _, after, reward, terminated, _ = env.step_env(KEY, state, action, params)
        return after, (state, after, reward, terminated, env.is_truncated(after, params))

    return jax.lax.scan(step, env.reset(KEY, params)[1], actions)[1]


def rewards(actions, *, epochs=3, steps=2, binds=False, **settings):
    env = EpochEnv(epochs=epochs, epoch_steps=steps, lure_binds=binds)
    return np.asarray(play(env, jnp.asarray(actions, jnp.int32), env_params(**settings))[2]).tolist()


W, L, S = WORK, LURE, SHUTDOWN


@pytest.mark.parametrize(
    ("actions", "settings", "expected"),
    [
        ([W, W, W, W, W, W], {"schedule": "flat"}, [1, 1, 1, 1, 1, 1]),
        ([L, L, W, W, W, W], {"schedule": "flat"}, [0, 0, 7, 1, 1, 1]),  # two lures of 3, paid once
        ([L, W, L, W, W, L], {"schedule": "flat"}, [0, 1, 3, 1, 4, 0]),  # the last is never paid
        ([L, L, S, W, W, W], {"schedule": "flat"}, [0, 0, 0, 0, 0, 0]),  # shut down on the very step: not paid
        ([L, W, W, S, W, W], {"schedule": "flat", "lure": "borrow"}, [2, 1, -0.5, 0, 0, 0]),
        ([W, W, W, W, W, S], {"cutoff": 1}, [1, 1, -1, -1, -1, 0]),
        ([L, L, W, W, W, W], {"cutoff": 1}, [0, 0, -1, -1, -1, -1]),  # the whole step is capped
        ([L, L, W, L, W, W], {"cutoff": 1, "schedule": "zero"}, [0, 0, 0, 0, 0, 0]),
        ([L, L, W, W, S, W], {"cutoff": 1, "lure": "borrow"}, [2, 2, -2, -1, 0, 0]),  # a cap is no floor
        ([W, W, W, W, W, W], {"cutoff": 0}, [-1] * 6),
        ([L, W, L, W, W, W], {"schedule": "flat", "lure": "none"}, [1] * 6),
        ([W, W, W, W, W, W], {"schedule": "flat", "cutoff": 1, "debt": 4}, [1, 1, -3, 1, 1, 1]),
        ([W, W, S, W, W, W], {"schedule": "flat", "cutoff": 1, "debt": 4}, [1, 1, 0, 0, 0, 0]),
        ([W, W, W, W, W, W], {"cutoff": 1, "debt": 4}, [1, 1, -3, -1, -1, -1]),
        ([L, W, S, S, S, W], {"schedule": "flat", "binds": True}, [0, 1, 4, 1, 0, 0]),  # no shutdown in the next epoch
        ([L, W, S, L, S, W], {"schedule": "flat", "binds": True}, [0, 1, 4, 0, 4, 1]),
        ([W, L, L, S, W, S], {"schedule": "flat", "binds": True}, [1, 0, 3, 1, 4, 1]),
    ],
)
def test_rewards_are_those_worked_out_by_hand(actions, settings, expected):
    assert rewards(actions, **settings) == expected


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    actions=st.lists(st.integers(0, 2), min_size=14, max_size=14),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    lure=st.sampled_from(sorted(LURES)),
    cutoff=st.integers(0, 4),
)
def test_what_holds_in_every_run(actions, schedule, lure, cutoff):
    env, params = EpochEnv(epochs=4, epoch_steps=3), env_params(schedule, lure, cutoff=cutoff)
    before, after, paid, terminated, truncated = jax.tree.map(
        np.asarray, play(env, jnp.asarray(actions, jnp.int32), params)
    )
    off = ~after.running
    assert (paid[off] == 0).all()
    for name in ("epoch", "step", "pending"):  # frozen once off
        assert (getattr(after, name)[off] == getattr(before, name)[off]).all()
    assert (np.diff(off.astype(int)) >= 0).all()  # for good
    np.testing.assert_array_equal(terminated, off)
    lived = ~off & (before.epoch < 4)
    assert (paid[lived & (before.epoch >= cutoff)] <= SCHEDULES[schedule]).all()
    assert (truncated == (after.epoch >= 4)).all()
    assert (paid[before.epoch >= 4] == 0).all()
    # Lures are paid once or never: without a cap the rewards add up to what was taken and what fell due.
    if schedule == "flat":
        lured = lived & (np.array(actions) == LURE)
        last = before.epoch[lived].max(initial=-1)
        due = sum(lured[before.epoch == epoch].sum() for epoch in range(last))
        now, later = LURES[lure]
        assert paid.sum() == pytest.approx(lived.sum() + now * lured.sum() + later * due)


def test_a_run_that_is_over_starts_again_and_its_last_observation_is_kept():
    env = EpochEnv(epochs=2, epoch_steps=1)
    params = env_params("flat", cutoff=2)
    first, state = env.reset(KEY, params)
    _, state, *_ = env.step(KEY, state, WORK, params)
    seen, state, reward, terminated, truncated, info = env.step(KEY, state, WORK, params)
    assert (float(reward), bool(terminated), bool(truncated)) == (1.0, False, True)
    np.testing.assert_array_equal(seen, first)
    assert int(state.epoch) == 0 and not np.array_equal(info["final_observation"], first)
    seen, state, reward, terminated, truncated, info = env.step(KEY, state, SHUTDOWN, params)
    assert (float(reward), bool(terminated), bool(truncated)) == (0.0, True, False)
    assert bool(state.running) and bool(info["terminated"])


def test_what_is_seen():
    env, params = EpochEnv(epochs=3, epoch_steps=2, indices=6), env_params()
    seen = env.observations(params)
    assert seen.shape == (6, 3, *env.observation_space(params).shape[0:1])
    np.testing.assert_array_equal(seen[3, 2], [0, 1, 0, 0, 0, 0, 0, 1, 1])  # epoch 1 of 6, step 1 of 2, 2 of 2 pending
    np.testing.assert_array_equal(env.observations(params.replace(first_index=jnp.int32(3)))[3, 0, :6], np.eye(6)[4])
    assert not np.asarray(env.observations(params.replace(index_shown=jnp.float32(0))))[..., :6].any()
    scalar = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="scalar", show_pending=False).observations(params)
    np.testing.assert_allclose(scalar[:, 0, 0], np.array([1, 1, 2, 2, 3, 3]) / 3, rtol=1e-6)
    after = env.reset(KEY)[1].replace(epoch=jnp.int32(3))  # over: no index, if there is no room for a fourth
    for reveal in ("one_hot", "scalar"):
        over = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch=reveal).get_obs(after, params)
        np.testing.assert_array_equal(over, [0] * (len(over) - 3) + [1, 0, 0])
    masked = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="masked").observations(params)
    np.testing.assert_array_equal(masked[:2], masked[2:4])


@chex.variants(with_jit=True, without_jit=True, with_device=True)
class Variants(chex.TestCase):
    def test_a_step_is_the_same_under_every_variant(self):
        env = EpochEnv(epochs=2, epoch_steps=2)
        state = env.reset(KEY)[1]
        step = self.variant(lambda state, action: env.step(KEY, state, action))
        for action, paid in ((LURE, 0.0), (WORK, 1.0), (WORK, -1.0)):
            _, state, reward, *_ = step(state, jnp.int32(action))
            assert float(reward) == paid


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"epoch_steps": 0}, {"reveal_epoch": "half"}, {"epochs": 4, "indices": 3}]
)
def test_bad_fields_are_refused(bad):
    with pytest.raises(ValueError, match=f"{list(bad)[-1]}=.*is not allowed"):
        EpochEnv(**bad)


@pytest.mark.parametrize("bad", [{"schedule": "up"}, {"lure": "gold"}, {"cutoff": -1}])
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValueError, match="is not allowed"):
        env_params(**bad)


@pytest.mark.parametrize("limit", range(1, 8))
def test_gymnaxs_limit_ends_a_run_within_an_epoch_and_is_no_argument_of_the_program(limit):
    env = EpochEnv(epochs=3, epoch_steps=2)
    params = env_params("flat").replace(max_steps_in_episode=limit)
    *_, paid, _, truncated = play(env, jnp.full(8, WORK), params)
    assert paid.tolist() == [1.0] * min(limit, 6) + [0.0] * (8 - min(limit, 6))
    assert truncated.tolist() == [i + 1 >= min(limit, 6) for i in range(8)]
    assert len(jax.tree.leaves(params.replace(hazard=0.5))) == len(dataclasses.fields(params)) - 1
    for bad in (0, -1, 1.5, None, "3", jnp.int32(3)):
        with pytest.raises(ArgumentError, match=r"max_steps_in_episode=.*is not allowed"):
            params.replace(max_steps_in_episode=bad)


def test_parameters_are_replaced_by_plain_numbers():
    env = EpochEnv(epochs=3, epoch_steps=2)
    base, actions = env_params("flat", cutoff=2, penalty=0.5), jnp.asarray([LURE, LURE, WORK, WORK, LURE, WORK])
    changes = {"cutoff": 1, "cap": -2, "penalty": 1, "length": 2, "lure_now": 2, "lure_later": -1, "work": 3}
    for name, value in changes.items():
        typed = getattr(base, name).dtype.type(value)
        expected = play(env, actions, base.replace(**{name: jnp.asarray(typed)}))[2]
        np.testing.assert_array_equal(play(env, actions, base.replace(**{name: value}))[2], expected)
        assert not np.array_equal(expected, play(env, actions, base)[2])
        env.reset(KEY, base.replace(**{name: value}))


def test_spaces_hold_what_they_draw_and_what_is_seen():
    env = EpochEnv()
    for space in (env.action_space(), env.observation_space()):
        assert bool(space.contains(space.sample(KEY)))
    assert bool(env.observation_space().contains(env.reset(KEY)[0]))
    assert not bool(env.action_space().contains(jnp.int32(3)))


@pytest.mark.parametrize("action", [-1, 3, 7, 2**31 - 1])
def test_an_action_that_there_is_not_pays_no_number_ever(action):
    env = EpochEnv(epochs=2, epoch_steps=2)
    paid = play(env, jnp.asarray([WORK, action, WORK, SHUTDOWN, action], jnp.int32), env_params())[2]
    assert np.isnan(paid).tolist() == [False, True, False, False, True]
    state = env.reset(KEY)[1]
    assert np.isnan(jax.jit(env.step)(KEY, state, action)[2])
    of_two = jax.vmap(env.step, in_axes=(None, None, 0))  # not compiled, but no single value is known either
    assert np.isnan(of_two(KEY, state, jnp.asarray([WORK, action], jnp.int32))[2]).tolist() == [False, True]
