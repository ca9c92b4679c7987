# SPDX-License-Identifier: Apache-2.0
"""Figures of what sees past the epoch: leaks in the three arms, penalties and hidden cutoffs beside the planner."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxmyopia.claims.controls import planted
from jaxmyopia.report.cells import cell, shade
from jaxmyopia.report.figures import COLOURS, draw_intervals, panels
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs.arms import ARMS, arm, column
from jaxmyopia.studies.epochs.env_params import SCHEDULES
from jaxmyopia.studies.epochs.finished import (
    CREDIT_TITLES,
    Entry,
    FinishedMyopia,
    legend,
    mean_of,
    missing,
)  # fmt: skip
from jaxmyopia.studies.epochs.leak_claims import at_cutoffs
from jaxmyopia.studies.epochs.measures import IN_FIRST, INTENSITY
from jaxmyopia.studies.epochs.params import NAMES, code
from jaxmyopia.studies.epochs.planned import planned
from jaxmyopia.studies.epochs.rows import lacking, went_flat

_SIDES = {"leaky": (COLOURS[1], "o"), "swapped": (COLOURS[0], "s"), "twin": ("0.45", "d")}
_SIDE_WORDS = {"leaky": "with the leak", "swapped": "with context swap", "twin": "twin without the leak"}


def intensities(run: FinishedMyopia) -> Figure:
    """Lures a step before K - 1 under recipe, flat and short run side by side, `(leaks, cutoffs)` panels.

    Args:
      run: the finished run; `(S,)` a trial.

    Returns:
      The figure.
    """
    leaks = [each for each in run.rows.leaks if len(each.leaky)]
    cutoffs = sorted({cutoff for each in leaks for cutoff in each.leaky.unique("cutoff")})
    figure, grid = panels(len(leaks), len(cutoffs), height=1.35, sharex=True, sharey="row")
    for line, leak in zip(grid, leaks, strict=True):
        several = dict(at_cutoffs(leak))
        for axes, cutoff in zip(line, cutoffs, strict=True):
            here = several.get(cutoff, {})
            for shift, (side, (colour, marker)) in enumerate(_SIDES.items()):
                rows = {name: getattr(each, side) for name, each in here.items()}
                places = [i for i, name in enumerate(ARMS) if name in rows and rows[name] is not None]
                found = [mean_of(rows[ARMS[i]].values(INTENSITY)) for i in places]
                draw_intervals(axes, np.array(places) + 0.14 * (shift - 1), found, colour, marker=marker)
            axes.set_xlim(-0.5, len(ARMS) - 0.5)
            axes.set_xticks(range(len(ARMS)), ARMS)
        line[0].set_ylim(bottom=-0.01)
        line[0].set_ylabel(leak.name.replace(", ", "\n") + "\nlures / step")
    for axes, cutoff in zip(grid[0], cutoffs, strict=True):
        axes.set_title(f"K = {cutoff:g}")
    entries: list[Entry] = [
        (words, {"color": _SIDES[side][0], "marker": _SIDES[side][1], "ls": ""}) for side, words in _SIDE_WORDS.items()
    ]
    legend(figure, entries)
    return figure


def penalties(run: FinishedMyopia) -> Figure:
    """The share of seeds that stop on arrival at K, by penalty and cutoff, `(learners, lures x credits)` panels.

    Args:
      run: the finished run; `(S,)` a trial.

    Returns:
      The figure; a frame is drawn where the planner stops on arrival, and grey where too few seeds have learned.
    """
    columns = [(lure, credit) for lure in run.sweep.lures for credit in run.sweep.credits]
    several, values = run.rows.penalties, sorted(run.sweep.penalties.penalties)
    cutoffs = sorted({cutoff for rows in several.values() for cutoff in rows.unique("cutoff")})
    height = 0.5 + 0.2 * len(values)
    figure, grid = panels(len(several), len(columns), height=height, sharex=True, sharey=True)
    for line, (learner, rows) in zip(grid, several.items(), strict=True):
        for axes, (lure, credit) in zip(line, columns, strict=True):
            mine = rows.matching(lure=code("lure", lure), credit=code("credit", credit))
            for y, penalty in enumerate(values):
                for x, cutoff in enumerate(cutoffs):
                    _stopping(run, axes, (x, y), mine.matching(penalty=penalty, cutoff=cutoff))
            axes.set_xticks(range(len(cutoffs)), [f"{each:g}" for each in cutoffs])
            axes.set_yticks(range(len(values)), [f"{each:g}" for each in values])
            axes.set(xlim=(-0.55, len(cutoffs) - 0.45), ylim=(-0.55, len(values) - 0.45))
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        line[0].set_ylabel(f"{learner}\npenalty")
    for axes, (lure, credit) in zip(grid[0], columns, strict=True):
        axes.set_title(f"{lure},\n{CREDIT_TITLES[credit]}")
    for axes in grid[-1]:
        axes.set_xlabel("cutoff K")
    return figure


def _stopping(run: FinishedMyopia, axes: Axes, at: tuple[int, int], rows: Trials) -> None:
    if not len(rows):
        return
    measure = run.sweep.thresholds.stops_on_arrival
    share, told = float(np.nanmean(rows.values(measure))), not lacking(rows, "")
    cell(axes, at, [f"{100 * share:.0f}"], shade(share) if told else "0.85", 0.5)
    if np.nanmean(planned(rows).values(measure)) > 0.5:
        frame = Rectangle((at[0] - 0.44, at[1] - 0.44), 0.88, 0.88, fill=False, ec=COLOURS[1], lw=1.3)
        axes.add_patch(frame)


def hazards(run: FinishedMyopia) -> Figure:
    """Lures a step in the first epoch by the hazard of a hidden cutoff, `(learners, caps)` panels, beside the planner.

    Args:
      run: the finished run; `(S,)` a trial.

    Returns:
      The figure; open points: too few seeds have learned.
    """
    several = run.rows.hazards
    caps = sorted(
        {cap for rows in several.values() for cap in rows.unique("schedule") if cap != code("schedule", "flat")}
    )
    figure, grid = panels(len(several), len(caps), height=1.7, sharex=True, sharey=True)
    for line, (learner, rows) in zip(grid, several.items(), strict=True):
        for axes, cap in zip(line, caps, strict=True):
            whole = rows.keep(np.isnan(column(rows, "length"))).matching(schedule=cap)
            if len(whole):
                _by_hazard(axes, whole)
            else:
                missing(axes)
            short = arm(rows, "short")
            if len(short):
                axes.axhline(np.nanmean(short.values(IN_FIRST)), color=COLOURS[2], lw=0.9, ls="-.")
            axes.set_ylim(-0.05, 1.05)
        line[0].set_ylabel(f"{learner}\nlures / step, first epoch")
    for axes, cap in zip(grid[0], caps, strict=True):
        most = SCHEDULES[NAMES["schedule"][int(cap)]]
        axes.set_title(f"once it came, a step pays at most {most:g}")
    for axes in grid[-1]:
        axes.set_xlabel("chance of a hidden cutoff at a border")
    entries: list[Entry] = [
        ("trained with it", {"color": COLOURS[1], "marker": "o", "ls": ""}),
        ("training not learned", {"color": COLOURS[1], "marker": "o", "mfc": "w", "ls": ""}),
        ("and as long without it", {"color": COLOURS[0], "marker": "s", "ls": ""}),
        ("planner", {"color": "k", "ls": ":"}), ("run of two epochs", {"color": COLOURS[2], "ls": "-."}),
    ]  # fmt: skip
    legend(figure, entries)
    return figure


def _by_hazard(axes: Axes, rows: Trials) -> None:
    hazards = rows.unique("hazard")
    flat = went_flat(rows)
    here, later = rows.keep(~flat), rows.keep(flat)
    for hazard in hazards:
        mine = here.matching(hazard=hazard)
        fill = "w" if lacking(mine, "") else COLOURS[1]
        draw_intervals(axes, [hazard], [mean_of(mine.values(IN_FIRST))], COLOURS[1], marker="o", mfc=fill)
    found = [mean_of(later.matching(hazard=hazard).values(IN_FIRST)) for hazard in hazards]
    draw_intervals(axes, np.array(hazards) + 0.03, found, COLOURS[0], marker="s")
    several = planted(here, hazard=np.linspace(0, 1, len(here)), seed=np.arange(len(here)))
    axes.plot(several["hazard"], planned(several).values(IN_FIRST), "k:", lw=1)
