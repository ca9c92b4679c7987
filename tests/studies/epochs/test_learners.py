# SPDX-License-Identifier: Apache-2.0
"""Learners: sums over places are means over samples, rlax agrees, and no agent sees another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxmyopia.studies.epochs import learners, losses, planner
from jaxmyopia.studies.epochs import rollouts as experience
from jaxmyopia.studies.epochs.learners import Learner, Settings
from jaxmyopia.studies.epochs.model import EpochEnv, env_params
from jaxmyopia.studies.epochs.policies import affine, make_policy, seen_through

ENV, PARAMS = EpochEnv(epochs=3, epoch_steps=2), env_params(cutoff=2)
KEY = jax.random.key(3)
RUNS = 8
# Compiled as a whole: operation by operation each would be a program of its own.
rollout = jax.jit(experience.rollout, static_argnums=(0, 4))
gathered = jax.jit(experience.gather, static_argnums=2)


def drawn(seed, shape):
    """Standard normal numbers; not of jax, which would compile a program for each shape."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@functools.cache
def lived():
    """Runs under random logits `(A, T, P)`."""
    logits = drawn(3, (3, ENV.steps, ENV.epoch_steps + 1)) + np.float32([1.0, 0.0, -1.0])[:, None, None]
    chances = scipy.special.softmax(logits, axis=0)
    return logits, jax.device_get(rollout(ENV, PARAMS, chances, jax.random.key(4), RUNS))


def test_rollouts_take_actions_with_the_policys_chances():
    chances = np.broadcast_to(np.float32([0.5, 0.3, 0.2])[:, None, None], (3, ENV.steps, 3))
    found = rollout(ENV, PARAMS, chances, KEY, 20_000)
    counts = np.stack([(np.asarray(found.action) == a).mean(axis=1) for a in range(3)], axis=1)
    np.testing.assert_allclose(counts, np.broadcast_to([0.5, 0.3, 0.2], counts.shape), atol=0.02)
    share = np.asarray(found.running).mean(axis=1)
    np.testing.assert_allclose(share, 0.8 ** np.arange(6), atol=0.02)


def test_gathered_weights_and_looked_up_values_are_those_of_the_samples():
    logits, found = lived()
    weight = drawn(5, found.reward.shape)
    table = np.zeros(logits.shape)
    for t in range(ENV.steps):
        for b in range(RUNS):
            if found.running[t, b]:
                table[found.action[t, b], t, found.pending[t, b]] += weight[t, b]
    np.testing.assert_allclose(gathered(found, weight, 3), table, atol=1e-5)
    np.testing.assert_allclose(
        jax.jit(experience.look_up)(logits[0], found.pending),
        logits[0, np.arange(6)[:, None], found.pending],
        rtol=1e-6,
    )


def test_returns_and_advantages_are_those_of_rlax():
    rlax = pytest.importorskip("rlax")
    _, found = lived()
    value = drawn(6, found.reward.shape)
    after = np.concatenate([value, np.zeros((1, RUNS), np.float32)])

    @jax.jit
    def both(factors):
        run_by_run = functools.partial(jax.vmap, in_axes=1, out_axes=1)
        mine = (
            experience.returns(found.reward, factors),
            experience.generalised_advantages(found.reward, value, factors, 0.8),
        )
        theirs = (
            run_by_run(lambda reward: rlax.discounted_returns(reward, factors, jnp.zeros_like(reward)))(found.reward),
            run_by_run(
                lambda reward, values: rlax.truncated_generalized_advantage_estimation(reward, factors, 0.8, values)
            )(found.reward, after),
        )
        return mine, theirs

    for credit in (0.0, 0.4, 1.0):
        with jax.numpy_rank_promotion("allow"):
            mine, theirs = both(planner.discounts(ENV, 0.9, credit))
        for ours, expected in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_losses_and_their_gradients_are_those_of_rlax_on_the_samples():
    rlax = pytest.importorskip("rlax")
    logits, found = lived()
    new = logits + np.float32(0.5) * drawn(9, logits.shape)
    advantage, alive = drawn(7, found.reward.shape), found.running
    count = np.float32(alive.sum())
    samples = np.flatnonzero(alive.ravel())
    times, runs = np.unravel_index(samples, alive.shape)
    where = times, found.pending[times, runs]
    action, adv = found.action[times, runs], advantage[times, runs]
    gather = lambda weight: gathered(found, weight / count, 3)
    visits = np.asarray(gather(np.ones_like(advantage))).sum(axis=0)

    def theirs_pg(x):
        return rlax.policy_gradient_loss(x[:, *where].T, action, adv, jnp.ones_like(adv))

    def theirs_entropy(x):
        return rlax.entropy_loss(x[:, *where].T, jnp.ones_like(adv))

    def theirs_clipped(x):
        logs = jax.nn.log_softmax(x, axis=0)[action, *where]
        old = jax.nn.log_softmax(logits, axis=0)[action, *where]
        return rlax.clipped_surrogate_pg_loss(jnp.exp(logs - old), adv, 0.2)

    gains, falls = gather(np.maximum(advantage, 0)), gather(np.minimum(advantage, 0))
    old = scipy.special.log_softmax(logits, axis=0)
    pairs = (
        (lambda x: losses.policy_loss(x, gather(advantage)), theirs_pg),
        (lambda x: -losses.entropy_bonus(x, visits), theirs_entropy),
        (lambda x: losses.clipped_loss(x, old, gains, falls, 0.2), theirs_clipped),
    )
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for mine, theirs in pairs:
            for found_value, expected in zip(
                jax.jit(jax.value_and_grad(mine))(new), jax.jit(jax.value_and_grad(theirs))(new), strict=True
            ):
                np.testing.assert_allclose(found_value, expected, rtol=1e-4, atol=1e-6)


def test_q_learning_moves_each_entry_by_the_mean_error_of_its_samples():
    rlax = pytest.importorskip("rlax")
    settings = Settings(runs_a_batch=RUNS, exploration=0.5)
    policy = make_policy("table", outputs=3, width=1, indices=3)
    learner = Learner("qlearning", ENV, policy, "sgd", settings)
    start = jax.jit(learner.init)(KEY, PARAMS)
    table = drawn(3, start.variables["params"]["table"].shape)
    agent = start.replace(variables={"params": {"table": table}})
    factors = np.asarray(planner.discounts(ENV, 0.9, 0.5))
    after = jax.jit(learner.update)(agent, jax.random.key(4), PARAMS, factors, np.float32(0.5))
    q = np.asarray(policy.apply(agent.variables, ENV, PARAMS))
    theirs = jax.jit(rlax.q_learning)
    greedy = np.moveaxis(np.eye(3)[q.argmax(axis=0)], -1, 0)
    chances = np.float32(0.5 * greedy + 0.5 / 3)
    found = jax.device_get(rollout(ENV, PARAMS, chances, jax.random.key(4), RUNS))
    errors = {}
    for t in range(ENV.steps):
        for b in range(RUNS):
            if found.running[t, b]:
                place, action = (t, int(found.pending[t, b])), int(found.action[t, b])
                goes_on = t + 1 < ENV.steps and bool(found.running[t + 1, b])
                following = np.float32(q[:, t + 1, found.pending[t + 1, b]] if goes_on else np.zeros(3))
                with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
                    error = theirs(q[:, *place], action, found.reward[t, b], factors[t], following)
                errors.setdefault((action, *place), []).append(float(error))
    expected = q.copy()
    for entry, mine in errors.items():
        expected[entry] += 0.5 * np.mean(mine)
    np.testing.assert_allclose(policy.apply(after.variables, ENV, PARAMS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name, optimizer", [("reinforce", "adam"), ("ppo", "adam"), ("qlearning", "adam"), ("qlearning", "lamb")]
)
def test_agents_side_by_side_learn_as_each_does_alone(name, optimizer):
    kind = "table" if name == "qlearning" else "mlp"
    policy = make_policy(kind, outputs=learners.outputs_of(name), width=4, indices=3)
    learner = Learner(name, ENV, policy, optimizer, Settings(runs_a_batch=RUNS, passes=1, minibatches=2))
    keys, rates, credits = jax.random.split(KEY, 3), np.float32([0.01, 0.1, 0.02]), np.float32([1.0, 0.0, 1.0])
    lures = PARAMS.replace(lure_later=np.float32([3.0, -1.0, 0.5]))
    factors = np.asarray(planner.discounts(ENV, np.full(3, 0.9, np.float32), credits))

    @jax.jit
    def learned(keys, params, factors, rates):
        return learner.update(learner.init(keys, PARAMS), keys, params, factors, rates).variables

    together = learned(keys, lures, factors, rates)
    for i in range(3):
        mine = PARAMS.replace(lure_later=lures.lure_later[i])
        alone = learned(keys[i], mine, factors[:, i], rates[i])
        for ours, theirs in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(ours, theirs[..., i], rtol=1e-4, atol=1e-5)


def test_a_layer_written_out_is_the_product_and_has_its_gradients():
    weights, bias, inputs = (drawn(3, shape) for shape in ((3, 5, 7), (3, 7), (5, 600, 7)))
    plain = lambda w, b, x: jnp.einsum("ohs,hns->ons", w, x) + b[:, None]
    slope = np.arange(3.0 * 600 * 7, dtype=np.float32).reshape(3, 600, 7) / np.float32(1e4)

    @functools.partial(jax.jit, static_argnums=0)
    def pulled(layer, *arguments):
        value, pull = jax.vjp(layer, *arguments)
        return value, pull(slope)

    (mine, pull), (theirs, plain_pull) = (pulled(layer, weights, bias, inputs) for layer in (affine, plain))
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    for found, expected in zip(pull, plain_pull, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reveal", ["one_hot", "scalar", "masked"])
@pytest.mark.parametrize("show_pending", [True, False])
def test_places_are_seen_through_a_matrix_as_they_are_one_by_one(reveal, show_pending):
    env = EpochEnv(epochs=3, epoch_steps=2, reveal_epoch=reveal, show_pending=show_pending, indices=5)
    kernel = drawn(3, (*env.observation_space().shape, 7))

    @jax.jit
    def both(params):
        return seen_through(env, params, kernel), jnp.moveaxis(env.observations(params) @ kernel, -1, 0)

    for first, shown in ((0, 1.0), (2, 1.0), (0, 0.0)):
        found, expected = both(PARAMS.replace(first_index=np.int32(first), index_shown=np.float32(shown)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ("adam", "adamw", "lion", "momentum", "rmsprop", "sgd"))
def test_every_optimiser_works_from_a_rate_that_is_data(optimizer):
    policy = make_policy("table", outputs=3, width=1, indices=3)
    learner = Learner("reinforce", ENV, policy, optimizer, Settings(runs_a_batch=4))
    factors = planner.discounts(ENV, 1.0, 1.0)

    @jax.jit
    def moved(rate):
        after = learner.update(learner.init(KEY, PARAMS), KEY, PARAMS, factors, rate)
        return jnp.abs(after.variables["params"]["table"]).sum()

    assert 0 < float(moved(jnp.float32(0.01))) < float(moved(jnp.float32(0.1)))


@pytest.mark.parametrize(
    "bad",
    [{"exploration": 1.5}, {"exploration": -0.1}, {"decay": 2}, {"clip": 0}, {"entropy": -1}, {"runs_a_batch": 1},
     {"runs_a_batch": 6, "minibatches": 4}, {"passes": 0}],
)  # fmt: skip
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}=.*is not allowed"):
        Settings(**bad)
