# SPDX-License-Identifier: Apache-2.0
"""The report of the myopia experiment: which figures, what to see in them, and the page."""

import functools
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from jaxmyopia.claims.verdicts import Claim
from jaxmyopia.report.figures import Caption, save
from jaxmyopia.report.page import write_page
from jaxmyopia.studies.dilemma.figures import draw_companions
from jaxmyopia.studies.epochs import environment_figures
from jaxmyopia.studies.epochs import figures as myopia_figures
from jaxmyopia.studies.epochs.figures import FinishedMyopia

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
            "with 95 % BCa intervals over populations; with context swap what an agent leaves behind is another's.",
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


def draw(run: FinishedMyopia) -> list[Caption]:
    """Draws every figure that the run's cells allow into its folder.

    Args:
      run: the finished run; its table has `(rows,)` columns.

    Returns:
      The captions, in the order of the page.
    """
    figures: dict[str, Callable[[], Figure]] = {}
    trained = "one_hot" in run.sweep.reveals and bool(run.rows.trained)
    if run.rows.trained or len(run.rows.populations):
        figures["environment"] = lambda: environment_figures.environment(run.sweep)
    if trained:
        for plot in (
            myopia_figures.survival,
            myopia_figures.lure_rates,
            myopia_figures.usefulness,
            myopia_figures.transfer,
        ):
            figures[plot.__name__] = functools.partial(plot, run)
    if len(run.rows.populations):
        figures["selection"] = lambda: myopia_figures.selection(run)
    if trained:
        if run.folder.config["keep_curves"]:
            figures["replay"] = lambda: environment_figures.replay(run)
        figures["learning"] = lambda: myopia_figures.learning(run)
    for name, make in figures.items():
        save(run.folder, name, make())
    return [_CAPTIONS[name] for name in figures] + draw_companions(run.folder, run.cells)


def write_report(run: FinishedMyopia, claims: Sequence[Claim]) -> None:
    """Draws the figures and writes the page.

    Args:
      run: the finished run; its table has `(rows,)` columns.
      claims: the judged claims, `(m,)`.
    """
    sweep, rows = run.sweep, []
    for index, cell in enumerate(run.cells):
        mine, settings = run.table.where(cell=index), cell.study.settings()
        named = ("study", "learner", "population", "policy", "optimizer", "reveal_epoch")
        shown = {name: settings.get(name, "") for name in named}
        shown |= {"rates": ", ".join(f"{rate:g}" for rate in mine.unique("learning_rate"))}
        trials = {"combinations": len(cell.combinations), "seeds": cell.seeds, "updates": cell.steps}
        rows.append(shown | trials | {"diverged": f"{int(mine['diverged'].sum())} of {len(mine)}"})
    note = (
        f"A run has E = {sweep.epochs} epochs of L = {sweep.epoch_steps} steps; the schedule holds from epoch K = "
        f"{sweep.cutoff} on. Seeds are paired: seed i starts from the same parameters under every schedule, lure and "
        "credit. What an agent does is computed exactly from its policy, not sampled. In a population one seed is one "
        "population. The dilemma and the gridworld are companions, with predictions of their own."
    )
    write_page(
        run.folder, title="Myopia by epoch and shutdown", claims=claims, captions=draw(run), rows=rows, notes=[note]
    )
