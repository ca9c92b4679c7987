# SPDX-License-Identifier: Apache-2.0
"""What may differ by seed in the myopia studies: names as numbers, their columns, and what is refused."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.model import LURES, SCHEDULES, EnvParams

# Settings that differ by trial are numbers: a name is its place in one of these.
NAMES = {"schedule": tuple(SCHEDULES), "lure": tuple(LURES), "credit": ("epoch", "run")}
NEVER = 1e9  # updates after which the schedule turns flat: not in this run


def code(setting: str, name: str) -> float:
    """The number that stands for a name in a sweep, shape `()`.

    >>> code("schedule", "flat")
    2.0
    """
    require_one_of(f"{setting}s", name, NAMES[setting])
    return float(NAMES[setting].index(name))


@struct.dataclass
class Params:
    """What may differ by seed without another compilation, `(S,)` each.

    `cap`, `penalty`, `length`, `lure_now`, `lure_later`, `cutoff`, `debt`: the environment's. `credit`,
    `discount`: of returns. `learning_rate`.
    `flat_from`: the update from which the schedule is flat, `NEVER` for none.
    """

    cap: jax.Array
    penalty: jax.Array
    length: jax.Array
    lure_now: jax.Array
    lure_later: jax.Array
    cutoff: jax.Array
    credit: jax.Array
    discount: jax.Array
    learning_rate: jax.Array
    flat_from: jax.Array
    debt: jax.Array


def world(params: Params, step: chex.Numeric) -> EnvParams:
    """The environment's parameters of one seed at an update, all of shape `()`. The index is shown as in training.

    What is the same for all seeds is a constant here, so that observations are computed once for all of them.
    """
    return EnvParams(
        cutoff=params.cutoff.astype(jnp.int32),
        cap=jnp.where(step >= params.flat_from.astype(jnp.int32), jnp.inf, params.cap),
        penalty=jnp.where(step >= params.flat_from.astype(jnp.int32), 0.0, params.penalty),
        length=params.length.astype(jnp.int32),
        lure_now=params.lure_now,
        lure_later=params.lure_later,
        work=jnp.ones((), params.cap.dtype),
        debt=params.debt,
        first_index=jnp.int32(0),
        index_shown=jnp.ones((), params.cap.dtype),
    )


def check_codes(**columns: np.ndarray) -> None:
    """Raises ValueError unless the columns `(S,)` hold numbers that `code` gives."""
    for name, values in columns.items():
        for value in np.unique(values):
            require(value in range(len(NAMES[name])), f"{name}s", float(value), "must be a number that `code` gives")


def check_numbers(epochs: int, *, cutoff: np.ndarray, length: np.ndarray | float, **others: np.ndarray | float) -> None:
    """Raises ValueError unless the columns `(S,)` are allowed in runs of E `epochs`.

    Args:
      epochs: E.
      cutoff, length: of the schedule and of the run.
      **others: `learning_rate`, `discount`, `penalty`, `debt`.
    """
    for value in np.unique(cutoff):
        fine = 0 <= value <= epochs and value == int(value)
        require(fine, "cutoff", float(value), f"must be a whole number from 0 to epochs={epochs}")
    for value in np.unique(length):
        fine = 1 <= value <= epochs and value == int(value)
        require(fine, "length", float(value), f"must be a whole number from 1 to epochs={epochs}")
    for value in np.unique(others["learning_rate"]):
        require(0 < value < np.inf, "learning_rates", float(value), "must be positive and finite")
    for value in np.unique(others["discount"]):
        require(0 <= value <= 1, "discount", float(value), "must be between 0 and 1")
    for value in np.unique(others["penalty"]):
        require(0 <= value < np.inf, "penalty", float(value), "must be at least 0, and finite")
    for value in np.unique(others["debt"]):
        require(bool(np.isfinite(value)), "debt", float(value), "must be finite")
