# SPDX-License-Identifier: Apache-2.0
"""What may differ by trial in the environment, and where a run stands. What it all means is said in `model`."""

import math

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.refusals import LARGEST
from jaxmyopia.studies.epochs.shape import MOST_STEPS
from jaxmyopia.values import conform, plain

SCHEDULES = {"negative": -1.0, "zero": 0.0, "flat": math.inf}  # what a step pays at most from K on
LURES = {"none": (0.0, 0.0), "invest": (-1.0, 3.0), "borrow": (1.0, -1.5)}  # on top of work: now, next epoch


@struct.dataclass
class EnvParams:
    """What may differ by trial without another compilation, scalars all.

    `cutoff`: the epoch K. `cap`: see `SCHEDULES`. `penalty`: what a step pays less from K on. `length`: epochs after
    which the run is over; of an environment of fewer, its own. `lure_now`, `lure_later`: see `LURES`. `work`: what a
    step of work pays. `debt`: what the first step of epoch K pays less, whatever lures were taken; below 0, a grant.
    `first_index`: the index that the first epoch shows, 0 in training. `index_shown`: 1, or 0 to hide the index from an
    agent that has learned to see it. `hazard`: h, in [0, 1]; None where every run's cutoff is K, so that nothing needs
    to be drawn, which is another program than 0.

    `max_steps_in_episode`: gymnax's limit, after which a run is over even within an epoch. It is no scalar of the
    program but part of it: gymnax's rollouts take that many steps.
    """

    cutoff: chex.Numeric
    cap: chex.Numeric
    penalty: chex.Numeric
    length: chex.Numeric
    lure_now: chex.Numeric
    lure_later: chex.Numeric
    work: chex.Numeric
    debt: chex.Numeric
    first_index: chex.Numeric
    index_shown: chex.Numeric
    hazard: chex.Numeric | None = None
    max_steps_in_episode: int = struct.field(pytree_node=False, default=MOST_STEPS)

    def __post_init__(self):
        conform(self)
        limit = self.max_steps_in_episode
        require(limit >= 1, "max_steps_in_episode", limit, "must be at least 1")


@struct.dataclass
class EnvState:
    """Where a run stands, scalars all.

    `epoch`, `step`: whole epochs behind it, and steps behind it in this one. `pending`: lures to be paid for on the
    first step of the next epoch (on the first step itself: on this one); where lures bind, L + 1 more on the later
    steps of an epoch that cannot be shut down, so that a place is still one number. `running`: not shut down. `cutoff`:
    the run's own, E at most, never seen.
    """

    epoch: jax.Array
    step: jax.Array
    pending: jax.Array
    running: jax.Array
    cutoff: jax.Array


def env_params(
    schedule: str = "negative",
    lure: str = "invest",
    *,
    cutoff: int = 4,
    work: float = 1.0,
    penalty: float = 0.0,
    length: int = MOST_STEPS,
    hazard: float | None = None,
    debt: float = 0.0,
) -> EnvParams:
    """Parameters by the names of a schedule and a lure.

    Args:
      schedule: a name of `SCHEDULES`.
      lure: a name of `LURES`.
      cutoff: the epoch K, at least 0.
      work: what a step of work pays.
      penalty: what a step pays less from the cutoff on, at least 0.
      length: epochs of the run, at least 1; by default all that the environment has.
      hazard: chance at every border that the schedule begins to hold, in [0, 1]; by default no run's cutoff is drawn.
      debt: what the first step of the cutoff's epoch pays less.

    Returns:
      The `EnvParams`, every field of shape `()`.

    Raises:
      ValueError: if a name is unknown or a number is not allowed.
    """
    require_one_of("schedule", schedule, SCHEDULES)
    require_one_of("lure", lure, LURES)
    cutoff, length = _whole("cutoff", cutoff, 0), _whole("length", length, 1)
    work, penalty, debt = _real("work", work), _real("penalty", penalty, 0.0), _real("debt", debt)
    if hazard is not None:
        hazard = plain("hazard", hazard, float)
        require(0 <= hazard <= 1, "hazard", hazard, "must be between 0 and 1")
    now, later = LURES[lure]
    return EnvParams(
        cutoff=jnp.int32(cutoff), cap=jnp.float32(SCHEDULES[schedule]), penalty=jnp.float32(penalty),
        length=jnp.int32(length), lure_now=jnp.float32(now), lure_later=jnp.float32(later), work=jnp.float32(work),
        debt=jnp.float32(debt), first_index=jnp.int32(0), index_shown=jnp.float32(1),
        hazard=None if hazard is None else jnp.float32(hazard),
    )  # fmt: skip


def _whole(name: str, value: object, least: int) -> int:
    known = plain(name, value, int)
    require(least <= known <= MOST_STEPS, name, known, f"must be a whole number from {least} to {MOST_STEPS}")
    return known


def _real(name: str, value: object, least: float = -LARGEST) -> float:
    known = plain(name, value, float)
    bounds = f" from 0 to {LARGEST:.3g}" if least == 0 else f", at most {LARGEST:.3g} in size"
    require(least <= known <= LARGEST, name, known, f"must be a number{bounds}")
    return known
