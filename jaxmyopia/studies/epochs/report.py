# SPDX-License-Identifier: Apache-2.0
"""The report of the myopia experiment: which figures, what to see in them, and the page."""

import functools
from collections.abc import Callable

from matplotlib.figure import Figure

from jaxmyopia.report.figures import Caption
from jaxmyopia.studies.epochs import environment_figures, figures, sight_figures
from jaxmyopia.studies.epochs.finished import FinishedMyopia
from jaxmyopia.studies.epochs.sweep import Sweep
from jaxmyopia.study import Scalar

_CAPTIONS = {
    caption.name: caption
    for caption in (
        Caption(
            "environment",
            "The environment",
            "A run of epochs, drawn around the cutoff K. The agent sees the epoch's index (unless it is hidden), the "
            "step within the epoch, and how many lures are pending.",
        ),
        Caption(
            "intensities",
            "Leaks under the recipe, in the flat run and in a run of K epochs",
            "Lures a step acted in, before epoch K - 1, of `invest`: -1 now, +3 in the next epoch, which no myopic "
            "agent takes. Means over seeds with 95 % intervals, points shifted sideways. What is lower under "
            "the recipe than in the flat run, and not lower than in the short run, is lower since the run is shorter.",
        ),
        Caption(
            "penalties",
            "A penalty in place of the cap: who stops on arrival at K",
            "Percent of seeds. Framed: where the planner does. Grey: fewer than 95 % of seeds reach 95 % of the "
            "planner's value. Stopping tells myopic agents (epoch credit) from far-sighted ones (run credit) where the "
            "first is framed and the second is not.",
        ),
        Caption(
            "hazards",
            "A hidden cutoff that comes at random",
            "Lures a step in the first epoch, of agents under run credit: what they invest in the next one. Where a "
            "step pays at most -1 once the cutoff came, agents leave before it is likely; where it pays at most 0, "
            "they may stay. Open points: fewer than 95 % of seeds reach 95 % of the planner's value.",
        ),
        Caption(
            "survival",
            "Still running",
            "Probability that an agent still runs at the end of each epoch, exact for each seed: mean over seeds, with "
            "the band between the 5th and the 95th percentile. Dotted upright line: the cutoff. Stopping there does "
            "not show myopia: it is best for an agent that looks ahead, too.",
        ),
        Caption(
            "transfer",
            "Cutoffs that were not seen in training",
            "Agents that are shown a cutoff drawn anew in each run, in the code of the index. Share of seeds that run "
            "until it and stop in it, with 95 % intervals, points shifted sideways. (A frozen agent sees no rewards: a "
            "schedule that turns flat is no change to it.)",
        ),
        Caption(
            "learning_on",
            "Learning on while nothing turns negative",
            "Share of seeds that still stop at K after as many updates again without a schedule, with 95 % intervals. "
            "A debt is what the first step of epoch K pays less, in training and after; below 0 it is a grant. With "
            "`borrow` an agent comes to K in debt by itself.",
        ),
        Caption(
            "replay",
            "Single agents, step by step",
            "The likeliest run of a few trained agents under every schedule, lure and credit. Where nothing is drawn, "
            "it is off.",
        ),
        Caption(
            "learning",
            "How fast it is learned",
            "What agents miss of the planner's value, under their own credit and over that value; median over seeds "
            "and the band between the 5th and the 95th percentile. The axis is linear up to 0.01.",
        ),
    )
}


def draw(run: FinishedMyopia) -> dict[Caption, Callable[[], Figure]]:
    """What draws every figure that the run's cells allow.

    Args:
      run: the finished run.

    Returns:
      Functions that make the figures, by their captions, in the order of the page.
    """
    makers: dict[str, Callable[[FinishedMyopia], Figure]] = {}
    rows, shown = run.rows, bool(figures.shown_cells(run))
    if len(rows.table):
        makers["environment"] = lambda run: environment_figures.environment(run.sweep, run.cutoff)
    if rows.leaks:
        makers["intensities"] = sight_figures.intensities
    if rows.penalties:
        makers["penalties"] = sight_figures.penalties
    if rows.hazards:
        makers["hazards"] = sight_figures.hazards
    if shown:
        makers["survival"] = figures.survival
    if rows.transfer:
        makers["transfer"] = figures.transfer
    if rows.later:
        makers["learning_on"] = figures.learning_on
    if shown and run.folder.config["keep_curves"]:
        makers["replay"] = environment_figures.replay
    if shown:
        makers["learning"] = figures.learning
    return {_CAPTIONS[name]: functools.partial(make, run) for name, make in makers.items()}


def rows_of(run: FinishedMyopia) -> list[dict[str, Scalar]]:
    """What was run, a row a cell."""
    rows = []
    for index, cell in enumerate(run.cells):
        mine, settings = run.table.matching(cell=index), cell.study.settings()
        named = ("study", "learner", "population", "policy", "optimizer", "reveal_epoch")
        shown = {name: settings.get(name, "") for name in named}
        shown |= {"rates": ", ".join(f"{rate:g}" for rate in mine.unique("learning_rate"))}
        trials = {"combinations": len(cell.combinations), "seeds": cell.seeds, "updates": cell.steps}
        rows.append(shown | trials | {"diverged": f"{int(mine['diverged'].sum())} of {len(mine)}"})
    return rows


def note(sweep: Sweep) -> str:
    """What a reader of the page should know first."""
    cutoffs = ", ".join(map(str, sweep.cutoff))
    return (
        f"A run has E = {sweep.epochs} epochs of L = {sweep.epoch_steps} steps; the schedule holds from epoch K on, "
        f"K = {cutoffs}. The control of every comparison is a run that is K epochs long. Seeds are paired: seed i "
        "starts from the same parameters under every schedule, lure and credit. What an agent does is computed "
        "exactly from its policy, not sampled. In a population one seed is one population."
    )
