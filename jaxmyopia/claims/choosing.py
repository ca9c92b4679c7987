# SPDX-License-Identifier: Apache-2.0
"""Choosing a setting, such as a learning rate, on seeds that are not judged.

The first `CHOOSING` seeds choose, all others are judged. A value passes the guard if at least `GUARD` of the seeds that
choose are fine there; if none does, the claim is not applicable.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from jaxmyopia.stats.table import Trials

CHOOSING = 16
GUARD = 0.95

Fine: TypeAlias = Callable[[Trials], np.ndarray]


def choosing(trials: Trials) -> Trials:
    """The trials of the seeds that choose."""
    return trials.keep(trials.columns["seed"] < CHOOSING)


def judged(trials: Trials) -> Trials:
    """The trials of the seeds that are judged."""
    return trials.keep(trials.columns["seed"] >= CHOOSING)


def passing(trials: Trials, setting: str, fine: Fine) -> list[float]:
    """The values of a setting that pass the guard.

    Args:
      trials: of the seeds that choose.
      setting: a column.
      fine: of trials `(rows,)`, which are fine.

    Returns:
      The values, sorted.
    """
    values = trials.unique(setting)
    return [value for value in values if np.mean(fine(trials.matching(**{setting: value}))) >= GUARD]
