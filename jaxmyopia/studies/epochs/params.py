# SPDX-License-Identifier: Apache-2.0
"""What may differ by seed in the myopia studies: names as numbers, their columns, and what is refused."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.env_params import LURES, SCHEDULES, EnvParams
from jaxmyopia.values import check_settings, float_dtype, numbers_of

# Settings that differ by trial are numbers: a name is its place in one of these.
NAMES = {
    "schedule": tuple(SCHEDULES), "lure": tuple(LURES), "credit": ("epoch", "run"),
    "baseline": ("none", "epoch", "place"),
}  # fmt: skip
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

    `cap`, `penalty`, `length`, `lure_now`, `lure_later`, `cutoff`, `debt`: the environment's. `credit`, `discount`: of
    returns. `learning_rate`. `decay`: PPO's lambda.
    `flat_from`: the update from which the schedule is flat, `NEVER` for none. `hazard`: the environment's, or None.
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
    decay: jax.Array
    flat_from: jax.Array
    debt: jax.Array
    hazard: jax.Array | None = None


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
        hazard=params.hazard,
    )


def different(name: str, given: object) -> list[float]:
    """The values in a column, each once, as the programs can hold them.

    Args:
      name: of the setting.
      given: its column `(S,)`, or one value for all seeds.

    Returns:
      The values.

    Raises:
      ArgumentError: if they are no numbers, or none that the programs' dtype holds, or tells apart.
    """
    values = np.unique(numbers_of(name, given)).tolist()
    check_settings([(name, values)])
    return values


def check_codes(**columns: np.ndarray) -> None:
    """Raises ArgumentError unless the columns `(S,)` hold numbers that `code` gives."""
    for name, values in columns.items():
        for value in different(name, values):
            require(value in range(len(NAMES[name])), f"{name}s", value, "must be a number that `code` gives")


def check_numbers(
    epochs: int, *, cutoff: np.ndarray | float, length: np.ndarray | float, **others: np.ndarray | float
) -> None:
    """Raises ArgumentError unless the columns `(S,)` are allowed in runs of E `epochs`.

    Args:
      epochs: E.
      cutoff, length: of the schedule and of the run.
      **others: `learning_rate`, `discount`, `decay`, `penalty`, `debt`, `flat_from`, and `hazard` where there is one.
    """
    for value in different("cutoff", cutoff):
        fine = 0 <= value <= epochs and value == int(value)
        require(fine, "cutoff", value, f"must be a whole number from 0 to epochs={epochs}")
    for value in different("length", length):
        fine = 1 <= value <= epochs and value == int(value)
        require(fine, "length", value, f"must be a whole number from 1 to epochs={epochs}")
    for value in different("learning_rate", others["learning_rate"]):
        require(0 < value < np.inf, "learning_rates", value, "must be positive and finite")
    for name in ("discount", "decay", "hazard"):
        for value in different(name, others[name]) if name in others else ():
            require(0 <= value <= 1, name, value, "must be between 0 and 1")
    for value in different("penalty", others["penalty"]):
        require(0 <= value < np.inf, "penalty", value, "must be at least 0, and finite")
    for value in different("debt", others["debt"]):
        require(bool(np.isfinite(value)), "debt", value, "must be finite")
    for value in different("flat_from", others["flat_from"]):
        fine = 0 <= value <= NEVER and value == int(value)
        require(fine, "flat_from", value, f"must be a whole number from 0 to {NEVER:g}, which is never")


def of_seeds(name: str, given: object, seeds: tuple[int, ...]) -> np.ndarray:
    """A column `(S,)` from one, or from one value for all; ArgumentError if it is of another length."""
    column, allowed = np.asarray(given), f"must be one number, or as many as there are seeds, {math.prod(seeds)}"
    require(column.shape in ((), seeds), name, f"{len(np.atleast_1d(column))} numbers", allowed)
    return np.broadcast_to(column, seeds)


def made_of(
    epochs: int, *, schedule: np.ndarray, lure: np.ndarray, credit: np.ndarray, **columns: np.ndarray | float
) -> Params:
    """The parameters of S seeds.

    Args:
      epochs: E, of the environment.
      schedule, lure, credit: `(S,)` each, from `code`.
      **columns: all others of `Params` but what these three stand for, `(S,)` or one value for all seeds.

    Returns:
      The `Params`.

    Raises:
      ArgumentError: if a value is not allowed.
    """
    check_codes(schedule=schedule, lure=lure, credit=credit)
    check_numbers(epochs, **columns)
    shape, dtype = np.shape(schedule), float_dtype()
    caps, lures = np.array(list(SCHEDULES.values())), np.array(list(LURES.values()))
    now, later = lures[of_seeds("lure", lure, shape).astype(int)].T
    columns |= {"cap": caps[np.asarray(schedule, int)], "lure_now": now, "lure_later": later, "credit": credit}
    return Params(**{name: jnp.asarray(of_seeds(name, x, shape), dtype) for name, x in columns.items()})
