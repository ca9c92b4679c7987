# SPDX-License-Identifier: Apache-2.0
"""Figures of superposition: the two curves over capacity, dimensions of features, geometries, phases and basins."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, panels
from jaxmyopia.stats.bands import band_of_curve
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.superposition.capacity_claims import FRACTION, TOTAL
from jaxmyopia.studies.superposition.measures import KEPT, LINES, dimensions, sides
from jaxmyopia.studies.superposition.polygons import polygons
from jaxmyopia.study import Cell

_MOST_UNDEFINED = 0.05  # of seeds, at a point that is drawn
_LOOKS = {"own": (COLOURS[0], "-"), "pairs": (COLOURS[2], "--")}


@dataclasses.dataclass(frozen=True)
class FinishedSuperposition:
    """A finished run: its folder, cells and table."""

    folder: RunFolder
    cells: Sequence[Cell]
    table: Trials

    def rows(self, part: str) -> Trials:
        """The trials of a part, without those for controls."""
        main = self.table.main
        return main.matching(part=part) if "part" in main.columns else main.keep(np.zeros(len(main), bool))

    def models(self, part: str, record: int = -1) -> list[tuple[Trials, np.ndarray]]:
        """The kept models at a record, `(trials, M + 1, F)`, of every cell of a part, with their rows `(trials,)`."""
        found = []
        for index, cell in enumerate(self.cells):
            if cell.control or getattr(cell.study, "part", None) != part or not self.folder.config["keep_curves"]:
                continue
            rows = self.table.matching(cell=index)
            rows = rows.keep(rows["seed"] < self.folder.config["keep_curves"])
            found.append((rows, self.folder.curves(index, "model")[record]))
        return found


def _curve(rows: Trials, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values `(S, C)` of seeds that have all, and the capacities `(C,)` where nearly all are defined."""
    seeds, capacities = rows.unique("seed"), rows.unique("hidden")
    table = np.full((len(seeds), len(capacities)), np.nan)
    order = np.argsort(rows["seed"], kind="stable")
    table[np.searchsorted(seeds, rows["seed"][order]), np.searchsorted(capacities, rows["hidden"][order])] = values
    kept = np.isnan(table).mean(axis=0) <= _MOST_UNDEFINED
    table = table[:, kept]
    return table[~np.isnan(table).any(axis=1)], np.asarray(capacities)[kept]


def _draw_curve(axes: Axes, rows: Trials, values: np.ndarray, colour: str, **style: Any) -> None:
    found, at = _curve(rows, values)
    if not found.size or len(found) < 2:
        return
    low, high = band_of_curve(found, range=(-1, 1))
    axes.plot(at, found.mean(axis=0), "o", color=colour, ms=2, **style)
    axes.fill_between(at, low, high, color=colour, alpha=0.25, lw=0)


def _conditions(rows: Trials) -> list[tuple[str, Trials]]:
    """The conditions of the capacity sweep under the first optimiser, with a title each."""
    mine = rows.matching(optimizer=rows["optimizer"][0])
    found = []
    for span in mine.unique("span"):
        for inputs in ("independent", "one"):
            each = mine.matching(span=span, inputs=inputs)
            for active in each.unique("active") if inputs == "independent" and len(each) else [None]:
                held = each if active is None else each.matching(active=active)
                told = "one active" if active is None else f"p = {active:g}"
                found += [(f"{told}, span {span:g}", held)] if len(held) else []
    return found


def capacity(run: FinishedSuperposition) -> Figure:
    """Capability, and what is understood of it, in total and as a fraction, over m: two panels a condition.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """
    shown = _conditions(run.rows("capacity"))
    figure, grid = panels(2 * -(-len(shown) // 4), min(4, len(shown)), height=1.5, sharex=False)
    for place, (title, rows) in enumerate(shown):
        top, below = (grid[2 * (place // 4) + i, place % 4] for i in (0, 1))
        _draw_curve(top, rows, rows.values("capability"), "0.5", ls=":", label="capability")
        for what, (colour, line) in _LOOKS.items():
            named = {"ls": line, "label": {"own": "own dimension", "pairs": "and antipodal pairs"}[what]}
            choice = TOTAL.main | {"understood": what}
            _draw_curve(top, rows, rows.values(TOTAL, choice), colour, **named)
            _draw_curve(below, rows, rows.values(FRACTION, choice), colour, ls=line)
        top.set(title=title, ylim=(-0.03, 1.03))
        below.set(ylim=(-0.03, 1.03), xlabel="dimensions m")
        if not place % 4:
            top.set_ylabel("total")
            below.set_ylabel("fraction")
    _blank(grid, 2, len(shown))
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _blank(grid: Any, rows_each: int, count: int) -> None:
    """Takes the axes of panels that nothing is drawn in."""
    columns = grid.shape[1]
    for place in range(count, grid.shape[0] // rows_each * columns):
        for i in range(rows_each):
            grid[rows_each * (place // columns) + i, place % columns].set_axis_off()


def _dimensions(models: np.ndarray) -> np.ndarray:
    """D_i of models `(trials, M + 1, F)`, `(trials, F)`."""
    return np.asarray(jax.vmap(dimensions)(jnp.asarray(models[:, :-1])))


def lines(run: FinishedSuperposition) -> Figure:
    """Dimensions of the features of kept models of the published set-up, a panel a level, lines marked.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """
    part = "published geometry" if run.models("published geometry") else "geometry"
    ((rows, models), *_), ((_, untrained), *_) = run.models(part), run.models(part, record=0)
    first = (rows["init_scale"] == rows["init_scale"].min()) & (rows["weight_decay"] == rows["weight_decay"].max())
    levels = sorted(set(rows["active"][first].tolist()), reverse=True)
    figure, grid = panels(-(-len(levels) // 4), min(4, len(levels)), height=1.6, sharex=True)
    rng = np.random.default_rng(0)
    for axes, level in zip(grid.flat, levels, strict=False):
        mine = first & (rows["active"] == level)
        found, before = (_dimensions(each[mine]).ravel() for each in (models, untrained))
        edges = np.linspace(0, 1.05, 106)
        axes.hist(found, edges, color=COLOURS[0], label="trained")
        nulls = {"blurred by 0.05": found + 0.05 * rng.standard_normal(found.size), "untrained": before}
        for (name, null), colour in zip(nulls.items(), ("0.3", COLOURS[2]), strict=True):
            axes.hist(null, edges, color=colour, histtype="step", lw=0.7, label=name)
        axes.set_ylim(0, 1.1 * np.histogram(found, edges)[0].max())  # untrained ones are all alike, and go beyond
        for name, at in LINES.items():
            axes.axvline(at, color=COLOURS[1], lw=0.5, ls=":")
            if axes is grid.flat[0]:
                side = {"3/8": "right", "2/5": "left"}.get(name, "center")  # two that are near each other
                axes.text(at, 1.0, name, fontsize=5, ha=side, va="bottom", transform=axes.get_xaxis_transform())
        axes.set_xlabel("dimensions of a feature")
        axes.set_title(f"p = {level:.2g}", pad=9)
    _blank(grid, 1, len(levels))
    grid[0, 0].set_ylabel("features")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def geometries(run: FinishedSuperposition) -> Figure:
    """Kept models: columns of W in two dimensions above, W^T W below, by features and sparsity.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """
    shown = []
    for part in ("pentagon", "shapes"):
        for rows, models in run.models(part):
            every = np.flatnonzero(rows["seed"] == 0)
            picked = every[np.unique(np.linspace(0, len(every) - 1, min(3, len(every))).round().astype(int))]
            shown += [(_title(rows, int(i)), models[i]) for i in picked]
    shown = shown[:6]
    figure, grid = panels(2, max(len(shown), 1), height=1.35)
    for place, (title, model) in enumerate(shown):
        weights = model[:2].astype(float)
        reach = 1.15 * max(1.0, np.abs(weights).max())
        for x, y in weights.T:
            grid[0, place].plot([0, x], [0, y], "-o", color=COLOURS[0], ms=2.5, lw=0.9, markevery=[1])
        grid[0, place].set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
        grid[0, place].set_title(title, fontsize=6)
        grid[1, place].imshow(weights.T @ weights, cmap="RdBu", vmin=-1.5, vmax=1.5)
        grid[1, place].set(xticks=[], yticks=[])
    grid[0, 0].set_ylabel("columns of W")
    grid[1, 0].set_ylabel("W$^T$W")
    return figure


def _title(rows: Trials, place: int) -> str:
    one = {name: rows[name][place] for name in rows.columns}
    if one["part"] == "pentagon":
        return f"F = {one['features']}, p = {one['active']:g}"
    return f"F = {one['features']}, {one['optimizer']}\nscale {one['init_scale']:g}, rate {one['learning_rate']:g}"


def _heat(axes: Axes, table: np.ndarray, across: Sequence[float], up: Sequence[float]) -> Any:
    image = axes.imshow(table, vmin=0, vmax=1, cmap="cividis", origin="lower", aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(across)), [f"{each:g}" for each in across], fontsize=6)
    axes.set_yticks(range(len(up)), [f"{each:g}" for each in up], fontsize=6)
    for (row, column), value in np.ndenumerate(table):
        dark = "white" if value < 0.55 else "black"
        told = "–" if np.isnan(value) else f"{value:.2f}".lstrip("0")
        axes.text(column, row, told, ha="center", va="center", fontsize=5, color=dark if told != "–" else "black")
    return image


def phases(run: FinishedSuperposition) -> Figure:
    """Two features in one dimension: the share of seeds that keep both, by sparsity and relative importance.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """
    rows = run.rows("phase")
    actives, spans = rows.unique("active")[::-1], rows.unique("span")
    table = np.array(
        [[_share(rows.matching(active=p, span=s), KEPT, lambda kept: kept == 2) for p in actives] for s in spans]
    )
    figure, grid = panels(1, 1, width=3.6, height=2.4)
    image = _heat(grid[0, 0], table, actives, spans)
    grid[0, 0].set(xlabel="probability p", ylabel="importance of the first over the second")
    figure.colorbar(image, ax=grid[0, 0], label="share of seeds that keep both")
    return figure


def _share(rows: Trials, what: Any, show: Any) -> float:
    values = rows.values(what)
    return float(show(values[np.isfinite(values)]).mean()) if np.isfinite(values).any() else np.nan


def _reached(rows: Trials, features: int, best: int) -> float:
    """The share of those at rest that are at the best polygon; none where most still move."""
    met = rows.values(sides(features))
    still = met >= 0
    return float((met[still] == best).mean()) if still.mean() > 0.5 else np.nan


def basins(run: FinishedSuperposition) -> Figure:
    """The share of seeds that reach each polygon, over the start's scale and the rate, a panel an optimiser.

    Args:
      run: the finished run.

    Returns:
      The figure.
    """
    rows = run.rows("shapes")
    found = []
    for features in rows.unique("features"):
        best = min(polygons(features), key=lambda each: each.loss).sides
        for optimizer in dict.fromkeys(rows["optimizer"].tolist()):
            mine = rows.matching(features=features, optimizer=optimizer)
            found += [(features, best, optimizer, decay, mine) for decay in mine.unique("weight_decay")]
    columns = min(4, len(found))
    figure, grid = panels(-(-len(found) // columns), columns, height=1.9)
    for axes, (features, best, optimizer, decay, mine) in zip(grid.flat, found, strict=False):
        mine = mine.matching(weight_decay=decay)
        rates, scales = mine.unique("learning_rate"), mine.unique("init_scale")
        share = functools.partial(_reached, features=features, best=best)
        table = [[share(mine.matching(init_scale=scale, learning_rate=rate)) for rate in rates] for scale in scales]
        _heat(axes, np.array(table), rates, scales)
        told = f", decay {decay:g}" if decay else ""
        axes.set_title(f"F = {features}: {best}-gon, {optimizer}{told}", fontsize=6)
        axes.set_xlabel("rate")
    _blank(grid, 1, len(found))
    for axes in grid[:, 0]:
        axes.set_ylabel("scale of the start")
    return figure
