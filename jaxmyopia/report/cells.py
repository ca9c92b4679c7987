# SPDX-License-Identifier: Apache-2.0
"""Conditions as cells of a grid: two settings on its axes, a small panel for each combination of the others."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jaxmyopia.claims.conditions import named
from jaxmyopia.claims.judged import Condition, Value
from jaxmyopia.report.figures import panels
from jaxmyopia.report.hints import hint

Panel = tuple[Value, ...]
_WIDTH, _ROOM = 7.2, 6.2  # inches: of a figure, and what the names of values leave of it
_CELL_WIDTH, _CELL_HEIGHT = 0.42, 0.36  # inches: what a cell needs at least for its text, and its height
_CHARACTER = 0.062  # inches: at 7 points
_TITLE_LINE, _KEY_LINE = 0.14, 0.19  # inches: the height of a line above, and of one below
_BESIDE = 0.55  # inches: the width of cells whose texts may stand beside one another
_ABSENT = "none"
_BLUES = ("#f2f5f9", "#d3e0ee", "#a9c6e3", "#7caad4", "#3f80b9", "#0b5394")  # from none to all


@dataclasses.dataclass(frozen=True)
class Places:
    """Where conditions lie: `values` of each setting, in order; settings `x` and `y` on the axes, empty where fewer
    vary; `apart` one small panel a combination, those of `combinations`, which conditions have; `fixed`: those with one
    value."""

    values: Mapping[str, list[Value]]
    x: str
    y: str
    apart: tuple[str, ...]
    fixed: Condition
    combinations: list[Panel]

    def of(self, condition: Condition) -> tuple[Panel, tuple[int, int]]:
        """A condition's panel, and its place there."""
        x, y = (self.values[name].index(condition.get(name, _ABSENT)) if name else 0 for name in (self.x, self.y))
        return tuple(condition.get(name, _ABSENT) for name in self.apart), (x, y)


def places(conditions: Sequence[Condition]) -> Places:
    """Gives conditions their places: the settings with the most values lie on the axes."""
    names = dict.fromkeys(name for each in conditions for name in each)
    values = {name: _ordered([each.get(name, _ABSENT) for each in conditions]) for name in names}
    fixed = {name: held[0] for name, held in values.items() if len(held) == 1}
    varied = sorted((name for name in names if name not in fixed), key=lambda name: -len(values[name]))
    x, y = [*varied, "", ""][:2]
    apart = tuple(varied[2:])
    met = {tuple(each.get(name, _ABSENT) for name in apart) for each in conditions}
    combinations = [each for each in itertools.product(*(values[name] for name in apart)) if each in met]
    return Places(values, x, y, apart, fixed, combinations)


def _ordered(values: Sequence[Value]) -> list[Value]:
    """Each value once: numbers by size, then words as they came, then those that lack one."""
    found = dict.fromkeys(values)
    numbers = sorted(value for value in found if not isinstance(value, str))
    return [*numbers, *sorted((each for each in found if isinstance(each, str)), key=lambda each: each == _ABSENT)]


def shown(value: object) -> str:
    """A setting's value in few characters."""
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def told(condition: Condition) -> str:
    """A condition in words."""
    return ", ".join(f"{name} {shown(value)}" for name, value in condition.items())


def number(value: float) -> str:
    """An estimate in few characters; nothing where there is none."""
    text = f"{value:.0f}" if 100 <= abs(value) < 1e4 else f"{value:.{1 if abs(value) < 1e-3 else 2}g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("-", "−") if np.isfinite(value) else ""


def frames(where: Places, title: str) -> tuple[Figure, dict[Panel, Axes], float]:
    """An empty figure, its axes by the values of the settings that make small panels, and the width of a cell."""
    xs, ys = where.values.get(where.x, [""]), where.values.get(where.y, [""])
    most = max(1, int(_ROOM / (_CELL_WIDTH * len(xs))))
    last = len(where.values[where.apart[-1]]) if where.apart else 1
    combinations, columns = where.combinations, last if last <= most else most
    rows = -(-len(combinations) // columns)
    width = _ROOM / columns / len(xs)
    longest = max(map(len, map(shown, xs))) + 1
    slanting = longest * _CHARACTER > width
    figure, grid = panels(rows, columns, width=_WIDTH, height=_CELL_HEIGHT * len(ys) + 0.3 * bool(where.apart))
    names = (0.5 + (0.5 * _CHARACTER * longest if slanting else 0)) if where.x else 0
    figure.set_figheight(figure.get_figheight() + names + _TITLE_LINE * (title.count("\n") + 1))
    figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    for place, axes in enumerate(grid.ravel()):
        axes.set_visible(place < len(combinations))
        lowest, leftmost = place + columns >= len(combinations), place % columns == 0
        _axis(axes.xaxis, where.x, xs, lowest, slanting)
        _axis(axes.yaxis, where.y, ys, leftmost)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if where.apart and place < len(combinations):
            title = named("", dict(zip(where.apart, combinations[place], strict=True)))
            axes.set_title(title, fontsize=min(7.0, 7 * _ROOM / columns / (_CHARACTER * len(title))))
    return figure, dict(zip(combinations, grid.ravel(), strict=False)), width


def _axis(axis: Axis, name: str, values: Sequence[Value], named: bool, slanting: bool = False) -> None:
    """Gives each value its place along an axis, and names axis and values where they are to be `named`."""
    slant: Any = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanting else {}
    names = [shown(each) for each in values] if named and name else []
    axis.set_ticks(range(len(names)), names, **slant)
    axis.set_tick_params(length=0)
    axis.set_view_interval(-0.5, len(values) - 0.5, ignore=True)
    axis.set_label_text(name if named else "")


def cell(
    axes: Axes, at: tuple[int, int], texts: Sequence[str], colour: str, width: float, words: str = "", **edge: Any
) -> None:
    """Draws a cell with its texts: beside one another where they fit, else below; the first alone where there is no
    room. A reader who points at it is told the `words`."""
    look = {"fc": colour, "ec": "white", "lw": 1.2, **edge}
    patch = axes.add_patch(Rectangle((at[0] - 0.5, at[1] - 0.5), 1, 1, clip_on=False, **look))
    if words:
        hint(patch, words)
    texts = [text for text in texts if text]
    fits = lambda characters: min(7.0, 7 * width / (_CHARACTER * max(characters, 1)))  # points
    size = fits(sum(map(len, texts)) + 2)
    beside = width > _BESIDE and size > 5.5
    size = size if beside else min(6.5, fits(max(map(len, texts), default=1)))
    text = ("  " if beside else "\n").join(texts[:1] if size < 4 else texts)
    ink = "white" if _luminance(colour) < 0.179 else "black"  # where the contrast of both is the same, 4.6
    axes.text(*at, text, ha="center", va="center", color=ink, fontsize=max(size, 4), linespacing=1.05)


def shade(share: float) -> str:
    """The colour of a cell that shows a share."""
    return _BLUES[round(share * (len(_BLUES) - 1))]


def _luminance(colour: str) -> float:
    """Relative, of sRGB, as WCAG 2.1 defines contrast by."""
    values = np.array(to_rgb(colour))
    return float(
        np.dot((0.2126, 0.7152, 0.0722), np.where(values <= 0.04, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))
    )


def key(figure: Figure, entries: Sequence[tuple[str | None, str]], lines: Sequence[tuple[str, str]] = ()) -> None:
    """Says below what colours mean, an entry without one being words alone, and what `lines` of a style do."""
    handles: list[Artist] = [
        Patch(fc=colour or "none", ec="0.6" if colour else "none", lw=0.5, label=text) for colour, text in entries
    ]
    handles += [Line2D([], [], color="0.3", lw=0.8, ls=style, label=text) for style, text in lines]
    length = (1 if any(colour for colour, _ in entries) else 0) + (1 if lines else 0)
    longest = max(len(text) for _, text in (*entries, *lines))
    columns = max(1, min(len(handles), int(_WIDTH / (_CHARACTER * longest + 0.4))))
    figure.set_figheight(figure.get_figheight() + _KEY_LINE * -(-len(handles) // columns))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=7, handlelength=length, frameon=False
    )
