# SPDX-License-Identifier: Apache-2.0
"""Figures of agents trained with the recipe: who still runs, how fast it is learned, and what is left elsewhere."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.report.figures import COLOURS, draw_intervals, panels
from jaxmyopia.stats.estimates import of_share
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.arms import ARMS, arm
from jaxmyopia.studies.epochs.finished import (
    ARM_COLOURS,
    CREDIT_TITLES,
    Entry,
    FinishedMyopia,
    legend,
)  # fmt: skip
from jaxmyopia.studies.epochs.measures import by_epoch
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.planned import plan
from jaxmyopia.studies.epochs.rows import lacking
from jaxmyopia.study import Cell

_BAND = (0.05, 0.95)
_HIDDEN: dict[str, Any] = {"color": COLOURS[3], "ls": "--", "lw": 1.1}
_PLANNER: dict[str, Any] = {"color": "k", "ls": ":", "lw": 1.0}
_CUTOFF: dict[str, Any] = {"color": "0.4", "ls": "-", "lw": 0.6}
# The widest first, so that lines which lie on one another are all seen.
_ARM_LINES: dict[str, dict[str, Any]] = {"recipe": {"lw": 3.4}, "flat": {"lw": 2.2}, "short": {"lw": 1.3, "ls": "-."}}


def _band(axes: Axes, values: np.ndarray, colour: str, **style: Any) -> None:
    """The mean over seeds `(S, E)` by epoch, with the band between the 5th and the 95th percentile."""
    epochs = np.arange(values.shape[1])
    axes.plot(epochs, np.nanmean(values, axis=0), color=colour, marker="o", ms=2.5, **style)
    axes.fill_between(epochs, *np.nanquantile(values, _BAND, axis=0), color=colour, alpha=0.15, lw=0)


def survival(run: FinishedMyopia) -> Figure:
    """The probability to still run by epoch, `(learners, credits)` panels, a line an arm, under the first lure.

    Args:
      run: the finished run; `(S, E)` a trial.

    Returns:
      The figure.
    """
    credits, lure = run.sweep.credits, code("lure", run.sweep.lures[0])
    figure, grid = panels(len(run.rows.trained), len(credits), height=1.5, sharex=True, sharey=True)
    for line, (learner, rows) in zip(grid, run.rows.trained.items(), strict=True):
        for axes, credit in zip(line, credits, strict=True):
            mine = rows.matching(lure=lure, credit=code("credit", credit), cutoff=float(run.cutoff))
            _survival(axes, mine)
            axes.axvline(run.cutoff - 0.5, **_CUTOFF)
            axes.set(ylim=(-0.05, 1.05), xticks=range(run.sweep.epochs))
        line[0].set_ylabel(f"{learner}\nP(still runs)")
    for axes, credit in zip(grid[0], credits, strict=True):
        axes.set_title(CREDIT_TITLES[credit])
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    entries: list[Entry] = [(name, {"color": ARM_COLOURS[name], **_ARM_LINES[name]}) for name in ARMS]
    more: list[Entry] = [("recipe, index hidden", _HIDDEN), ("planner, recipe", _PLANNER), ("cutoff K", _CUTOFF)]
    legend(figure, [*entries, *more])
    return figure


def _survival(axes: Axes, rows: Trials) -> None:
    shown, hidden = (rows.matching(reveal_epoch=name) for name in ("one_hot", "masked"))
    for name in ARMS:
        mine = arm(shown, name)
        if len(mine):
            _band(axes, by_epoch(mine, "running"), ARM_COLOURS[name], **_ARM_LINES[name])
    if len(hidden):
        rest = {name: value for name, value in _HIDDEN.items() if name != "color"}
        _band(axes, by_epoch(hidden, "running"), _HIDDEN["color"], **rest)
    if len(recipe := arm(shown, "recipe")):
        best = plan(recipe)["running"][0]
        axes.plot(range(len(best)), best, **_PLANNER)


def transfer(run: FinishedMyopia) -> Figure:
    """Agents that see a cutoff drawn anew in each run: who stops at it, by cutoff; `(1, credits)` panels.

    Args:
      run: the finished run; `(S, 2 E)` a trial.

    Returns:
      The figure.
    """
    codes = run.rows.transfer
    figure, grid = panels(1, len(run.sweep.credits), height=2.2, sharey=True)
    for axes, credit in zip(grid[0], run.sweep.credits, strict=True):
        for place, rows in enumerate(codes.values()):
            mine = rows.matching(credit=code("credit", credit))
            if len(mine):
                fine = not lacking(mine, "")
                stops = (by_epoch(mine, "runs_to") >= run.sweep.thresholds.sure) & (
                    by_epoch(mine, "runs_past") <= 1 - run.sweep.thresholds.sure
                )
                x = np.arange(stops.shape[1]) + 0.2 * (place - (len(codes) - 1) / 2)
                found = [of_share(each.astype(float)).interval() for each in stops.T]
                fill = COLOURS[place] if fine else "w"
                draw_intervals(axes, x, found, COLOURS[place], marker="o", mfc=fill)
        for cutoff in range(2 * run.sweep.epochs):
            if cutoff not in run.sweep.transfer.cutoffs(run.sweep.epochs):
                axes.axvspan(cutoff - 0.5, cutoff + 0.5, color="0.93", zorder=0, lw=0)
        axes.set(title=CREDIT_TITLES[credit], xlabel="cutoff that is shown", ylim=(-0.05, 1.05))
    grid[0, 0].set_ylabel("share of seeds that run\nto it and stop in it")
    entries: list[Entry] = [
        (name.replace("_", "-"), {"color": COLOURS[i], "marker": "o", "ls": ""}) for i, name in enumerate(codes)
    ]
    unlearned: Entry = ("training not learned", {"color": "0.3", "marker": "o", "mfc": "w", "ls": ""})
    legend(figure, [*entries, unlearned, ("not seen in training", {"color": "0.88", "lw": 6})])
    return figure


def learning_on(run: FinishedMyopia) -> Figure:
    """Who still stops at K after as many updates without a schedule, `(credits, lures)` panels, by debt.

    Args:
      run: the finished run; `(S,)` a trial, at the middle cutoff.

    Returns:
      The figure.
    """
    credits, lures = run.sweep.credits, run.sweep.lures
    figure, grid = panels(len(credits), len(lures), height=1.6, sharex=True, sharey=True)
    debts = sorted(run.sweep.transfer.debts)
    for line, credit in zip(grid, credits, strict=True):
        for axes, lure in zip(line, lures, strict=True):
            for place, rows in enumerate(run.rows.later.values()):
                mine = rows.matching(
                    credit=code("credit", credit), lure=code("lure", lure), cutoff=float(run.cutoff)
                )  # fmt: skip
                sides = [arm(mine.matching(debt=debt), "recipe") for debt in debts]
                found = [_stops(run, side) for side in sides if len(side)]
                x = [i + 0.12 * (place - 1) for i, side in enumerate(sides) if len(side)]
                draw_intervals(axes, x, found, COLOURS[place], marker="o")
            axes.set(ylim=(-0.05, 1.05), xlim=(-0.5, len(debts) - 0.5))
            axes.set_xticks(range(len(debts)), [f"{debt:g}" for debt in debts])
        line[0].set_ylabel(f"{CREDIT_TITLES[credit]}\nstill stop at K")
    for axes, lure in zip(grid[0], lures, strict=True):
        axes.set_title(lure)
    for axes in grid[-1]:
        axes.set_xlabel("debt: what K's first step pays less")
    names = list(run.rows.later)
    legend(figure, [(name, {"color": COLOURS[i], "marker": "o", "ls": ""}) for i, name in enumerate(names)])
    return figure


def _stops(run: FinishedMyopia, rows: Trials) -> Any:
    shown = rows.values(run.sweep.thresholds.runs_then_stops)
    return of_share(shown[np.isfinite(shown)]).interval()


def learning(run: FinishedMyopia) -> Figure:
    """What is missed of the planner's value over updates, `(learners, credits)` panels, a line a trial of the recipe.

    Args:
      run: the finished run; sketches are `(T, combinations)` a cell.

    Returns:
      The figure.
    """
    shown = shown_cells(run)
    figure, grid = panels(len(shown), len(run.sweep.credits), height=1.5, sharex="row", sharey=True)
    for line, index in zip(grid, shown, strict=True):
        cell, missed = run.cells[index], run.folder.sketch(index, "missed_share")
        low, middle, high = (missed.quantile(q) for q in (_BAND[0], 0.5, _BAND[1]))
        for axes, credit in zip(line, run.sweep.credits, strict=True):
            for lure, style in zip(run.sweep.lures, ("-", "--", ":"), strict=False):
                for schedule in run.sweep.schedules:
                    place = _place(cell, run.cutoff, schedule=schedule, lure=lure, credit=credit)
                    steps, colour = cell.record_steps(), _SCHEDULE_COLOURS[schedule]
                    axes.plot(steps, middle[:, place], color=colour, ls=style)
                    axes.fill_between(steps, low[:, place], high[:, place], color=colour, alpha=0.1, lw=0)
            axes.set_yscale("symlog", linthresh=0.01)
            axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
            axes.set_ylim(0, 3)
            axes.minorticks_off()
        line[0].set_ylabel(f"{run.cells[index].study.settings()['learner']}\nmissed / best value\n(linear up to 0.01)")
        line[0].set_xlabel("update")
    for axes, credit in zip(grid[0], run.sweep.credits, strict=True):
        axes.set_title(CREDIT_TITLES[credit])
    names = {"negative": "recipe", "zero": "cap of 0", "flat": "flat"}
    entries: list[Entry] = [(names[each], {"color": _SCHEDULE_COLOURS[each]}) for each in run.sweep.schedules]
    styles: list[Entry] = [
        (lure, {"color": "0.4", "ls": ("-", "--", ":")[i]}) for i, lure in enumerate(run.sweep.lures)
    ]
    legend(figure, entries + styles)
    return figure


_SCHEDULE_COLOURS = {"negative": ARM_COLOURS["recipe"], "zero": COLOURS[4], "flat": ARM_COLOURS["flat"]}


def shown_cells(run: FinishedMyopia) -> list[int]:
    """The cells of the long runs of each learner that sees the index."""
    found = []
    for number, cell in enumerate(run.cells):
        settings, names = cell.study.settings(), [name for name, _ in cell.sweep]
        alone = settings.get("reveal_epoch") == "one_hot" and settings["show_pending"] and not settings["lure_binds"]
        if alone and not settings["show_cutoff"] and not {"length", "flat_from", "penalty", "hazard"} & set(names):
            found.append(number)
    return found


def _place(cell: Cell, cutoff: int, **settings: str) -> int:
    """The place of the combination with these settings in a cell's sketches, at the first learning rate."""
    names = [name for name, _ in cell.sweep]
    wanted = {name: code(name, value) for name, value in settings.items()} | {"cutoff": float(cutoff)}
    fits = lambda values: all(dict(zip(names, values, strict=True))[name] == wanted[name] for name in wanted)
    return next(place for place, values in enumerate(cell.combinations) if fits(values))
