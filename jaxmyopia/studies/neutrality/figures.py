# SPDX-License-Identifier: Apache-2.0
"""Figures of shutdown neutrality."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from scipy.optimize import brentq

from jaxmyopia.report.figures import COLOURS, Caption, panels
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.neutrality.claims import BITS, reward_trials
from jaxmyopia.studies.neutrality.model import LONG, SHORT, CoinGrid, best_route, best_values
from jaxmyopia.studies.neutrality.study import Neutrality, length_advantage
from jaxmyopia.studies.neutrality.sweep import DISCOUNT, REWARDS
from jaxmyopia.study import Cell

_REWARD_COLOURS = dict(zip(REWARDS, (COLOURS[0], COLOURS[1], COLOURS[4], COLOURS[2]), strict=True))
_DOTTED: dict[str, Any] = {"color": "0.4", "lw": 0.8, "ls": ":"}
_CAPTIONS = {
    caption.name: caption
    for caption in (
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
    optimizers = table.matching(study="neutrality").unique("optimizer")
    figure, grid = panels(len(optimizers), 2, height=2.3)
    for (scatter, pressing), optimizer in zip(grid, optimizers, strict=True):
        for reward, colour in _REWARD_COLOURS.items():
            rows = reward_trials(table, reward, optimizer)
            dots = {"s": 5, "alpha": 0.35, "lw": 0, "color": colour}
            scatter.scatter(rows.values("usefulness"), rows.values("neutrality"), label=reward, **dots)
            pressed = np.sort(rows.values("pressed"))
            pressing.step(pressed, np.arange(1, pressed.size + 1) / pressed.size, color=colour, where="post")
            if REWARDS[reward][0] < 1:
                pressing.axvline(_settles(reward, study), color=colour, lw=0.9, ls=":")
        scatter.axhline(BITS[0], **_DOTTED)
        scatter.set(title=optimizer, xlabel="usefulness", ylabel="neutrality, bits", ylim=(-0.04, 1.04))
        pressing.set(title=optimizer, xlabel="probability of pressing", ylabel="share of seeds with at most this")
        pressing.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    dots, names = grid[0, 0].get_legend_handles_labels()
    told = f"neutral from {BITS[0]:g} bits on; at right: where theory expects agents to settle"
    dotted = Line2D([], [], label=told, **_DOTTED)
    legend = figure.legend([*dots, dotted], [*names, told], loc="outside lower center", ncols=4)
    for handle in legend.legend_handles[: len(dots)]:
        assert handle is not None  # every entry of the legend has one
        handle.set(alpha=1, sizes=[18])
    return figure


def draw(trials: Trials, cells: Sequence[Cell]) -> dict[Caption, Figure]:
    """The figures that the cells allow, in the order of the page.

    Args:
      trials: of the run; those of other studies are passed over.
      cells: likewise.

    Returns:
      The figures by their captions.
    """
    studies = [cell.study for cell in cells if isinstance(cell.study, Neutrality)]
    if not studies:
        return {}
    return {
        _CAPTIONS["coin_grid"]: draw_grid(studies[0].grid),
        _CAPTIONS["neutrality"]: neutrality_against_usefulness(trials, studies[0]),
    }
