# SPDX-License-Identifier: Apache-2.0
"""Figures of plateaus: single seeds with theirs marked, where two are seen, and how many there are."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.measures.spans import where_plateaus
from jaxmyopia.report.cells import cell, shade
from jaxmyopia.report.figures import COLOURS, LOG_STEPS, LOSS_NAMES, log_steps, panels
from jaxmyopia.report.single_curves import marks
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.matching import NoRate, judged, shown_rate, steady_rates
from jaxmyopia.studies.lowrank.measures import Thresholds


def missing(axes: Axes, text: str) -> None:
    """Says in a panel why there is nothing."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.5")


def single_seeds(run: FinishedRun, loss: str, rank: int, scale: float) -> Figure:
    """Single seeds' losses with their plateaus marked, `(optimisers, seeds)` panels.

    Args:
      run: the finished run; curves are `(T, S)` a cell.
      loss: of the cells shown.
      rank: likewise.
      scale: likewise, of the start.

    Returns:
      The figure.
    """
    optimizers = run.values("optimizer")
    figure, grid = panels(len(optimizers), 4, sharey=True)
    for i, optimizer in enumerate(optimizers):
        rate, number = run.best_cell(loss=loss, rank=rank, optimizer=optimizer, init_scale=scale)
        curves, steps = run.kept(number, "loss"), run.cells[number].record_steps()
        for seed, axes in enumerate(grid[i]):
            if seed >= curves.shape[1]:
                missing(axes, "no such seed")
                axes.set_xticks([])
                continue
            _one_seed(run, axes, steps, curves[:, seed] / curves[0, seed], (optimizer, seed))
        grid[i, 0].set_ylabel(f"{optimizer}, rate {rate:g}\nloss / first loss")
    for axes in grid[-1]:
        axes.set_xlabel(LOG_STEPS)
    grid[0, 0].set(yscale="log", ylim=(1e-5, 3))  # shared by all
    grid[0, 0].minorticks_off()  # 450 of them would take half of the time
    figure.legend(handles=marks(), loc="outside lower center", ncols=2)
    return figure


def _one_seed(run: FinishedRun, axes: Axes, steps: np.ndarray, curve: np.ndarray, what: tuple[str, int]) -> None:
    """The loss `(T,)` of an optimiser and a seed, its descents and plateaus marked."""
    optimizer, seed = what
    axes.plot(steps, curve, color=run.colour(optimizer))
    log_steps(axes, steps)
    if not np.isfinite(curve).all():
        axes.set_title(f"seed {seed}: diverged", fontsize=6.5)
        return
    found = where_plateaus(steps, curve, ratio=run.thresholds.plateau_ratio, fall=run.thresholds.descent_fall)
    peaks, spans = found.peaks, found.spans
    if len(peaks):  # an empty line that is not clipped would upset the layout
        axes.plot(steps[peaks], curve[peaks], "v", color="k", ms=4, clip_on=False)
    for first, last in spans:
        axes.axvspan(first, last, color="0.6", alpha=0.35, lw=0)
    axes.set_title(f"seed {seed}: descents {len(peaks)}, plateaus {len(spans)}", fontsize=6.5)


def two_plateaus_map(run: FinishedRun, rank: int = 2) -> Figure:
    """How many seeds show exactly two plateaus, by rate and scale of the start, `(losses, optimisers)` panels.

    Args:
      run: the finished run.
      rank: of the cells shown.

    Returns:
      The figure; rates at which an optimiser is not steady are grey.
    """
    losses, optimizers, scales = run.values("loss")[::-1], run.values("optimizer"), run.scales(rank=rank)
    figure, grid = panels(len(losses), len(optimizers), height=0.42 + 0.3 * len(scales))
    for i, loss in enumerate(losses):
        for axes, optimizer in zip(grid[i], optimizers, strict=True):
            at = {"loss": loss, "rank": rank, "optimizer": optimizer}
            rates = sorted(run.by_rate(**at))
            for y, scale in enumerate(scales):
                mine = run.rows(**at, init_scale=scale)
                fine = steady_rates(mine)
                for x, rate in enumerate(rates):
                    steady = not isinstance(fine, NoRate) and rate in fine
                    _two(axes, (x, y), mine.matching(learning_rate=rate), run.thresholds, steady)
            axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
            axes.set_yticks(range(len(scales)), [f"{scale:g}" for scale in scales])
            axes.set(xlim=(-0.5, len(rates) - 0.5), ylim=(len(scales) - 0.5, -0.5), xlabel="learning rate")
            axes.set_title(f"{LOSS_NAMES[loss]}, {optimizer}")
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        grid[i, 0].set_ylabel("scale of the start")
    return figure


def _two(axes: Axes, at: tuple[int, int], rows: Trials, thresholds: Thresholds, steady: bool) -> None:
    """A cell with the share of the judged seeds that show exactly two plateaus; a dash where there is none to judge."""
    counts = judged(rows).values(thresholds.plateaus)
    told = steady and len(counts) > 0
    share = float(np.mean(counts == 2)) if told else 0.0
    cell(axes, at, [f"{share:.0%}"] if told else ["–"], shade(share) if told else "0.85", 0.5)


def plateau_counts(run: FinishedRun, loss: str, rank: int) -> Figure:
    """The distribution of plateau counts by scale of the start, at best rates, one panel an optimiser.

    Args:
      run: the finished run.
      loss: of the cells shown.
      rank: likewise.

    Returns:
      The figure.
    """
    optimizers = run.values("optimizer")
    figure, grid = panels(1, len(optimizers), sharey=True, height=2.2)
    names = ["0", "1", "2", "3", "4 or more", "diverged"]
    colours = [COLOURS[5], COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3], "0.75"]
    for axes, optimizer in zip(grid[0], optimizers, strict=True):
        at = {"loss": loss, "rank": rank, "optimizer": optimizer}
        scales, bottom = run.scales(**at), 0
        counts = []
        for scale in scales:
            mine = run.rows(**at, init_scale=scale)
            counts.append(mine.matching(learning_rate=shown_rate(mine)).values(run.thresholds.plateaus))
        places = np.array(
            [[*(np.mean(c == k) for k in range(4)), np.mean(c >= 4), np.mean(np.isnan(c))] for c in counts]
        )
        for share, name, colour in zip(places.T, names, colours, strict=True):
            axes.bar(range(len(scales)), share, 0.7, bottom=bottom, color=colour, label=name, ec="w", lw=0.4)
            bottom = bottom + share
        axes.set_xticks(range(len(scales)), [f"{scale:g}" for scale in scales])
        axes.set_xlabel("scale of the start")
        axes.set_title(f"{LOSS_NAMES[loss]}, rank {rank}, {optimizer}")
        axes.grid(False)
    grid[0, 0].set_ylabel("share of seeds")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), title="plateaus", loc="outside right center")
    return figure
