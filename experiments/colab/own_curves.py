# SPDX-License-Identifier: Apache-2.0
"""Loss curves of one's own; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Your own curves
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/own_curves.ipynb)
#
# Losses that were logged elsewhere, a CSV, a DataFrame or an export of a tracker, become trials on which measures and
# claims work as on those of a run. Here they are made up, with noise; replace `rows` by yours, or give a path.

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
import matplotlib.pyplot as plt
import numpy as np

rng, steps = np.random.default_rng(0), np.arange(0, 2000, 10)
rows = {"optimizer": [], "seed": [], "step": [], "loss": []}
for optimizer in ("sgd", "adam"):
    for seed in range(40):
        two = rng.random() < (0.85 if optimizer == "sgd" else 0.35)  # who takes two steps down
        middles = rng.normal((500, 1400) if two else (800,), 40)
        falls = sum(1 / (1 + np.exp((steps - middle) / 30)) for middle in middles) / len(middles)
        loss = (0.1 + falls) * np.exp(0.002 * rng.normal(size=len(steps)))  # noise of 0.2 %
        rows["optimizer"] += [optimizer] * len(steps)
        rows["seed"] += [seed] * len(steps)
        rows["step"] += steps.tolist()
        rows["loss"] += loss.tolist()

trials = jm.curves(rows, run=("optimizer", "seed"))  # or a path to .csv, .npy or .npz, or a DataFrame
print(len(trials), "runs,", sum(reason != "" for reason in trials["reason"]), "of them not counted")

# %% [markdown]
# Noise is estimated from each curve, so that jitter is not taken for a plateau. `trials["reason"]` says why a run
# counts nowhere.

# %%
PLATEAUS = jm.measures.plateaus(ratio=(0.5, 0.25, 0.75), fall=(0.02, 0.01, 0.05), noise="estimated")


@jm.claim("SGD shows a plateau between two falls in more runs than Adam.")
def more_steps(trials):
    sgd, adam = trials.where(optimizer="sgd"), trials.where(optimizer="adam")
    return jm.paired(sgd, adam, PLATEAUS, lambda count: count >= 2).above(0)


judgement = more_steps.judge(trials)
print(judgement.verdict, "-", judgement.headline)
for piece in judgement.evidence:
    found = piece.interval
    print(f"difference {found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}] of {found.n} seeds")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
counts = trials[PLATEAUS]
for axis, optimizer in zip(axes, ("sgd", "adam"), strict=True):
    mine = np.array(rows["optimizer"]) == optimizer
    curves = np.array(rows["loss"])[mine].reshape(-1, len(steps))
    for curve, count in zip(curves, counts[trials["optimizer"] == optimizer], strict=True):
        axis.plot(steps, curve, lw=0.5, color="#0072B2" if count >= 2 else "#E69F00")
    axis.set(title=f"{optimizer}: blue two plateaus or more", xlabel="step")
_ = axes[0].set_ylabel("loss")
