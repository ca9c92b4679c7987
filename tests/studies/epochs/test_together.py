# SPDX-License-Identifier: Apache-2.0
"""What belongs to different parts of the environment holds of them together: hidden cutoffs, debts, lures that bind,
cutoffs that share a batch, and the trait.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.cutoffs import reinforce_across
from jaxmyopia.studies.epochs.learners import Learner, Settings, reinforce_from
from jaxmyopia.studies.epochs.losses import softmax
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.policies import make_policy
from jaxmyopia.studies.epochs.rollouts import live, rollout
from jaxmyopia.studies.epochs.trait import Trait

KEY = jax.random.key(7)
make_model = jax.jit(tables.make_model, static_argnums=0)


@pytest.mark.parametrize("binds", [False, True])
def test_rewards_with_a_hazard_and_a_debt_are_the_mean_over_the_cutoffs(binds):
    env = EpochEnv(epochs=4, epoch_steps=2, lure_binds=binds)
    for schedule, cutoff, h in itertools.product(("negative", "flat"), range(5), (0.0, 0.3, 1.0)):
        chances = {0: 1.0} if cutoff == 0 else {k: h * (1 - h) ** (k - 1) for k in range(1, cutoff)}
        chances |= {cutoff: 1.0 if cutoff == 0 else (1 - h) ** (cutoff - 1)}
        given = {"schedule": schedule, "debt": 2.5, "penalty": 0.5}
        each = [chance * make_model(env, env_params(cutoff=k, **given)).reward for k, chance in chances.items()]
        found = make_model(env, env_params(cutoff=cutoff, hazard=h, **given))
        np.testing.assert_allclose(found.reward, sum(each), atol=1e-5)
        if h != 0.3:  # nothing is left to chance: to the bit
            sure = make_model(env, env_params(cutoff=min(cutoff, 1) if h else cutoff, **given))
            jax.tree.map(np.testing.assert_array_equal, found, sure)


def test_runs_with_a_hazard_a_debt_and_lures_that_bind_earn_what_the_planner_says():
    env = EpochEnv(epochs=4, epoch_steps=2, lure_binds=True)
    params = env_params("negative", "invest", cutoff=3, hazard=0.4, debt=3.0)
    policy = jax.random.dirichlet(KEY, jnp.array([4.0, 3.0, 1.5]), (env.steps, env.pending_places))

    @jax.jit
    def both():
        lived = rollout(env, params, jnp.moveaxis(policy, -1, 0), jax.random.key(1), 40_000)
        return lived.reward, planner.outcome(tables.make_model(env, params), policy).earned

    reward, earned = both()
    by_epoch = np.asarray(reward, float).reshape(4, 2, -1).sum(axis=1)
    error = by_epoch.std(axis=1) / np.sqrt(by_epoch.shape[1])
    assert (np.abs(by_epoch.mean(axis=1) - earned) < 4 * error).all()
    freed = planner.outcome(make_model(env, params.replace(debt=0.0)), policy).earned
    assert (np.abs(by_epoch.mean(axis=1) - freed)[1:3] > 6 * error[1:3]).all()  # the test can tell


def test_cutoffs_that_share_a_batch_may_be_drawn_too():
    env = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="scalar", show_cutoff=True)
    policy = make_policy("mlp", outputs=3, width=4, indices=3)
    learner, factors = Learner("reinforce", env, policy, "sgd", Settings(runs_a_batch=8)), jnp.ones(env.steps)
    agent, key = learner.init(KEY, env_params()), jax.random.key(5)
    across = jax.jit(functools.partial(reinforce_across, learner, (2, 3)))
    moved = lambda after: jax.tree.map(lambda x, y: np.asarray(y - x), agent.variables, after.variables)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    never, plain = (across(agent, key, env_params(hazard=h), factors, jnp.float32(0.5)) for h in (0.0, None))
    jax.tree.map(close, moved(never), moved(plain))
    draws = jax.random.uniform(key, (env.steps, 8))

    @jax.jit
    def slope(shown, cutoff, draws):  # sees one cutoff and lives under another
        logits, pull = jax.vjp(lambda x: learner.outputs(x, env, shown), agent.variables)
        return pull(reinforce_from(learner, live(env, cutoff, softmax(logits), draws), factors, logits))[0]

    parts = ((2, draws[:, :4]), (3, draws[:, 4:]))
    slopes = [slope(env_params(cutoff=k), env_params(cutoff=1), mine) for k, mine in parts]
    sure = across(agent, key, env_params(hazard=1.0), factors, jnp.float32(0.5))
    jax.tree.map(close, moved(sure), jax.tree.map(lambda x, y: np.asarray(-0.5 * (x + y) / 2), *slopes))


@pytest.mark.parametrize("permuted", [0.0, 1.0])
def test_a_trait_learns_under_a_sure_border_as_under_the_cutoff_that_it_is(permuted):
    study, keys = Trait(epochs=3, epoch_steps=2, runs_a_batch=8), jax.random.split(KEY, 2)
    of_seeds = {name: np.full(2, value) for name, value in (("schedule", 0.0), ("lure", 1.0), ("learning_rate", 0.1))}
    of_seeds |= {"permuted": np.full(2, permuted)}

    def learned(**more):
        params = study.params(**of_seeds, **more)
        state = study.init(keys, params)
        step = jax.jit(study.step)
        for _ in range(3):
            state = step(state, params)
        return study.observe(state, params)

    sure, plain = learned(cutoff=np.full(2, 3), hazard=1.0), learned(cutoff=np.full(2, 1))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), sure, plain)
    assert not np.allclose(plain.trait, learned(cutoff=np.full(2, 3)).trait)
