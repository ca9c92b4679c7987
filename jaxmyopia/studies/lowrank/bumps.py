# SPDX-License-Identifier: Apache-2.0
"""Bumps: where a learned vector nears a target vector and leaves it again, by three definitions.

  inner        an interior maximum of |a_k . u_j| (or |b_k . v_j|) whose prominence is at least delta of the greatest of
               the final inner products of its seed and side: what an eye sees on shared axes
  competition  one of those, while another learned vector gains at least as much on the same target: from the maximum
               to the lowest point after it, before this one rises by as much again
  cosine       an interior maximum of |cos(a_k, u_j)| whose prominence is at least delta

Signs are no facts: a_k and b_k may change theirs together, and nothing else changes. So the size is counted, and drawn.
One that passes through zero touches it there; what it had risen before, on the other side, is a bump, and an eye sees
one. What starts on the other side and comes over has none.

Counts by inner products do not change when all of them are multiplied by a constant. |cos| of a vector that is tiny yet
may peak where no inner product is to be seen.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure
from jaxmyopia.measures.curves import counted
from jaxmyopia.measures.measure import last_within
from jaxmyopia.measures.turning_points import find_falls

DEFINITIONS = ("inner", "competition", "cosine")
_SLOTS = 4  # bumps of a curve that one pass tells; few curves have more, which are passed over again


def bumps(
    delta: tuple[float, ...] = (0.1, 0.05, 0.2),
    definitions: tuple[str, ...] = DEFINITIONS,
    budgets: tuple[float, ...] = (1.0,),
) -> Measure:
    """Bumps a (learned, target) pair: the mean of its two curves' counts, over all pairs.

    Args:
      delta: see the module; in (0, 1), main first.
      definitions: several of `DEFINITIONS`, main first: conditions, under each of which a claim is judged.
      budgets: shares of the steps after which they are counted, main first: likewise conditions. They are those of
        `Measure.at_budgets`, at a third of the cost: curves are not copied for each.

    Returns:
      The `Measure`, of the curves of a `Record`.

    Raises:
      ArgumentError: if a value is not allowed.
    """
    for each in delta:
        require(0 < each < 1, "delta", each, "must be between 0 and 1, both excluded")
    for name in definitions:
        require_one_of("definitions", name, DEFINITIONS)
    require(len(definitions) > 1, "definitions", definitions, "must be several, so that columns tell them apart")
    for share in budgets:
        require(0 < share <= 1, "budgets", share, "must be above 0 and at most 1")
    conditions = ("definition", "budget") if len(budgets) > 1 else ("definition",)
    return Measure("bumps", _bumps, conditions=conditions, definition=definitions, delta=delta, budget=budgets)


def _bumps(curves: Any, definition: str, delta: Any, budget: Any) -> jax.Array:
    """The mean over sides and pairs of the counts of one definition, `(S,)`."""
    names = ("align_a", "align_b") if definition == "cosine" else ("inner_a", "inner_b")
    sides = jnp.stack([getattr(curves, name) for name in names], axis=2)  # (T, S, 2, r, R)
    last, least = last_within(curves, budget), jnp.asarray(delta, sides.dtype)
    if definition != "cosine":
        least = least * sides[last].max(axis=(-2, -1), keepdims=True)
        least = jnp.where(least > 0, least, jnp.inf)  # of nothing, nothing is a bump
    least = jnp.broadcast_to(least, sides.shape[1:])
    competing = definition == "competition"
    counts = _competing(sides, least, last) if competing else find_falls(sides, least, slots=0, last=last).count
    return counted(Curves.of(curves).held_from(last), counts.astype(curves.loss.dtype).mean(axis=(1, 2, 3)))


def _competing(curves: jax.Array, least: jax.Array, last: jax.Array) -> jax.Array:
    """How many falls of curves `(T, ..., r, R)` another of the r meets by a gain of `least` `(..., r, R)`.

    A pass finds the next few falls of every curve, all at once, and looks at the others at their two ends alone: with
    r = 10 it costs what two counts cost (two cores, 2026-11-26; a walk that keeps all others by each curve: seven).
    """

    def gains(other: int, top: jax.Array, bottom: jax.Array) -> jax.Array:
        rival = curves[..., other, None, :]
        return jnp.take_along_axis(rival, bottom, axis=0) - jnp.take_along_axis(rival, top, axis=0)

    def next_few(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        seen, _, met = carry
        falls = find_falls(curves, least, slots=_SLOTS, skip=seen, last=last)
        # A curve falls while it is met by itself, so that it need not be left out.
        each = (gains(other, falls.top, falls.bottom) for other in range(curves.shape[-2]))
        slots = jnp.arange(_SLOTS, dtype=jnp.int32).reshape(-1, *(1,) * least.ndim)
        hits = (functools.reduce(jnp.maximum, each) >= least[None]) & ((falls.count - seen)[None] > slots)
        return seen + _SLOTS, falls.count.max(), met + hits.sum(axis=0, dtype=jnp.int32)

    start = jnp.int32(0), jnp.int32(1), jnp.zeros(least.shape, jnp.int32)
    return jax.lax.while_loop(lambda carry: carry[0] < carry[1], next_few, start)[2]
