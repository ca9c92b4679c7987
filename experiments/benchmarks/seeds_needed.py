# SPDX-License-Identifier: Apache-2.0
"""How many seeds a run takes until it is decided, of effects that are planted, against a fixed number of them.

python -m experiments.benchmarks.seeds_needed        a minute or two of one core; a Markdown table
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from jaxmyopia import launch
from jaxmyopia.claims.sequential import Draw, seeds_needed
from jaxmyopia.claims.verdicts import Question
from jaxmyopia.engine.session import show
from jaxmyopia.flags import flag
from jaxmyopia.stats.intervals import Range

FIXED = 1024  # seeds of a run that does not look
ABOVE, HALF = Question(0.0, 1), Question(0.5, 1)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Flags of the benchmark."""

    repeats: int = flag(400, "Runs that are simulated of each case.")
    root_seed: int = flag(0, "Of the draws.")


FLAGS = launch.flags_of(Settings, name="seeds_needed")


def cases() -> Iterator[tuple[str, Draw, Question, Range | None]]:
    """What is planted, in words; draws of it; what is asked; the range, where it is known."""
    for effect in (0.1, 0.2, 0.5, 1.0):
        yield f"normal, {effect:g} deviations", (lambda rng, n, e=effect: rng.normal(e, 1, n)), ABOVE, None
    for share in (0.55, 0.6, 0.75, 0.95):
        draw: Draw = lambda rng, n, p=share: (rng.random(n) < p).astype(float)
        yield f"a share of {share:g}, asked above 0.5", draw, HALF, (0.0, 1.0)
    for rate in (0.1, 0.3):
        yield (
            f"counts that differ by {rate:g} on average",
            lambda rng, n, r=rate: rng.poisson(0.5 + r, n) - 1.0 * rng.poisson(0.5, n), ABOVE, None,
        )  # fmt: skip
    yield "sameness within 0.2, truth 0, normal", (lambda rng, n: rng.normal(0, 1, n)), Question(0.0, 0, 0.2), None
    yield "nothing: normal, 0 deviations", (lambda rng, n: rng.normal(0, 1, n)), ABOVE, None


def main() -> None:
    """Prints a line a case: decided within the fixed number, median and 95th percentile of seeds, seeds saved."""
    show("| planted | decided by 1,024 | seeds, median / 95 % | saved, median / 95 % |\n|---|---|---|---|")
    for name, draw, question, range in cases():
        rng = np.random.default_rng(FLAGS.root_seed)
        needed = seeds_needed(draw, question, range, repeats=FLAGS.repeats, rng=rng, most=FIXED)
        decided, spent = np.isfinite(needed), np.minimum(needed, FIXED)
        median, most = np.median(spent), np.quantile(spent, 0.95, method="higher")
        saved = FIXED - median, FIXED - most
        show(f"| {name} | {decided.mean():.1%} | {median:.0f} / {most:.0f} | {saved[0]:.0f} / {saved[1]:.0f} |")


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
