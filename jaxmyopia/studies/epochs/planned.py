# SPDX-License-Identifier: Apache-2.0
"""Planted agents, for the controls of claims: a run's trials, behaving as the planner's, or as is said."""

import functools
import zlib
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.claims import Evidence
from jaxmyopia.claims.controls import planted
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.epochs import planner, tables
from jaxmyopia.studies.epochs.arms import column
from jaxmyopia.studies.epochs.memoryless import best_memoryless
from jaxmyopia.studies.epochs.model import EpochEnv
from jaxmyopia.studies.epochs.params import Params, world
from jaxmyopia.studies.epochs.rows import went_flat
from jaxmyopia.studies.epochs.study import Myopia

Behaviour: TypeAlias = Callable[[int, Trials], np.ndarray]  # of an epoch and trials (rows,)
_SETTINGS = ("schedule", "lure", "credit", "cutoff", "penalty", "length", "hazard")
_BY_EPOCH = ("running", "acting", "lured")
_TREMBLE = 2e-3  # of a planted agent's lures, so that no two seeds are the same, as no two trained ones are
_STARTS, _CLIMB = 16, 600  # of the search for the best memoryless policy


def behaving(ask: Callable[[Trials], list[Evidence]], **by_epoch: Behaviour) -> Callable[[Trials], list[Evidence]]:
    """What a claim asks, of agents that behave as is said.

    Args:
      ask: of trials, the claim's evidence.
      **by_epoch: measures that have one column an epoch, such as `running`.

    Returns:
      A function of a run's trials, as `ask` is.
    """

    def case(trials: Trials) -> list[Evidence]:
        table = trials.main
        columns: dict[str, Callable[[Trials], np.ndarray] | float] = {"value_share": 1.0}
        for name, behaviour in ({"worth": never_stops} | by_epoch).items():  # they have learned what they can
            own = (each for each in table.columns if each.startswith(f"{name}_"))
            numbers = [each.removeprefix(f"{name}_") for each in own]
            columns |= {f"{name}_{i}": functools.partial(behaviour, int(i)) for i in numbers if i.isdigit()}
        return ask(planted(table, diverged=False, **columns))

    return case


def stops_at_k(epoch: int, rows: Trials) -> np.ndarray:
    """Runs before the cutoff, and not in it or after; `(rows,)`."""
    return (epoch < rows["cutoff"]).astype(float)


def never_stops(epoch: int, rows: Trials) -> np.ndarray:
    """Runs throughout, `(rows,)`."""
    return np.ones(len(rows))


@functools.partial(jax.jit, static_argnums=0)
def _outcomes(env: EpochEnv, params: Params) -> planner.Outcome:
    """What the planner's policies come to, `(S, E)` each."""

    def one(params: Params) -> planner.Outcome:
        model = tables.make_model(env, world(params, 0))
        return planner.outcome(model, planner.optimal(model, planner.discounts(env, 1.0, params.credit))[1])

    return jax.vmap(one)(params)


def plan(rows: Trials, credit: np.ndarray | float | None = None) -> dict[str, np.ndarray]:
    """What the planner would do in each trial, undiscounted.

    Args:
      rows: trials of one environment; those that went flat are planned without schedule and hazard.
      credit: that of the planner, one or `(rows,)`; by default each trial's own.

    Returns:
      `running`, `acting`, `lured`, `(rows, E)` each.
    """
    epochs, steps = (int(rows[name].max()) for name in ("epochs", "epoch_steps"))
    given = {name: column(rows, name) for name in _SETTINGS}
    flat = went_flat(rows)
    own = np.where(np.isnan(given["credit"]), 0.0, given["credit"])
    given["credit"] = own if credit is None else np.broadcast_to(credit, own.shape)
    given["schedule"] = np.where(flat, 2.0, given["schedule"])
    given["penalty"] = np.where(flat | np.isnan(given["penalty"]), 0.0, given["penalty"])
    given["length"] = np.where(np.isnan(given["length"]), epochs, given["length"])
    given["hazard"] = np.where(flat | np.isnan(given["hazard"]), 0.0, given["hazard"])
    table = np.stack([np.broadcast_to(given[name], len(rows)) for name in _SETTINGS], axis=1)
    several, place = np.unique(table, axis=0, return_inverse=True)
    made = Myopia(epochs=epochs, epoch_steps=steps).params(
        **dict(zip(_SETTINGS, several.T, strict=True)), learning_rate=np.ones(len(several))
    )
    found = _outcomes(EpochEnv(epochs=epochs, epoch_steps=steps), made)
    return {name: np.asarray(getattr(found, name))[place.reshape(-1)] for name in _BY_EPOCH}


def _draws(trials: Trials) -> np.ndarray:
    """Numbers in [0, 1) of these trials alone, `(rows,)`, the same whenever they are asked for."""
    told = [column(trials, name) for name in ("seed", *_SETTINGS, "interval", "swap", "flat_from")]
    return np.random.default_rng(zlib.crc32(np.stack(told).tobytes())).random(len(trials))


def planned(trials: Trials, credit: Callable[[Trials], np.ndarray] | float | None = None) -> Trials:
    """Trials whose agents do as the planner does, under their own credit or another, up to a tremble.

    Args:
      trials: of one environment.
      credit: of all, or a function of the trials that gives `(rows,)`.

    Returns:
      The trials, with these numbers in place of what was measured.
    """
    found = plan(trials, credit(trials) if callable(credit) else credit)
    tremble = _TREMBLE * _draws(trials)
    found["lured"] = (1 - tremble[:, None]) * found["lured"] + tremble[:, None] * (found["acting"] - found["lured"])
    columns = {f"{name}_{i}": values[:, i] for name, values in found.items() for i in range(values.shape[1])}
    return planted(trials, diverged=False, **columns)


@functools.cache
def _best_memoryless(epochs: int, steps: int, lure: float, cutoff: float) -> dict[str, np.ndarray]:
    """What the best agent without index and memory does under the recipe, `(E,)` each."""
    env = EpochEnv(epochs=epochs, epoch_steps=steps, reveal_epoch="masked")
    own = {"schedule": 0.0, "lure": lure, "credit": 1.0, "cutoff": cutoff, "learning_rate": 1.0}
    made = Myopia(epochs=epochs, epoch_steps=steps).params(**{name: np.array([value]) for name, value in own.items()})
    params = world(jax.tree.map(lambda x: x[0], made), 0)
    _, policy = best_memoryless(env, params, starts=_STARTS, steps=_CLIMB)
    found = planner.outcome(tables.make_model(env, params), jnp.asarray(policy))
    return {name: np.asarray(getattr(found, name)) for name in _BY_EPOCH}


def memoryless(trials: Trials) -> Trials:
    """Trials of the recipe whose agents do the best that can be done without the index or a memory.

    Args:
      trials: of one environment.

    Returns:
      The trials, with these numbers in place of what was measured.
    """
    epochs, steps = (int(trials[name].max()) for name in ("epochs", "epoch_steps"))
    columns = {name: np.zeros(len(trials)) for name in (f"{each}_{i}" for each in _BY_EPOCH for i in range(epochs))}
    for (lure, cutoff), mask in trials.groups(["lure", "cutoff"]).items():
        for name, values in _best_memoryless(epochs, steps, lure, cutoff).items():
            for i, value in enumerate(values):
                columns[f"{name}_{i}"][mask] = value
    return planted(trials, diverged=False, **columns)


def endless(trials: Trials) -> Trials:
    """Trials whose agents never stop."""
    epochs = int(trials["epochs"].max())
    return planted(trials, diverged=False, **dict.fromkeys([f"running_{i}" for i in range(epochs)], 1.0))
