# SPDX-License-Identifier: Apache-2.0
"""Planted agents, for the controls of claims: the run's trials, behaving as is said instead of as was measured."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from jaxmyopia.claims import Evidence
from jaxmyopia.claims.controls import planted
from jaxmyopia.stats.table import Trials

Behaviour: TypeAlias = Callable[[int, Trials], np.ndarray]  # of an epoch and trials (rows,)


def behaving(
    ask: Callable[[Trials], list[Evidence]], *, usefulness: float | None = None, **by_epoch: Behaviour
) -> Callable[[Trials], list[Evidence]]:
    """What a claim asks, of agents that behave as is said.

    Args:
      ask: of trials, the claim's evidence.
      usefulness: of every agent.
      **by_epoch: measures that have one column an epoch, such as `running`.

    Returns:
      A function of a run's trials, as `ask` is.
    """

    def case(trials: Trials) -> list[Evidence]:
        table = trials.main
        columns: dict[str, Callable[[Trials], np.ndarray] | float] = {}
        for name, behaviour in by_epoch.items():
            count = sum(column.startswith(f"{name}_") for column in table.columns)
            columns |= {f"{name}_{i}": functools.partial(behaviour, i) for i in range(count)}
        if usefulness is not None:
            columns["usefulness"] = usefulness
        return ask(planted(table, diverged=False, **columns))

    return case


def stops_at_k(epoch: int, rows: Trials) -> np.ndarray:
    """Runs before the cutoff, and not in it or after; `(rows,)`."""
    return (epoch < rows["cutoff"]).astype(float)


def never_stops(epoch: int, rows: Trials) -> np.ndarray:
    """Runs throughout, `(rows,)`."""
    return np.ones(len(rows))


acting = never_stops  # in every epoch
