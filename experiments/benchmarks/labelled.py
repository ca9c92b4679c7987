# SPDX-License-Identifier: Apache-2.0
"""How often descents and plateaus are counted wrongly, or not at all, on curves of which the counts are known.

python -m experiments.benchmarks.labelled        two or three minutes of one core; a Markdown table
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.labelled_curves import KINDS
from jaxmyopia import launch
from jaxmyopia.curves import Curves
from jaxmyopia.engine.session import show
from jaxmyopia.flags import flag
from jaxmyopia.measures import descents, plateaus, summarise

LENGTHS = (100, 200, 400, 1000, 2000)  # records
THINNED = (2, 5, 10)  # where 100 records are left


@dataclasses.dataclass(frozen=True)
class Settings:
    """Flags of the benchmark."""

    curves: int = flag(150, "Curves of each kind and length.")
    root_seed: int = flag(0, "Of the draws.")


FLAGS = launch.flags_of(Settings, name="labelled")


@functools.partial(jax.jit, static_argnames="noise")
def counts(steps: jax.Array, losses: jax.Array, noise: str) -> jax.Array:
    """Descents and plateaus at the main thresholds, NaN where a curve is not counted.

    Args:
      steps: `(S, T)`.
      losses: `(S, T)`.
      noise: as of `plateaus`.

    Returns:
      `(S, 2)`.
    """
    taken = [make(ratio=0.5, fall=0.02, noise=noise) for make in (descents, plateaus)]

    def one(step: jax.Array, loss: jax.Array) -> jax.Array:
        found = summarise(taken, Curves({"step": step, "loss": loss[:, None]}))
        return jnp.concatenate([found[measure.column()] for measure in taken])

    return jax.vmap(one)(steps, losses)


@dataclasses.dataclass(frozen=True)
class Found:
    """Of curves of one kind, bool `(S,)`: `counted`, counted `wrong`; by how many records it was thinned, whether a
    curve that was counted before and after `changed`, `(S',)`."""

    counted: np.ndarray
    wrong: np.ndarray
    changed: dict[int, np.ndarray]

    def __add__(self, other: "Found") -> "Found":
        join = lambda a, b: np.concatenate([a, b])
        changed = {by: join(self.changed[by], other.changed[by]) for by in self.changed}
        return Found(join(self.counted, other.counted), join(self.wrong, other.wrong), changed)


def check(kind: str, records: int, curves: int, noise: str, root_seed: int = 0) -> Found:
    """Counts curves of one kind and length, and thinned ones, and holds them against what they were made with."""
    draws = np.random.default_rng([root_seed, records, list(KINDS).index(kind)])
    made = [KINDS[kind](draws, np.linspace(0, 1, records)) for _ in range(curves)]
    u, losses = (np.stack([getattr(each, name) for each in made]).astype(np.float32) for name in ("u", "loss"))
    known = np.array([(each.descents, each.plateaus) for each in made])
    found = np.asarray(counts(u, losses, noise))
    counted = np.isfinite(found).all(axis=1)
    wrong = counted & ((found != known) & (known >= 0)).any(axis=1)
    changed = {}
    for by in THINNED:
        changed[by] = np.zeros(0, bool)
        if records // by >= 100:
            fewer = np.asarray(counts(u[:, ::by], losses[:, ::by], noise))
            both = counted & np.isfinite(fewer).all(axis=1)
            changed[by] = ((fewer != found) & (known >= 0)).any(axis=1)[both]
    return Found(counted, wrong, changed)


def _row(kind: str, noise: str) -> str:
    found = [check(kind, records, FLAGS.curves, noise, FLAGS.root_seed) for records in LENGTHS]
    total = functools.reduce(lambda a, b: a + b, found)
    cells = [kind, noise, len(total.counted), f"{1 - total.counted.mean():.1%}"]
    cells += [f"{total.wrong.sum()} ({total.wrong.sum() / max(total.counted.sum(), 1):.2%})"]
    cells += [f"{total.changed[by].mean():.1%}" for by in THINNED]
    return " | ".join(map(str, cells))


def main() -> None:
    """Prints a line a kind: curves, not counted, wrong of those counted, and changed by thinning."""
    show("| kind | noise | curves | not counted | wrong | thinned by 2 | by 5 | by 10 |\n" + "|---" * 8 + "|")
    for kind in KINDS:
        for noise in ("none", "estimated"):
            if noise == "estimated" or "noise" not in kind:
                show(f"| {_row(kind, noise)} |")


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
