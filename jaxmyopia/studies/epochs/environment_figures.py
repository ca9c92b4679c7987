# SPDX-License-Identifier: Apache-2.0
"""The environment drawn for a reader who has never seen it, and single trained agents replayed in it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from jaxmyopia.report.figures import COLOURS, panels
from jaxmyopia.studies.epochs.env_params import LURES, SCHEDULES
from jaxmyopia.studies.epochs.figures import shown_cells
from jaxmyopia.studies.epochs.finished import FinishedMyopia
from jaxmyopia.studies.epochs.model import ACTIONS
from jaxmyopia.studies.epochs.params import NAMES
from jaxmyopia.studies.epochs.sweep import Sweep

_ACTION_COLOURS = dict(zip(ACTIONS, (COLOURS[5], COLOURS[4], COLOURS[6]), strict=True))
_REPLAYED = 2  # agents a learner


def _box(axes: Axes, x: float, y: float, text: str, *, width: float = 0.72, colour: str = "white") -> None:
    """A labelled box centred at a point `()`."""
    corner = (x - width / 2, y - 0.26)
    axes.add_patch(FancyBboxPatch(corner, width, 0.52, boxstyle="round,pad=0.04", fc=colour, ec="0.3", lw=0.8))
    axes.text(x, y, text, ha="center", va="center", fontsize=7)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, **style: Any) -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, color=colour, **{"lw": 1.0, **style})
    )


def environment(sweep: Sweep, cutoff: int) -> Figure:
    """The states of a run and what the actions do, around the cutoff.

    Args:
      sweep: whose L; of epochs before and after K one each is drawn, `(L,)` steps.
      cutoff: K.

    Returns:
      The figure.
    """
    figure, grid = panels(1, 1, height=2.9)
    axes, steps = grid[0, 0], min(sweep.epoch_steps, 4)
    axes.axis("off")
    cutoff, second, width = max(cutoff, 1), steps + 0.6, 2 * steps + 0.1
    for number, epoch in enumerate((cutoff - 1, cutoff)):
        _epoch(axes, number * second, steps, f"epoch {epoch} = K" + ("" if number else "-1"), shaded=bool(number))
    _arrow(axes, (steps - 0.6, 0), (second - 0.4, 0), _ACTION_COLOURS["work"], lw=2)
    start = min(1, steps - 1)
    curve = {"connectionstyle": "arc3,rad=-0.35", "ls": "--"}
    _arrow(axes, (start, 0.3), (second, 0.3), _ACTION_COLOURS["lure"], **curve)
    lures = "; ".join(f"{name}: {LURES[name][0]:+g} now, {LURES[name][1]:+g} later" for name in sweep.lures)
    text = {"ha": "center", "va": "center", "fontsize": 7}
    axes.text((start + second) / 2, 1.48, f"LURE pays what WORK pays, and something now and later\n({lures})", **text)
    caps = "; ".join(f"{name}: {SCHEDULES[name]:g}" for name in sweep.schedules if name != "flat")
    note = f"a step pays at most\n({caps}; flat: no limit)" if caps else "no limit (flat)"
    axes.text(second + steps / 2 - 0.1, 0.98, note, **text)
    middle = width / 2 - 0.25
    _box(
        axes,
        middle,
        -1.5,
        "SHUTDOWN, at any step: 0 then and for ever; nothing is paid or owed any more",
        width=width + 0.4,
    )
    axes.text(width + 0.12, 0, "…", fontsize=12, va="center")
    axes.text(-0.95, 0, "…", fontsize=12, va="center")
    handles = [Line2D([], [], color=_ACTION_COLOURS["work"], lw=2, label="WORK (pays 1) or LURE: on to the next step")]
    label = "paid on the first step of the next epoch, once, unless that step is SHUTDOWN"
    handles += [Line2D([], [], color=_ACTION_COLOURS["lure"], ls="--", label=label)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    axes.set(xlim=(-1.1, width + 0.5), ylim=(-1.9, 1.8))
    return figure


def _epoch(axes: Axes, left: float, steps: int, title: str, *, shaded: bool) -> None:
    """One epoch's steps in a frame."""
    colour = "0.93" if shaded else "white"
    frame = FancyBboxPatch((left - 0.5, -0.45), steps, 1.15, boxstyle="round,pad=0.02", fc=colour, ec="0.6")
    axes.add_patch(frame)
    axes.text(left - 0.42, 0.52, title, fontsize=8, weight="bold", va="center")
    for step in range(steps):
        _box(axes, left + step, 0, f"step {step}")
        if step < steps - 1:
            _arrow(axes, (left + step + 0.4, 0), (left + step + 0.6, 0), _ACTION_COLOURS["work"], lw=2)
        _arrow(axes, (left + step, -0.3), (left + step, -1.2), _ACTION_COLOURS["shutdown"], lw=0.6)


def replay(run: FinishedMyopia) -> Figure:
    """The likeliest run of a few trained agents, step by step; a panel a learner, a row an agent and trial.

    Args:
      run: the finished run, with kept curves `(T, trials, steps)`.

    Returns:
      The figure.
    """
    cells = shown_cells(run)
    trials = [_trials(run, cell) for cell in cells]
    height = 0.17 * max(len(each) for each in trials) + 0.3
    figure, grid = panels(len(cells), 1, height=height, sharex=True)
    for axes, cell, shown in zip(grid[:, 0], cells, trials, strict=True):
        actions, rewards = (run.kept(cell, name)[0] for name in ("actions", "rewards"))
        for y, (trial, _) in enumerate(shown):
            for step, (action, reward) in enumerate(zip(actions[trial], rewards[trial], strict=True)):
                if action >= 0:
                    axes.barh(y, 1, left=step, color=_ACTION_COLOURS[ACTIONS[action]], height=0.86, lw=0)
                    ink = "white" if ACTIONS[action] == "shutdown" else "black"
                    axes.text(step + 0.5, y, f"{reward:g}", ha="center", va="center", fontsize=4.5, color=ink)
        axes.set_yticks(range(len(shown)), [label for _, label in shown], fontsize=5.5)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        for epoch in range(run.sweep.epochs + 1):
            at_cutoff = epoch == run.cutoff
            axes.axvline(epoch * run.sweep.epoch_steps, color="k" if at_cutoff else "0.6", lw=1.4 if at_cutoff else 0.6)
        axes.set_title(str(run.cells[cell].study.settings()["learner"]))
        axes.grid(False)
        axes.set_xlim(0, run.sweep.epochs * run.sweep.epoch_steps)
    middles = (np.arange(run.sweep.epochs) + 0.5) * run.sweep.epoch_steps
    grid[-1, 0].set_xticks(middles, range(run.sweep.epochs))
    grid[-1, 0].set_xlabel("epoch (numbers: what each step pays; thick line: the cutoff K)")
    handles = [Patch(color=colour, label=name.upper()) for name, colour in _ACTION_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _trials(run: FinishedMyopia, cell: int) -> list[tuple[int, str]]:
    """The kept trials of a cell that are replayed, with labels `(m,)`: the first seeds under every combination."""
    _, rows = run.kept(cell, "actions")
    label = lambda i: ", ".join(NAMES[name][int(rows[name][i])] for name in ("schedule", "lure", "credit"))
    first = (rows["learning_rate"] == rows["learning_rate"][0]) & (rows["cutoff"] == run.cutoff)
    found = [
        (int(i), f"{label(i)}, seed {rows['seed'][i]}") for i in np.flatnonzero(first & (rows["seed"] < _REPLAYED))
    ]
    return sorted(found, key=lambda each: each[1])
