# SPDX-License-Identifier: Apache-2.0
"""Superposition, its pentagons; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Superposition: when is there a pentagon?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/superposition.ipynb)
#
# Five features are to be kept in two dimensions (Elhage et al., ["Toy Models of
# Superposition"](https://arxiv.org/abs/2209.10652), 2022). Once they are rarely active they are kept all five, as a
# regular pentagon, seen in five of five runs. In how many seeds, and from which probability on? [What the full runs
# found](https://github.com/jaxmyopia/jaxmyopia/blob/main/docs/results/interpretability.md).

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
from jaxmyopia.studies.superposition.measures import KEPT, PENTAGON
from jaxmyopia.studies.superposition.study import Independent


@jm.claim("Five features in two dimensions make a pentagon in most seeds.")
def pentagon(trials):
    return jm.share(trials, PENTAGON, lambda shown: shown == 1).above(0.5)


study = Independent(
    features=5, widest=2, optimizer="adam", batch_size=256, falls_over=1500, measures=(PENTAGON, KEPT),
)  # fmt: skip
answer = jm.settle(
    study, claims=[pentagon], seeds=64, steps=1500, records=20, progress=False,
    hidden=2, init_scale=0.1, span=0.9**-4, active=(0.5, 0.2, 0.1, 0.05, 0.02), learning_rate=0.01,
)  # fmt: skip
answer

# %% [markdown]
# What the first four seeds have learned: each feature's direction, turned so that the first one is up, by how often a
# feature is active. Below each, how many of all seeds make a pentagon.

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(1, 5, figsize=(10, 2.5), layout="constrained")
for axis, active in zip(axes, (0.5, 0.2, 0.1, 0.05, 0.02), strict=True):
    here = np.isclose(answer.kept["active"], active)
    models = answer.curves["model"][-1][here]  # (seeds kept, 3, 5): two rows of W, and the biases
    for model, colour in zip(models, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True):
        directions = model[0] + 1j * model[1]
        for each in 1j * directions * np.exp(-1j * np.angle(directions[0])):
            axis.plot([0, each.real], [0, each.imag], color=colour, lw=0.9)
    rows = answer.trials.where(active=active)
    shown = int((rows[PENTAGON] == 1).sum())
    axis.set(
        title=f"active in {active:g}", xlabel=f"pentagon: {shown} of {len(rows)}", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5)
    )
    axis.set_aspect("equal")

# %% [markdown]
# Change one thing: `activation="linear"`, `optimizer="sgd"` with a rate of 1, six features, or all equally important
# (`span=1`).

# %%
print(answer)
