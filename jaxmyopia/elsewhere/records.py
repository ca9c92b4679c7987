# SPDX-License-Identifier: Apache-2.0
"""The records of one run from elsewhere, checked: what is harmless is left out and told, what is not counts nowhere.

A run is not counted, and its reason names the step, if a step comes back with another loss, steps decrease where rows
have an order, a record was logged before that of an earlier step (a run that was resumed), a loss is not finite, there
is a gap in which a descent could hide, or there are fewer than three records.
"""

import dataclasses

import numpy as np

MIN_RECORDS = 3
# A gap is so many times as long as both of its neighbours, such a part of the run, and over it the loss changes by such
# a share of the first: then a descent or a plateau may lie in it. Records that thin out evenly have none.
GAP_TIMES, GAP_PART, GAP_CHANGE = 10, 0.05, 0.02
_STEP_PRECISION = 0.01  # of the time between two records, once steps are numbers of the device


@dataclasses.dataclass(frozen=True)
class Raw:
    """A run's rows as they came: `steps`, `loss`, which cells of it are `empty`, and the `clock` at which they were
    logged, where one is told; `(rows,)` each. `ordered`: whether their order means something. `nan_is_empty`: whether
    an empty cell may also be a loss that is NaN."""

    name: str
    steps: np.ndarray
    loss: np.ndarray
    empty: np.ndarray
    clock: np.ndarray | None = None
    ordered: bool = False
    nan_is_empty: bool = False


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's curve: `steps` `(T,)`, int32 if they are whole, else float32; `loss` `(T,)`; how many rows were
    `left_out`; and the `reason` why it is not counted, empty if it is."""

    name: str
    steps: np.ndarray
    loss: np.ndarray
    left_out: int
    reason: str = ""

    @property
    def diverged(self) -> bool:
        """The loss left the finite numbers or ends above its start."""
        return len(self.loss) > 0 and not (np.isfinite(self.loss).all() and self.loss[-1] <= self.loss[0])


def checked(raw: Raw) -> Run:
    """A run's curve from its rows: those without a loss, or that are there twice, left out; sorted by step.

    Args:
      raw: the rows.

    Returns:
      The `Run`.
    """
    reason = _trailing(raw)
    keep = ~raw.empty
    steps, loss = raw.steps[keep], raw.loss[keep]
    clock = None if raw.clock is None else raw.clock[keep]
    if np.isnan(steps).any():
        reason = reason or f"a record has no step, its loss is {loss[np.isnan(steps)][0]:g}"
    if raw.ordered:
        reason = reason or _decrease(steps)
    order = np.lexsort((steps if clock is None else clock, loss, steps))  # of what is there twice, the first record
    steps, loss, clock = steps[order], loss[order], None if clock is None else clock[order]
    again = np.zeros(len(steps), bool)
    again[1:] = (steps[1:] == steps[:-1]) & ((loss[1:] == loss[:-1]) | (np.isnan(loss[1:]) & np.isnan(loss[:-1])))
    steps, loss, clock = steps[~again], loss[~again], None if clock is None else clock[~again]
    reason = reason or _repeated(steps, loss) or _resumed(steps, clock) or _of_losses(steps, loss) or _gap(steps, loss)
    exact = _device_steps(steps)
    if not reason and exact is None:
        reason = "its steps are too large to be told apart: subtract the first"
    return Run(raw.name, steps if exact is None else exact, loss, len(raw.steps) - len(steps), reason)


def _trailing(raw: Raw) -> str:
    """A DataFrame's NaN at the end may be no record, or a run that diverged."""
    if not raw.nan_is_empty or not raw.empty.any() or raw.empty.all():
        return ""
    steps = raw.steps[~np.isnan(raw.steps)]
    last = raw.steps[~raw.empty].max(initial=-np.inf)
    after = steps[steps > last]
    if not after.size:
        return ""
    told = "no record or not finite? drop these rows to say the first, or give the file's path"
    return f"NaN from step {_shown(after.min())} on: {told}"


def _decrease(steps: np.ndarray) -> str:
    back = np.flatnonzero(np.diff(steps) < 0)
    return f"step {_shown(steps[back[0] + 1])} comes after step {_shown(steps[back[0]])}" if back.size else ""


def _repeated(steps: np.ndarray, loss: np.ndarray) -> str:
    twice = np.flatnonzero(np.diff(steps) == 0)
    if not twice.size:
        return ""
    first, second = loss[twice[0]], loss[twice[0] + 1]
    return f"step {_shown(steps[twice[0]])} is there twice, with losses {first:g} and {second:g}"


def _resumed(steps: np.ndarray, clock: np.ndarray | None) -> str:
    back = np.flatnonzero(np.diff(clock) < 0) if clock is not None else np.zeros(0, int)
    if not back.size:
        return ""
    later, earlier = _shown(steps[back[0]]), _shown(steps[back[0] + 1])
    return f"step {earlier} was logged before step {later}: was the run resumed?"


def _of_losses(steps: np.ndarray, loss: np.ndarray) -> str:
    if len(loss) < MIN_RECORDS:
        return f"it has {len(loss)} records, and needs {MIN_RECORDS}"
    if not np.isfinite(loss).all():
        return f"it is not finite at step {_shown(steps[np.argmin(np.isfinite(loss))])}"
    if np.abs(loss).max() > np.finfo(np.float32).max:
        return f"it is too large at step {_shown(steps[np.argmax(np.abs(loss))])}"
    return "" if np.float32(loss[0]) > 0 else "it does not start above zero"


def _gap(steps: np.ndarray, loss: np.ndarray) -> str:
    between = np.diff(steps)
    before = np.concatenate([between[1:2], between[:-1]])  # the ends have one neighbour
    after = np.concatenate([between[1:], between[-2:-1]])
    change = np.abs(np.diff(loss)) / loss[0]
    wide = (between > GAP_TIMES * np.maximum(before, after)) & (between > GAP_PART * (steps[-1] - steps[0]))
    found = np.flatnonzero(wide & (change > GAP_CHANGE))
    if not found.size:
        return ""
    place = found[0]
    ends = f"{_shown(steps[place])} and {_shown(steps[place + 1])}"
    return f"nothing is recorded between steps {ends}, and the loss changes by {change[place]:.0%} of the first"


def _device_steps(steps: np.ndarray) -> np.ndarray | None:
    """Steps as they are measured, increasing; None if rounding would blur the time between records."""
    if np.isfinite(steps).all() and (steps == np.round(steps)).all() and np.abs(steps).max(initial=0) < 2**31:
        return steps.astype(np.int32)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = steps.astype(np.float32)
        between, exact = np.diff(rounded.astype(float)), np.diff(steps)
        fine = np.abs(between - exact) <= _STEP_PRECISION * exact
    return rounded if fine.all() else None


def _shown(step: float) -> str:
    return str(int(step)) if step == np.round(step) and abs(step) < 1e15 else f"{step:g}"
