# SPDX-License-Identifier: Apache-2.0
"""Myopia by epoch and shutdown; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Myopia by epoch: who runs until K and stops?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/epochs.ipynb)
#
# An agent works through epochs, sees the index of each, is paid badly from epoch K on, and may shut down for good.
# Trained so, does it run until K and stop there, and is it the index that makes this possible? [What the full runs
# found](https://github.com/jaxmyopia/jaxmyopia/blob/main/docs/results/myopia.md).

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
from jaxmyopia.studies.epochs.measures import Thresholds
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.study import Myopia

STOPS = Thresholds(sure=0.9).runs_then_stops  # 1: runs through every epoch before K, and stops within K


def most_stop(trials):
    return jm.share(trials, STOPS, lambda stops: stops == 1).above(0.5)


@jm.claim(
    "Trained with the recipe, agents run until epoch K and shut down in it.",
    fails={
        "the index is hidden": lambda trials: most_stop(
            trials.where(reveal_epoch="masked", schedule=code("schedule", "negative"))
        ),
        "pay does not turn bad": lambda trials: most_stop(
            trials.where(reveal_epoch="one_hot", schedule=code("schedule", "flat"))
        ),
    },
)
def runs_then_stops(trials):
    return most_stop(trials.where(reveal_epoch="one_hot", schedule=code("schedule", "negative")))


answer = jm.settle(
    Myopia(epochs=8, epoch_steps=4, learner="reinforce", optimizer="adam"), claims=[runs_then_stops],
    seeds=48, steps=300, records=40, progress=False, reveal_epoch=("one_hot", "masked"),
    schedule=[code("schedule", name) for name in ("negative", "flat")], lure=code("lure", "invest"),
    credit=code("credit", "epoch"), cutoff=(2, 4, 6), learning_rate=0.01,
)  # fmt: skip
answer

# %% [markdown]
# The probability to run still at the end of each epoch, mean over seeds. The recipe with the index drops at K; without
# the index there is nothing to go by, and where pay stays as it is there is nothing to stop for.

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
arms = {
    "recipe": ("one_hot", "negative"), "index hidden": ("masked", "negative"), "pay as before": ("one_hot", "flat"),
}  # fmt: skip
for axis, cutoff in zip(axes, (2, 4, 6), strict=True):
    for (name, (reveal, schedule)), dashes in zip(arms.items(), ("-", "--", ":"), strict=True):
        rows = answer.trials.where(reveal_epoch=reveal, schedule=code("schedule", schedule), cutoff=cutoff)
        axis.plot(range(8), [rows[f"running_{epoch}"].mean() for epoch in range(8)], dashes, marker="o", label=name)
    axis.axvline(cutoff - 0.5, color="0.3", lw=0.8, ls="--")
    axis.set(title=f"K = {cutoff}", xlabel="epoch")
axes[0].set_ylabel("still running after it")
_ = axes[0].legend()

# %% [markdown]
# Change one thing: `learner="ppo"`, `credit=code("credit", "run")` (an agent that is answerable for the whole run),
# `lure=code("lure", "borrow")`, or another way to show the index, `reveal_epoch="scalar"`.

# %%
print(answer)
useful = answer.trials.where(reveal_epoch="one_hot", schedule=code("schedule", "negative"))
print(f"reward before K, over the most that can be: {np.nanmean(useful['usefulness']):.2f}")
