# SPDX-License-Identifier: Apache-2.0
"""How often bands of curves hold the truth, and how often a claim of a valley finds one: where it is, where it is not.

python -m experiments.benchmarks.bands        six minutes of one core; two Markdown tables

Curves have eight points. `independent`: each point of a seed has noise of its own; `neighbours`: noise of points k
apart correlates with 0.8^k; `shared`: half of the variance is a level that all points of a seed have; `gamma`: of shape
0.7; `rare`: one point in five has any, a gamma. The number is its standard deviation.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from jaxmyopia import launch
from jaxmyopia.claims.verdicts import Question
from jaxmyopia.engine.session import show
from jaxmyopia.flags import flag, numbers
from jaxmyopia.stats.bands import SHAPES, band_of_curve, of_shape

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
POINTS, SEEDS, ABOVE = 8, 64, Question(0.02, 1)
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


def coverage(draw: Draw, n: int, trials: int, rng: np.random.Generator) -> dict[str, float | None]:
    """The share of samples, of those that have intervals, in which all differences, the whole curve and each shape lie
    where they are said to: of a flat curve, where shapes are made of noise alone, and of a valley of 0.1."""
    first, second = np.triu_indices(POINTS, 1)
    held: dict[str, list[bool]] = {"differences": [], "curve": [], "rise, flat": [], "valley of 0.1": []}
    for _ in range(trials):
        noise = 0.3 * draw(rng, (n, POINTS))
        low, high = band_of_curve(noise)
        if not np.isnan(low).any():
            held["curve"].append(bool(((low <= 0) & (high >= 0)).all()))
        for name, shape, curve in (("rise, flat", "rise", CURVES["flat"]), ("valley of 0.1", "valley", valley(0.1))):
            found = of_shape(noise + curve, SHAPES[shape])
            interval, truth = found.interval(), SHAPES[shape].of(curve[None, :] - curve[:, None])
            if not np.isnan(interval.low):
                held[name].append(bool(interval.low <= truth <= interval.high))
            if name == "rise, flat" and hasattr(found, "band"):
                low, high = found.band.ends(0.95)
                held["differences"].append(bool(((low <= curve[second] - curve[first]) & (high >= 0)).all()))
    return {name: float(np.mean(each)) if each else None for name, each in held.items()}


def supported(curve: np.ndarray, draw: Draw, size: float, trials: int, rng: np.random.Generator) -> float:
    """The share of samples of 64 seeds of which the claim of a valley above 0.02 is supported."""
    samples = (curve + size * draw(rng, (SEEDS, POINTS)) for _ in range(trials))
    return float(
        np.mean([ABOVE.outcome(of_shape(each, SHAPES["valley"]).interval()) == "supported" for each in samples])
    )


def tables(trials: int, sizes: tuple[int, ...], rng: np.random.Generator) -> Iterator[str]:
    """Both tables, line by line: coverage in per cent by the number of seeds, and how often a valley is found."""
    names = ("differences", "curve", "rise, flat", "valley of 0.1")
    yield f"| noise | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    for name, draw in NOISE.items():
        found = [coverage(draw, n, trials, rng) for n in sizes]
        yield f"| {name} | " + " | ".join(" / ".join(_percent(each[what]) for each in found) for what in names) + " |"
    yield ""
    yield f"| curve | {' | '.join(LEVELS)} |"
    yield "|---|" + "--:|" * len(LEVELS)
    for name, curve in CURVES.items():
        rates = [supported(curve, draw, size, trials, rng) for draw, size in LEVELS.values()]
        yield f"| {name} | " + " | ".join(map(_percent, rates)) + " |"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f}"


def main() -> None:
    """Both tables."""
    for line in tables(FLAGS.trials, numbers(FLAGS, "sizes", int), np.random.default_rng(FLAGS.root_seed)):
        show(line)


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
