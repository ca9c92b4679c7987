# SPDX-License-Identifier: Apache-2.0
"""Where claims hold: a claim at each of its conditions, several claims at the conditions that they share, and an
estimate under each specification."""

import string
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.claims.conditions import named
from jaxmyopia.claims.joint import joint
from jaxmyopia.claims.judged import Condition, Evidence, GridPoint, Judgement, Value
from jaxmyopia.claims.verdicts import Question, Verdict
from jaxmyopia.report.cells import cell, frames, key, number, places, shade, shown, told
from jaxmyopia.report.claim_figures import VERDICT_COLOURS, in_words
from jaxmyopia.report.figures import Caption, draw_intervals, panels
from jaxmyopia.stats.intervals import Interval

SIGNS = {
    "supported": "✓", "contradicted": "✗", "no difference": "=", "real but small": "<", "depends on the threshold": "T",
    "depends on the condition": "C", "inconclusive": "?", "not applicable": "n/a", "not judged": "–",
}  # fmt: skip
_LINE = 122  # characters across a figure
_ROW = 0.17  # inches: of a choice below a specification curve


def map_caption(judgement: Judgement) -> Caption:
    """What to see in the map of a claim."""
    text = "The verdict, by colour and sign, and the estimate at each condition; one that was not run is blank."
    return Caption(f"map_{judgement.id}", f"Where it holds: {judgement.id}", text)


JOINT_CAPTION = Caption(
    "map_of_claims",
    "Where the claims hold together",
    "How many of the claims that were asked hold at each condition, and which; outlined: all of them. A claim with "
    "settings of its own holds where it does at some of their combinations, with all parts of its sentence.",
)


def curve_caption(name: str) -> Caption:
    """What to see in the specification curve of a claim, by its id."""
    text = (
        "Above: the estimate with its interval under each choice of thresholds, in order of size, in the colour of the "
        "verdict that it would give. Below: what was chosen. The upright line marks the choice that counts."
    )
    return Caption(f"specifications_{name}", f"Under any other choice: {name}", text)


def claim_map(judgement: Judgement) -> Figure:
    """Draws the verdict and the estimate of a claim at each condition.

    The two settings with the most values lie on the axes; each combination of the others is a small panel.

    Args:
      judgement: with evidence.

    Returns:
      The figure; a condition without evidence is blank.

    Raises:
      ArgumentError: if there is no evidence.
    """
    require(len(judgement.evidence) > 0, "judgement", judgement.id, "must have evidence")
    drawn = _everywhere(judgement.evidence, _conditions(judgement.evidence))
    where = places([condition for _, condition in drawn])
    title = _heading(f"{judgement.text} — {judgement.verdict}", judgement.headline, told(where.fixed))
    figure, axes, width = frames(where, title)
    for piece, condition in drawn:
        panel, at = where.of(condition)
        texts = [SIGNS[piece.verdict], number(piece.interval.estimate)]
        cell(axes[panel], at, texts, VERDICT_COLOURS[piece.verdict], width, in_words(piece))
    seen = {piece.verdict for piece in judgement.evidence}
    key(figure, [(VERDICT_COLOURS[each], f"{SIGNS[each]}  {each}") for each in SIGNS if each in seen])
    return figure


def _heading(*lines: str) -> str:
    return "\n".join(line for each in lines if each for line in textwrap.wrap(each, _LINE, break_on_hyphens=False))


def _everywhere(pieces: Sequence[Evidence], conditions: Sequence[Condition]) -> list[tuple[Evidence, Condition]]:
    """The pieces with their conditions; one that could not be asked stands at all values of what it does not say, as
    others have them that say all that it does."""
    found: list[tuple[Evidence, Condition]] = []
    for piece, condition in zip(pieces, conditions, strict=True):
        more: dict[tuple[tuple[str, Value], ...], None] = {(): None}
        if piece.verdict == "not applicable":
            others = (each for each in conditions if set(condition) <= set(each))
            more = {tuple((name, each[name]) for name in each if name not in condition): None for each in others}
        fullest = max(map(len, more))
        found += [(piece, condition | dict(rest)) for rest in more if len(rest) == fullest]
    return found


def _conditions(pieces: Sequence[Evidence]) -> list[Condition]:
    """The condition of each piece of evidence; what pieces are called too, where several share one."""
    found = [dict(piece.condition) for piece in pieces]
    if len({tuple(sorted(each.items())) for each in found}) == len(found):
        return found
    names = [piece.name.removesuffix(named("", piece.condition)).rstrip(", ") for piece in pieces]
    return [{"piece": name, **each} for name, each in zip(names, found, strict=True)]


def joint_map(judgements: Sequence[Judgement], by: Sequence[str] = ()) -> Figure:
    """Draws which of several claims hold at each condition of the settings that all of them share.

    Args:
      judgements: judged claims, as of `joint`.
      by: likewise, the settings that are shared.

    Returns:
      The figure; each claim has a letter, and conditions at which all claims hold are outlined.

    Raises:
      ArgumentError: if they share no setting.
    """
    found = joint(judgements, by)
    shared = "must be claims that share a setting with several values"
    if found is None:
        raise ArgumentError("judgements", [each.id for each in judgements], shared)
    asked = {claim for _, held in found.conditions for claim in held}
    ids = [each.id for each in judgements if each.id in asked]
    letters = dict(zip(ids, string.ascii_uppercase + string.ascii_lowercase, strict=False))
    where = places([condition for condition, _ in found.conditions])
    figure, axes, width = frames(where, _heading(found.headline, told(where.fixed)))
    for condition, held in found.conditions:
        panel, at = where.of(condition)
        yes = [letter for claim, letter in letters.items() if held.get(claim)]
        depth = len(yes) / len(held)
        colour = shade(depth)
        edge = {"ec": "black", "lw": 1.6, "zorder": 2} if depth == 1 else {}
        words = f"{told(condition)}: {len(yes)} of {len(held)} hold"
        if yes:
            words += f" ({', '.join(claim for claim in letters if held.get(claim))})"
        cell(axes[panel], at, [f"{len(yes)}/{len(held)}", "".join(yes)], colour, width, words, **edge)
    key(figure, [(None, f"{letter}  {claim}") for claim, letter in letters.items()])
    return figure


def specification_curve(piece: Evidence) -> Figure:
    """Draws an estimate under each specification, in order of size, above the choices that make it.

    Args:
      piece: with a grid, whose first point is the specification that counts.

    Returns:
      The figure; estimates have the colours of the verdicts that they would give.

    Raises:
      ArgumentError: if there is no grid.
    """
    require(len(piece.grid) > 0, "piece", piece.name, "must have a grid of thresholds")
    order = np.argsort([point.estimate for point in piece.grid], kind="stable")
    points, main = [piece.grid[k] for k in order], int(np.flatnonzero(order == 0)[0])
    rows = _rows(piece)
    below_height = _ROW * max(len(rows), 1)
    figure, grid = panels(2, 1, gridspec_kw={"height_ratios": [1.7, below_height]})
    figure.set_figheight(2.5 + below_height)
    figure.suptitle(_heading(piece.name), x=0.01, ha="left", fontsize=8)
    seen = _curve(grid[0, 0], piece, points)
    _choices(grid[1, 0], rows, points)
    for axes in grid[:, 0]:
        axes.axvline(main, color="black", lw=0.8, zorder=0)
        axes.set(xlim=(-0.7, len(points) - 0.3), xticks=[])
    lines = [("--", "held against"), *([(":", "by the least effect")] if piece.direction and piece.least else [])]
    key(figure, [(VERDICT_COLOURS[each], each) for each in SIGNS if each in seen], [*lines, ("-", "what counts")])
    return figure


def _rows(piece: Evidence) -> list[tuple[str, object]]:
    """Every choice of which there are several, with each of its values."""
    values: dict[str, dict[object, None]] = {}
    for point in piece.grid:
        for name, value in point.thresholds.items():
            values.setdefault(name, {})[value] = None
    return [(name, value) for name, held in values.items() if len(held) > 1 for value in held]


def _size(points: Sequence[GridPoint]) -> float:
    """Of a point, so that they do not run into one another."""
    return float(np.clip(400 / len(points), 2, 6))


def _curve(axes: Axes, piece: Evidence, points: Sequence[GridPoint]) -> set[Verdict]:
    """Draws estimates with their intervals; returns the verdicts that they would give."""
    found: dict[Verdict, list[int]] = {}
    intervals = [Interval(each.estimate, each.low, each.high, piece.interval.n, "") for each in points]
    for place, (point, interval) in enumerate(zip(points, intervals, strict=True)):
        least = point.thresholds.get("least", piece.least)
        question = Question(piece.null, piece.direction, least if isinstance(least, int | float) else piece.least)
        found.setdefault(question.outcome(interval), []).append(place)
    look: Any = {"marker": "o", "ms": _size(points) / 2, "capsize": 1.5 if len(points) < 60 else 0}
    for verdict, at in found.items():
        words = [f"{_choice(points[k])}: {intervals[k]}, {verdict}" for k in at]
        draw_intervals(axes, at, [intervals[k] for k in at], VERDICT_COLOURS[verdict], hints=words, **look)
    if not piece.direction:
        axes.axhspan(piece.null - piece.least, piece.null + piece.least, color="0.9", zorder=0)
    elif piece.least:
        axes.axhline(piece.null + piece.direction * piece.least, color="0.3", lw=0.8, ls=":", zorder=1)
    axes.axhline(piece.null, color="0.3", lw=0.8, ls="--", zorder=1)
    axes.set_ylabel(textwrap.fill(piece.statistic, 26))
    return set(found)


def _choice(point: GridPoint) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in point.thresholds.items())


def _choices(axes: Axes, rows: Sequence[tuple[str, object]], points: Sequence[GridPoint]) -> None:
    """Draws what each specification chose, a row a value; the values of every other choice on grey."""
    names = list(dict.fromkeys(name for name, _ in rows))
    for place, (name, value) in enumerate(rows):
        chosen = [k for k, point in enumerate(points) if point.thresholds.get(name) == value]
        if names.index(name) % 2 == 0:
            axes.axhspan(place - 0.5, place + 0.5, color="0.95", lw=0, zorder=0)
        axes.plot(chosen, [place] * len(chosen), "o", color="0.2", ms=0.6 * _size(points))
    axes.set_yticks(range(len(rows)), [f"{name.replace('_', ' ')}  {shown(value)}" for name, value in rows])
    axes.set(ylim=(max(len(rows), 1) - 0.5, -0.5), xlabel=f"{len(points)} specifications, by estimate")
    axes.grid(False)
