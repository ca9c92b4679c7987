# SPDX-License-Identifier: Apache-2.0
"""Loss curves whose descents and plateaus are known, because they were made of them.

Time `u` runs from 0 to 1 over a curve, and the first loss is about 1. A stage falls by at least 5 % of it; between two
stages, and before the first one unless the curve starts with it, the loss moves at most a quarter as fast as in either
for 3 % of the curve or more, so that no eye would dispute the counts at the main thresholds.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

Draws = np.random.Generator
LEAST_FALL, LEAST_CONTRAST, LEAST_LENGTH = 0.05, 4.0, 0.03
_FINE = np.linspace(0, 1, 4001)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A curve: `loss` `(T,)` at times `u` `(T,)`, and how many `descents` and `plateaus` it was made with; -1 plateaus
    are those of a rise, whose top an eye may call one or not."""

    u: np.ndarray
    loss: np.ndarray
    descents: int
    plateaus: int


@dataclasses.dataclass(frozen=True)
class _Stage:
    """One fall by `height`: `kind` is sigmoid (fastest at `at`), ramp (likewise in its middle) or decay (from `at`)."""

    kind: str
    at: float
    width: float
    height: float

    def fallen(self, u: np.ndarray) -> np.ndarray:
        x = (u - self.at) / self.width
        if self.kind == "sigmoid":
            return self.height / (1 + np.exp(-np.clip(x, -200, 200)))
        if self.kind == "ramp":
            return self.height * np.clip(x / 8 + 0.5, 0, 1)
        return self.height * (1 - np.exp(-np.maximum(x, 0)))

    @property
    def window(self) -> slice:
        """The times around where it is fastest."""
        place = round(self.at * 4000)
        return slice(max(place - 40, 0), place + 41)


def _fallen(stages: Sequence[_Stage], u: np.ndarray) -> np.ndarray:
    return np.sum([stage.fallen(u) for stage in stages], axis=0)


def _apart(stages: Sequence[_Stage], drift: float, length: float) -> bool:
    """Whether the stages are what an eye sees."""
    speed = np.diff(_fallen(stages, _FINE)) * 4000 - drift
    peaks = [speed[stage.window].max() for stage in stages]
    places = [min(round(stage.at * 4000), 3999) for stage in stages]
    moving = np.abs(speed)

    def slow(start: int, end: int, peak: float) -> bool:
        return bool((LEAST_CONTRAST * moving[start:end] <= peak).sum() >= 4000 * length)

    first = stages[0].kind == "decay" and stages[0].at == 0
    between = all(slow(places[j], places[j + 1], min(peaks[j : j + 2])) for j in range(len(stages) - 1))
    return between and (first or slow(0, places[0], peaks[0]))


def _draw_stages(draws: Draws, kind: str, first: str, most: int, span: tuple[float, float]) -> list[_Stage]:
    count, (low, high) = int(draws.integers(1, most + 1)), span
    floor = draws.choice([0.0, draws.uniform(0, 0.1), draws.uniform(0, 0.5)])
    heights = LEAST_FALL + draws.dirichlet(np.ones(count)) * (1 - floor - count * LEAST_FALL)
    ends = np.sort(draws.uniform(low, high, count))
    widths = np.exp(draws.uniform(np.log(0.002), np.log(0.03), count))
    stages = [_Stage(kind, *each) for each in zip(ends.tolist(), widths.tolist(), heights.tolist(), strict=True)]
    if first == "decay":
        stages[0] = dataclasses.replace(stages[0], kind="decay", at=0.0, width=float(draws.uniform(0.005, 0.1)))
    elif first == "flat":
        stages[0] = dataclasses.replace(stages[0], kind="decay", width=float(draws.uniform(0.005, 0.1)))
    return stages


def smooth(
    draws: Draws, u: np.ndarray, kind: str = "sigmoid", first: str = "", drift: float = 0.0, most: int = 4,
    span: tuple[float, float] = (0.06, 0.94), length: float = LEAST_LENGTH,
) -> Labelled:  # fmt: skip
    """A curve of up to `most` stages that lie within `span`.

    Args:
      draws: of everything.
      u: `(T,)` the times of records.
      kind: of the stages.
      first: "decay" if the curve starts with an exponential decay, "flat" if it begins with one after a flat top.
      drift: how much the loss rises by itself over the curve; it falls if that is below 0.

    Returns:
      The curve.
    """
    for _ in range(10_000):
        stages = _draw_stages(draws, kind, first, most, span)
        if _apart(stages, drift, length):
            break
    early = first == "decay"
    loss = 1 - _fallen(stages, u) + drift * u + max(0.0, -drift)
    return Labelled(u, loss, len(stages), len(stages) - early)


def _mixed(draws: Draws, u: np.ndarray, **changes: object) -> Labelled:
    """A smooth curve of any kind."""
    kind, first = draws.choice(["sigmoid", "ramp"]), draws.choice(["", "decay", "flat"])
    return smooth(draws, u, str(kind), str(first), **changes)  # type: ignore[arg-type]


def drifting(draws: Draws, u: np.ndarray) -> Labelled:
    """Stages on a curve that drifts up or down by itself."""
    return _mixed(draws, u, drift=float(draws.choice([draws.uniform(-0.15, -0.01), draws.uniform(0.01, 0.03)])))


def risen(draws: Draws, u: np.ndarray) -> Labelled:
    """A rise to a height of up to 30 and a fall from there: at first, or after stages, which it undoes or not."""
    top = float(np.exp(draws.uniform(np.log(1.1), np.log(30))))
    turn = draws.uniform(0.2, 0.5)
    before, after = u < turn, (u - turn) / (1 - turn)
    later = _mixed(draws, after, span=(0.15, 0.94), length=LEAST_LENGTH / (1 - turn))
    how = draws.choice(["at first", "undone", "lesser"])
    if how == "at first":
        loss = np.where(before, 1 + (top - 1) * np.sin(np.pi / 2 * u / turn), top * later.loss)
        return Labelled(u, loss, later.descents, -1)
    earlier = _mixed(draws, np.minimum(u / (0.7 * turn), 1), most=2, length=LEAST_LENGTH / (0.7 * turn))
    low = earlier.loss[-1]
    height = top if how == "undone" else low + draws.uniform(0.05, 0.9) * (1 - low)
    up = np.clip((u / turn - 0.8) / 0.2, 0, 1)
    loss = np.where(before, earlier.loss + (height - low) * up, 0)
    if how == "undone":
        loss = np.where(before, loss, height * later.loss)
        return Labelled(u, loss, earlier.descents + later.descents, -1)
    back = low + (height - low) * np.clip(1 - (u - turn) / 0.05, 0, 1)
    return Labelled(u, np.where(before, loss, back), earlier.descents, earlier.plateaus)


def spiked(draws: Draws, u: np.ndarray) -> Labelled:
    """Up to ten spikes, of up to five records each, none of which undoes what was gained."""
    made = _mixed(draws, u)
    loss = made.loss.copy()
    for _ in range(int(draws.integers(1, min(11, 1 + len(u) // 20)))):
        at, length = int(draws.integers(5, len(u))), int(draws.integers(1, 2 + min(4, len(u) // 100)))
        low, high = made.loss[at - 1] + 0.02, 0.98 * made.loss[0]  # it is seen to rise, and undoes nothing
        if low < high:
            loss[at : at + length] = np.maximum(loss[at : at + length], draws.uniform(low, high))
    return dataclasses.replace(made, loss=loss)


def jittered(draws: Draws, u: np.ndarray) -> Labelled:
    """Jitter by 5 to 50 % of the level on which the last stage arrives, of noise or of a wave of a few records."""
    made = _mixed(draws, u, span=(0.06, 0.5))
    while made.loss[np.searchsorted(u, 0.65)] - made.loss[-1] > 0.005:
        made = _mixed(draws, u, span=(0.06, 0.5))
    level = made.loss[-1] if made.loss[-1] > 0.02 else 0.02
    size, records = draws.uniform(0.05, 0.5), np.arange(len(u))
    shapes = [
        np.clip(draws.normal(size=len(u)) / 2, -1, 1),
        draws.uniform(-1, 1, len(u)),
        np.sin(2 * np.pi * records / draws.uniform(2, 7)),
    ]
    on = np.clip((u - draws.uniform(0.65, 0.75)) / draws.choice([1e-9, 0.05]), 0, 1)
    loss = np.maximum(made.loss, level) * (1 + size * shapes[draws.integers(3)] * on)
    return dataclasses.replace(made, loss=loss)


def jittered_throughout(draws: Draws, u: np.ndarray) -> Labelled:
    """Jitter throughout, by up to a tenth of the least stage to either side."""
    made = _mixed(draws, u)
    wave = np.sin(2 * np.pi * np.arange(len(u)) / draws.uniform(2, 7))
    size = draws.uniform(0.02, 0.1) * LEAST_FALL
    return dataclasses.replace(
        made, loss=made.loss + size * (wave if draws.random() < 0.5 else draws.uniform(-1, 1, len(u)))
    )


def noisy(level: float, *, additive: bool) -> Callable[[Draws, np.ndarray], Labelled]:
    """Curves of any smooth kind with noise of so many first losses, or of so large a share of the loss."""

    def make(draws: Draws, u: np.ndarray) -> Labelled:
        made = _mixed(draws, u)
        noise = level * draws.normal(size=len(u))
        return dataclasses.replace(made, loss=made.loss + noise * (1 if additive else made.loss))

    return make


def uneven(level: float = 0.0) -> Callable[[Draws, np.ndarray], Labelled]:
    """Smooth curves, of which records are kept at random and denser at first, with additive noise or none."""

    def make(draws: Draws, u: np.ndarray) -> Labelled:
        count = len(u)
        kept = np.sort(draws.choice(int(1.4 * count), count, replace=False)) / (1.4 * count)
        made = _mixed(draws, (kept - kept[0]) ** draws.uniform(1, 1.7), length=0.05)
        return dataclasses.replace(made, loss=made.loss + level * draws.normal(size=count))

    return make


KINDS: dict[str, Callable[[Draws, np.ndarray], Labelled]] = {
    "sigmoids": smooth,
    "an exponential, then sigmoids": lambda draws, u: smooth(draws, u, first="decay"),
    "flat tops": lambda draws, u: smooth(draws, u, first="flat"),
    "staircases": lambda draws, u: smooth(draws, u, "ramp"),
    "drift": drifting,
    "uneven records": uneven(),
    "rises": risen,
    "spikes": spiked,
    "jitter after arrival": jittered,
    "jitter of 0.1 to 0.5 % throughout": jittered_throughout,
} | {
    f"noise {level:g}, {'additive' if additive else 'multiplicative'}": noisy(level, additive=additive)
    for level in (1e-4, 1e-3, 1e-2)
    for additive in (False, True)
}
KINDS["uneven records, noise 0.001"] = uneven(1e-3)
