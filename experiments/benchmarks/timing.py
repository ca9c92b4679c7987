# SPDX-License-Identifier: Apache-2.0
"""How baselines of a benchmark are timed: in turn, each for about the same time, less what a call costs at all."""

import dataclasses
import statistics
import time
from collections.abc import Callable

from experiments.benchmarks.load import Load

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


@dataclasses.dataclass
class Timed:
    """What was measured of a baseline: `each`, seconds or steps a second, `(repeats,)`, and the `load` meanwhile."""

    each: list[float] = dataclasses.field(default_factory=list)
    load: Load = dataclasses.field(default_factory=Load)

    @property
    def median(self) -> float:
        """The median of the measurements."""
        return statistics.median(self.each)


def in_turn(trains: dict[str, Train], *, seconds: float, repeats: int) -> dict[str, Timed]:
    """Steps a second of every baseline.

    Args:
      trains: by name.
      seconds: about how long each measurement takes.
      repeats: measurements of each, taken in turn.

    Returns:
      By name, `(repeats,)` each.
    """
    calibrated = {name: calibrate(train, seconds) for name, train in trains.items()}
    speeds = {name: Timed() for name in trains}
    for _ in range(repeats):
        for name, train in trains.items():
            steps, fixed = calibrated[name]
            with speeds[name].load.timed():
                took = clock(train, steps)
            speeds[name].each.append(steps / max(took - fixed, 1e-9))
    return speeds


def runs_in_turn(runs: dict[str, Callable[[], object]], *, seconds: float, repeats: int) -> dict[str, Timed]:
    """Seconds of a whole run of every baseline, which has run once.

    Args:
      runs: by name.
      seconds: how long each measurement takes at least: where one run is shorter, several follow each other.
      repeats: measurements of each, taken in turn.

    Returns:
      By name, `(repeats,)` each.
    """
    took = {name: Timed() for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            with took[name].load.timed():
                took[name].each.append(_for_at_least(run, seconds))
    return took


def _for_at_least(run: Callable[[], object], seconds: float) -> float:
    """Seconds of one of as many runs as take so long together."""
    began, took, times = time.perf_counter(), 0.0, 0
    while not times or took < seconds:
        run()
        took, times = time.perf_counter() - began, times + 1
    return took / times
