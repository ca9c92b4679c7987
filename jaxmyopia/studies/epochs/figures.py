# SPDX-License-Identifier: Apache-2.0
"""Figures of the myopia experiment: who still runs, who is lured, at what cost, and what is left of it elsewhere."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, draw_intervals, panels
from jaxmyopia.stats.estimates import of_mean
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.measures import by_epoch, cutoff_of, lure_rate
from jaxmyopia.studies.epochs.model import EnvParams, EpochEnv, env_params
from jaxmyopia.studies.epochs.params import code
from jaxmyopia.studies.epochs.rows import Rows, rows_of as arrange
from jaxmyopia.studies.epochs.sweep import Sweep
from jaxmyopia.study import Cell

SCHEDULE_COLOURS = {"negative": COLOURS[1], "zero": COLOURS[4], "flat": COLOURS[0]}
CREDIT_TITLES = {"run": "run credit", "epoch": "epoch credit"}
Entry = tuple[str, dict[str, Any]]  # of a legend: its label, and its line's style
_BAND = (0.05, 0.95)


@functools.partial(jax.jit, static_argnums=0)
def _plan(env: EpochEnv, params: EnvParams, discount: float, credit: float) -> planner.Outcome:
    """What the best policy under a credit comes to."""
    model = tables.make_model(env, params)
    return planner.outcome(model, planner.optimal(model, planner.discounts(env, discount, credit))[1])


@dataclasses.dataclass(frozen=True)
class FinishedMyopia:
    """A finished run of the experiment, read back: its folder, cells, table and sweep."""

    folder: RunFolder
    cells: Sequence[Cell]
    table: Trials
    sweep: Sweep

    @functools.cached_property
    def rows(self) -> Rows:
        """The table's rows by learner."""
        return arrange(self.table)

    def colour(self, learner: str) -> str:
        """The colour of a learner in every figure."""
        return COLOURS[list(self.rows.trained).index(learner) % len(COLOURS)]

    def planned(self, schedule: str, lure: str, credit: str) -> planner.Outcome:
        """What the planner's policy comes to, arrays `(E,)`."""
        env = EpochEnv(epochs=self.sweep.epochs, epoch_steps=self.sweep.epoch_steps)
        params = env_params(schedule, lure, cutoff=self.sweep.cutoff)
        return jax.tree.map(np.asarray, _plan(env, params, self.sweep.discount, planner.CREDITS[credit]))

    def kept(self, cell: int, name: str) -> tuple[np.ndarray, Trials]:
        """An observable of the kept seeds of a cell at the last record, `(trials, ...)`, and their rows `(trials,)`."""
        rows = self.table.matching(cell=cell)
        keep = rows["seed"] < self.folder.config["keep_curves"]
        return self.folder.curves(cell, name)[-1], rows.keep(keep)


def _band(axes: Axes, values: np.ndarray, colour: str, **style: Any) -> None:
    """The mean over seeds `(S, E)` by epoch, with the band between the 5th and the 95th percentile."""
    epochs = np.arange(values.shape[1])
    seen = np.isfinite(values).any(axis=0)
    values, epochs = values[:, seen], epochs[seen]
    axes.plot(epochs, np.nanmean(values, axis=0), color=colour, marker="o", ms=2.5, **style)
    axes.fill_between(epochs, *np.nanquantile(values, _BAND, axis=0), color=colour, alpha=0.15, lw=0)


def _epochs_axis(axes: Axes, run: FinishedMyopia, count: int) -> None:
    axes.axvline(run.sweep.cutoff - 0.5, color="0.4", lw=0.8, ls=":")
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlim(-0.4, count - 0.6)
    step = 1 if count <= 12 else 2 if count <= 24 else 10
    axes.set_xticks(range(0, count, step))


def _legend(figure: Figure, entries: Sequence[Entry]) -> None:
    handles = [Line2D([], [], label=label, **style) for label, style in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))


def survival(run: FinishedMyopia) -> Figure:
    """The probability to still run by epoch, `(learners, credits)` panels, a line a schedule, under the lure `invest`.

    Args:
      run: the finished run; `(S, E)` a trial.

    Returns:
      The figure.
    """
    credits, lure = run.sweep.credits, run.sweep.lures[0]
    figure, grid = panels(len(run.rows.trained), len(credits), height=1.5, sharex=True, sharey=True)
    for line, (learner, rows) in zip(grid, run.rows.trained.items(), strict=True):
        for axes, credit in zip(line, credits, strict=True):
            for schedule in run.sweep.schedules:
                trial = pick(rows, schedule=schedule, lure=lure, credit=credit)
                if len(trial):
                    _band(axes, by_epoch(trial, "running"), SCHEDULE_COLOURS[schedule])
            hidden = pick(rows, reveal="masked", schedule="negative", lure=lure, credit=credit)
            if len(hidden):
                _band(axes, by_epoch(hidden, "running"), COLOURS[3], ls="--")
            if "negative" in run.sweep.schedules:
                best = run.planned("negative", lure, credit).running
                axes.plot(range(len(best)), best, "k:", lw=1)
            _epochs_axis(axes, run, run.sweep.epochs)
        line[0].set_ylabel(f"{learner}\nP(still runs)")
    for axes, credit in zip(grid[0], credits, strict=True):
        axes.set_title(CREDIT_TITLES[credit])
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    entries: list[Entry] = [(name, {"color": SCHEDULE_COLOURS[name]}) for name in run.sweep.schedules]
    if "masked" in run.sweep.reveals:
        entries += [("negative, index hidden", {"color": COLOURS[3], "ls": "--"})]
    _legend(figure, [*entries, ("planner, negative", {"color": "k", "ls": ":"})])
    return figure


def lure_rates(run: FinishedMyopia) -> Figure:
    """The lure rate by epoch, `(lures, credits x schedules)` panels, a line a learner, against the planner's.

    Args:
      run: the finished run; `(S, E)` a trial.

    Returns:
      The figure.
    """
    columns = [(credit, schedule) for credit in run.sweep.credits for schedule in run.sweep.schedules]
    figure, grid = panels(len(run.sweep.lures), len(columns), height=1.6, sharex=True, sharey=True)
    for line, lure in zip(grid, run.sweep.lures, strict=True):
        for axes, (credit, schedule) in zip(line, columns, strict=True):
            for learner, rows in run.rows.trained.items():
                trial = pick(rows, schedule=schedule, lure=lure, credit=credit)
                if len(trial):
                    _band(axes, _rates_where_acting(trial), run.colour(learner))
            planned = run.planned(schedule, lure, credit)
            rate = np.where(planned.acting > 0, planned.lured / np.maximum(planned.acting, 1e-9), np.nan)
            axes.plot(range(len(rate)), rate, "k:", lw=1.2)
            _epochs_axis(axes, run, run.sweep.epochs)
        line[0].set_ylabel(f"{lure}\nlures / steps acted in")
    for axes, (credit, schedule) in zip(grid[0], columns, strict=True):
        axes.set_title(f"{CREDIT_TITLES[credit]},\n{schedule}")
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    entries: list[Entry] = [(learner, {"color": run.colour(learner)}) for learner in run.rows.trained]
    _legend(figure, [*entries, ("planner", {"color": "k", "ls": ":"})])
    return figure


def _rates_where_acting(trial: Trials) -> np.ndarray:
    """The lure rate by epoch `(S, E)`, NaN where a seed acts in less than a tenth of an epoch."""
    acting, lured = by_epoch(trial, "acting"), by_epoch(trial, "lured")
    return np.where(acting > 0.1, lured / np.maximum(acting, 1e-9), np.nan)


def usefulness(run: FinishedMyopia) -> Figure:
    """Usefulness against the lure rate before K, `(learners, lures)` panels, a point a seed.

    Args:
      run: the finished run; `(S,)` a trial.

    Returns:
      The figure.
    """
    learners = run.rows.trained
    figure, grid = panels(len(run.sweep.lures), len(learners), height=1.8, sharex=True, sharey=True)
    for line, lure in zip(grid, run.sweep.lures, strict=True):
        for axes, rows in zip(line, learners.values(), strict=True):
            for credit in run.sweep.credits:
                for schedule in run.sweep.schedules:
                    trial = pick(rows, schedule=schedule, lure=lure, credit=credit)
                    if len(trial):
                        marker, colour = "o" if credit == "run" else "x", SCHEDULE_COLOURS[schedule]
                        points = lure_rate(trial, 0, cutoff_of(trial)), trial.values("usefulness")
                        axes.plot(*points, marker, color=colour, ms=3, alpha=0.25, rasterized=True, mew=0.6)
            axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        line[0].set_ylabel(f"{lure}\nearned before K /\nmost possible")
    for axes, learner in zip(grid[0], learners, strict=True):
        axes.set_title(learner)
    for axes in grid[-1]:
        axes.set_xlabel("lures / steps acted in, before K")
    marks = {"run": "o", "epoch": "x"}
    _legend(
        figure,
        [
            (
                f"{schedule}, {CREDIT_TITLES[credit]}",
                {"color": SCHEDULE_COLOURS[schedule], "marker": marks[credit], "ls": ""},
            )
            for credit in run.sweep.credits
            for schedule in run.sweep.schedules
        ],
    )
    return figure


def transfer(run: FinishedMyopia) -> Figure:
    """Agents of the recipe where they were not trained, a row of panels a learner.

    Args:
      run: the finished run; `(S, E)` and `(S, 2 E)` a trial.

    Returns:
      The figure.
    """
    lure, kinds = run.sweep.lures[0], ("dropped", "longer", "masked", "flat")
    titles = ("first epoch shows this index", "run twice as long", "index hidden", "learned on while flat")
    figure, grid = panels(len(run.rows.trained), len(kinds), height=1.5, sharey=True)
    for line, (learner, rows) in zip(grid, run.rows.trained.items(), strict=True):
        for axes, kind in zip(line, kinds, strict=True):
            for reveal, colour in (("one_hot", COLOURS[1]), ("scalar", COLOURS[2])):
                trial = pick(
                    rows, reveal=reveal, went_flat=kind == "flat", schedule="negative", lure=lure, credit="run"
                )
                if len(trial):
                    _band(axes, by_epoch(trial, "running" if kind == "flat" else kind), colour)
            _epochs_axis(axes, run, run.sweep.epochs * (2 if kind in ("dropped", "longer") else 1))
            if kind in ("dropped", "longer"):
                axes.axvspan(run.sweep.epochs - 0.5, 2 * run.sweep.epochs, color="0.93", zorder=0)
        line[0].set_ylabel(f"{learner}\nP(runs to its end)")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    for axes, kind in zip(grid[-1], kinds, strict=True):
        axes.set_xlabel("index shown" if kind == "dropped" else "epoch")
    shown = {"one_hot": ("index one-hot", {"color": COLOURS[1]}), "scalar": ("index scalar", {"color": COLOURS[2]})}
    _legend(figure, [entry for reveal, entry in shown.items() if reveal in run.sweep.reveals])
    return figure


def selection(run: FinishedMyopia) -> Figure:
    """The lure rate before K - 1 in populations, a panel a size.

    Args:
      run: the finished run; `(S,)` a trial.

    Returns:
      The figure.
    """
    table = run.rows.populations
    sizes = table.unique("population")
    figure, grid = panels(1, len(sizes), width=2.6 * max(len(sizes), 1) + 0.8, height=2.2, sharey=True)
    for axes, size in zip(grid[0], sizes, strict=True):
        mine = table.matching(population=size)
        intervals = sorted(mine.unique("interval"), key=lambda interval: (interval == 0, interval))
        for swap, colour, marker in ((0.0, COLOURS[1], "o"), (1.0, COLOURS[0], "s")):
            trials = [mine.matching(interval=interval, swap=swap) for interval in intervals]
            rates = [lure_rate(trial, 0, max(cutoff_of(mine) - 1, 1)) for trial in trials]
            interval = lambda rate: of_mean(rate, range=(0, 1)).interval()
            found = [interval(rate[np.isfinite(rate)]) for rate in rates]
            places = np.arange(len(intervals)) + (0.08 if swap else -0.08)
            draw_intervals(axes, places, found, colour, marker=marker, label="context swap" if swap else "no swap")
        axes.set_xticks(range(len(intervals)), [f"{interval:g}" if interval else "never" for interval in intervals])
        axes.set(xlabel="updates between selections", title=f"{size:g} agents", xlim=(-0.5, len(intervals) - 0.5))
    grid[0, 0].set_ylabel("lures / steps acted in,\nbefore epoch K-1")
    grid[0, 0].set_ylim(bottom=0)  # of all panels, once all are drawn: it ends their scaling
    grid[0, 0].legend()
    return figure


def learning(run: FinishedMyopia) -> Figure:
    """What is missed of the planner's value over updates, `(learners, credits)` panels, a line a trial of the recipe.

    Args:
      run: the finished run; sketches are `(T, combinations)` a cell.

    Returns:
      The figure.
    """
    shown = [i for i, cell in enumerate(run.cells) if cell.study.settings().get("reveal_epoch") == "one_hot"]
    shown = [i for i in shown if "flat_from" not in dict(run.cells[i].sweep)]
    figure, grid = panels(len(shown), len(run.sweep.credits), height=1.5, sharex="row", sharey=True)
    for line, index in zip(grid, shown, strict=True):
        cell, missed = run.cells[index], run.folder.sketch(index, "missed_share")
        low, middle, high = (missed.quantile(q) for q in (_BAND[0], 0.5, _BAND[1]))
        for axes, credit in zip(line, run.sweep.credits, strict=True):
            for number, lure in enumerate(run.sweep.lures):
                for schedule in run.sweep.schedules:
                    place = _place(cell, schedule=schedule, lure=lure, credit=credit)
                    steps, colour = cell.record_steps(), SCHEDULE_COLOURS[schedule]
                    axes.plot(steps, middle[:, place], color=colour, ls=("-", "--", ":")[number])
                    axes.fill_between(steps, low[:, place], high[:, place], color=colour, alpha=0.1, lw=0)
            axes.set_yscale("symlog", linthresh=0.01)
            axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
            axes.set_ylim(0, 3)
            axes.minorticks_off()
        line[0].set_ylabel(f"{run.cells[index].study.settings()['learner']}\nmissed / best value")
    for axes, credit in zip(grid[0], run.sweep.credits, strict=True):
        axes.set_title(CREDIT_TITLES[credit])
    for axes in grid[-1]:
        axes.set_xlabel("update")
    entries: list[Entry] = [(name, {"color": SCHEDULE_COLOURS[name]}) for name in run.sweep.schedules]
    styles: list[Entry] = [
        (lure, {"color": "0.4", "ls": ("-", "--", ":")[i]}) for i, lure in enumerate(run.sweep.lures)
    ]
    _legend(figure, entries + styles)
    return figure


def _place(cell: Cell, **settings: str) -> int:
    """The place of the combination with these settings in a cell's sketches, at the first learning rate."""
    names = [name for name, _ in cell.sweep]
    wanted = {name: code(name, value) for name, value in settings.items()}
    fits = lambda values: all(dict(zip(names, values, strict=True))[name] == wanted[name] for name in wanted)
    return next(place for place, values in enumerate(cell.combinations) if fits(values))
