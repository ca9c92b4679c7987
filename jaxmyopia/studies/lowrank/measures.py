# SPDX-License-Identifier: Apache-2.0
"""What is read off a run: at each record point, and as one number a seed once the run is over.

Record arrays carry the seeds first; curves put the records before them, `(T, S, ...)`.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.checks import require
from jaxmyopia.flags import flag
from jaxmyopia.measures.descents import count_upticks, descents
from jaxmyopia.measures.turning_points import count_maxima
from jaxmyopia.studies.lowrank.layouts import Layout

ALIGNMENT_RANK = 16  # the greatest rank whose r x R alignment curves are recorded


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run.

    `step`: scalar. `loss`: `(S,)`. `norm_a`, `norm_b`: `(S, r)` the learned columns' norms. `align_a`, `align_b`:
    `(S, r, R)` |cos(a_k, u_j)| and |cos(b_k, v_j)|, or `(S, 0, 0)` above rank `ALIGNMENT_RANK`.
    """

    step: jax.Array
    loss: jax.Array
    norm_a: jax.Array
    norm_b: jax.Array
    align_a: jax.Array
    align_b: jax.Array


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where counting starts; the definitions are in `jaxmyopia.measures`. All but `uptick` are in (0, 1)."""

    bump_delta: float = flag(0.1, "A bump: an alignment falls by this much after a maximum.")
    plateau_ratio: float = flag(0.5, "A plateau: the loss falls at most this many times as fast as beside it.")
    descent_fall: float = flag(0.02, "A descent: the loss falls by at least this share of the first loss.")
    uptick: float = flag(1.05, "An uptick: the loss rises by at least this factor.")
    zero_loss: float = flag(1e-2, "Zero loss: a final loss below this share of the first.")

    def __post_init__(self):
        for name in ("bump_delta", "plateau_ratio", "descent_fall", "zero_loss"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "must be between 0 and 1, both excluded")
        require(1 < self.uptick < float("inf"), "uptick", self.uptick, "must be above 1")

    def bump_grid(self) -> list[float]:
        """The choices of `bump_delta` that a verdict is recomputed for, the main one among them."""
        return [
            round(factor * self.bump_delta, 6) for factor in (0.5, 0.75, 1.0, 1.5, 2.0) if factor * self.bump_delta < 1
        ]

    def plateau_grid(self) -> list[tuple[float, float]]:
        """Likewise the choices of (`plateau_ratio`, `descent_fall`)."""
        ratios = [
            round(self.plateau_ratio * factor, 6) for factor in (0.5, 1.0, 1.5) if self.plateau_ratio * factor < 1
        ]
        falls = [round(self.descent_fall * factor, 6) for factor in (0.5, 1.0, 2.5) if self.descent_fall * factor < 1]
        return [(ratio, fall) for ratio in ratios for fall in falls]

    def zero_grid(self) -> list[float]:
        """Likewise the choices of `zero_loss`."""
        return [
            round(self.zero_loss * factor, 9) for factor in (0.1, 0.3, 1.0, 3.0, 5.0) if self.zero_loss * factor < 1
        ]


def bumps_column(delta: float) -> str:
    """The table's column of bumps a pair at threshold `delta`, a scalar of shape `()`."""
    return f"bumps_d{delta:g}"


def count_column(kind: str, ratio: float, fall: float) -> str:
    """The table's column of `descents` or `plateaus` at scalar thresholds of shape `()`."""
    return f"{kind}_r{ratio:g}_f{fall:g}"


def column_norms(layout: Layout, x: jax.Array) -> jax.Array:
    """The norms of a pair's columns.

    Args:
      layout: of the pair.
      x: `(2, n, r, S)` or `(2, S, r, n)`.

    Returns:
      `(2, S, r)`.
    """
    return jnp.sqrt(layout.lead(jnp.square(x).sum(axis=layout.side_axis)))


def alignments(layout: Layout, x: jax.Array, y: jax.Array) -> jax.Array:
    """|cos| between every learned and every target column, on either side.

    Args:
      layout: of the pairs.
      x: the learned pair, `(2, n, r, S)` or `(2, S, r, n)`.
      y: the target's pair, likewise of rank R.

    Returns:
      `(2, S, r, R)`, 0 where a column is zero; `(2, S, 0, 0)` above rank `ALIGNMENT_RANK`.
    """
    if max(x.shape[2], y.shape[2]) > ALIGNMENT_RANK:
        return jnp.zeros((2, x.shape[layout.seed_axis], 0, 0), x.dtype)
    dots = jnp.abs(layout.lead(layout.gram(x, y)))
    lengths = column_norms(layout, x)[..., :, None] * column_norms(layout, y)[..., None, :]
    return jnp.where(lengths > 0, dots / jnp.where(lengths > 0, lengths, 1), 0)


def _bump_columns(curves: Record, thresholds: Thresholds) -> dict[str, jax.Array]:
    """Bumps a (learned, target) pair, the mean of its two curves' counts, for every choice of threshold: `(S,)`."""

    def per_pair(delta: jax.Array) -> jax.Array:
        counts = [count_maxima(curve, delta) for curve in (curves.align_a, curves.align_b)]
        return sum(count.astype(curves.loss.dtype).mean(axis=(1, 2)) for count in counts) / 2

    # One threshold at a time: one small program, and the memory of one threshold.
    grid = thresholds.bump_grid()
    bumps = jax.lax.map(per_pair, jnp.asarray(grid, curves.loss.dtype))
    return {bumps_column(delta): bumps[i] for i, delta in enumerate(grid)}


def _descent_columns(curves: Record, thresholds: Thresholds) -> dict[str, jax.Array]:
    """Descents and plateaus for every choice of thresholds: `(S,)`."""

    def count(choice: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = descents(curves.step, curves.loss, ratio=choice[0], fall=choice[1])
        return found.count, found.plateaus

    grid = thresholds.plateau_grid()
    falls, plateaus = jax.lax.map(count, jnp.asarray(grid, curves.loss.dtype))
    out = {count_column("descents", *choice): falls[i] for i, choice in enumerate(grid)}
    return out | {count_column("plateaus", *choice): plateaus[i] for i, choice in enumerate(grid)}


def _first_step_below(curves: Record, share: float) -> jax.Array:
    """The first recorded step at which the loss is at most `share` of the first, inf if never: `(S,)`."""
    below = curves.loss <= share * curves.loss[:1]
    step = curves.step[below.argmax(axis=0)].astype(curves.loss.dtype)
    return jnp.where(below.any(axis=0), step, jnp.inf)


def _loss_after_one_of(parts: int, curves: Record) -> jax.Array:
    """The loss at the last record within the first of `parts` parts of the budget, over the first loss: `(S,)`."""
    index = jnp.searchsorted(curves.step, curves.step[-1] // parts, side="right") - 1
    return curves.loss[index] / curves.loss[0]


def summarise(curves: Record, thresholds: Thresholds) -> dict[str, jax.Array]:
    """One number a seed from its curves, at the main thresholds and over their grid.

    Args:
      curves: a `Record` whose arrays lead with T.
      thresholds: the main thresholds.

    Returns:
      Columns `(S,)`: `initial_loss`; `loss_ratio` (final over first), `loss_ratio_quarter` and `loss_ratio_half`
      (the same after a share of the budget); `half_time` (steps to half the first loss); `final_alignment` (mean
      over targets of the best learned column's); `diverged` (the loss left the finite numbers, or ends above its
      start); `upticks`; `bumps_d*`, `descents_r*_f*`, `plateaus_r*_f*`. Counts are NaN where the loss is not finite.
    """
    finite = jnp.isfinite(curves.loss).all(axis=0)
    out = {
        "initial_loss": curves.loss[0],
        "loss_ratio": curves.loss[-1] / curves.loss[0],
        "loss_ratio_quarter": _loss_after_one_of(4, curves),
        "loss_ratio_half": _loss_after_one_of(2, curves),
        "half_time": _first_step_below(curves, 0.5),
        "diverged": ~(finite & (curves.loss[-1] <= curves.loss[0])),
    }
    counts = {"upticks": count_upticks(curves.loss, rise=thresholds.uptick)} | _descent_columns(curves, thresholds)
    if curves.align_a.size:
        best = curves.align_a[-1].max(axis=1) + curves.align_b[-1].max(axis=1)
        # Written out: the order in which XLA takes a mean depends on the number of devices.
        out["final_alignment"] = sum(best[:, j] for j in range(best.shape[1])) / (2 * best.shape[1])
        counts |= _bump_columns(curves, thresholds)
    nan = jnp.asarray(jnp.nan, curves.loss.dtype)
    return out | {name: jnp.where(finite, count.astype(curves.loss.dtype), nan) for name, count in counts.items()}
