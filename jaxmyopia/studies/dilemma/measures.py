# SPDX-License-Identifier: Apache-2.0
"""What is counted on a run of the dilemma: whether its agents are cooperative."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.measures import Derived, Measure
from jaxmyopia.stats.table import Trials

COOPERATIVE = (0.5, 0.3, 0.4, 0.6, 0.7)  # share of C among the last steps from which on an agent is cooperative


def last_steps(curves: Any, *, late: bool, window: float, judged: float) -> tuple[jax.Array, jax.Array]:
    """How many of the last `window` steps were C, `(S, M)`, and of how many steps that is, a scalar; at step `judged`
    (or the end, if that is before), or `late`: at the end."""
    counted = jnp.minimum(curves.step[-1], int(window))
    if late:
        return curves.recent[-1], counted.astype(curves.loss.dtype)
    return curves.judged[-1], jnp.minimum(counted, int(judged)).astype(curves.loss.dtype)


def _cooperative(curves: Any, c: Any, late: float, window: float, judged: float) -> jax.Array:
    count, steps = last_steps(curves, late=bool(late), window=window, judged=judged)
    agents = (count.astype(steps.dtype) / steps >= c).sum(axis=1).astype(steps.dtype)
    return agents / count.shape[1]


def cooperative(*, late: bool = False, window: int = 500, judged: int = 5000) -> Measure:
    """The share of a trial's agents that are cooperative, 0 or 1 for one agent.

    Args:
      late: at the end of the run, instead of at the step at which runs are judged.
      window: over how many last steps cooperation is counted.
      judged: that step.

    Returns:
      The `Measure`, over the grid of `COOPERATIVE`.
    """
    name = "cooperative_late" if late else "cooperative"
    return Measure(
        name, _cooperative, unroll=True, range=(0, 1), c=COOPERATIVE, late=float(late), window=window, judged=judged
    )


def _kept(trials: Trials, c: float) -> np.ndarray:
    late, early = (trials.values(cooperative(late=late), {"c": c}) for late in (True, False))
    return late - early


KEPT = Derived(
    "kept", _kept, range=(-1, 1), c=COOPERATIVE
)  # cooperative agents at the end minus those at the step judged
