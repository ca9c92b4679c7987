# SPDX-License-Identifier: Apache-2.0
"""What is read off a run: at each record point, and as one number a seed once the run is over.

Record arrays carry the seeds first; curves put the records before them, `(T, S, ...)`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmyopia import measures
from jaxmyopia.checks import require
from jaxmyopia.flags import When, flag
from jaxmyopia.measures import Derived, Measure
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.lowrank.bumps import DEFINITIONS, bumps
from jaxmyopia.studies.lowrank.layouts import Layout
from jaxmyopia.values import check_settings, conform

TIMES = ("linear", "log")  # in which descents and plateaus are counted
SHARES = (1.0, 0.3, 0.1)  # of the steps, after which measures are taken
ALIGNMENT_RANK = 16  # the greatest rank whose r x R alignment curves are recorded


NARROW = When(f"at ranks up to {ALIGNMENT_RANK}", lambda sweep: min(sweep.ranks) <= ALIGNMENT_RANK)
WIDE = When(f"at ranks above {ALIGNMENT_RANK}", lambda sweep: max(sweep.ranks) > ALIGNMENT_RANK)


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run.

    `step`: scalar. `loss`: `(S,)`. `norm_a`, `norm_b`: `(S, r)` the learned columns' norms. `align_a`, `align_b`:
    `(S, r, R)` |cos(a_k, u_j)| and |cos(b_k, v_j)|; `inner_a`, `inner_b`: likewise |a_k . u_j| and |b_k . v_j|; all
    four `(S, 0, 0)` above rank `ALIGNMENT_RANK`.
    """

    step: jax.Array
    loss: jax.Array
    norm_a: jax.Array
    norm_b: jax.Array
    align_a: jax.Array
    align_b: jax.Array
    inner_a: jax.Array
    inner_b: jax.Array


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where counting starts; the definitions are in `jaxmyopia.measures`. All but `uptick` are in (0, 1)."""

    bump_delta: float = flag(0.1, "A bump: its prominence, over the greatest final inner product.", when=NARROW)
    plateau_ratio: float = flag(0.5, "A plateau: the loss falls at most this many times as fast as beside it.")
    descent_fall: float = flag(0.02, "A descent: the loss falls by at least this share of the first loss.")
    uptick: float = flag(1.05, "An uptick: the loss rises by at least this factor.")
    uptick_floor: float = flag(1e-3, "Upticks: losses below this share of the first count as equal to it.")
    zero_loss: float = flag(1e-2, "Zero loss: a final loss below this share of the first.")

    def __post_init__(self):
        conform(self)
        for name in ("bump_delta", "plateau_ratio", "descent_fall", "uptick_floor", "zero_loss"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "must be between 0 and 1, both excluded")
        check_settings([(field.name, (getattr(self, field.name),)) for field in dataclasses.fields(self)])
        require(1 < self.uptick < float("inf"), "uptick", self.uptick, "must be above 1")

    def _grid(self, name: str, *factors: float) -> tuple[float, ...]:
        """A threshold, then its multiples that are allowed: what a verdict is recomputed for."""
        main = getattr(self, name)
        return (main, *(round(main * factor, 9) for factor in factors if main * factor < 1))

    @property
    def plateaus(self) -> Measure:
        """How many plateaus the loss has, in linear and in log time."""
        return measures.plateaus(ratio=self._ratios, fall=self._falls, time=TIMES).at_budgets(*SHARES)

    @property
    def descents(self) -> Measure:
        """How many descents the loss has, likewise."""
        return measures.descents(ratio=self._ratios, fall=self._falls, time=TIMES).at_budgets(*SHARES)

    @property
    def _ratios(self) -> tuple[float, ...]:
        return self._grid("plateau_ratio", 0.5, 1.5)

    @property
    def _falls(self) -> tuple[float, ...]:
        return self._grid("descent_fall", 0.5, 2.5)

    @property
    def bumps(self) -> Measure:
        """Bumps a (learned, target) pair, under each definition."""
        return self.bumps_by(*DEFINITIONS)

    def bumps_by(self, *definitions: str) -> Measure:
        """The same under some of the definitions alone."""
        return bumps(self._grid("bump_delta", 0.5, 0.75, 1.5, 2.0), definitions, SHARES)

    @property
    def at_zero(self) -> Derived:
        """Whether the loss counts as zero after a share of the steps: below `epsilon` of the first."""
        epsilon = self._grid("zero_loss", 0.1, 0.3, 3.0, 5.0)
        return Derived("zero_loss", _below, range=(0, 1), conditions=("budget",), epsilon=epsilon, budget=SHARES)

    @property
    def ratios(self) -> tuple[str, ...]:
        """The columns by which a loss counts as zero, of all budgets."""
        return AT_BUDGETS.columns

    @functools.lru_cache(maxsize=4096)  # noqa: B019  # of as many thresholds as there are; every cell asks
    def measures(self, *, aligned: bool) -> tuple[Measure, ...]:
        """What is taken of every trial; bumps only where alignments are recorded."""
        arrival = measures.time_to(share=self.zero_loss, name="zero_time")
        upticks = measures.upticks(rise=self.uptick, floor=self.uptick_floor)
        taken = (upticks, measures.oscillation(), self.descents, self.plateaus, *_RATIOS, arrival)
        return (*taken, self.bumps) if aligned else taken


HALF_TIME = measures.time_to(share=0.5, name="half_time")
FINAL_RATIO = measures.final_ratio()
AT_BUDGETS = measures.final_ratio(name="loss_ratio_at").at_budgets(*SHARES)
_RATIOS = (HALF_TIME, FINAL_RATIO, AT_BUDGETS)


def _below(trials: Trials, epsilon: float, budget: float) -> np.ndarray:
    return trials.values(AT_BUDGETS, {"budget": budget}) < epsilon


def column_norms(layout: Layout, x: jax.Array) -> jax.Array:
    """The norms of a pair's columns.

    Args:
      layout: of the pair.
      x: `(2, n, r, S)` or `(2, S, r, n)`.

    Returns:
      `(2, S, r)`.
    """
    return jnp.sqrt(layout.lead(jnp.square(x).sum(axis=layout.side_axis)))


def inner_products(layout: Layout, x: jax.Array, y: jax.Array) -> jax.Array:
    """The sizes of the inner products of every learned with every target column, on either side.

    Args:
      layout: of the pairs.
      x: the learned pair, `(2, n, r, S)` or `(2, S, r, n)`.
      y: the target's pair, likewise of rank R.

    Returns:
      `(2, S, r, R)`; `(2, S, 0, 0)` above rank `ALIGNMENT_RANK`.
    """
    if max(x.shape[2], y.shape[2]) > ALIGNMENT_RANK:
        return jnp.zeros((2, x.shape[layout.seed_axis], 0, 0), x.dtype)
    return jnp.abs(layout.lead(layout.gram(x, y)))


def alignments(layout: Layout, x: jax.Array, y: jax.Array) -> jax.Array:
    """|cos| between every learned and every target column, on either side; arguments as of `inner_products`.

    Returns:
      `(2, S, r, R)`, 0 where a column is zero; `(2, S, 0, 0)` above rank `ALIGNMENT_RANK`.
    """
    dots = inner_products(layout, x, y)
    if not dots.size:
        return dots
    lengths = column_norms(layout, x)[..., :, None] * column_norms(layout, y)[..., None, :]
    return jnp.where(lengths > 0, dots / jnp.where(lengths > 0, lengths, 1), 0)


def summarise(curves: Record) -> dict[str, jax.Array]:
    """One number a seed from its curves, besides the measures.

    Args:
      curves: a `Record` whose arrays lead with T.

    Returns:
      Columns `(S,)`: `initial_loss`; `final_alignment` (mean over targets of the best learned column's); `diverged`
      (the loss left the finite numbers, or ends above its start).
    """
    finite = jnp.isfinite(curves.loss).all(axis=0)
    out = {"initial_loss": curves.loss[0], "diverged": ~(finite & (curves.loss[-1] <= curves.loss[0]))}
    if curves.align_a.size:
        best = curves.align_a[-1].max(axis=1) + curves.align_b[-1].max(axis=1)
        # Written out: the order in which XLA takes a mean depends on the number of devices.
        mean = sum(best[:, j] for j in range(best.shape[1])) / (2 * best.shape[1])
        out["final_alignment"] = jnp.where(finite, mean, jnp.asarray(jnp.nan, best.dtype))
    return out
