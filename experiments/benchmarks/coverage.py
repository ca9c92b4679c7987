# SPDX-License-Identifier: Apache-2.0
"""How often intervals hold the truth: of numbers such as seeds give, at a fixed number of seeds and whenever one stops.

python -m experiments.benchmarks.coverage --out=runs/coverage                   four minutes of one core
"""

import dataclasses
import datetime
import json
import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from jaxmyopia import launch
from jaxmyopia.checks import user_path
from jaxmyopia.flags import flag, numbers
from jaxmyopia.stats import betting, sequences
from jaxmyopia.stats.estimates import DIFFERING, of_mean, of_share
from jaxmyopia.stats.intervals import Range

Row = dict[str, object]
_LEVEL = 0.95
_AT_ONCE = 500  # trials, whose bets take 80 MB


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Flags of the coverage."""

    trials: int = flag(10_000, "Simulated samples of each kind.")
    seeds: tuple[int, ...] = flag((24, 64, 256, 1024), "Numbers of seeds; one stops at the greatest at the latest.")


FLAGS = launch.flags_of(Coverage, name="coverage", out="runs/coverage")


@dataclasses.dataclass(frozen=True)
class Kind:
    """Numbers that seeds may give: `draw(rng, shape)`, with the mean `truth`; `range`, where it is known."""

    draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
    truth: float
    range: Range | None = None


def _rare(share: float, draw: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Zeros, but for a share of the seeds."""
    return lambda rng, shape: np.where(rng.random(shape) < share, draw(rng, shape), 0.0)


def _sign(rng: np.random.Generator, shape: tuple[int, int], below: float = 0.5) -> np.ndarray:
    return np.where(rng.random(shape) < below, -1.0, 1.0)


def _share(share: float) -> Callable[..., np.ndarray]:
    return lambda rng, shape: (rng.random(shape) < share).astype(float)


KINDS = {
    "normal": Kind(lambda rng, shape: rng.normal(size=shape), 0),
    "Poisson 2 - Poisson 1": Kind(lambda rng, shape: rng.poisson(2.0, shape) - rng.poisson(1.0, shape), 1),
    "Poisson 0.2 - Poisson 0.1": Kind(lambda rng, shape: rng.poisson(0.2, shape) - rng.poisson(0.1, shape), 0.1),
    "exponential": Kind(lambda rng, shape: rng.exponential(size=shape), 1),
    "lognormal": Kind(lambda rng, shape: rng.lognormal(size=shape), math.exp(0.5)),
    "4.5 % gamma": Kind(_rare(0.045, lambda rng, shape: rng.gamma(0.7, 3, shape)), 0.045 * 2.1),
    "4.5 % gamma, 1 in 5 below": Kind(
        _rare(0.045, lambda rng, shape: rng.gamma(0.7, 3, shape) * _sign(rng, shape, 0.2)), 0.045 * 2.1 * 0.6
    ),
    "10 % ±1": Kind(_rare(0.1, _sign), 0),
    "10 % ±1, in (-1, 1)": Kind(_rare(0.1, _sign), 0, (-1, 1)),
    "2 % uniform, in (0, 1)": Kind(_rare(0.02, lambda rng, shape: rng.random(shape)), 0.01, (0, 1)),
    "10 % uniform, in (-1, 1)": Kind(_rare(0.1, lambda rng, shape: rng.random(shape)), 0.05, (-1, 1)),
    "Poisson 1.5, 1 % + 50": Kind(
        lambda rng, shape: rng.poisson(1.5, shape) + _rare(0.01, lambda rng, shape: np.full(shape, 50.0))(rng, shape), 2
    ),
}
SEQUENCES = KINDS | {
    "share 0.05": Kind(_share(0.05), 0.05, (0, 1)),
    "share 0.5": Kind(_share(0.5), 0.5, (0, 1)),
    "difference of shares": Kind(lambda rng, shape: _share(0.5)(rng, shape) - _share(0.3)(rng, shape), 0.2, (-1, 1)),
    "beta 2, 5": Kind(lambda rng, shape: rng.beta(2.0, 5.0, shape), 2 / 7, (0, 1)),
}


def fixed(kind: Kind, n: int, trials: int, rng: np.random.Generator) -> Row:
    """At a fixed number of seeds: the share of samples that have an interval, and of these, whose holds the truth."""
    made = [of_mean(sample, range=kind.range) for sample in np.asarray(kind.draw(rng, (trials, n)), float)]
    given = [estimate for estimate in made if estimate.method != "none"]
    held = sum(estimate.p_value(kind.truth) >= 1 - _LEVEL for estimate in given)
    methods = {method: sum(estimate.method == method for estimate in made) / trials for method in _names(made)}
    return {"n": n, "given": len(given) / trials, "held": held / len(given) if given else None, "methods": methods}


def _names(made: list) -> list[str]:
    return sorted({estimate.method for estimate in made})


def shares(n: int) -> Row:
    """Wilson's coverage at a fixed number of seeds, exactly, by summation over shares from 0.02 to 0.98."""
    share = np.linspace(0.02, 0.98, 481)
    ends = [of_share(np.repeat([1.0, 0.0], [k, n - k])).interval(_LEVEL) for k in range(n + 1)]
    low, high = (np.array([[getattr(each, end)] for each in ends]) for end in ("low", "high"))
    chance = stats.binom.pmf(np.arange(n + 1)[:, None], n, share)
    held = (chance * ((low <= share) & (share <= high))).sum(axis=0)
    return {"n": n, "least": held.min(), "mean": held.mean(), "greatest": held.max()}


def stopped(kind: Kind, n: int, trials: int, rng: np.random.Generator) -> Row:
    """The share of samples whose sequence excludes the truth at some number of seeds up to n."""
    wrong = 0
    for start in range(0, trials, _AT_ONCE):
        samples = np.asarray(kind.draw(rng, (min(_AT_ONCE, trials - start), n)), float)
        wrong += int((evidence(samples, kind) > -math.log(1 - _LEVEL)).any(axis=1).sum())
    return {"wrong": wrong / trials}


def evidence(samples: np.ndarray, kind: Kind) -> np.ndarray:
    """The logarithm of what speaks against the truth `(trials, n)` after each seed of samples `(trials, n)`, for all at
    once; -inf where a sequence does not speak yet."""
    if kind.range is None:
        return _mixture(samples, kind.truth)
    low, high = kind.range
    values, mean = (samples - low) / (high - low), (kind.truth - low) / (high - low)
    above, below = _won(values / mean), _won((1 - values) / (1 - mean))
    return np.logaddexp(above, below) - math.log(2)


def _won(outcomes: np.ndarray) -> np.ndarray:
    held = np.full(outcomes.shape, -np.inf)
    for stake, weight in zip(betting.STAKES, betting.WEIGHTS, strict=True):
        with np.errstate(divide="ignore"):
            held = np.logaddexp(held, weight + np.cumsum(np.log(1 - stake + stake * outcomes), axis=1))
    return held


def _mixture(samples: np.ndarray, truth: float) -> np.ndarray:
    n = np.arange(1.0, samples.shape[1] + 1)
    first, second, third = (np.cumsum(samples**power, axis=1) / n for power in (1, 2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt((second - first**2) * n / (n - 1))
        central = (third - 3 * first * second + 2 * first**3) * n**2 / ((n - 1) * (n - 2))
        g = central / deviation**3 / np.sqrt(n)
        t = (first - truth) / deviation * np.sqrt(n)
        corrected = t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6
        squared = np.minimum(np.abs(t), np.maximum(corrected * np.sign(t), 0)) ** 2 / (n - 1)
        grown = 1 + n * sequences.VARIANCE
        found = n / 2 * (np.log1p(squared) - np.log1p(squared / grown)) - np.log(grown) / 2
    return np.where(_speaks(samples), found, -np.inf)


def _speaks(samples: np.ndarray) -> np.ndarray:
    """Where enough seeds differ from the most common value, which is 0 wherever there is one."""
    differ = np.cumsum(samples != 0, axis=1)
    return (differ >= sequences.VARIED) & (np.arange(1, samples.shape[1] + 1) >= sequences.LEAST)


def table(found: dict[str, dict[str, list[Row]]], seeds: tuple[int, ...]) -> str:
    """The figures as a page shows them: per cent, and beside them that of the samples which have an interval."""
    heads = ["numbers", *map(str, seeds), "wrong when stopped"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "--:|" * (len(seeds) + 1)]
    for name in SEQUENCES:
        cells = ["" for _ in seeds]
        for place, row in enumerate(found["fixed"].get(name, [])):
            refused = f" ({row['given']:.0%})" if row["given"] < 0.995 else ""
            cells[place] = f"{100 * row['held']:.1f}{refused}" if row["given"] >= 0.01 else "none"
        wrong = found["stopped"][name][0]["wrong"]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {100 * wrong:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """All kinds of numbers."""
    trials, seeds = FLAGS.trials, numbers(FLAGS, "seeds", int)
    rng = np.random.default_rng(0)
    found = {
        "fixed": {name: [fixed(kind, n, trials, rng) for n in seeds] for name, kind in KINDS.items()},
        "stopped": {name: [stopped(kind, max(seeds), trials, rng)] for name, kind in SEQUENCES.items()},
        "shares": {"Wilson": [shares(n) for n in seeds]},
    }
    out = user_path("out", FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"trials": trials, "differing": DIFFERING, "date": datetime.date.today().isoformat()}
    (out / "coverage.json").write_text(json.dumps({"settings": settings} | found, indent=1))
    print(table(found, seeds))
    for row in found["shares"]["Wilson"]:
        print("Wilson, shares 0.02-0.98: " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()))


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
