# SPDX-License-Identifier: Apache-2.0
"""Cases for the controls of claims: copies of one side, in which nothing differs, and planted numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmyopia.stats.table import Columns, Trials


def copies(trials: Trials) -> tuple[Trials, Trials]:
    """Two sides of the same kind: the trials of even and of odd seeds, numbered alike, so that they pair by chance.

    Args:
      trials: of one side.

    Returns:
      Both sides, of as many seeds each.
    """
    seed = trials.columns["seed"]
    halves = (trials.keep((seed % 2 == half) & (seed < seed.max(initial=0) // 2 * 2 + 2)) for half in (0, 1))
    even, odd = (planted(half, seed=lambda rows: rows["seed"] // 2) for half in halves)
    return even, odd


def planted(trials: Trials, **columns: Callable[[Trials], Any] | np.ndarray | float) -> Trials:
    """The same trials with numbers put in place of what was measured: a case whose answer is known.

    Args:
      trials: of a run.
      **columns: a number, `(rows,)` of them, or a function of the trials that gives `(rows,)`.

    Returns:
      The trials, with those columns.
    """

    def make(name: str) -> np.ndarray:
        if name not in columns:
            return trials.columns[name]
        given = columns[name]
        return np.broadcast_to(np.asarray(given(trials) if callable(given) else given), (len(trials),))

    return dataclasses.replace(trials, columns=Columns([*trials.columns, *columns], make))
