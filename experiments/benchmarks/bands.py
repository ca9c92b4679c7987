# SPDX-License-Identifier: Apache-2.0
"""How often bands of curves hold the truth, and how often a claim of a valley finds one: where it is, where it is not.

python -m experiments.benchmarks.bands        two minutes of one core at --trials=500; two Markdown tables

Curves have eight points. `independent`: each point of a seed has noise of its own; `neighbours`: noise of points k
apart correlates with 0.8^k; `shared`: half of the variance is a level that all points of a seed have; `gamma`: of shape
0.7; `rare`: one point in five has any, a gamma. The number is its standard deviation.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from jaxmyopia import launch
from jaxmyopia.engine.session import show
from jaxmyopia.flags import flag, numbers
from jaxmyopia.stats.bands import SHAPES, band_of, band_of_curve

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
POINTS, SEEDS, ABOVE = 8, 64, 0.02
_NEIGHBOURS = np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(np.arange(POINTS), np.arange(POINTS))))
_GAMMA = 0.7  # shape: of mean and variance 0.7
_RARE = 0.2


@dataclasses.dataclass(frozen=True)
class Settings:
    """Flags of the benchmark."""

    trials: int = flag(500, "Simulated samples of each kind.")
    sizes: tuple[int, ...] = flag((24, 64, 256), "Numbers of seeds at which coverage is taken.")
    root_seed: int = flag(0, "Of the draws.")


FLAGS = launch.flags_of(Settings, name="bands")


def _independent(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.normal(size=shape)


def _shared(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.sqrt(0.5) * (rng.normal(size=shape) + rng.normal(size=(shape[0], 1)))


def _gamma(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return (rng.gamma(_GAMMA, size=shape) - _GAMMA) / np.sqrt(_GAMMA)


def _rare(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    second = _RARE * _GAMMA * (1 + _GAMMA)
    drawn = np.where(rng.random(shape) < _RARE, rng.gamma(_GAMMA, size=shape), 0.0)
    return (drawn - _RARE * _GAMMA) / np.sqrt(second - (_RARE * _GAMMA) ** 2)


NOISE: dict[str, Draw] = {
    "independent": _independent,
    "neighbours": lambda rng, shape: rng.normal(size=shape) @ _NEIGHBOURS.T,
    "shared": _shared,
    "gamma": _gamma,
    "rare": _rare,
}


def valley(depth: float) -> np.ndarray:
    """A curve `(8,)` with a valley of this depth between two peaks: the second one is higher, both edges are low."""
    return np.array([0, 0.15 + depth, 0.3 + depth, 0.3, 0.3 + depth / 2, 0.3 + depth, 0.35 + depth, 0.3])


CURVES = {
    "rises throughout": np.linspace(0, 0.4, POINTS),
    "rises, then stays": np.minimum(np.linspace(0, 0.8, POINTS), 0.4),
    "flat": np.zeros(POINTS),
    **{f"a valley of {depth:g}": valley(depth) for depth in (0.02, 0.05, 0.1, 0.2)},
}
LEVELS = {
    **{f"{name} {size:g}": (draw, size) for name, draw in NOISE.items() for size in (0.3,)},
    "independent 0.1": (_independent, 0.1),
}


def ends(noise: np.ndarray) -> np.ndarray | None:
    """The lower and the upper ends `(2, 8, 8)` of all differences of a flat curve with noise `(S, 8)`, as far
    off as those of any other curve from its own. None where they have none."""
    first, second = np.triu_indices(POINTS, 1)
    band = band_of(noise, np.eye(POINTS)[second] - np.eye(POINTS)[first], range=None)
    if band.why:
        return None
    square, (low, high) = np.zeros((2, POINTS, POINTS)), band.ends(0.95)
    square[:, first, second], square[:, second, first] = (low, high), (-high, -low)
    return square


def interval(around: np.ndarray, curve: np.ndarray, shape: str) -> tuple[float, float]:
    """What the shape of a curve is said to be, by the `ends` of its noise."""
    low, high = around + differences(curve)
    return SHAPES[shape].of(low), SHAPES[shape].of(high)


def differences(curve: np.ndarray) -> np.ndarray:
    """Of a curve's values at two points, `(8, 8)`."""
    return curve[None, :] - curve[:, None]


def coverage(draw: Draw, n: int, trials: int, rng: np.random.Generator) -> list[str]:
    """The share of samples in which all differences, the whole curve, and shapes lie where they are said to: of a flat
    curve, whose shape is noise alone, and of a valley. In brackets, of how many, where not all have intervals."""
    held: list[list[bool]] = [[], [], [], []]
    for _ in range(trials):
        noise = 0.3 * draw(rng, (n, POINTS))
        low, high = band_of_curve(noise)
        held[1] += [] if np.isnan(low).any() else [bool(((low <= 0) & (high >= 0)).all())]
        around = ends(noise)
        if around is not None:
            held[0].append(bool(((around[0] <= 0) & (around[1] >= 0)).all()))
            for place, shape, curve in ((2, "rise", CURVES["flat"]), (3, "valley", valley(0.1))):
                truth, (least, greatest) = SHAPES[shape].of(differences(curve)), interval(around, curve, shape)
                held[place].append(least <= truth <= greatest)
    return [_rate(each, trials) for each in held]


def _rate(held: list[bool], trials: int) -> str:
    given = f" ({len(held) / trials:.0%})" if len(held) < 0.995 * trials else ""
    return f"{100 * np.mean(held):.1f}{given}" if len(held) >= 0.01 * trials else "none"


def supported(draw: Draw, size: float, trials: int, rng: np.random.Generator) -> list[float]:
    """Of each curve, the share of samples of 64 seeds of which the claim of a valley above 0.02 is supported."""
    bands = [ends(size * draw(rng, (SEEDS, POINTS))) for _ in range(trials)]
    told = lambda curve: [around is not None and interval(around, curve, "valley")[0] > ABOVE for around in bands]
    return [float(np.mean(told(curve))) for curve in CURVES.values()]


def tables(trials: int, sizes: tuple[int, ...], root_seed: int) -> Iterator[str]:
    """Both tables, line by line: coverage in per cent by the number of seeds, and how often a valley is found."""
    yield "| noise | differences | curve | rise of a flat curve | valley of 0.1 |"
    yield "|---|" + "--:|" * 4
    for row, (name, draw) in enumerate(NOISE.items()):
        rng = np.random.default_rng([root_seed, 0, row])
        found = zip(*(coverage(draw, n, trials, rng) for n in sizes), strict=True)
        yield f"| {name} | " + " | ".join(map(" / ".join, found)) + " |"
    yield ""
    yield f"| curve | {' | '.join(LEVELS)} |"
    yield "|---|" + "--:|" * len(LEVELS)
    columns = [
        supported(draw, size, trials, np.random.default_rng([root_seed, 1, place]))
        for place, (draw, size) in enumerate(LEVELS.values())
    ]
    for name, rates in zip(CURVES, zip(*columns, strict=True), strict=True):
        yield f"| {name} | " + " | ".join(f"{100 * rate:.1f}" for rate in rates) + " |"


def main() -> None:
    """Both tables."""
    for line in tables(FLAGS.trials, numbers(FLAGS, "sizes", int), FLAGS.root_seed):
        show(line)


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
