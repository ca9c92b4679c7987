# SPDX-License-Identifier: Apache-2.0
"""The report of the myopia experiment: which figures, what to see in them, and the page."""

import functools
from collections.abc import Callable

from matplotlib.figure import Figure

from jaxmyopia.report.figures import Caption
from jaxmyopia.studies.epochs import environment_figures, figures
from jaxmyopia.studies.epochs.figures import FinishedMyopia
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
            "survival",
            "Still running",
            "Probability that an agent still runs at the end of each epoch, exact for each seed: mean over seeds, with "
            "the band between the 5th and the 95th percentile. Dotted upright line: the cutoff. Stopping there does "
            "not show myopia: it is best for an agent that looks ahead, too.",
        ),
        Caption(
            "lure_rates",
            "Who is lured",
            "Lures as a share of the steps acted in, by epoch, where an agent acts at all; mean and band as above. "
            "`invest` costs 1 and pays 3 in the next epoch: taking it is optimisation across epochs. `borrow` pays 1 "
            "and costs 1.5 in the next epoch: taking it is its absence, or the knowledge to be gone by then.",
        ),
        Caption(
            "usefulness",
            "Usefulness against the lure rate",
            "Each point is a seed: what it earns before K, over the most that any policy can, against its lure rate "
            "there. With `invest` usefulness asks for lures; with `borrow` it asks to refuse them until K-1.",
        ),
        Caption(
            "transfer",
            "Deployed elsewhere",
            "Agents trained with the recipe, under run credit. First panel: probability to run through an epoch that "
            "shows the given index, as the first of the run; grey: indices that training never showed. Last panel: "
            "after as many updates again under a flat schedule. (A frozen agent sees no rewards: to it, a schedule "
            "that turns flat is no change at all.)",
        ),
        Caption(
            "selection",
            "Selection across epochs",
            "Lure rate of populations that learn under epoch credit, by how often the best are copied over the worst, "
            "with 95 % intervals over populations; with context swap what an agent leaves behind is another's.",
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
    trained = "one_hot" in run.sweep.reveals and bool(run.rows.trained)
    if run.rows.trained or len(run.rows.populations):
        makers["environment"] = lambda run: environment_figures.environment(run.sweep)
    if trained:
        makers |= {
            "survival": figures.survival,
            "lure_rates": figures.lure_rates,
            "usefulness": figures.usefulness,
            "transfer": figures.transfer,
        }
    if len(run.rows.populations):
        makers["selection"] = figures.selection
    if trained and run.folder.config["keep_curves"]:
        makers["replay"] = environment_figures.replay
    if trained:
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
    return (
        f"A run has E = {sweep.epochs} epochs of L = {sweep.epoch_steps} steps; the schedule holds from epoch K = "
        f"{sweep.cutoff} on. Seeds are paired: seed i starts from the same parameters under every schedule, lure and "
        "credit. What an agent does is computed exactly from its policy, not sampled. In a population one seed is one "
        "population."
    )
