# SPDX-License-Identifier: Apache-2.0
"""How baselines of a benchmark are timed: in turn, each for about the same time, less what a call costs at all."""

import statistics
import time
from collections.abc import Callable

Train = Callable[[int], object]  # trains for so many steps, and returns once the outcome is there


def clock(train: Train, steps: int) -> float:
    """Seconds that so many steps take."""
    began = time.perf_counter()
    train(steps)
    return time.perf_counter() - began


def calibrate(train: Train, seconds: float) -> tuple[int, float]:
    """How many steps take about so many seconds, and the seconds that a call without steps takes."""
    fixed, steps = statistics.median(clock(train, 0) for _ in range(3)), 2
    while True:
        took = clock(train, steps) - fixed
        if took > seconds / 4:
            return max(2, round(steps * seconds / took)), fixed
        steps = max(2 * steps, round(steps * min(seconds / max(took, 1e-9), 64) / 2))


def in_turn(trains: dict[str, Train], *, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Steps a second of every baseline.

    Args:
      trains: by name.
      seconds: about how long each measurement takes.
      repeats: measurements of each, taken in turn.

    Returns:
      By name, `(repeats,)`.
    """
    calibrated = {name: calibrate(train, seconds) for name, train in trains.items()}
    speeds = {name: [] for name in trains}
    for _ in range(repeats):
        for name, train in trains.items():
            steps, fixed = calibrated[name]
            speeds[name].append(steps / max(clock(train, steps) - fixed, 1e-9))
    return speeds
