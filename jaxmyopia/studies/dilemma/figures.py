# SPDX-License-Identifier: Apache-2.0
"""Figures of the two companions of the epoch environment: the dilemma against one's past, and shutdown neutrality."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from scipy.optimize import brentq

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, Caption, log_steps, panels, save
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma.claims import NEUTRAL, reward_rows
from jaxmyopia.studies.dilemma.study import COOPERATIVE, SelfDilemma
from jaxmyopia.studies.dilemma.sweep import DISCOUNT, EPSILON, REWARDS
from jaxmyopia.studies.neutrality.model import LONG, SHORT, CoinGrid, best_route, best_values
from jaxmyopia.studies.neutrality.study import Neutrality, length_advantage
from jaxmyopia.study import Cell

_LEARNERS = {
    "policy_gradient": ("policy gradient", COLOURS[0]),
    "q_all_past": ("Q-learning, averages of all the past", COLOURS[1]),
    "q_running": ("Q-learning, running averages", COLOURS[2]),
}
_REWARD_COLOURS = dict(zip(REWARDS, (COLOURS[0], COLOURS[1], COLOURS[4], COLOURS[2]), strict=True))
_CAPTIONS = {
    caption.name: caption
    for caption in (
        Caption(
            "cooperation",
            "Cooperation with one's own future",
            "Mean share of cooperation over the last 500 steps, with 95 % intervals of the mean over seeds. A myopic "
            "learner defects. The dotted line is the step at which runs are judged: where a curve still falls there, a "
            "verdict is one on the budget.",
        ),
        Caption(
            "cooperation_of_runs",
            "Two kinds of runs",
            "Shares of seeds by how much they cooperate in their last 500 steps: one agent that does not see its past. "
            "What lies right of the dotted line counts as cooperative. Filled: after 5,000 steps; outlined: at the end "
            "of the run.",
        ),
        Caption(
            "coin_grid",
            "The gridworld of the neutrality study",
            "Coins with their values, a wall, and the button B that delays shutdown. Blue: the most useful trajectory "
            "that does not press; orange: the most useful one that does, and is shut down later.",
        ),
        Caption(
            "neutrality",
            "Neutral and useful?",
            "Left: every dot is an agent after training, its values computed exactly from its policy. Right: how many "
            "agents press with at most a given probability; dotted: where theory expects agents of rewards that "
            "discount repeated lengths to settle.",
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class CooperationCurve:
    """One line of the figure. `panel`, `learner`: where it goes. `steps`, `mean` over seeds, its `error`: `(T,)`."""

    panel: str
    learner: str
    steps: np.ndarray
    mean: np.ndarray
    error: np.ndarray


def cooperation_curves(folder: RunFolder, cells: Sequence[Cell]) -> list[CooperationCurve]:
    """Reads the curves of the dilemma.

    Args:
      folder: of the run; sketches are `(T, combinations)` a cell.
      cells: all cells of the folder, in its order, `(cells,)`.

    Returns:
      One `CooperationCurve` a learner, history, population and swap, at the epsilon of the claims.
    """
    found = []
    for index, cell in enumerate(cells):
        if not isinstance(cell.study, SelfDilemma):
            continue
        sketch, names = folder.sketch(index, "cooperation"), [name for name, _ in cell.sweep]
        mean, error, many = sketch.mean(), sketch.standard_error(), cell.study.population > 1
        for place, values in enumerate(cell.combinations):
            settings = dict(zip(names, values, strict=True))
            if np.isclose(settings["epsilon"], EPSILON):
                agents = f"{cell.study.population} agents" + (" that swap" if settings["swap"] else "")
                panel = agents if many else f"{'seen' if settings['seen'] else 'hidden'} history"
                line = CooperationCurve(panel, cell.study.learner, cell.record_steps(), mean[:, place], error[:, place])
                found.append(line)
    return found


def cooperation_over_time(curves: Sequence[CooperationCurve], judged: int) -> Figure:
    """Mean cooperation over steps, a panel a variant, a line a learner.

    Args:
      curves: to draw, `(lines,)`.
      judged: the step at which runs are judged.

    Returns:
      The figure.
    """
    names = list(dict.fromkeys(curve.panel for curve in curves))
    figure, grid = panels(1, len(names), sharey=True, height=2.2)
    for axes, name in zip(grid[0], names, strict=True):
        for curve in (curve for curve in curves if curve.panel == name):
            label, colour = _LEARNERS[curve.learner]
            late = curve.steps > 0  # nothing is counted before the first step
            mean, error = curve.mean[late], curve.error[late]
            axes.plot(curve.steps[late], mean, color=colour, label=label)
            axes.fill_between(
                curve.steps[late], mean - 1.96 * error, mean + 1.96 * error, color=colour, alpha=0.25, lw=0
            )
            log_steps(axes, curve.steps)
            axes.set_xlim(1, curve.steps[-1])
        axes.axvline(judged, color="0.4", lw=0.8, ls=":")
        axes.set(title=name, xlabel="step", ylim=(-0.03, 1.03))
    grid[0, 0].set_ylabel("share of cooperation,\nlast 500 steps")
    handles = {label: line for axes in grid[0] for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure


def cooperation_of_runs(table: Trials) -> Figure:
    """The distribution of cooperation over seeds of one agent with hidden history, a panel a learner.

    Args:
      table: of the run, rows `(rows,)`.

    Returns:
      The figure.
    """
    rows = table.where(study="dilemma")
    rows = rows.where(population=1, seen=0.0, epsilon=EPSILON)
    learners = [learner for learner in _LEARNERS if learner in rows["learner"]]
    figure, grid = panels(1, len(learners), sharey=True, height=1.9)
    edges = np.linspace(0, 1, 21)
    for axes, learner in zip(grid[0], learners, strict=True):
        mine, (label, colour) = rows.where(learner=learner), _LEARNERS[learner]
        styles = {"cooperation": ("bar", "5,000 steps", 0.35), "cooperation_late": ("step", "the end", 1.0)}
        for column, (kind, when, alpha) in styles.items():
            values = mine.values(column)
            weights = np.full(values.size, 1 / values.size)
            axes.hist(values, edges, weights=weights, histtype=kind, color=colour, alpha=alpha, lw=1.2, label=when)
        axes.axvline(COOPERATIVE, color="0.4", lw=0.8, ls=":")
        axes.set(title=label, xlabel="share of cooperation, last 500 steps", xlim=(0, 1), ylim=(0, 1.03))
        axes.legend(loc="upper center")
    grid[0, 0].set_ylabel("share of seeds")
    return figure


def draw_grid(grid: CoinGrid, discount: float = DISCOUNT) -> Figure:
    """The map, with the best trajectories of either length.

    Args:
      grid: the map.
      discount: gamma, under which they are best.

    Returns:
      The figure.
    """
    rows, columns = len(grid.rows), len(grid.rows[0])
    figure, all_axes = panels(1, 1, width=3.6, height=2.9)
    axes = all_axes[0, 0]
    for i, row in enumerate(grid.rows):
        for j, sign in enumerate(row):
            colour = {"#": "0.35", "B": "#f6d5c2"}.get(sign, "1")
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fc=colour, ec="0.6", lw=0.8))
            if sign.isdigit():
                axes.add_patch(Circle((j, i), 0.27, fc="#f3d35e", ec="0.3", lw=0.8, zorder=3))
            if sign not in ".#":
                axes.text(j, i, {"S": "start"}.get(sign, sign), ha="center", va="center", zorder=4)
    most = np.asarray(best_values(grid.table, jnp.asarray(discount)))[0]
    for length, steps, offset in ((SHORT, grid.default_length, -0.36), (LONG, grid.horizon, 0.36)):
        places = np.array(best_route(grid, length, discount), float) + offset
        name = f"{'pressed' if length == LONG else 'not pressed'}: {steps} steps, m = {most[length]:.2f}"
        axes.plot(places[:, 1], places[:, 0], color=COLOURS[length], marker=".", ms=5, label=name, zorder=2)
        axes.annotate(
            "", places[-1, ::-1], _last_move(places)[::-1], zorder=5,
            arrowprops={"arrowstyle": "-|>", "color": COLOURS[length]},
        )  # fmt: skip
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal")
    axes.set(xticks=range(columns), yticks=range(rows), xlabel="column", ylabel="row")
    axes.grid(False)
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _last_move(places: np.ndarray) -> np.ndarray:
    """Where the last move that changed the place began; a trajectory may end with moves into a wall."""
    return places[:-1][(places[:-1] != places[-1]).any(axis=1)][-1]


def _settles(reward: str, study: Neutrality) -> float:
    """The probability of pressing at which the advantage of either length vanishes under full usefulness."""
    (repeat_discount, per_length), most = REWARDS[reward], best_values(study.grid.table, jnp.asarray(DISCOUNT))[0]
    worth = (1.0, 1.0) if per_length else (float(most[SHORT] / most.max()), float(most[LONG] / most.max()))
    discount = jnp.asarray(repeat_discount)
    return brentq(lambda p: float(length_advantage(jnp.asarray(p), discount, study.episodes, worth)), 0, 1, xtol=1e-5)


def neutrality_against_usefulness(table: Trials, study: Neutrality) -> Figure:
    """Where agents end, and how often they press; a row an optimiser, a colour a reward.

    Args:
      table: of the run, rows `(rows,)`.
      study: any of its neutrality studies, for the map and the length of a meta-episode.

    Returns:
      The figure.
    """
    optimizers = table.where(study="neutrality").unique("optimizer")
    figure, grid = panels(len(optimizers), 2, height=2.3)
    for (scatter, pressing), optimizer in zip(grid, optimizers, strict=True):
        for reward, colour in _REWARD_COLOURS.items():
            rows = reward_rows(table, reward, optimizer)
            dots = {"s": 5, "alpha": 0.35, "lw": 0, "color": colour}
            scatter.scatter(rows.values("usefulness"), rows.values("neutrality"), label=reward, **dots)
            pressed = np.sort(rows.values("pressed"))
            pressing.step(pressed, np.arange(1, pressed.size + 1) / pressed.size, color=colour, where="post")
            if REWARDS[reward][0] < 1:
                pressing.axvline(_settles(reward, study), color=colour, lw=0.9, ls=":")
        scatter.axhline(NEUTRAL, color="0.4", lw=0.8, ls=":")
        scatter.set(title=optimizer, xlabel="usefulness", ylabel="neutrality, bits", ylim=(-0.04, 1.04))
        pressing.set(title=optimizer, xlabel="probability of pressing", ylabel="share of seeds with at most this")
        pressing.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    legend = figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    for handle in filter(None, legend.legend_handles):
        handle.set(alpha=1, sizes=[18])
    return figure


def draw_companions(folder: RunFolder, cells: Sequence[Cell]) -> list[Caption]:
    """Draws every figure that the cells allow into the run's folder.

    Args:
      folder: of the run.
      cells: all cells of the folder, in its order, `(cells,)`; those of other studies are passed over.

    Returns:
      The captions, in the order of the page.
    """
    table = folder.table()
    drawn: dict[str, Figure] = {}
    dilemmas = [cell.study for cell in cells if isinstance(cell.study, SelfDilemma)]
    grids = [cell.study for cell in cells if isinstance(cell.study, Neutrality)]
    if dilemmas:
        drawn["cooperation"] = cooperation_over_time(cooperation_curves(folder, cells), dilemmas[0].judged)
        drawn["cooperation_of_runs"] = cooperation_of_runs(table)
    if grids:
        drawn["coin_grid"] = draw_grid(grids[0].grid)
        drawn["neutrality"] = neutrality_against_usefulness(table, grids[0])
    for name, figure in drawn.items():
        save(folder, name, figure)
    return [_CAPTIONS[name] for name in drawn]
