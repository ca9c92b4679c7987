# SPDX-License-Identifier: Apache-2.0
"""Feedback from a model's own knowledge; a notebook for Colab, made by `make`."""

# %% [markdown]
# # Feedback: what is knowledge of a subspace worth?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](
# https://colab.research.google.com/github/jaxmyopia/jaxmyopia/blob/main/experiments/colab/feedback.ipynb)
#
# A human's values are a direction in 16 dimensions. A learner hears which of two things the human prefers, again and
# again. One learner knows nothing beforehand, one believes that values lie mostly in a subspace of two dimensions, one
# that they lie nowhere else. What is that knowledge worth, and what does it cost where it is wrong? [More on
# it](https://github.com/jaxmyopia/jaxmyopia/blob/main/docs/results/feedback.md).

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
from jaxmyopia.studies.feedback.study import Comparisons, answers_after
from jaxmyopia.studies.feedback.sweep import ISOTROPIC, SOFT, SUBSPACE


@jm.claim("After 64 comparisons, belief in a subspace brings a learner nearer to a human's values than none.")
def soft_beats_none(trials):
    soft, none = trials.where(prior=SOFT), trials.where(prior=ISOTROPIC)
    return jm.paired(soft, none, "cos", range=(-1, 1)).above(0, least=0.05)


answer = jm.settle(
    Comparisons(d=16, rounds=12), claims=[soft_beats_none], seeds=128, steps=12, records=13, keep_curves=128,
    progress=False, k=2, sigma=0.3, angle=(0, 45, 90), sharpness=2, belief=1, prior=(ISOTROPIC, SOFT, SUBSPACE),
)  # fmt: skip
answer

# %% [markdown]
# How near each learner comes, mean over seeds, by the angle between the subspace believed in and the true one.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
heard, kept, cosines = answers_after(12), answer.kept, answer.curves["cos"]
for axis, angle in zip(axes, (0, 45, 90), strict=True):
    learners = (("no belief", ISOTROPIC, "-"), ("a subspace, mostly", SOFT, "-"), ("a subspace alone", SUBSPACE, "--"))
    for name, prior, dashes in learners:
        here = (kept["prior"] == prior) & (kept["angle"] == angle)
        axis.plot(heard, cosines[:, here].mean(axis=1), dashes, marker="o", ms=3, label=name)
    axis.set_xscale("symlog", linthresh=1)
    axis.set(title=f"wrong by {angle} degrees", xlabel="comparisons (linear up to 1)", xlim=(0, 70), ylim=(-0.05, 1))
    axis.set_xticks([0, 1, 4, 16, 64], ["0", "1", "4", "16", "64"])
axes[0].set_ylabel("cosine with the human's values")
_ = axes[0].legend()

# %% [markdown]
# Change one thing: a human who is less sure (`sharpness=0.5`), more values outside the subspace (`sigma=1`), a belief
# that is too strong (`belief=0.3`), or chosen comparisons, `Comparisons(d=16, rounds=12, pool=16)`.

# %%
print(answer)
