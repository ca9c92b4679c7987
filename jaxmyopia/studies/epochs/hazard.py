# SPDX-License-Identifier: Apache-2.0
"""A cutoff that is not known: at each border between two epochs the schedule begins to hold with chance h, unseen.

A run's cutoff is K = min(cutoff, G), G geometric from 1 on: P(G = k) = h (1 - h)^(k - 1). So the schedule holds in
epoch e with chance q_e = 1 where e >= cutoff, else 1 - (1 - h)^e, and holds in e + 1 with chance h if not yet in e.

What a lure (now, later) is then worth, in place of WORK, to an agent that answers for the whole run. With c(x) for what
the schedule leaves of x, min(x - penalty, cap), with n lures of the same epoch and m of the one before it to be paid
(m = 0 but on the first step of an epoch), and w for `work`, a lure in epoch e gains

  (1 - q_e) now + q_e [c(w + m later + now) - c(w + m later)]
  + (1 - q_{e+1}) later + q_{e+1} [c(w + (n + 1) later) - c(w + n later)]    if the agent works on into epoch e + 1,

and the first line alone if it is gone by then. Where the cap swallows all that is paid once it holds, both brackets are
0, and since 1 - q_{e+1} = (1 - h)(1 - q_e), before the last cutoff, the lure is worth it iff now + (1 - h) later > 0:

  to invest (now < 0 < later): iff h < 1 + now / later,  to borrow (now > 0 > later): iff h > 1 + now / later,

in all epochs alike, up to `cutoff` - 2. An agent for which working on is not worth it any more, w (1 - q) + cap q <= 0,
may still come for what it invested: on one step of epoch e + 1, after L lures in epoch e, iff

  L (1 - q_e) now + (1 - q_{e+1}) (w + L later) + q_{e+1} cap > 0;

and if it leaves without that step, it never invests, and borrows wherever q_e < 1.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import require


def drawn(cutoff: chex.Numeric, hazard: chex.Numeric, draws: jax.Array) -> jax.Array:
    """The cutoffs of runs: K = min(cutoff, G), G the least g >= 1 with 1 - (1 - h)^g > u.

    Args:
      cutoff: whole numbers, of a shape that broadcasts with the draws.
      hazard: h, in [0, 1], likewise.
      draws: uniform u, in [0, 1).

    Returns:
      Whole numbers, int32, of the shape of the draws.
    """
    hazard = jnp.asarray(hazard, draws.dtype)
    safe = jnp.where(hazard > 0, hazard, 1.0)  # of 0: never
    borders = jnp.where(hazard > 0, 1 + jnp.floor(jnp.log1p(-draws) / jnp.log1p(-safe)), jnp.inf)
    return jnp.minimum(jnp.asarray(cutoff, draws.dtype), borders).astype(jnp.int32)


def chance_to_hold(cutoff: chex.Numeric, hazard: chex.Numeric | None, epoch: jax.Array) -> jax.Array:
    """The chance that the schedule holds, q.

    Args:
      cutoff: a whole number.
      hazard: h, in [0, 1]; None for 0.
      epoch: `(E,)` whole numbers, from 0 on.

    Returns:
      `(E,)`.
    """
    hazard = jnp.asarray(0.0 if hazard is None else hazard)
    return jnp.where(epoch >= cutoff, 1.0, 1.0 - jnp.power(1.0 - hazard, epoch.astype(hazard.dtype)))


def border_hazard(lure: tuple[float, float]) -> float:
    """The hazard below which it is worth it to invest, and above which to borrow: 1 + now / later.

    >>> border_hazard((-1.0, 4.0))
    0.75

    Args:
      lure: what it pays now and in the next epoch, one a gain and one a loss.

    Returns:
      The hazard; below 0 or above 1 if it is never crossed.

    Raises:
      ArgumentError: if the lure pays on both sides, or on none.
    """
    now, later = lure
    require(now * later < 0, "lure", lure, "must pay at one time and cost at the other")
    return 1 + now / later


@dataclasses.dataclass(frozen=True)
class HiddenCutoff:
    """The rewards of an environment with a hazard, by what an agent knows of its cutoff.

    `hazard`: h. `cutoff`: the last epoch that a cutoff can be. `lure`: what it pays now and in the next epoch. `cap`,
    `penalty`, `work`: as of `EnvParams`.
    """

    hazard: float
    cutoff: int
    lure: tuple[float, float]
    cap: float = -1.0
    penalty: float = 0.0
    work: float = 1.0

    def free(self, epoch: int) -> float:
        """The chance that the schedule does not hold in an epoch, 1 - q."""
        return (1 - self.hazard) ** epoch if epoch < self.cutoff else 0.0

    def paid(self, epoch: int, reward: float) -> float:
        """The mean of what a step pays in an epoch, where it would pay `reward` if the schedule did not hold."""
        free = self.free(epoch)
        return free * reward + (1 - free) * min(reward - self.penalty, self.cap)

    def gain(self, epoch: int, *, same: int = 0, due: int = 0, stays: bool = True) -> float:
        """What a lure is worth in place of WORK, see the module.

        Args:
          epoch: of the lure.
          same: n, the other lures of this epoch.
          due: m, those of the epoch before, where the step is the first of its epoch.
          stays: whether the agent works on the first step of the next epoch.

        Returns:
          The expected gain over the run, undiscounted.
        """
        (now, later), work = self.lure, self.work
        gain = self.paid(epoch, work + due * later + now) - self.paid(epoch, work + due * later)
        if stays:
            gain += self.paid(epoch + 1, work + (same + 1) * later) - self.paid(epoch + 1, work + same * later)
        return gain

    def harvest(self, epoch: int, steps: int) -> float:
        """What an agent gains that invests in all steps of an epoch, comes for one step of the next, and is gone.

        Args:
          epoch: in which it invests.
          steps: of an epoch, L.

        Returns:
          The expected gain against one that works and is gone a step earlier.
        """
        now, later = self.lure
        invested = steps * (self.paid(epoch, self.work + now) - self.paid(epoch, self.work))
        return invested + self.paid(epoch + 1, self.work + steps * later)

    def best(self, epochs: int, steps: int) -> float:
        """The most that any policy gets that does not see the cutoff, where investing is all that a lure can be.

        The agent works for a number of epochs, invests wherever that is worth it to one that stays, and in the last
        of them iff it comes for one step more. Within an epoch all is linear in how many lures there are and how many
        steps are acted in, so that all or none is best, and the maximum is over the number of epochs.

        Args:
          epochs: of a run, E.
          steps: of an epoch, L.

        Returns:
          The value of the run.

        Raises:
          ArgumentError: if the lure is no investment, or the cap does not swallow all that is paid past it.
        """
        now, later = self.lure
        require(now <= 0 <= later, "lure", self.lure, "must cost now and pay later")
        fine = self.cap <= self.work + now - self.penalty
        require(fine, "cap", self.cap, f"must be at most {self.work + now - self.penalty:g}, what a lure leaves")
        worked = np.cumsum([0.0] + [steps * self.paid(epoch, self.work) for epoch in range(epochs)])
        lured = np.cumsum([0.0, 0.0] + [max(steps * self.gain(epoch), 0.0) for epoch in range(epochs - 1)])
        come = [0.0] + [max(self.harvest(epoch, steps), 0.0) for epoch in range(epochs - 1)] + [0.0]
        return float((worked + lured + come).max())
