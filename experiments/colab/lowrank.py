# SPDX-License-Identifier: Apache-2.0
"""Low-rank learning, its plateaus; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Low-rank learning: two plateaus?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/lowrank.ipynb)
#
# Jermyn and Shlegeris (["Multi-Component Learning and
# S-Curves"](https://www.alignmentforum.org/posts/RKDQCB6smLWgs2Mhr/multi-component-learning-and-s-curves), 2022) learn
# a matrix of rank 2 as a product of two factors and see two plateaus under cross-entropy, "tried a few times". How many
# seeds show them, and from which starts? [What the full runs
# found](https://github.com/jaxmyopia/jaxmyopia/blob/main/docs/results/lowrank.md); here matrices are smaller.

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
study = jm.LowRank(n=24, rank=2, loss="cross_entropy")
PLATEAUS = study.thresholds.plateaus
RATES = {"sgd": 0.1, "adam": 0.01}


def two(count):
    return count == 2


@jm.claim("At rank 2, under cross-entropy, most seeds show exactly two plateaus.", over=["time", "budget"])
def two_plateaus(trials):
    found = []
    for optimizer, rate in RATES.items():
        mine = trials.where(optimizer=optimizer, learning_rate=rate)
        found.append(jm.share(mine, PLATEAUS, two).above(0.5).at(optimizer, optimizer=optimizer))
    return found


@jm.claim("More seeds do from a small start than from one as large as the target.", over=["time", "budget"])
def small_start(trials):
    found = []
    for optimizer, rate in RATES.items():
        mine = trials.where(optimizer=optimizer, learning_rate=rate)
        small, large = mine.where(init_scale=0.01), mine.where(init_scale=1.0)
        found.append(jm.paired(small, large, PLATEAUS, two).above(0).at(optimizer, optimizer=optimizer))
    return found


answer = jm.settle(
    study, claims=[two_plateaus, small_start], seeds=128, steps=2000, records=128, keep_curves=32, progress=False,
    optimizer=("sgd", "adam"), learning_rate=(0.01, 0.1), init_scale=(1.0, 0.1, 0.01),
)  # fmt: skip
answer

# %% [markdown]
# Losses of the first 32 seeds, those with two plateaus in blue. A seed is the same target and the same start under
# either optimiser.

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(2, 3, figsize=(10, 4.4), sharex=True, layout="constrained")
kept = answer.kept
for row, (optimizer, rate) in zip(axes, RATES.items(), strict=True):
    for axis, scale in zip(row, (1.0, 0.1, 0.01), strict=True):
        here = (kept["optimizer"] == optimizer) & np.isclose(kept["learning_rate"], rate)
        here &= np.isclose(kept["init_scale"], scale)
        losses, shown = answer.curves["loss"][:, here], two(kept[PLATEAUS][here])
        for curve, blue in zip(losses.T, shown, strict=True):
            axis.plot(answer.steps, curve / curve[0], lw=0.9, color="#0072B2" if blue else "0.75", zorder=2 + blue)
        axis.set_xscale("symlog", linthresh=10)
        axis.set(title=f"{optimizer}, start {scale:g}: {shown.sum()} of {len(shown)}", ylim=(0, 1.1), xlim=(0, 2000))
for axis in axes[:, 0]:
    axis.set_ylabel("loss over the first")
for axis in axes[1]:
    axis.set_xlabel("step (linear up to 10)")

# %% [markdown]
# Change one thing: `rank=1`, `loss="square"`, another optax optimiser, a stricter count (`study.thresholds`).

# %%
print(answer)
