# SPDX-License-Identifier: Apache-2.0
"""Leaks: exact expected advantages are what samples and the planner say, closed forms are those, learners follow."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.api import run
from jaxmyopia.studies.epochs import leaks, planner, tables
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.measures import lure_rate
from jaxmyopia.studies.epochs.model import LURE, SHUTDOWN, WORK, EpochEnv, env_params
from jaxmyopia.studies.epochs.rollouts import generalised_advantages, live
from jaxmyopia.studies.epochs.study import Myopia

ENV = EpochEnv(epochs=3, epoch_steps=3, show_pending=False)
# Compiled once: left to themselves their loops would compile at every call.
make_model = jax.jit(tables.make_model, static_argnums=0)
policy_values = jax.jit(planner.policy_values)
expected_advantages, advantages_of = jax.jit(leaks.expected_advantages), jax.jit(generalised_advantages)
lived_by = jax.jit(live, static_argnums=0)
PLACES = (ENV.steps, ENV.epoch_steps + 1)


@functools.cache
def hidden(seed):
    """A random policy `(T, P, A)` that does not see what is pending."""
    logits = jax.random.normal(jax.random.key(seed), (ENV.steps, 1, 3)) + jnp.array([1.0, 1.0, -1.0])[None, None]
    return jnp.broadcast_to(jax.nn.softmax(logits), (*PLACES, 3))


def value_seen(model, policy, factors):
    """The planner's value of what is seen: the mean over what may be pending, `(T, P)`."""
    values, flow, seen = policy_values(model, policy, factors), np.eye(PLACES[1])[0], []
    for t in range(ENV.steps):
        seen.append((flow * np.asarray(values[t])).sum() / flow.sum())
        joint = flow[:, None] * np.asarray(policy[t]) * np.asarray(model.goes_on[t])
        flow = np.bincount(np.asarray(model.pending[t]).ravel(), joint.ravel(), PLACES[1])
    return jnp.broadcast_to(jnp.asarray(seen, jnp.float32)[:, None], PLACES)


def test_expected_advantages_with_whole_traces_are_the_planners_whatever_the_critic_holds():
    model, policy = make_model(ENV, env_params(cutoff=2)), hidden(0)
    for credit, discount in ((1.0, 1.0), (0.5, 0.9), (0.0, 1.0)):
        factors = planner.discounts(ENV, discount, credit)
        values = jax.random.normal(jax.random.key(1), PLACES)
        found = expected_advantages(model, policy, values, factors, 1.0) + values[..., None]
        ahead = jnp.concatenate([policy_values(model, policy, factors)[1:], jnp.zeros((1, PLACES[1]))])
        best = [planner.action_values(take(model, t), factors[t], ahead[t]) for t in range(ENV.steps)]
        np.testing.assert_allclose(found, np.stack(best), rtol=1e-4, atol=1e-5)


def take(model, t):
    return model.replace(reward=model.reward[t], pending=model.pending[t], goes_on=model.goes_on[t])


@pytest.mark.parametrize("decay", [0.0, 0.4, 0.95])
@pytest.mark.parametrize("credit", [0.0, 1.0])
def test_expected_advantages_of_a_policy_without_chance_are_those_of_its_run(decay, credit):
    params, factors = env_params(cutoff=2), planner.discounts(ENV, 0.9, credit)
    model, values = make_model(ENV, params), jax.random.normal(jax.random.key(2), PLACES)
    for actions in ([0, 1, 1, 1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 2, 0, 0, 0]):
        policy = jnp.broadcast_to(jax.nn.one_hot(jnp.array(actions), 3)[:, None], (*PLACES, 3))
        lived = lived_by(ENV, params, jnp.moveaxis(policy, -1, 0), jnp.full((ENV.steps, 1), 0.5))
        times, running, pending = np.arange(ENV.steps), lived.running[:, 0], lived.pending[:, 0]
        value = jnp.where(running, values[times, pending], 0.0)[:, None]
        sampled = advantages_of(lived.reward, value, factors, decay)[:, 0]
        exact = expected_advantages(model, policy, values, factors, decay)
        np.testing.assert_allclose(exact[times, pending, jnp.array(actions)][running], sampled[running], atol=1e-5)


@pytest.mark.parametrize("lure", ["invest", "borrow"])
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_what_a_lure_gains_by_traces_is_the_closed_form_with_any_critic(lure, decay, discount):
    params, factors, policy = env_params("flat", lure, cutoff=3), planner.discounts(ENV, discount, 1.0), hidden(3)
    model = make_model(ENV, params)
    acts = 1 - np.asarray(policy[:, 0, SHUTDOWN], float)
    for values in (value_seen(model, policy, factors), jnp.arange(ENV.steps * 1.0)[:, None] * jnp.ones(PLACES)):
        found = np.asarray(expected_advantages(model, policy, values, factors, decay))
        for t in range(ENV.steps - ENV.epoch_steps):
            away = ENV.epoch_steps - t % ENV.epoch_steps
            there = acts[t + 1 : t + away + 1].prod()
            expected = leaks.traced_gain(decay, away, *LURES[lure], discount=discount, acts=float(there))
            pending = slice(0, t % ENV.epoch_steps + 1 if t % ENV.epoch_steps else None)
            np.testing.assert_allclose((found[..., LURE] - found[..., WORK])[t, pending], expected, atol=2e-5)
        # Cut at the border, the trace is too.
        cut = expected_advantages(model, policy, values, planner.discounts(ENV, discount, 0.0), decay)
        found = np.asarray(cut[..., LURE] - cut[..., WORK])[: ENV.steps - ENV.epoch_steps, 0]
        np.testing.assert_allclose(found, LURES[lure][0], atol=2e-5)


@pytest.mark.parametrize("distance", [1, 2, 4])
@pytest.mark.parametrize(("discount", "acts"), [(1.0, 1.0), (0.9, 0.5)])
def test_the_least_lambda_is_where_a_lure_begins_to_gain(distance, discount, acts):
    least = leaks.least_decay(distance, -1.0, 3.0, discount=discount, acts=acts)
    if least < 1:
        found = leaks.traced_gain(least, distance, -1.0, 3.0, discount=discount, acts=acts)
        assert found == pytest.approx(0, abs=1e-12)
    else:
        assert leaks.traced_gain(1.0, distance, -1.0, 3.0, discount=discount, acts=acts) < 0


@pytest.mark.parametrize("lure", ["invest", "borrow"])
@pytest.mark.parametrize("epoch_steps", [1, 3])
def test_what_a_trait_gains_is_the_planners_difference(lure, epoch_steps):
    env = EpochEnv(epochs=5, epoch_steps=epoch_steps)
    for cutoff, length in ((5, 5), (3, 5), (1, 5), (5, 3), (5, 1)):
        schedule = "negative" if cutoff < 5 else "flat"
        model = make_model(env, env_params(schedule, lure, cutoff=cutoff, length=length))
        paid = min(cutoff, length)
        chances = np.zeros((2, env.steps, epoch_steps + 1, 3), np.float32)
        chances[0, ..., WORK], chances[1, ..., LURE] = 1, 1
        chances[:, paid * epoch_steps :] = np.eye(3)[SHUTDOWN]
        for credit, permuted in ((1.0, False), (0.0, True)):
            factors = planner.discounts(env, 1.0, credit)
            work, sort = (policy_values(model, jnp.asarray(each), factors) for each in chances)
            # By itself in the run; or in each epoch, that begins with nothing pending or with another's lures.
            starts = (sort - work)[:: epoch_steps if permuted else env.steps]
            expected = leaks.trait_gain(paid, epoch_steps, *LURES[lure], permuted=permuted)
            assert float(starts[:, 0].sum()) == pytest.approx(expected)


def test_ppo_leaks_by_traces_on_the_steps_that_the_closed_form_says_and_not_if_cut():
    settings = Settings(runs_a_batch=16, passes=2, minibatches=2)
    study = Myopia(
        epochs=3, epoch_steps=2, learner="ppo", policy="table", show_pending=False, settings_of_learner=settings
    )
    trials = {"schedule": 2.0, "lure": 1.0, "credit": (0.0, 1.0), "cutoff": 2.0, "learning_rate": 0.05}
    trials |= {"decay": (0.0, 0.45, 0.95), "length": (2.0, 3.0), "penalty": (0.0, 3.0)}
    table = run(study, seeds=8, steps=200, records=4, progress=False, **trials).trials
    for decay in (0.0, 0.45, 0.95):
        for length, penalty in ((2.0, 0.0), (3.0, 0.0), (3.0, 3.0)):
            expected = leaks.traced_rate(decay, 2, *LURES["invest"])
            rows = [table.matching(decay=decay, credit=c, length=length, penalty=penalty) for c in (0.0, 1.0)]
            cut, traced = (lure_rate(each, 0, 1) for each in rows)
            np.testing.assert_allclose(traced, expected, atol=0.1)
            assert (cut < 0.05).all()
            if penalty:
                assert (rows[0].values("running_2") < 0.1).all()
            assert (rows[1].values("running_1") > 0.8).all()


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda: leaks.traced_gain(1.5, 1, -1.0, 3.0), "decay"),
        (lambda: leaks.traced_gain(0.5, 0, -1.0, 3.0), "distance"),
        (lambda: leaks.least_decay(1, 1.0, 3.0), "now"),
        (lambda: leaks.least_decay(1, -1.0, 0.0), "later"),
        (lambda: leaks.traced_rate(0.5, 0, -1.0, 3.0), "epoch_steps"),
        (lambda: leaks.trait_gain(-1, 2, -1.0, 3.0), "epochs"),
        (lambda: Myopia().params(**dict.fromkeys(ONE, np.ones(2)), decay=1.5), "decay"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(ask, name):
    with pytest.raises(ValueError, match=f"^{name}=.* is not allowed"):
        ask()


ONE = ("schedule", "lure", "credit", "cutoff", "learning_rate")
