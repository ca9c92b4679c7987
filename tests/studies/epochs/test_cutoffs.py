# SPDX-License-Identifier: Apache-2.0
"""Training at several cutoffs, and what agents are judged by at others: against sums by hand and planted agents."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.studies.epochs import deployment, planner
from jaxmyopia.studies.epochs.cutoffs import reinforce_across
from jaxmyopia.studies.epochs.learners import Learner, Settings, reinforce_from
from jaxmyopia.studies.epochs.losses import softmax
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.policies import make_policy
from jaxmyopia.studies.epochs.rollouts import live
from jaxmyopia.studies.epochs.study import Myopia

ENV, KEY = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch="scalar", show_cutoff=True), jax.random.key(3)
LEARNER = Learner("reinforce", ENV, make_policy("mlp", outputs=3, width=4, indices=3), "sgd", Settings(runs_a_batch=8))
FACTORS, RATE = planner.discounts(ENV, 0.9, 1.0), jnp.float32(0.5)


def update_across(cutoffs):
    return jax.jit(functools.partial(reinforce_across, LEARNER, cutoffs))


def moved(before, after):
    return jax.tree.map(lambda x, y: np.asarray(y - x), before.variables, after.variables)


def test_one_cutoff_among_one_is_the_usual_update():
    agent, params = LEARNER.init(KEY, env_params()), env_params(cutoff=2)
    usual = jax.jit(LEARNER.update)(agent, KEY, params, FACTORS, RATE)
    across = update_across((2,))(agent, KEY, env_params(cutoff=0), FACTORS, RATE)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), across, usual)


def test_the_gradient_is_the_mean_of_those_at_each_cutoff():
    agent = LEARNER.init(KEY, env_params())
    draws = jax.random.uniform(jax.random.key(5), (ENV.steps, 8))

    @jax.jit
    def slope(params, draws):
        logits, pull = jax.vjp(lambda x: LEARNER.outputs(x, ENV, params), agent.variables)
        lived = live(ENV, params, softmax(logits), draws)
        return pull(reinforce_from(LEARNER, lived, FACTORS, logits))[0]

    slopes = [slope(env_params(cutoff=cutoff), mine) for cutoff, mine in ((1, draws[:, :4]), (3, draws[:, 4:]))]
    after = update_across((1, 3))(agent, jax.random.key(5), env_params(), FACTORS, RATE)
    expected = jax.tree.map(lambda x, y: np.asarray(-RATE * (x + y) / 2), *slopes)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), moved(agent, after), expected)


def test_agents_side_by_side_learn_across_cutoffs_as_each_does_alone():
    keys, rates = jax.random.split(KEY, 3), jnp.array([0.1, 0.5, 0.2])
    start, factors = LEARNER.init(keys, env_params()), planner.discounts(ENV, jnp.full(3, 0.9), jnp.ones(3))
    update = update_across((1, 2))
    together = update(start, keys, env_params(), factors, rates).variables
    for i in range(3):
        alone = update(LEARNER.init(keys[i], env_params()), keys[i], env_params(), factors[:, i], rates[i]).variables
        for mine, theirs in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(mine, theirs[..., i], rtol=1e-3, atol=1e-5)


def stops_where(rule):
    """An agent that stops where `rule(index, cutoff)` says so and works elsewhere."""

    def chances(env, params):
        index = params.first_index + jnp.arange(env.steps) // env.epoch_steps
        index = jnp.where(params.index_shown > 0, index, -1)
        stops = rule(index, params.cutoff)[:, None]
        action = jnp.broadcast_to(jnp.where(stops, 2, 0), (env.steps, env.pending_places))
        return jax.nn.one_hot(action, 3)

    return chances


def deployed(rule):
    env, params = EpochEnv(epochs=4, epoch_steps=2, indices=8, show_cutoff=True), env_params(cutoff=2)
    chances = stops_where(rule)

    @jax.jit
    def found():
        told = deployment.transferred(chances, env, params, discount=1.0, credit=0.0)
        return told | deployment.unchanged(chances, env, params)

    return jax.tree.map(np.asarray, found())


def test_who_stops_at_the_cutoff_shown_does_so_at_every_cutoff_and_others_do_not():
    right = deployed(lambda index, cutoff: index >= cutoff)
    assert (right["runs_to"] == 1).all() and (right["runs_past"] == 0).all()
    np.testing.assert_allclose(right["worth"][1:], 1, rtol=1e-6)
    assert right["shifted"].tolist() == [0] * 4 and right["frozen"].tolist() == [1] * 4
    assert right["longer"].tolist() == [1, 1, *[0] * 6] and right["masked"].tolist() == [1] * 4
    exactly = deployed(lambda index, cutoff: index == cutoff)
    assert exactly["shifted"].tolist() == [1] * 4  # it looks for the cutoff's own index
    blind = deployed(lambda index, cutoff: index >= 2)
    assert ((blind["runs_to"] == 1) & (blind["runs_past"] == 0)).tolist() == [i == 2 for i in range(8)]
    np.testing.assert_allclose(blind["worth"][1:], [0, 1, 2 / 3, 2 / 3], atol=1e-6)  # of where it gets to
    never = deployed(lambda index, cutoff: index > 99)
    assert (never["runs_past"] == 1).all() and (never["runs_to"] == 1).all()


@pytest.mark.slow
def test_agents_trained_at_two_cutoffs_stop_at_both():
    study = Myopia(
        epochs=3, epoch_steps=2, show_cutoff=True, train_cutoffs=(1, 2), settings_of_learner=Settings(minibatches=1)
    )
    columns = {"schedule": 0.0, "lure": 1.0, "credit": 0.0, "cutoff": 2.0, "learning_rate": 0.02}
    rows = run(study, seeds=32, steps=200, records=4, progress=False, **columns).trials
    for cutoff in (1, 2):
        fine = (rows[f"runs_to_{cutoff}"] >= 0.9) & (rows[f"runs_past_{cutoff}"] <= 0.1)
        assert fine.mean() >= 0.9
    assert list(rows.unique("train_cutoffs")) == ["1 2"]


@pytest.mark.parametrize("bad", [(5,), (-1,), (1, 1), (1, 2, 3)])
def test_bad_cutoffs_are_refused(bad):
    with pytest.raises(ValueError, match=r"train_cutoffs=.*is not allowed"):
        Myopia(epochs=4, train_cutoffs=bad, settings_of_learner=Settings(runs_a_batch=4, minibatches=1))
    with pytest.raises(ValueError, match="is not allowed"):
        Myopia(learner="ppo", train_cutoffs=(1, 2))


def test_a_debt_that_the_recipe_hides_shows_where_the_schedule_turns_flat():
    study = Myopia(epochs=3, epoch_steps=2, width=4, settings_of_learner=Settings(runs_a_batch=4))
    keys, columns = jax.random.split(KEY, 3), {"schedule": 0.0, "lure": 1.0, "credit": 0.0, "cutoff": 1.0}
    columns |= {"learning_rate": 0.05, "flat_from": 4.0}
    step = jax.jit(study.step)

    def learned(debt):
        params = study.params(**{name: np.full(3, value) for name, value in (columns | {"debt": debt}).items()})
        states = [study.init(keys, params)]
        for _ in range(10):
            states.append(step(states[-1], params))
        return [np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.agent.variables)]) for state in states]

    without, indebted = learned(0.0), learned(1.0)  # 0 - 1, of a lure, is what a step is capped at
    for old, new in zip(without[:5], indebted[:5], strict=True):
        assert old.tobytes() == new.tobytes()
    assert not np.array_equal(without[-1], indebted[-1])
