# SPDX-License-Identifier: Apache-2.0
"""How the seed explorer draws a low-rank run: inner products and alignments with their bumps, and columns' lengths."""

import functools

import jax
import numpy as np

from jaxmyopia.measures.turning_points import turning_points
from jaxmyopia.report.explorer import Panel

_turning_points = jax.jit(turning_points)


def _bumps(delta: float, steps: np.ndarray, line: np.ndarray) -> list[int]:
    """The records `(m,)` of the maxima of a line `(T,)` that stand out by `delta`."""
    del steps
    found = _turning_points(line.astype(np.float32), delta)
    return np.asarray(found.index)[np.asarray(found.kind) == 1].tolist()


def _over_greatest(inner: np.ndarray) -> np.ndarray | None:
    """Inner products `(T, r, R)` over the greatest at the end; None where there are none."""
    greatest = inner[-1].max() if inner.size else 0
    return inner / greatest if greatest > 0 else None


def panels(delta: float) -> list[Panel]:
    """What is drawn of a seed besides its loss.

    Args:
      delta: by how much a bump stands out.

    Returns:
      The panels.
    """
    bumps = functools.partial(_bumps, delta)
    told = f"Triangles: bumps, maxima that stand out by {delta:g}."
    sides = ("a", "b")
    return [
        Panel(
            tuple(f"inner_{side}" for side in sides), "Inner products over the greatest at the end",
            make=_over_greatest, marks=bumps, note=told, log=False,
        ),
        Panel(
            tuple(f"align_{side}" for side in sides), "|cos| with the target columns",
            marks=bumps, note=told, log=False,
        ),
        Panel(tuple(f"norm_{side}" for side in sides), "Lengths of the learned columns"),
    ]  # fmt: skip
