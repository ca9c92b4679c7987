# SPDX-License-Identifier: Apache-2.0
"""A study of one seed's functions: against plain optax, and all that may be replaced."""

import dataclasses
import functools
import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxmyopia.engine.chunk import run_chunks
from jaxmyopia.study import Cell
from jaxmyopia.testing import check_study
from jaxmyopia.training import Training

SEEDS, STEPS = 3, 12


@dataclasses.dataclass(frozen=True)
class DeepLinear(Training):
    n: int = 4
    depth: int = 3

    def init(self, key, *, init_scale):
        a, b, c = jax.random.split(key, 3)
        weights = init_scale * jax.random.normal(a, (self.depth, self.n, self.n))
        return weights, jax.random.normal(b, (self.n, 2)) @ jax.random.normal(c, (2, self.n))

    def loss(self, weights, target):
        return jnp.square(functools.reduce(jnp.matmul, weights) - target).sum() / 2


class Network(nn.Module):
    """Two layers."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(x)))[:, 0]


@dataclasses.dataclass(frozen=True)
class Regression(Training):
    """Minibatches without replacement, a validation loss, and an observation of its own."""

    samples: int = 16
    size: int = 4

    def init(self, key, *, noise=0.1):
        a, b, c = jax.random.split(key, 3)
        x = jax.random.normal(a, (2 * self.samples, 3))
        y = x[:, 0] + noise * jax.random.normal(b, (2 * self.samples,))
        return Network().init(c, x), (x[: self.samples], y[: self.samples], x[self.samples :], y[self.samples :])

    def loss(self, trained, data):
        return jnp.square(Network().apply(trained, data[0]) - data[1]).mean()

    def batch(self, key, data):
        chosen = jax.random.choice(key, self.samples, (self.size,), replace=False)
        return data[0][chosen], data[1][chosen]

    def validation(self, trained, data):
        return self.loss(trained, data[2:])

    def observe(self, trained, data):
        norm = jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(trained)))
        return {"norm": norm, "kernel": trained["params"]["Dense_0"]["kernel"]}


def curves_of(study: Training, steps: int = STEPS, **settings: float):
    """Rows and whole curves of a few seeds, one record a step."""
    sweep = tuple((name, (value,)) for name, value in settings.items())
    cell = Cell(study=study, sweep=sweep, seeds=SEEDS, steps=steps, records=4 * steps)
    (chunk,) = run_chunks(cell, root_seed=5, keep_curves=SEEDS)
    return chunk.rows, chunk.kept


def by_hand(study: Training, optimizer: optax.GradientTransformation, seed: int, steps: int = STEPS, **settings: float):
    """The losses of one seed in a loop of plain optax."""
    draw, _, batches = jax.random.split(jax.random.fold_in(jax.random.key(5), seed), 3)
    trained, data = study.init(draw, **{name: jnp.float32(value) for name, value in settings.items()})
    opt_state, losses = optimizer.init(trained), []

    @jax.jit
    def step(trained, opt_state, t):
        batch = study.batch(jax.random.fold_in(batches, t), data)
        gradients = jax.grad(study.loss)(trained, batch)
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(gradients, opt_state, trained)
        return optax.apply_updates(trained, updates), opt_state

    for t in range(steps + 1):
        losses.append(float(study.loss(trained, data)))
        trained, opt_state = step(trained, opt_state, t)
    return np.array(losses)


@pytest.mark.parametrize(
    ("optimizer", "plain"),
    (
        ("adam", optax.adam(0.05)),
        (optax.adam(0.05), optax.adam(0.05)),
        (
            lambda learning_rate: optax.sgd(optax.cosine_decay_schedule(learning_rate, 10)),
            optax.sgd(optax.cosine_decay_schedule(0.05, 10)),
        ),
    ),
    ids=("a name", "an object", "a schedule"),
)
def test_every_seed_is_a_loop_of_plain_optax(optimizer, plain):
    study = DeepLinear(optimizer=optimizer)
    rate = {} if isinstance(optimizer, optax.GradientTransformation) else {"learning_rate": 0.05}
    rows, curves = curves_of(study, init_scale=0.5, **rate)
    for seed in range(SEEDS):
        expected = by_hand(study, plain, seed, init_scale=0.5)
        np.testing.assert_allclose(curves["loss"][:, seed], expected, rtol=2e-4)
    np.testing.assert_allclose(rows["loss_ratio"], curves["loss"][-1] / curves["loss"][0], rtol=1e-6)
    np.testing.assert_array_equal(rows["initial_loss"], curves["loss"][0])
    assert not rows["diverged"].any()


def test_minibatches_are_drawn_by_step_and_the_loss_is_that_of_all_data():
    study = Regression(optimizer="momentum")
    _, curves = curves_of(study, learning_rate=0.05)
    for seed in range(SEEDS):
        expected = by_hand(study, optax.sgd(0.05, momentum=0.9), seed)
        np.testing.assert_allclose(curves["loss"][:, seed], expected, rtol=1e-4)
    assert curves["validation"].shape == curves["norm"].shape == (STEPS + 1, SEEDS)
    assert curves["kernel"].shape == (STEPS + 1, SEEDS, 4, 1)
    whole = dataclasses.replace(study, size=study.samples)
    assert not np.allclose(curves_of(whole, learning_rate=0.05)[1]["loss"][-1], curves["loss"][-1], rtol=1e-3)


def test_noise_differs_by_seed():
    @dataclasses.dataclass(frozen=True)
    class Still(Training):
        def init(self, key):
            return jnp.zeros(3), ()

        def loss(self, trained, data):
            return trained.sum()

    _, curves = curves_of(Still(optimizer="noisy_sgd"), learning_rate=0.1)
    assert len(np.unique(curves["loss"][-1])) == SEEDS


def test_an_update_of_ones_own_takes_its_place():
    @dataclasses.dataclass(frozen=True)
    class Halving(DeepLinear):
        def update(self, trained, data, opt_state, learning_rate):
            return trained / 2, opt_state

    study = Halving()
    state = study.batched.init(jax.random.split(jax.random.key(0), 2), study.params(**pair(2)))
    after = study.batched.step(state, study.params(**pair(2)))
    chex.assert_trees_all_equal(after.trained, state.trained / 2)


def pair(seeds: int) -> dict[str, np.ndarray]:
    return {"learning_rate": np.full(seeds, 0.01), "init_scale": np.full(seeds, 0.1)}


def test_blocks_follow_the_bytes_of_a_seed():
    assert DeepLinear(n=2).block == 256 and DeepLinear(n=100).block == 8
    blocks = [DeepLinear(n=n, optimizer="adam").block for n in (2, 10, 20, 40, 80)]
    assert blocks == sorted(blocks, reverse=True) and all(block & (block - 1) == 0 for block in blocks)


def test_settings_with_a_default_may_be_left_out():
    assert Regression().known_settings() == {"learning_rate": True, "noise": False}
    assert Regression(optimizer=optax.sgd(0.1)).known_settings() == {"noise": False}
    assert len(Regression().cells(seeds=1, steps=5, learning_rate=0.1)) == 1


@pytest.mark.parametrize(
    ("study", "settings"),
    (
        (DeepLinear(n=3, optimizer="adam"), {"learning_rate": 0.05, "init_scale": 0.5}),
        (Regression(optimizer="noisy_sgd"), {"learning_rate": 0.05}),
    ),
    ids=("linear", "regression"),
)
def test_trainings_keep_the_contract(study, settings):
    check_study(study, **settings)


ALONE = """
import dataclasses, os, jax, jax.numpy as jnp, optax
import jaxmyopia as jm
from jax._src import xla_bridge

@dataclasses.dataclass(frozen=True)
class Bowl(jm.Training):
    def init(self, key, *, scale):
        return scale * jax.random.normal(key, (3,)), ()

    def loss(self, trained, data):
        return jnp.square(trained).sum()

clipped = lambda rate: optax.chain(optax.clip(1.0), optax.sgd(rate))
studies = [Bowl(optimizer=each) for each in ("sgd", "muon", "noisy_sgd", optax.adam(0.01), clipped)]
assert not xla_bridge.backends_are_initialized()
jm.run(studies[0], seeds=4, steps=5, records=4, progress=False, learning_rate=0.1, scale=1.0)
print(len(jax.devices()) - len(os.sched_getaffinity(0)))
"""


def test_a_study_that_is_made_starts_no_device_so_that_a_run_has_a_device_a_core():
    quiet = {name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, env=quiet)
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr
