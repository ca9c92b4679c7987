# SPDX-License-Identifier: Apache-2.0
"""Figures of feedback: cosines against bits, the crossover, and who wins when the subspace is wrong."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.report.figures import COLOURS, panels
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.feedback.claims import learners, principles
from jaxmyopia.studies.feedback.curves import MeanCurve, mean_curves, meets, pick
from jaxmyopia.studies.feedback.measures import AFTER, ANSWERS
from jaxmyopia.studies.feedback.model import answer_information, fisher_information
from jaxmyopia.study import Cell

_LOOK = {
    "isotropic": ("(i) no prior", COLOURS[0]),
    "active": ("(i') no prior, chosen", COLOURS[5]),
    "subspace": ("(ii) within the subspace", COLOURS[2]),
    "soft": ("(iv) soft prior", COLOURS[4]),
    "active, soft": ("soft prior, chosen", COLOURS[3]),
    "principle": ("(iii) principle", COLOURS[1]),
}


def _axis(curves: Sequence[MeanCurve], name: str) -> list[float]:
    """The values of a setting."""
    return sorted({each.settings[name] for each in curves if name in each.settings})


def cosines(folder: RunFolder, cells: Sequence[Cell]) -> Figure:
    """Mean cosine over bits at the least subspace of the largest dimension, a row a sigma, a column a sharpness.

    Args:
      folder: of the run.
      cells: all cells of the folder, in its order.

    Returns:
      The figure.
    """
    curves = mean_curves(folder, cells)
    sigmas, sharpnesses = _axis(curves, "sigma"), _axis(curves, "sharpness")
    shared = {"d": _axis(curves, "d")[-1], "k": _axis(curves, "k")[0], "angle": 0.0}
    figure, grid = panels(len(sigmas), len(sharpnesses), height=2.1, sharex=True, sharey=True)
    for row, sigma in zip(grid, sigmas, strict=True):
        for axes, sharpness in zip(row, sharpnesses, strict=True):
            for name in _LOOK:
                how = {"noise": _axis(curves, "noise")[0]} if name == "principle" else {"belief": 1.0}
                how |= {} if name == "principle" else {"sharpness": sharpness}
                for curve in pick(curves, name, **shared, sigma=sigma, **how):
                    _draw(axes, curve)
            _theory(axes, shared["d"], sigma, sharpness)
            axes.set(title=f"sigma {sigma:g}, sharpness {sharpness:g}", xscale="log", ylim=(0, 1.02), xlim=(0.5, None))
    for axes in grid[:, 0]:
        axes.set_ylabel("cosine")
    for axes in grid[-1]:
        axes.set_xlabel("bits told")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _draw(axes: Axes, curve: MeanCurve) -> None:
    label, colour = _LOOK[curve.learner]
    told, mean, error = curve.information[1:], curve.cos[1:], 1.96 * curve.error[1:]
    marker = "." if curve.learner == "principle" else ""
    axes.plot(told, mean, color=colour, label=label, marker=marker)
    axes.fill_between(told, mean - error, mean + error, color=colour, alpha=0.25, lw=0)


def _theory(axes: Axes, d: float, sigma: float, sharpness: float) -> None:
    answers = np.geomspace(d, 4096, 60)
    missing = (d - 1) / (answers * fisher_information(sharpness))
    seen = missing < 0.5
    each = float(answer_information(jnp.asarray(sharpness)))
    axes.plot(answers[seen] * each, np.sqrt(1 - missing[seen]), color="0.3", lw=0.9, ls="--")
    axes.axhline(1 / np.sqrt(1 + sigma**2), color="0.4", lw=0.8, ls=":")


def crossover(folder: RunFolder, cells: Sequence[Cell]) -> Figure:
    """From how many answers on learners are ahead of a whole principle, a panel a sharpness and dimension.

    Args:
      folder: of the run.
      cells: all cells of the folder, in its order.

    Returns:
      The figure; a colour a learner, a size a subspace.
    """
    curves = mean_curves(folder, cells)
    dims, ks, sharpnesses = (_axis(curves, name) for name in ("d", "k", "sharpness"))
    figure, grid = panels(len(dims), len(sharpnesses), height=2.3, sharex=True, sharey=True)
    top = 2.0 * max(each.answers[-1] for each in curves)
    for row, d in zip(grid, dims, strict=True):
        for axes, sharpness in zip(row, sharpnesses, strict=True):
            for name in ("isotropic", "soft", "active"):
                for k in ks:
                    where = {"d": d, "k": k, "sharpness": sharpness, "angle": 0.0, "belief": 1.0}
                    found = pick(curves, name, **where)
                    at = np.array([each.settings["sigma"] for each in found])
                    crossed = np.array([_crosses(curves, each) for each in found])
                    style = {"ms": 3 + 2 * ks.index(k), "mfc": "none", "color": _LOOK[name][1], "ls": "none"}
                    there = np.isfinite(crossed)
                    axes.plot(at[there], crossed[there], marker="o", **style, label=f"{_LOOK[name][0]}, k = {k:g}")
                    axes.plot(at[~there], np.full((~there).sum(), top), marker="^", **style)
            sigmas = np.geomspace(min(_axis(curves, "sigma")), max(_axis(curves, "sigma")), 30)
            theory = (d - 1) / (fisher_information(sharpness) * sigmas**2)
            axes.plot(sigmas, np.minimum(theory, top), color="0.3", lw=0.9, ls="--", label="theory, (i)")
            axes.set(title=f"d {d:g}, sharpness {sharpness:g}", xscale="log", yscale="log", ylim=(1, 1.3 * top))
            axes.set_xticks(_axis(curves, "sigma"), [f"{sigma:g}" for sigma in _axis(curves, "sigma")])
            axes.minorticks_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("answers")
    for axes in grid[-1]:
        axes.set_xlabel("sigma")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _crosses(curves: Sequence[MeanCurve], curve: MeanCurve) -> float:
    """From how many answers on a mean curve is ahead of the whole principle's."""
    where = {name: curve.settings[name] for name in ("d", "k", "sigma", "angle")}
    (mine, *_) = pick(curves, "principle", **where, noise=_axis(curves, "noise")[0])
    return meets(curve.answers, curve.cos, float(mine.cos[-1]))


def wrong_subspace(trials: Trials) -> Figure:
    """Who is ahead, by angle and answers: a row a learner, a column a sigma; the largest d, least k, first sharpness.

    Args:
      trials: of the run.

    Returns:
      The figure.
    """
    rivals, mine = ("isotropic", "soft"), principles(trials)
    where = {"d": max(mine.unique("d")), "k": min(mine.unique("k"))}
    sharpness = min(learners(trials, "isotropic").unique("sharpness"))
    sigmas, angles = mine.unique("sigma"), mine.unique("angle")
    figure, grid = panels(len(rivals), len(sigmas), height=1.9, sharex=True, sharey=True)
    for row, rival in zip(grid, rivals, strict=True):
        for axes, sigma in zip(row, sigmas, strict=True):
            found = np.zeros((len(angles), len(ANSWERS)))
            for i, angle in enumerate(angles):
                at = {**where, "sigma": sigma, "angle": angle}
                whole = mine.matching(**at).values(AFTER).mean()
                learner = learners(trials, rival).matching(**at, sharpness=sharpness)
                found[i] = [learner.values(AFTER, {"answers": float(n)}).mean() - whole for n in ANSWERS]
            _heat(axes, found)
            axes.set(title=f"{_LOOK[rival][0]}, sigma {sigma:g}")
            axes.set_xticks(range(len(ANSWERS)), [str(n) for n in ANSWERS])
            axes.set_yticks(range(len(angles)), [f"{angle:g}°" for angle in angles])
    for axes in grid[-1]:
        axes.set_xlabel("answers")
    return figure


def _heat(axes: Axes, found: np.ndarray) -> None:
    axes.imshow(found, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(found):
        axes.text(j, i, f"{value:+.2f}", ha="center", va="center", color="0" if abs(value) < 0.6 else "1", fontsize=6)
    axes.grid(False)
