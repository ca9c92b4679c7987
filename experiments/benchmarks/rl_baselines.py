# SPDX-License-Identifier: Apache-2.0
"""What the myopia study is measured against: gymnax's chain, and PPO as a good user of JAX writes it.

A baseline is made ready, and is then a function of a number of steps that returns once the outcome is there.
"""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from experiments.benchmarks.timing import Train
from jaxmyopia.engine.mesh import per_device, seed_mesh
from jaxmyopia.engine.program import COMPILER_OPTIONS
from jaxmyopia.studies.epochs import planner
from jaxmyopia.studies.epochs.learners import Settings
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import Params, world
from jaxmyopia.studies.epochs.study import Myopia

ENVIRONMENTS = 4096
_DRAWN = 64  # steps
SETTINGS = Settings(runs_a_batch=16, passes=4)


def random_policy(env: object, params: object, *, observed: bool, drawn: bool) -> Train:
    """`vmap` + `scan` of a gymnax-shaped environment under a random policy, `ENVIRONMENTS` trials.

    A random policy does not look: what is seen is made if `observed`, else XLA leaves it out. `drawn`: its actions and
    the environment's keys are drawn beforehand, `_DRAWN` steps of them over and over.
    """

    step, actions = jax.vmap(env.step, in_axes=(0, 0, 0, None)), env.action_space(params).n

    def draw(key):
        key_actions, key_steps = jax.random.split(key)
        drawn = jax.random.randint(key_actions, (ENVIRONMENTS,), 0, actions)
        return drawn, jax.random.split(key_steps, ENVIRONMENTS)

    def live(key, beforehand, steps):
        def forward(i, carry):
            key, state, total = carry
            if drawn:
                action, keys = jax.tree.map(lambda x: x[i % _DRAWN], beforehand)
            else:
                key, now = jax.random.split(key)
                action, keys = draw(now)
            seen, state, reward, *_ = step(keys, state, action, params)
            return key, state, total + reward + (seen.sum(axis=-1) if observed else 0.0)

        _, state = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, ENVIRONMENTS), params)
        return jax.lax.fori_loop(0, steps, forward, (key, state, jnp.zeros(ENVIRONMENTS)))[-1]

    lived, key = jax.jit(live), jax.random.key(0)
    beforehand = jax.jit(jax.vmap(draw))(jax.random.split(key, _DRAWN if drawn else 1))
    run = lambda steps: jax.block_until_ready(lived(key, beforehand, jnp.int32(steps)))
    run(1)
    return run


def environments(*, observed: bool, drawn: bool) -> dict[str, Train]:
    """`EpochEnv`, and gymnax's DiscountingChain-bsuite where gymnax is installed; flags as for `random_policy`."""
    entered = {"EpochEnv": random_policy(EpochEnv(), EpochEnv().default_params, observed=observed, drawn=drawn)}
    if importlib.util.find_spec("gymnax"):
        import gymnax

        chain = gymnax.make("DiscountingChain-bsuite")
        entered["DiscountingChain-bsuite"] = random_policy(*chain, observed=observed, drawn=drawn)
    return entered


def study_of(agents: int) -> tuple[Myopia, Params]:
    """The study and its parameters `(agents,)`: the recipe, the lure `invest`, credit over the run."""
    study = Myopia(learner="ppo", settings_of_learner=SETTINGS)
    columns = {"schedule": 0.0, "lure": 1.0, "credit": 1.0, "cutoff": 4.0, "learning_rate": 0.02}
    return study, study.params(**{name: np.full(agents, value) for name, value in columns.items()})


def jaxmyopia(agents: int) -> Train:
    """This project's update, blocks and devices, as many as have work, without its records."""
    study, params = study_of(agents)
    mesh = Mesh(seed_mesh().devices[:agents], ("seeds",), axis_types=(AxisType.Auto,))
    size = min(study.block, -(-agents // mesh.size))
    slots = -(-agents // (mesh.size * size))
    trials = np.minimum(np.arange(mesh.size * slots * size), agents - 1).reshape(mesh.size, slots, size)
    filled = np.array([len(range(device, -(-agents // size), mesh.size)) for device in range(mesh.size)], np.int32)

    def train(keys, params, filled, steps):
        def block(i, out):
            mine = jax.tree.map(lambda x: x[i], params)
            state = study.init(jax.random.wrap_key_data(keys[i]), mine)
            state = jax.lax.fori_loop(0, steps, lambda _, state: study.step(state, mine), state)
            return out.at[i].set(sum(leaf.sum() for leaf in jax.tree.leaves(state.agent.variables)))

        return jax.lax.fori_loop(0, filled, block, jnp.zeros(slots))

    spread = jax.jit(per_device(train, mesh), compiler_options=COMPILER_OPTIONS.get(jax.default_backend()))
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), agents))[trials]
    params = jax.tree.map(lambda x: x[trials], params)
    run = lambda steps: jax.block_until_ready(spread(keys, params, filled, np.full(mesh.size, steps, np.int32)))
    run(1)
    return run


class _ActorCritic(nn.Module):
    """The same network, applied to one observation."""

    @nn.compact
    def __call__(self, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
        out = nn.Dense(4, kernel_init=nn.initializers.zeros)(nn.tanh(nn.Dense(16)(seen)))
        return out[..., :3], out[..., 3]


def _collect(env: EpochEnv, params: object, network: nn.Module, variables: object, key: jax.Array):
    """Runs of one agent, sample by sample: what was seen, done, thought and paid, `(T, B)`."""

    def step(carry, key):
        seen, state = carry
        logits, value = network.apply(variables, seen)
        action = jax.random.categorical(key, logits)
        log_chance = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], axis=-1)[:, 0]
        after, running = jax.vmap(env.step_env, in_axes=(None, 0, 0, None))(key, state, action, params), state.running
        return after[:2], (seen, action, log_chance, value * env.steps, after[2], running)

    seen, state = env.reset(key, params)
    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (SETTINGS.runs_a_batch, *x.shape)), (seen, state))
    return jax.lax.scan(step, start, jax.random.split(key, env.steps))[1]


def _advantages(reward: jax.Array, value: jax.Array, running: jax.Array, factors: jax.Array) -> jax.Array:
    value = value * running

    def back(carry, now):
        later, following = carry
        reward, value, factor = now
        advantage = reward + factor * following - value + factor * SETTINGS.decay * later
        return (advantage, value), advantage

    nothing = jnp.zeros_like(reward[0])
    return jax.lax.scan(back, (nothing, nothing), (reward, value, factors), reverse=True)[1]


def _loss(variables, batch, network: nn.Module, scale: float) -> jax.Array:
    seen, action, old, target, advantage, weight = batch
    logits, value = network.apply(variables, seen)
    logs = jax.nn.log_softmax(logits)
    ratio = jnp.exp(jnp.take_along_axis(logs, action[..., None], axis=-1)[..., 0] - old)
    clipped = jnp.clip(ratio, 1 - SETTINGS.clip, 1 + SETTINGS.clip)
    mean = lambda x: (x * weight).sum() / weight.sum()
    centred = advantage - mean(advantage)
    advantage = centred / (jnp.sqrt(mean(jnp.square(centred))) + 1e-6)
    gain = mean(jnp.minimum(ratio * advantage, clipped * advantage))
    entropy = -mean((jnp.exp(logs) * logs).sum(axis=-1))
    return SETTINGS.value_weight * mean(jnp.square(value - target / scale)) - gain - SETTINGS.entropy * entropy


def jit_vmap(agents: int) -> Train:
    """PPO as a good user writes it: `jit(vmap(loop of rollout, advantages, minibatches))`, a sample at a time."""
    study, params = study_of(agents)
    env, network, parts = study.env, _ActorCritic(), SETTINGS.minibatches

    def train(key, params, steps):
        now = world(params, 0)
        optimizer, factors = optax.adam(params.learning_rate), planner.discounts(env, params.discount, params.credit)
        variables = network.init(key, env.reset(key, now)[0])

        def update(i, carry):
            variables, state = carry
            seen, action, old, value, reward, running = _collect(
                env, now, network, variables, jax.random.fold_in(key, i)
            )
            weight = running.astype(reward.dtype)
            advantage = _advantages(reward, value, weight, factors)
            batch = seen, action, old, advantage + value, advantage, weight
            split = lambda x: jnp.moveaxis(x.reshape(x.shape[0], parts, -1, *x.shape[2:]), 1, 0)
            batch = jax.tree.map(split, batch)

            def improve(j, carry):
                variables, state = carry
                mine = jax.tree.map(lambda x: x[j % parts], batch)
                gradients = jax.grad(_loss)(variables, mine, network, float(env.steps))
                updates, state = optimizer.update(gradients, state, variables)
                return optax.apply_updates(variables, updates), state

            return jax.lax.fori_loop(0, SETTINGS.passes * parts, improve, (variables, state))

        variables, _ = jax.lax.fori_loop(0, steps, update, (variables, optimizer.init(variables)))
        return sum(leaf.sum() for leaf in jax.tree.leaves(variables))

    batched = jax.jit(jax.vmap(train, in_axes=(0, 0, None)))
    keys = jax.random.split(jax.random.key(0), agents)
    run = lambda steps: jax.block_until_ready(batched(keys, params, jnp.int32(steps)))
    run(1)
    return run


TRAINERS: dict[str, Callable[[int], Train]] = {"jaxmyopia": jaxmyopia, "jit(vmap)": jit_vmap}
