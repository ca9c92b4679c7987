# SPDX-License-Identifier: Apache-2.0
"""Losses of many runs, whatever their steps and lengths, and the measures made of them: inside jit, once each."""

import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require
from jaxmyopia.curves import Curves
from jaxmyopia.elsewhere.records import Run
from jaxmyopia.measures.measure import Measure, summarise

_BLOCK = 4_000_000  # losses that are measured at once


class LossAlone(Curves):
    """Curves that hold the step and the loss, and say so when another one is asked for."""

    def __getitem__(self, name: str) -> jax.Array:
        require(name in self, "curve", name, "must be the loss or the step: curves from elsewhere hold no others")
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns


class Losses:
    """The curves of runs, and the columns `(runs,)` of the measures that were made of them so far.

    Runs of one length are measured at once, by one compiled program.
    """

    def __init__(self, runs: Sequence[Run]):
        self.runs = tuple(runs)
        self._made: dict[Measure, dict[str, np.ndarray]] = {}

    def columns(self, *measures: Measure) -> dict[str, np.ndarray]:
        """The columns `(runs,)` of measures at all their choices; NaN for a run that is not counted."""
        new = tuple(dict.fromkeys(each for each in measures if each not in self._made))
        if new:
            made = self._measured(new)
            self._made |= {each: {name: made[name] for name in each.columns} for each in new}
        return {name: column for each in measures for name, column in self._made[each].items()}

    @property
    def made(self) -> dict[str, np.ndarray]:
        """The columns of all measures that were asked for; of two of one name, those of the last."""
        return {name: column for columns in self._made.values() for name, column in columns.items()}

    def _measured(self, measures: tuple[Measure, ...]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        # Two measures may have one name, as those of other thresholds do: each has its own turn.
        for turn in _turns(measures):
            found |= {name: np.full(len(self.runs), np.nan) for each in turn for name in each.columns}
            for places, steps, loss in self._groups():
                program = _together if steps.ndim == 1 else _apart
                for name, values in jax.device_get(program(turn)(steps, loss)).items():
                    found[name][places] = np.asarray(values, float).reshape(-1)[: len(places)]
        return found

    def _groups(self) -> Iterator[tuple[np.ndarray, jax.Array, jax.Array]]:
        """Runs of one length: their places, steps `(T,)` and losses `(T, S)`, or, where runs differ in their steps,
        `(S, T)` of both."""
        lengths: dict[tuple[int, str], list[int]] = {}
        for place, run in enumerate(self.runs):
            if not run.reason:
                lengths.setdefault((len(run.steps), run.steps.dtype.name), []).append(place)
        dtype = jax.dtypes.canonicalize_dtype(float)
        for (length, _), places in lengths.items():
            size = max(1, min(len(places), _BLOCK // length))
            padded = places + places[-1:] * (-len(places) % size)  # every block has one shape
            same = all(np.array_equal(self.runs[place].steps, self.runs[places[0]].steps) for place in places)
            for start in range(0, len(padded), size):
                block = padded[start : start + size]
                loss = np.stack([self.runs[place].loss for place in block])
                own = places[start : start + size]
                if same:
                    yield np.asarray(own), jnp.asarray(self.runs[block[0]].steps), jnp.asarray(loss.T, dtype)
                else:
                    steps = np.stack([self.runs[place].steps for place in block])
                    yield np.asarray(own), jnp.asarray(steps), jnp.asarray(loss, dtype)


def _turns(measures: Sequence[Measure]) -> list[tuple[Measure, ...]]:
    turns: list[list[Measure]] = []
    for each in measures:
        free = next((turn for turn in turns if all(set(each.columns).isdisjoint(one.columns) for one in turn)), None)
        if free is None:
            turns.append([each])
        else:
            free.append(each)
    return [tuple(turn) for turn in turns]


@functools.lru_cache(maxsize=256)
def _together(measures: tuple[Measure, ...]) -> Callable[[jax.Array, jax.Array], dict[str, jax.Array]]:
    """From steps `(T,)` and losses `(T, S)`."""
    return jax.jit(lambda steps, loss: summarise(measures, LossAlone({"step": steps, "loss": loss})))


@functools.lru_cache(maxsize=256)
def _apart(measures: tuple[Measure, ...]) -> Callable[[jax.Array, jax.Array], dict[str, jax.Array]]:
    """From steps and losses `(S, T)`."""
    one = lambda steps, loss: summarise(measures, LossAlone({"step": steps, "loss": loss[:, None]}))
    return jax.jit(jax.vmap(one))
