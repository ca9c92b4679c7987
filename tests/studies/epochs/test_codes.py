# SPDX-License-Identifier: Apache-2.0
"""Codes of the index: no two indices look alike, what is seen stays in its box, and waves compose."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs.codes import REVEALED, code_matrix, code_width
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.policies import make_policy, seen_through

KEY = jax.random.key(3)
CODES = [name for name in REVEALED if name != "masked"]


@pytest.mark.parametrize("reveal", CODES)
def test_no_two_indices_look_alike_and_none_looks_like_nothing(reveal):
    for indices in (1, 2, 3, 7, 16, 17, 60):
        codes = np.concatenate([code_matrix(reveal, indices), np.zeros((1, code_matrix(reveal, indices).shape[1]))])
        apart = np.abs(codes[:, None] - codes[None]).max(axis=-1) + np.eye(len(codes))
        assert apart.min() > 0.01, indices
        assert codes.min() >= 0 and codes.max() <= 1
        assert code_width(reveal, indices) == codes.shape[1] and code_width("masked", indices) == 0


def test_digits_are_those_of_the_index_in_the_least_base_of_two_digits():
    for indices in (1, 5, 16, 17):
        first, second = np.split(code_matrix("digits", indices), 2, axis=1)
        base = first.shape[1]
        assert base**2 >= indices > (base - 1) ** 2
        assert (first.argmax(axis=1) * base + second.argmax(axis=1)).tolist() == list(range(indices))
        assert (first.sum(axis=1) == 1).all() and (second.sum(axis=1) == 1).all()


def test_waves_compose_what_two_indices_have_in_common_depends_on_their_distance_alone():
    waves = 2 * code_matrix("sinusoidal", 16).astype(float) - 1
    common = waves @ waves.T
    for distance in range(16):
        np.testing.assert_allclose(np.diagonal(common, distance), common[0, distance], atol=1e-5)
    assert (common[0, 1:] < common[0, 0] - 0.3).all()


@pytest.mark.parametrize("reveal", REVEALED)
@pytest.mark.parametrize("more", [{}, {"show_cutoff": True}, {"lure_binds": True}, {"show_pending": False}])
def test_what_is_seen_lies_in_its_box_and_through_a_matrix_it_is_the_same(reveal, more):
    if reveal == "masked" and "show_cutoff" in more:
        with pytest.raises(ValueError, match="show_cutoff=True is not allowed"):
            EpochEnv(reveal_epoch=reveal, **more)
        return
    env = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch=reveal, indices=5, **more)
    kernel = jax.random.normal(KEY, (*env.observation_space().shape, 7))
    for first, shown, cutoff in ((0, 1.0, 2), (2, 1.0, 4), (0, 0.0, 7)):
        params = env_params(cutoff=cutoff)
        params = params.replace(first_index=jnp.int32(first), index_shown=jnp.float32(shown))
        seen = env.observations(params)
        assert bool(env.observation_space().contains(seen))
        np.testing.assert_allclose(
            seen_through(env, params, kernel), jnp.moveaxis(seen @ kernel, -1, 0), rtol=1e-5, atol=1e-6
        )
    last = env.reset(KEY)[1].replace(epoch=jnp.int32(5))  # there is no such index
    assert bool(env.observation_space().contains(jax.jit(env.get_obs)(last, params)))


@pytest.mark.parametrize("reveal", CODES)
@pytest.mark.parametrize("policy", ["mlp", "table"])
def test_agents_side_by_side_see_each_its_own_cutoff(reveal, policy):
    env = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch=reveal, indices=4, show_cutoff=True)
    module = make_policy(policy, outputs=3, width=5, indices=4)
    drawn = lambda key: jax.tree.map(
        lambda x: x + jax.random.normal(jax.random.key(x.size), x.shape), module.init(key, env, env.default_params)
    )
    one = drawn(KEY)
    together = jax.tree.map(lambda x: jnp.stack([x, x, x], axis=-1), one)
    found = module.apply(together, env, env_params().replace(cutoff=jnp.array([0, 3, 4], jnp.int32)))
    alone = [module.apply(one, env, env_params(cutoff=cutoff)) for cutoff in (0, 3, 4)]
    np.testing.assert_allclose(found, jnp.stack(alone, axis=-1), rtol=1e-4, atol=1e-5)
    assert not np.allclose(alone[0], alone[1]) and not np.allclose(alone[1], alone[2])
    plain = dataclasses.replace(env, show_cutoff=False)
    assert env.observation_space().shape[0] - plain.observation_space().shape[0] == env.code_width
