# SPDX-License-Identifier: Apache-2.0
"""Times a sweep over capacities, end to end with compilation, against one plain jit(vmap) program a capacity.

python -m experiments.benchmarks.capacity

Both train the same models (one feature active or independent inputs, Adam) for as many seeds and steps, each from an
empty cache of programs: `jm.run` pads W to the widest capacity and compiles once; the other compiles for each capacity,
with optax and `jax.random` as they come.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

import jaxmyopia as jm
from experiments.benchmarks.load import Load, shown
from jaxmyopia import launch
from jaxmyopia.checks import require
from jaxmyopia.engine import chunk
from jaxmyopia.engine.session import say
from jaxmyopia.flags import flag
from jaxmyopia.studies.superposition.study import Independent


@dataclasses.dataclass(frozen=True)
class Capacity(launch.Machine):
    """Flags of the benchmark."""

    compilation_cache: str = flag("", "Folder of compiled programs; by default none, so that compiling is timed.")
    features: int = flag(64, "Features F.")
    capacities: tuple[int, ...] = flag((2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16), "Dimensions m.")
    seeds: int = flag(64, "Seeds of each capacity.")
    steps: int = flag(300, "Steps.")
    repeats: int = flag(3, "Measurements of each, taken in turn.")


FLAGS = launch.flags_of(Capacity, name="capacity")
_ACTIVE, _BATCH, _RATE = 0.1, 128, 0.01


def plain(settings: Capacity) -> None:
    """One program a capacity, as one would write it by hand."""
    for hidden in settings.capacities:
        optimizer = optax.adam(_RATE)

        def loss(model: tuple[jax.Array, jax.Array], x: jax.Array) -> jax.Array:
            weights, biases = model
            return jnp.square(x - jax.nn.relu(x @ weights.T @ weights + biases)).sum(axis=1).mean()

        def one(key: jax.Array, hidden: int = hidden, loss: Callable = loss, optimizer=optimizer) -> jax.Array:
            start, batches = jax.random.split(key)
            model = 0.1 * jax.random.normal(start, (hidden, settings.features)), jnp.zeros(settings.features)

            def step(i: jax.Array, carry: tuple) -> tuple:
                model, state = carry
                there, value = jax.random.split(jax.random.fold_in(batches, i))
                shape = (_BATCH, settings.features)
                x = jax.random.bernoulli(there, _ACTIVE, shape) * jax.random.uniform(value, shape)
                updates, state = optimizer.update(jax.grad(loss)(model, x), state, model)
                return optax.apply_updates(model, updates), state

            return jax.lax.fori_loop(0, settings.steps, step, (model, optimizer.init(model)))[0][0]

        keys = jax.random.split(jax.random.key(0), settings.seeds)
        jax.block_until_ready(jax.jit(jax.vmap(one))(keys))


def padded(settings: Capacity) -> None:
    """`jm.run`, with its table."""
    study = Independent(
        features=settings.features, widest=max(settings.capacities), optimizer="adam", batch_size=_BATCH
    )
    how = {"active": _ACTIVE, "learning_rate": _RATE, "init_scale": 0.1}
    jm.run(study, seeds=settings.seeds, steps=settings.steps, records=4, hidden=settings.capacities, **how)


def main() -> None:
    """Times both in turn and prints medians, the ratio, and how many programs were compiled."""
    settings: Capacity = launch.read(FLAGS, Capacity)
    require(settings.repeats >= 1, "repeats", settings.repeats, "must be at least 1")
    taken: dict[str, list[float]] = {"plain": [], "jaxmyopia": []}
    load, programs = Load(), {}
    with load.timed():
        for _ in range(settings.repeats):
            for name, run in (("plain", plain), ("jaxmyopia", padded)):
                jax.clear_caches()
                chunk._compile.cache_clear()
                began = time.monotonic()
                run(settings)
                taken[name].append(time.monotonic() - began)
                programs[name] = len(settings.capacities) if name == "plain" else chunk._compile.cache_info().misses
    medians = {name: statistics.median(each) for name, each in taken.items()}
    for name, each in taken.items():
        say(f"{name}: {medians[name]:.1f} s, of {', '.join(f'{x:.1f}' for x in each)}; {programs[name]} programs")
    say(f"plain over jaxmyopia: {medians['plain'] / medians['jaxmyopia']:.2f}; other load {shown(load.share)}")


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=str(__doc__))
