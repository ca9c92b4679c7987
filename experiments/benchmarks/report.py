# SPDX-License-Identifier: Apache-2.0
"""The benchmark's tables and its two figures."""

import functools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.benchmarks.load import busiest, shown
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, LOSS_NAMES, panels, save

Row = dict[str, object]
_BASELINES = {
    name: (colour, marker)
    for name, colour, marker in zip(
        ("jaxmyopia", "jit(vmap)", "torch", "torch.compile"), COLOURS, ("o", "s", "^", "D"), strict=False
    )
}
_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def _case(row: Row) -> tuple[object, ...]:
    return row["loss"], row["n"], row["rank"], row["optimizer"]


def machine_line(manifest: Row) -> str:
    """What all figures of a benchmark were measured on: date, machine, devices, versions."""
    known = {**manifest["versions"], **({"torch": manifest["torch"]} if "torch" in manifest else {})}
    versions = [
        f"{name} {known[name]}" for name in ("python", "jaxmyopia", "jax", "jaxlib", "optax", "torch") if name in known
    ]
    processor = [manifest["processor"]] if manifest.get("processor") else []
    count = len(manifest["devices"])
    devices = f"{count} device{'s' * (count > 1)} ({manifest['devices'][0].split(':')[0]})"
    compiler = [manifest["compiler"]] if manifest.get("compiler") else []
    return ", ".join([manifest["started"][:10], manifest["machine"], *processor, devices, *versions, *compiler])


def _label(row: Row) -> str:
    loss, n, rank, optimizer = _case(row)
    return f"{LOSS_NAMES[loss]}, n = {n}, r = {rank}, {_OPTIMIZERS[optimizer]}"


def whole_table(rows: list[Row]) -> list[list[str]]:
    """The first table of section `whole`: seconds of a whole run of each baseline, how many times as long as the first
    the others take, in their order, and the greatest other load.

    Args:
      rows: of the section, `(m,)`.

    Returns:
      `(1 + cases, 3 + baselines)` entries, the head first.
    """
    names = list(dict.fromkeys(row["baseline"] for row in rows))
    lines = [["seconds a whole run", *names, "times as long", "load"]]
    for mine in _by_case(rows):
        first = mine[names[0]]
        times = " / ".join(f"{mine[name]['seconds'] / first['seconds']:.3g}" for name in names[1:])
        seconds = (f"{mine[name]['seconds']:.3g}" for name in names)
        lines.append([_label(first), *seconds, times, shown(busiest(list(mine.values())))])
    return lines


def compiling_table(rows: list[Row]) -> list[list[str]]:
    """The second: what each run is, and the seconds that its first run took longer, compiling.

    Args:
      rows: of the section, `(m,)`.

    Returns:
      `(1 + cases, 4 + baselines)` entries, the head first.
    """
    names = list(dict.fromkeys(row["baseline"] for row in rows))
    lines = [["seconds of compiling", "seeds", "steps", "records", *names]]
    for mine in _by_case(rows):
        sizes = (f"{mine[names[0]][size]:,}" for size in ("seeds", "steps", "records"))
        lines.append([_label(mine[names[0]]), *sizes, *(f"{mine[name]['compiling']:.1f}" for name in names)])
    return lines


def _by_case(rows: list[Row]) -> list[dict[str, Row]]:
    """The rows of each case by baseline."""
    return [{row["baseline"]: row for row in rows if _case(row) == case} for case in dict.fromkeys(map(_case, rows))]


def growth_table(rows: list[Row], name: str) -> list[list[str]]:
    """The table of section `records` or `steps`: whole runs of this project, `(1 + m, 6)` entries, the head first."""
    lines = [[f"whole runs by {name}", "seeds", "steps", "records", "seconds", "load"]]
    for row in rows:
        sizes = (f"{row[size]:,}" for size in ("seeds", "steps", "records"))
        lines.append([_label(row), *sizes, f"{row['seconds']:.3g}", shown(row["other_load"])])
    return lines


def tables(sections: dict[str, list[Row]]) -> list[list[list[str]]]:
    """The tables of a benchmark, the whole runs first.

    Args:
      sections: rows `(m,)` by section, as in `benchmark.json`.

    Returns:
      Lines of entries, the head first, of each table.
    """
    return [make(sections[name]) for name, make in _TABLES if sections.get(name)]


def _aligned(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = (
        [line[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(line[1:], widths[1:], strict=True))] for line in table
    )
    return "\n".join("  ".join(line) for line in padded)


def speed_table(rows: list[Row]) -> list[list[str]]:
    """The table of section `cells`: thousand seed-steps a second of each baseline, the ratio to jit(vmap), other load.

    Args:
      rows: of the section, `(m,)`.

    Returns:
      `(1 + cases, 3 + baselines)` entries, the head first; 2 of an older benchmark, without the load.
    """
    names = list(dict.fromkeys(row["baseline"] for row in rows))
    measured = "other_load" in rows[0]  # since 0.3
    lines = [["thousand seed-steps a second", *names, "ratio", *(["load"] if measured else [])]]
    for mine in _by_case(rows):
        first = mine[names[0]]
        speeds, ratio = (f"{mine[name]['speed'] / 1e3:,.0f}" for name in names), first["ratio"]
        lines.append([_label(first), *speeds, f"{ratio:.1f}" if ratio else ""])
        if measured:
            lines[-1].append(shown(busiest(list(mine.values()))))
    return lines


_TABLES = (
    ("whole", whole_table),
    ("whole", compiling_table),
    ("records", functools.partial(growth_table, name="records")),
    ("steps", functools.partial(growth_table, name="steps")),
    ("cells", speed_table),
)


def _cells_figure(rows: list[Row]) -> Figure:
    """Seed-steps a second of every baseline, a row of dots per case, a panel per optimiser."""
    cases = list(dict.fromkeys((row["loss"], row["n"], row["rank"]) for row in rows))
    figure, axes = panels(1, 2, height=0.28 * len(cases) + 0.6, sharex=True, sharey=True)
    for ax, (optimizer, title) in zip(axes[0], _OPTIMIZERS.items(), strict=True):
        for row in (row for row in rows if row["optimizer"] == optimizer):
            y = cases.index((row["loss"], row["n"], row["rank"]))
            colour, marker = _BASELINES[row["baseline"]]
            ax.plot([min(row["speeds"]), max(row["speeds"])], [y, y], color=colour, lw=1)
            ax.plot(row["speed"], y, marker, color=colour, ms=4)
        ax.set(title=title, xscale="log", xlabel="seed-steps a second")
    axes[0, 0].set_yticks(range(len(cases)), [f"{LOSS_NAMES[loss]}, n = {n}, r = {r}" for loss, n, r in cases])
    axes[0, 0].invert_yaxis()
    names = {row["baseline"] for row in rows}
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4, label=name)
        for name, (colour, marker) in _BASELINES.items()
        if name in names
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _grow(ax: Axes, rows: list[Row], x: str, label: str) -> None:
    """Microseconds a seed-step against one size; a line per baseline and, where sides differ too, per side."""
    by_side = x == "seeds"
    for name, side in dict.fromkeys((row["baseline"], row["n"] if by_side else None) for row in rows):
        mine = [row for row in rows if row["baseline"] == name and side in (None, row["n"])]
        colour, marker = _BASELINES[name]
        points = [row[x] for row in mine], [1e6 / row["speed"] for row in mine]
        ax.plot(*points, "--" if side == 10 else "-", color=colour, marker=marker, ms=3)
        if by_side:
            ax.annotate(f"n = {side}", (points[0][0], points[1][0]), (3, 4), textcoords="offset points", fontsize=6)
    ax.set(xscale="log", yscale="log", xlabel=label)
    ticks = sorted({row[x] for row in rows})
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=45, ha="right")
    ax.minorticks_off()


def _growth_figure(sections: dict[str, list[Row]]) -> Figure:
    """Cost against seeds, side and rank, a row of panels per loss."""
    labels = {
        "seeds": ("seeds", "seeds S (r = 2)"),
        "sides": ("n", "side n (r = 2)"),
        "ranks": ("rank", "rank r (n = 100)"),
    }
    shown = [name for name in labels if sections.get(name)]
    losses = list(dict.fromkeys(row["loss"] for row in sections[shown[0]]))
    figure, axes = panels(len(losses), len(shown), height=2.2)
    for line, loss in zip(axes, losses, strict=True):
        for ax, name in zip(line, shown, strict=True):
            _grow(ax, [row for row in sections[name] if row["loss"] == loss], *labels[name])
        line[0].set_ylabel(f"{LOSS_NAMES[loss]}, SGD\nmicroseconds a seed-step")
    handles = [
        Line2D([], [], color=_BASELINES[name][0], marker=_BASELINES[name][1], ms=4, label=name)
        for name in ("jaxmyopia", "jit(vmap)")
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _runs_text(rows: list[Row]) -> str:
    """Whole runs; what a seed costs is told beyond the smallest run of its kind, which is all start."""
    head = (
        f"{'whole runs, r = 2, SGD, 1,000 steps':<38}{'seeds':>8}{'seconds':>10}{'ms a seed more':>16}{'peak MiB':>10}"
    )
    lines, smallest = [head], {(row["n"], row["loss"]): row for row in rows if "cold_start" in row}
    for row in rows:
        first = smallest[row["n"], row["loss"]]
        label = f"{LOSS_NAMES[row['loss']]}, n = {row['n']}"
        more = row["seeds"] - first["seeds"]
        each = f"{1e3 * (row['seconds'] - first['seconds']) / more:.3f}" if more else ""
        lines.append(f"{label:<38}{row['seeds']:>8}{row['seconds']:>10.2f}{each:>16}{row['peak_mib']:>10.0f}")
        if row is first:
            cold, warm = row["cold_start"][0], float(np.median(row["warm_start"]))
            lines.append(
                f"{'':<38}first result {cold:.1f} s after the start of the process, {warm:.1f} s with a warm cache"
            )
    return "\n".join(lines)


def _paths_text(rows: list[Row]) -> str:
    chosen = [row for row in rows if row["chosen"]]
    lines = [f"the chosen path against the fastest, at {len(chosen)} sizes"]
    for row in chosen:
        best = max((r for r in rows if all(r[k] == row[k] for k in ("loss", "n", "rank"))), key=lambda r: r["speed"])
        label = f"{LOSS_NAMES[row['loss']]}, n = {row['n']}, r = {row['rank']}"
        lines.append(f"{label:<38}{row['baseline']:<16}{row['of_best']:>6.0%} of {best['baseline']}")
    return "\n".join(lines)


def _agents_text(rows: list[Row]) -> str:
    """Environments and training: what each baseline reached, and its ratio to the last."""
    lines = [f"{'EpochEnv':<12}{'baseline':<26}{'million env-steps a second':>28}{'updates a second':>18}{'ratio':>8}"]
    for row in rows:
        size = f"{row.get('agents', row.get('trials')):,}" + (", seen" if row.get("observed") else "")
        size += ", drawn beforehand" if row.get("drawn_beforehand") else ""
        updates = f"{row['speed'] / row['steps_an_update']:,.0f}" if "steps_an_update" in row else ""
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
        lines.append(f"{size:<12}{row['baseline']:<26}{row['speed'] / 1e6:>28,.2f}{updates:>18}{ratio:>8}")
    return "\n".join(lines)


def write_figures(folder: RunFolder, sections: dict[str, list[Row]], manifest: Row) -> str:
    """Draws what was measured and puts it into words.

    Args:
      folder: the benchmark's.
      sections: rows `(m,)` by section, as in `benchmark.json`.
      manifest: what it was measured on.

    Returns:
      The tables as text.
    """
    texts = [machine_line(manifest), *map(_aligned, tables(sections))]
    if sections.get("cells"):
        save(folder, "cells", _cells_figure(sections["cells"]), png=True)
    if any(sections.get(name) for name in ("seeds", "sides", "ranks")):
        save(folder, "growth", _growth_figure(sections), png=True)
    sections_of_text = {"paths": _paths_text, "runs": _runs_text, "environment": _agents_text, "training": _agents_text}
    for name, text in sections_of_text.items():
        if sections.get(name):
            texts.append(text(sections[name]))
    folder.write_text("benchmark.txt", "\n\n".join(texts) + "\n")
    return "\n\n".join(texts)
