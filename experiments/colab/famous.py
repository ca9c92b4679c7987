# SPDX-License-Identifier: Apache-2.0
"""Three famous claims about toy models, judged; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Three famous claims, judged
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/famous.ipynb)
#
# Modes learned in the order of their singular values, sharpness that settles at 2 / rate, and double descent: each a
# sentence from a well-known paper, a toy in which it can be seen, and a rule that could come out otherwise. Each takes
# under 60 lines; change a rate, a size or a scale and look where the sentence stops being true.

# %%
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("jaxmyopia") is None:  # on Colab, where it upgrades nothing that is there
    source = "jaxmyopia @ git+https://github.com/jaxmyopia/jaxmyopia"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)

import jaxmyopia as jm

print(jm.accelerator())

# %%
import dataclasses
import functools
import math

import jax
import jax.flatten_util
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

# %% [markdown]
# ## 1. Deep linear networks learn strong modes first
#
# Saxe, McClelland and Ganguli ([2014](https://arxiv.org/abs/1312.6120)): from small weights, gradient descent in a deep
# linear network learns the singular modes of its task one after another, the strongest first. Four modes are to be
# learned; a mode is learned when half of its strength is there. By chance one order in 24 is right. Control:
# one layer alone learns all modes at the same time, so there the sentence must fail.


# %%
@dataclasses.dataclass(frozen=True)
class DeepLinear(jm.Training):
    depth: int = 2
    n: int = 8

    def init(self, key, *, init_scale, ratio):  # each mode is `ratio` times as strong as the next
        strength = 4 * jnp.power(ratio, -jnp.arange(4.0))
        weights = init_scale * jax.random.normal(key, (self.depth, self.n, self.n))
        return weights, strength  # weights that are normal look alike in all bases: the target may be diagonal

    def product(self, weights):
        return functools.reduce(jnp.matmul, list(weights))

    def loss(self, weights, strength):
        target = jnp.diag(jnp.concatenate([strength, jnp.zeros(self.n - 4)]))
        return jnp.square(self.product(weights) - target).sum() / 2

    def observe(self, weights, strength):
        return {"learned": jnp.diag(self.product(weights))[:4] / strength}


def in_order(curves, share):  # (S,): 1 where all modes are learned, each later than the stronger one
    there = curves["learned"] >= share  # (T, S, 4)
    when = jnp.where(there.any(axis=0), there.argmax(axis=0), -1)
    return ((when >= 0).all(axis=1) & (jnp.diff(when, axis=1) > 0).all(axis=1)).astype(share.dtype)


IN_ORDER = jm.Measure("in_order", in_order, range=(0, 1), share=(0.5, 0.3, 0.7))


def most_in_order(trials):
    return jm.share(trials, IN_ORDER, lambda shown: shown == 1).above(0.5)


@jm.claim(
    "Deep linear networks learn the modes of their task in the order of their singular values.",
    fails={"one layer": lambda trials: most_in_order(trials.where(depth=1))},
)
def modes_in_order(trials):
    return most_in_order(trials.keep(trials["depth"] > 1))


modes = jm.settle(
    DeepLinear(measures=[IN_ORDER]), claims=[modes_in_order], seeds=64, steps=3000, depth=(1, 2, 3),
    learning_rate=0.01, init_scale=(0.05, 0.2, 0.5), ratio=(1.25, 2), progress=False,
)  # fmt: skip
modes

# %%
kept = modes.kept
figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
for axis, depth in zip(axes, (1, 2, 3), strict=True):
    rows = (kept["depth"] == depth) & (kept["seed"] == 0) & (kept["ratio"] == 2) & (kept["init_scale"] < 0.1)
    lines = axis.plot(modes.steps, modes.curves["learned"][:, np.flatnonzero(rows)[0]])
    axis.set(title=f"{depth} layer{'s' * (depth > 1)}, seed 0", xlabel="step", ylim=(-0.1, 1.1))
axes[0].set_ylabel("share of a mode that is learned")
_ = axes[0].legend(lines, ("strongest", "second", "third", "weakest"))

# %% [markdown]
# ## 2. Sharpness settles at 2 / rate
#
# Cohen et al. ([2021](https://arxiv.org/abs/2103.00065)): under full-batch gradient descent the sharpness, the greatest
# eigenvalue of the loss's Hessian, rises until it reaches 2 / rate, and then hovers there. Judged of each seed that
# starts at least 10 % below: is the median over the last third of training within 10 % of it? At a low rate it need not
# be: the sharpness may never come so far. Control: with momentum 0.9 training is stable up to
# 2 (1 + 0.9) / rate (the same paper), so there the sentence must fail.


# %%
@dataclasses.dataclass(frozen=True)
class Network(jm.Training):
    hidden: int = 20
    samples: int = 20

    def init(self, key, *, learning_rate, degree):
        inner, bias, outer = jax.random.split(key, 3)
        weights = {
            "inner": 2 * jax.random.normal(inner, (self.hidden,)),
            "bias": jax.random.normal(bias, (self.hidden,)),
            "outer": jax.random.normal(outer, (self.hidden,)),
        }
        x = jnp.linspace(-1, 1, self.samples)
        return weights, (x, jnp.cos(degree * jnp.arccos(x)), learning_rate)  # Chebyshev's polynomial of this degree

    def loss(self, weights, data):
        hidden = jnp.tanh(jnp.outer(data[0], weights["inner"]) + weights["bias"])
        return jnp.square(hidden @ weights["outer"] / jnp.sqrt(self.hidden) - data[1]).mean() / 2

    def observe(self, weights, data):
        flat, back = jax.flatten_util.ravel_pytree(weights)
        slope = jax.grad(lambda at: self.loss(back(at), data))

        def power(_, v):  # a power iteration: the Hessian times a vector of length 1
            return jax.jvp(slope, (flat,), (v / jnp.sqrt((v * v).sum()),))[1]

        found = jax.lax.fori_loop(0, 50, power, jnp.cos(jnp.arange(flat.size, dtype=flat.dtype)))
        return {"edge": jnp.sqrt((found * found).sum()) * data[2] / 2}  # sharpness over 2 / rate


def settles(curves, within):  # (S,)
    late = curves.step > curves.step[-1] * 2 // 3
    middle = jnp.nanmedian(jnp.where(late[:, None], curves["edge"], jnp.nan), axis=0)
    settled = (jnp.abs(middle - 1) < within).astype(within.dtype)
    return jnp.where(curves["edge"][0] < 1 - within, settled, -1)  # -1: there it is already, and cannot rise


SETTLES = jm.Measure("settles", settles, range=(-1, 1), within=(0.1, 0.05, 0.2))


def most_settle(trials):
    return jm.share(trials, SETTLES, lambda shown: shown == 1, given=lambda shown: shown >= 0).above(0.5)


@jm.claim(
    "Under full-batch gradient descent sharpness rises to 2 / rate and settles there.",
    fails={"momentum": lambda trials: most_settle(trials.where(optimizer="momentum"))},
)
def edge_of_stability(trials):
    return most_settle(trials.where(optimizer="sgd"))


edge = jm.settle(
    Network(measures=[SETTLES]), claims=[edge_of_stability], seeds=48, steps=3000, optimizer=("sgd", "momentum"),
    learning_rate=(1, 2, 3), degree=(3, 5), progress=False,
)  # fmt: skip
edge

# %%
kept = edge.kept
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
for axis, optimizer in zip(axes, ("sgd", "momentum"), strict=True):
    for rate in edge.trials.unique("learning_rate"):
        rows = (kept["optimizer"] == optimizer) & np.isclose(kept["learning_rate"], rate) & (kept["degree"] == 5)
        axis.plot(edge.steps, edge.curves["edge"][:, np.flatnonzero(rows)[0]], lw=0.8, label=f"rate {rate:g}")
    axis.axhline(1, color="0.3", lw=0.8, ls="--")
    axis.set(title=f"{optimizer}, seed 0", xlabel="step", ylim=(0, 2.5))
axes[0].set_ylabel("sharpness over 2 / rate")
_ = axes[0].legend()

# %% [markdown]
# ## 3. Double descent
#
# Belkin, Hsu, Ma and Mandal ([2019](https://arxiv.org/abs/1812.11118)): the test error of a model on random features
# peaks where there are as many features as samples, and beyond falls below what it was before. Features are random
# tanh units, the fit is that of least norm, which gradient descent from zero finds. Three parts, on the same seeds: the
# error with 24 features for 24 samples is at least 1.5 times that with half as many, and that with four times as many;
# and four times as many beat half as many. Control: a ridge removes the peak, so there the sentence must fail.


# %%
def heavy_ball(learning_rate):  # the fit near the peak takes long without momentum
    return optax.sgd(learning_rate, momentum=0.99)


@dataclasses.dataclass(frozen=True)
class RandomFeatures(jm.Training):
    samples: int = 24
    inputs: int = 12
    widest: int = 96

    def init(self, key, *, features, noise, ridge):
        truth, x, new, units, error = jax.random.split(key, 5)
        truth = jax.random.normal(truth, (self.inputs,)) / jnp.sqrt(self.inputs)
        x, new = jax.random.normal(x, (self.samples, self.inputs)), jax.random.normal(new, (100, self.inputs))
        units = jax.random.normal(units, (self.inputs, self.widest)) / jnp.sqrt(self.inputs)
        there = (jnp.arange(self.widest) < features) / jnp.sqrt(features)  # the first so many, the others are 0
        y = x @ truth + noise * jax.random.normal(error, (self.samples,))
        task = {"seen": jnp.tanh(x @ units) * there, "y": y, "ridge": ridge}
        return jnp.zeros(self.widest), task | {"new": jnp.tanh(new @ units) * there, "truth": new @ truth}

    def loss(self, weights, task):
        return (jnp.square(task["seen"] @ weights - task["y"]).mean() + task["ridge"] * (weights**2).sum()) / 2

    def observe(self, weights, task):
        return {"test": jnp.square(task["new"] @ weights - task["truth"]).mean()}


TEST = jm.Measure("log_test", lambda curves: jnp.log10(curves["test"][-1]))


def three_parts(trials):
    half, equal, four_times = (trials.where(features=count) for count in (12, 24, 96))
    parts = {
        "above half as many": (equal, half, math.log10(1.5)),
        "above four times as many": (equal, four_times, math.log10(1.5)),
        "four times beat half": (half, four_times, 0.0),
    }
    return [jm.paired(a, b, TEST).above(null).at("", shown=name) for name, (a, b, null) in parts.items()]


@jm.claim(
    "Test error peaks where features equal samples; with four times as many it is below that with half as many.",
    fails={"a ridge": lambda trials: three_parts(trials.where(ridge=0.01))},
)
def double_descent(trials):
    return three_parts(trials.where(ridge=0))


descent = jm.settle(
    RandomFeatures(optimizer=heavy_ball, measures=[TEST]), claims=[double_descent], seeds=64, steps=2000, records=20,
    learning_rate=12, features=(6, 12, 18, 24, 32, 48, 96), noise=(0, 0.5), ridge=(0, 0.01), progress=False,
)  # fmt: skip
descent

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
for axis, noise in zip(axes, (0, 0.5), strict=True):
    for ridge in (0, 0.01):
        rows = descent.trials.where(noise=noise, ridge=ridge)
        widths = rows.unique("features")
        middle = [10 ** np.median(rows.where(features=width)[TEST]) for width in widths]
        axis.loglog(widths, middle, marker="o", ms=3, label=f"ridge {ridge}")
    axis.axvline(24, color="0.3", lw=0.8, ls="--")
    axis.set(title=f"noise {noise}, median of 64 seeds", xlabel="features, of 24 samples")
axes[0].set_ylabel("test error")
_ = axes[0].legend()

# %% [markdown]
# ## What came out
#
# The verdicts above are those of the run you made; as text, with each condition:

# %%
for answer in (modes, edge, descent):
    print(answer, "\n")
