# SPDX-License-Identifier: Apache-2.0
"""A claim of one's own in 30 lines; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Your own claim, in 30 lines
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/own_claim.ipynb)
#
# A claim is a sentence, a study that could show it and a rule that judges it. Write `init` and `loss` of one seed; any
# optax optimiser, thousands of seeds, intervals and a verdict at each condition come with it. Change the sentence, the
# network or the rate, and run the cell again.

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

import jax
import jax.numpy as jnp

PLATEAUS = jm.measures.plateaus(ratio=(0.5, 0.25, 0.75), fall=(0.02, 0.01, 0.05))  # main threshold first


@dataclasses.dataclass(frozen=True)
class DeepLinear(jm.Training):
    n: int = 6
    depth: int = 3

    def init(self, key, *, init_scale):  # -> (what is trained, data); keyword arguments vary by seed
        a, b, c = jax.random.split(key, 3)
        weights = init_scale * jax.random.normal(a, (self.depth, self.n, self.n))
        return weights, jax.random.normal(b, (self.n, 2)) @ jax.random.normal(c, (2, self.n))

    def loss(self, weights, target):
        return jnp.square(functools.reduce(jnp.matmul, weights) - target).sum() / 2


@jm.claim("From a small start, SGD shows two plateaus or more in more seeds than Adam.")
def sgd_plateaus(trials):
    sgd, adam = trials.where(optimizer="sgd"), trials.where(optimizer="adam")
    return jm.paired(sgd, adam, PLATEAUS, lambda count: count >= 2).above(0)


answer = jm.settle(
    DeepLinear(measures=[PLATEAUS]), claims=[sgd_plateaus], seeds=256, steps=2000, progress=False,
    optimizer=("sgd", "adam"), learning_rate=0.01, init_scale=(0.01, 0.1, 1.0),
)  # fmt: skip
answer

# %% [markdown]
# The claim says nothing of the scale of the start, so it is judged at each of the three. Curves of the first seeds are
# kept, `(records, trials)`, and `answer.kept` is the table of just these trials.

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
for axis, scale in zip(axes, (0.01, 0.1, 1.0), strict=True):
    for optimizer, colour in (("sgd", "#0072B2"), ("adam", "#D55E00")):
        here = (answer.kept["optimizer"] == optimizer) & np.isclose(answer.kept["init_scale"], scale)
        losses = answer.curves["loss"][:, here]
        axis.plot(answer.steps, losses / losses[0], color=colour, lw=0.8)
    axis.set_xscale("symlog", linthresh=10)
    axis.set(title=f"start {scale:g}: blue SGD, red Adam", xlabel="step (linear up to 10)", ylim=(-0.05, 1.3))
    axis.set_xlim(0, 2000)
_ = axes[0].set_ylabel("loss over the first")

# %% [markdown]
# All trials are a table, for pandas or anything else; `answer.save("folder")` keeps the run, `answer.page("page.html")`
# writes one offline page.

# %%
print(answer)
share = {
    (optimizer, scale): float((answer.trials.where(optimizer=optimizer, init_scale=scale)[PLATEAUS] >= 2).mean())
    for optimizer in ("sgd", "adam")
    for scale in (0.01, 0.1, 1.0)
}
print("share of seeds with two plateaus or more:", share)
