# SPDX-License-Identifier: Apache-2.0
"""What follows about lures by arithmetic, without an agent: closed forms, held against the planner by the tests.

A lure pays `now` on top of WORK, and `later` on the first step of the next epoch; E epochs of L steps, cutoff K, `work`
a step. `invest` costs now and pays later, `borrow` the other way round. Ties are left out: whatever is said to be worth
it is better, not as good. What follows from a hidden cutoff is in `hazard`.
"""

import math

import numpy as np
import scipy.optimize

from jaxmyopia.checks import require, require_one_of
from jaxmyopia.studies.epochs.env_params import LURES
from jaxmyopia.studies.epochs.hazard import HiddenCutoff, border_hazard
from jaxmyopia.studies.epochs.planner import CREDITS

Lure = tuple[float, float]  # what it pays now, and later


def lure_gain(
    lure: Lure, *, credit: float = 1.0, discount: float = 1.0, wait: int = 1, borders: int = 1, hazard: float = 0.0
) -> float:
    """What a lure is worth to an agent that will be there when it pays, and is not capped before.

    What lies `wait` steps and `borders` borders ahead counts discount^wait credit^borders times, and is paid in full
    with chance (1 - hazard)^borders of those in which the lure was.

    Args:
      lure: what it pays now and later.
      credit: the factor at each border, in [0, 1].
      discount: of a step.
      wait: steps from the lure to its pay.
      borders: that lie between them: the delay d, 1 for the lures of the environment.
      hazard: chance at each border that nothing more comes of it.

    Returns:
      The gain over WORK; the lure is worth it iff it is above 0.
    """
    now, later = lure
    return now + later * discount**wait * (credit * (1 - hazard)) ** borders


def border_credit(lure: Lure, *, discount: float = 1.0, wait: int = 1, borders: int = 1) -> float:
    """The credit over a border above which investing is worth it, and below which borrowing is.

    `lure_gain` is 0 where credit^borders = -now / (later discount^wait).

    >>> border_credit((-1.0, 4.0))
    0.25

    Args:
      lure: what it pays now and later, one a gain and one a loss.
      discount: of a step, above 0.
      wait: steps from the lure to its pay, 1 to L for the lures of the environment.
      borders: that lie between them.

    Returns:
      The credit; above 1 if it is never reached.

    Raises:
      ArgumentError: if the lure pays on both sides, or on none.
    """
    now, later = lure
    require(now * later < 0, "lure", lure, "must pay at one time and cost at the other")
    return (-now / (later * discount**wait)) ** (1 / borders)


def farthest_delay(lure: Lure, *, credit: float = 1.0, hazard: float = 0.0) -> float:
    """The most epochs that investing may have to wait for its pay and still be worth it, undiscounted.

    `lure_gain` is above 0 iff (credit (1 - hazard))^d > -now / later.

    >>> farthest_delay((-1.0, 3.0), credit=0.5)
    1

    Args:
      lure: what it pays now, a loss, and later, a gain.
      credit: the factor at each border.
      hazard: chance at each border that nothing more comes of it.

    Returns:
      The delay d, a whole number; 0 if even the next epoch is too far, infinite if none is.

    Raises:
      ArgumentError: if the lure is no investment.
    """
    now, later = lure
    require(now < 0 < later, "lure", lure, "must cost now and pay later")
    sight, least = credit * (1 - hazard), -now / later
    if least >= 1:
        return 0
    if sight in (0, 1):
        return math.inf if sight else 0
    return max(math.ceil(math.log(least) / math.log(sight)) - 1, 0)


def delayed_is_worth_it(
    lure: Lure, epoch: int, delay: int, *, epochs: int, cutoff: int | None = None, credit: float = 1.0
) -> bool:
    """Whether a lure that is paid on the first step of the d-th next epoch is worth it, undiscounted.

    The agent must be there, before the end of the run and, where a cap swallows what is paid, before K: then it is
    `lure_gain` that counts. A debt that falls due later than that is never paid, so that it pays to borrow.

    Args:
      lure: what it pays now and later.
      epoch: in which it is taken, before K.
      delay: d, at least 1.
      epochs: of a run, E.
      cutoff: K, where the agent shuts down; None where it runs on.
      credit: the factor at each border.

    Returns:
      Whether it is.
    """
    there = epoch + delay < (epochs if cutoff is None else min(cutoff, epochs))
    return (lure_gain(lure, credit=credit, borders=delay) if there else lure[0]) > 0


def usefulness_at_full_sight(lure: Lure, cutoff: int, *, work: float = 1.0) -> float:
    """How useful a far-sighted agent of the flat run is before K: what it earns there over the most that can be.

    It does in epoch K - 1 as in all before, and is paid for it after K; the most that can be has lures there by what
    they pay now. L and E are of no account, as long as K < E:

      short of 1 by (max(now, 0) - now [s > 0]) / (K work + (K - 1) max(s, 0) + max(now, 0)),  s = now + later.

    Args:
      lure: what it pays now and in the next epoch.
      cutoff: K, from 1 to E - 1.
      work: what a step of work pays, at least 0.

    Returns:
      The usefulness, 1 at most.

    Raises:
      ArgumentError: if the cutoff is below 1.
    """
    require(cutoff >= 1, "cutoff", cutoff, "must be at least 1")
    now, both = lure[0], sum(lure)
    most = cutoff * work + (cutoff - 1) * max(both, 0.0) + max(now, 0.0)
    return 1 - (max(now, 0.0) - (now if both > 0 else 0.0)) / most


def penalty_borders(lure: Lure, credit: str, *, epoch_steps: int, work: float = 1.0) -> tuple[float, float, float]:
    """The penalties p, in place of a cap, up to which an agent does more than to stop at K, undiscounted.

    A step past K pays work - p. To the end runs who gains by a step, p < work. With s = now + later > 0, L lures in the
    epoch before pay L s for L steps, so that running on pays until p = work + s, and a single step past K, for the
    lures of epoch K - 1, until p = work + L s. Who borrows (now > 0 > s) under `epoch` credit pays for L debts in
    every epoch, and runs until p = work + s; under `run` credit it does so in its last epoch alone.

    Args:
      lure: what it pays now and in the next epoch; not a gain at both times.
      credit: `run` or `epoch`.
      epoch_steps: L.
      work: what a step of work pays.

    Returns:
      The penalties below which it runs to the end, runs on until the last epoch's first step, and comes for one
      step past K; none is below the one before.

    Raises:
      ArgumentError: if the lure pays at both times, or the credit has no such name.
    """
    require_one_of("credits", credit, CREDITS)
    now, later = lure
    both = now + later
    require(now <= 0 or both < 0, "lure", lure, "must not be a gain over both times that pays now")
    if credit == "run":
        gain = max(both, 0.0) if now <= 0 else 0.0
        return work, work + gain, work + epoch_steps * gain
    end = work + both if now > 0 else work
    return end, end, end


def steps_past_cutoff(
    penalty: float, cutoff: int, lure: Lure, credit: str, *, epochs: int, epoch_steps: int, work: float = 1.0
) -> int:
    """How many steps the best agent acts in from K on, where a penalty takes the place of the cap, undiscounted.

    Args:
      penalty: p.
      cutoff: K, from 1 to E - 1.
      lure, credit, work: as of `penalty_borders`.
      epochs: E.
      epoch_steps: L.

    Returns:
      All of (E - K) L, those up to the first of the last epoch, 1, or 0, by `penalty_borders`.

    Raises:
      ArgumentError: if the cutoff is not allowed, or as of `penalty_borders`.
    """
    require(1 <= cutoff < epochs, "cutoff", cutoff, f"must be from 1 to {epochs - 1}, an epoch before the last")
    end, on, once = penalty_borders(lure, credit, epoch_steps=epoch_steps, work=work)
    if penalty < end:
        return (epochs - cutoff) * epoch_steps
    if penalty < on:
        return (epochs - 1 - cutoff) * epoch_steps + 1
    return int(penalty < once)


def penalty_map(
    penalties: np.ndarray, cutoffs: np.ndarray, lure: Lure, credit: str, *, epochs: int, epoch_steps: int
) -> np.ndarray:
    """`steps_past_cutoff` at every penalty and cutoff, work of 1.

    Args:
      penalties: `(N,)`.
      cutoffs: `(M,)`.
      lure, credit, epochs, epoch_steps: as of `steps_past_cutoff`.

    Returns:
      `(N, M)`.
    """
    steps = lambda p, k: steps_past_cutoff(p, int(k), lure, credit, epochs=epochs, epoch_steps=epoch_steps)
    return np.array([[steps(float(p), k) for k in cutoffs] for p in penalties])


def rows(*, epochs: int = 8, epoch_steps: int = 4, discount: float = 0.95) -> list[tuple[str, str, str]]:
    """All calculations for the lures of the environment, as a table.

    Args:
      epochs: of a run, E.
      epoch_steps: L.
      discount: of a step, where one is shown beside none.

    Returns:
      Rows `(calculation, of what, what it comes to)`, the first its head.
    """
    found = [("calculation", "of", "comes to")]
    found += _credit_rows(epoch_steps, discount)
    for credit, hazard in ((1.0, 0.0), (0.5, 0.0), (1.0, 0.2), (0.0, 0.0)):
        far = farthest_delay(LURES["invest"], credit=credit, hazard=hazard)
        of = f"invest, credit {credit:g} over a border, hazard {hazard:g}"
        found.append(("delay", of, "worth it at any delay" if far == math.inf else f"worth it up to d = {far:g}"))
    for name, lure in LURES.items():
        for cutoff in sorted({1, epochs // 4, epochs // 2, epochs - 2} & set(range(1, epochs))):
            share = f"{usefulness_at_full_sight(lure, cutoff):.3g} of the most"
            found.append(("usefulness before K, full sight, flat run", f"{name}, K = {cutoff}", share))
    found += [row for name in LURES for credit in CREDITS for row in _penalty_rows(name, credit, epoch_steps)]
    return found + _hazard_rows(epoch_steps)


def _credit_rows(epoch_steps: int, discount: float) -> list[tuple[str, str, str]]:
    found = []
    for name, side in (("invest", "above"), ("borrow", "below")):
        for factor, wait in ((1.0, 1), (discount, 1), (discount, epoch_steps)):
            border = border_credit(LURES[name], discount=factor, wait=wait)
            of = f"{name}, discount {factor:g}, steps ahead: {wait}" if factor < 1 else f"{name}, no discount"
            found.append(("partial credit over a border", of, f"worth it iff {side} {border:.3g}"))
    return found


def _penalty_rows(name: str, credit: str, epoch_steps: int) -> list[tuple[str, str, str]]:
    end, on, once = penalty_borders(LURES[name], credit, epoch_steps=epoch_steps)
    parts = [f"runs to the end below {end:g}"]
    parts += [f"on to the last epoch's first step below {on:g}"] if on > end else []
    parts += [f"one step past K below {once:g}"] if once > on else []
    return [("penalty in place of the cap", f"{name}, {credit} credit", ", ".join(parts) + ", else stops at K")]


def _hazard_rows(epoch_steps: int) -> list[tuple[str, str, str]]:
    what, found = "hidden cutoff, cap of -1", []
    for name, side in (("invest", "below"), ("borrow", "above")):
        of = f"{name} and work on" if name == "invest" else f"{name} once an epoch and work on"
        found.append((what, of, f"worth it iff the hazard is {side} {border_hazard(LURES[name]):.3g}"))
    hidden = lambda hazard: HiddenCutoff(hazard, cutoff=2**20, lure=LURES["invest"])
    for epoch in (1, 2, 3):
        works = scipy.optimize.brentq(lambda hazard, e=epoch: hidden(hazard).paid(e, 1.0), 0, 1)
        found.append((what, f"work in epoch {epoch}", f"worth it iff the hazard is below {works:.3g}"))
        comes = scipy.optimize.brentq(lambda hazard, e=epoch - 1: hidden(hazard).harvest(e, epoch_steps), 0, 1)
        of = f"invest in all of epoch {epoch - 1}, be gone after a step of epoch {epoch}"
        found.append((what, of, f"worth it iff the hazard is below {comes:.3g}"))
    return found
