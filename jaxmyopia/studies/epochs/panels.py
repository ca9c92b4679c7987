# SPDX-License-Identifier: Apache-2.0
"""How the seed explorer draws a trained agent: what it does in each epoch, in training and deployed."""

from jaxmyopia.report.explorer import Panel
from jaxmyopia.studies.epochs.model import ACTIONS

PANELS = (
    Panel(
        ("running", "acting", "lured"), "The agent by epoch", "profile", across="epoch",
        note="Running: the probability to still run at an epoch's end. Acting, lured: shares of its steps.",
    ),
    Panel(
        ("actions", "rewards"), "Its likeliest run", "strip", across="step", names=tuple(map(str.upper, ACTIONS)),
        note="A box a step, with what it pays.",
    ),
    Panel(("longer",), "Running, deployed where a run is twice as long", "profile", across="epoch"),
    Panel(("dropped",), "Running at the end of a first epoch that shows another index", "profile", across="index"),
    Panel(("usefulness",), "Usefulness: what is earned before the cutoff, over the most that can be"),
)  # fmt: skip
