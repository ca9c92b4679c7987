# SPDX-License-Identifier: Apache-2.0
"""Learning in the span of start and target against learning of the entries: every count of every seed.

python -m experiments.benchmarks.span --seeds=10240
"""

import dataclasses

import numpy as np

from jaxmyopia import launch, run
from jaxmyopia.flags import flag, numbers
from jaxmyopia.studies.lowrank.study import LowRank

_CASES = (("sgd", 1e-3), ("momentum", 1e-4))


@dataclasses.dataclass(frozen=True)
class Compared(launch.Machine):
    """Flags of the comparison."""

    ranks: tuple[int, ...] = flag((1, 2, 4, 10), "Ranks of target and factors.")
    seeds: int = flag(10_240, "How many seeds are compared.")
    steps: int = flag(1000, "Optimisation steps.")


FLAGS = launch.flags_of(Compared, name="span")


@dataclasses.dataclass(frozen=True)
class Direct(LowRank):
    """The study of the entries, whatever its optimiser."""

    in_span = False


def compare(optimizer: str, rate: float, rank: int) -> None:
    """Prints for how many trials and thresholds a count differs, and the greatest difference of the kept losses."""
    settings = {"learning_rate": rate, "init_scale": (1.0, 0.03)}
    sizes = {"seeds": FLAGS.seeds, "steps": FLAGS.steps, "keep_curves": 256, "progress": False}
    spanned, direct = (
        run(study(n=100, rank=rank, optimizer=optimizer), **sizes, **settings) for study in (LowRank, Direct)
    )
    thresholds = LowRank().thresholds
    print(f"{optimizer} {rate:g}, rank {rank}, {len(spanned.trials)} trials")
    loss, expected = (each.curves["loss"] / each.curves["loss"][:1] for each in (spanned, direct))
    print(f"  losses over the first: differ by at most {np.abs(loss - expected).max():.1e}")
    for measure in (thresholds.descents, thresholds.plateaus, thresholds.bumps, *LowRank().standard[:1]):
        values = [[each.trials.values(measure, choice) for choice in measure.choices] for each in (spanned, direct)]
        differ = ~np.isclose(*values, equal_nan=True, atol=0, rtol=1e-6)
        main = f"{differ[0].sum()} of {differ.shape[1]} at the main threshold"
        print(f"  {measure.name}: {main}, {differ.sum()} of {differ.size} at all {len(differ)}", flush=True)


def main() -> None:
    """All optimisers and ranks."""
    for optimizer, rate in _CASES:
        for rank in numbers(FLAGS, "ranks", int):
            compare(optimizer, rate, rank)


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
