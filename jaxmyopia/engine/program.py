# SPDX-License-Identifier: Apache-2.0
"""The three compiled programs of a study: begin, advance, summarise, each over the blocks that all devices hold.

A device holds `slots` blocks and works on them one after the other, so that a block's working set stays in cache
however many seeds are asked for; how many of its slots are filled is data. Arrays lead with `(D, slots)`.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmyopia.curves import Curves
from jaxmyopia.engine import precision
from jaxmyopia.engine.lapack import calls_lapack, sparing
from jaxmyopia.engine.mesh import per_device
from jaxmyopia.study import Study

# XLA's CPU compiler prefers vectors of 256 bits also where there are 512; machines without take what they have.
COMPILER_OPTIONS: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_prefer_vector_width": 512}}
_IN_HASTE: dict[str, dict[str, Any]] = {"cpu": {"xla_backend_optimization_level": 1}}  # of what runs once


def _take(tree, i: jax.Array | int):
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), tree)


def _put(tree, value, i: jax.Array):
    return jax.tree.map(lambda x, y: jax.lax.dynamic_update_index_in_dim(x, y, i, 0), tree, value)


def _blank(shapes, *leading: int):
    def blank(x: jax.ShapeDtypeStruct) -> jax.Array:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jnp.broadcast_to(jax.random.key(0), (*leading, *x.shape))
        return jnp.zeros((*leading, *x.shape), x.dtype)

    return jax.tree.map(blank, shapes)


def _in_turn(block: Callable, count: jax.Array, slots: int, *args):
    """`block(*args)` for the first `count` of the slots, one after the other; the others are left blank."""
    block = jax.jit(block, inline=True)  # so that it is traced once, for its shapes and for the loop
    outcome = jax.eval_shape(block, *(_take(arg, 0) for arg in args))
    return jax.lax.fori_loop(
        0, count, lambda i, out: _put(out, block(*(_take(arg, i) for arg in args)), i), _blank(outcome, slots)
    )


@dataclasses.dataclass(frozen=True)
class Program:
    """A study over blocks of one size, `slots` of them a device of the `mesh`, with `points` records a run.

    `matmul_precision`: of every product of matrices that names none of its own, see `precision`.

    The three methods are pure. Their arrays: seeds `(D, slots, S)`, params and states `(D, slots, ...)`, curves
    `(D, slots, points, S, ...)`, count `(D,)`: how many of a device's slots are filled.
    """

    study: Study
    mesh: Mesh
    points: int
    slots: int
    matmul_precision: str = precision.HIGHEST

    def begin(self, root: jax.Array, seeds: jax.Array, params, count: jax.Array):
        """States at step 0, from `root`, the key of all seeds, and curves without records."""

        def block(seeds, params):
            init = self._rounded(self.study.batched.init)
            return init(jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds), params)

        def begin(seeds, params, count):
            state = _in_turn(block, count, self.slots, seeds, params)
            record = jax.eval_shape(self._rounded(self.study.batched.observe), _take(state, 0), _take(params, 0))
            return state, _blank(record, self.slots, self.points)

        return per_device(begin, self.mesh)(seeds, params, count)

    def advance(self, state, curves, params, count: jax.Array, waits: jax.Array, span: jax.Array):
        """Goes on from record `span[0]` to `span[1]`; `waits[i]` steps lie before record i. Trip counts are data."""

        step, observe = self._rounded(self.study.batched.step), self._rounded(self.study.batched.observe)

        def block(state, curves, params):
            def to_record(i, carry):
                state, curves = carry
                state = jax.lax.fori_loop(0, waits[i], lambda _, s: step(s, params), state)
                return state, _put(curves, observe(state, params), i)

            return jax.lax.fori_loop(span[0], span[1], to_record, (state, curves))

        def advance(state, curves, params, count):
            def in_place(i, carry):
                state, curves = _take(carry, i)
                return _put(carry, block(state, curves, _take(params, i)), i)

            return jax.lax.fori_loop(0, count, in_place, (state, curves))

        return per_device(advance, self.mesh)(state, curves, params, count)

    def summarise(self, curves, count: jax.Array):
        """The study's columns, `(D, slots, S)` each, and its quantiles, `(D, slots, points, S)` each."""

        def block(curves):
            curves = Curves.of(curves)
            return self.study.summarise(curves), self.study.quantiles(curves)

        def summarise(curves, count):
            return _in_turn(block, count, self.slots, curves)

        return per_device(summarise, self.mesh)(curves, count)

    def _rounded(self, function: Callable) -> Callable:
        return precision.simulated(function, self.matmul_precision)

    def calls(self, params) -> dict[str, tuple[Callable, tuple]]:
        """The three and the shapes of their arguments; `params` are those of one block, arrays or shapes `(S, ...)`."""
        spread, whole = (NamedSharding(self.mesh, spec) for spec in (PartitionSpec("seeds"), PartitionSpec()))

        def shape(*leading: int, dtype=jnp.int32, sharding=spread) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(leading, dtype, sharding=sharding)

        slots = self.mesh.size, self.slots
        params = jax.tree.map(lambda x: shape(*slots, *x.shape, dtype=x.dtype), params)
        seeds, count = shape(*slots, self.study.block, dtype=jnp.uint32), shape(self.mesh.size)
        begin = jax.eval_shape(lambda: jax.random.key(0)), seeds, params, count
        state, curves = jax.tree.map(lambda x: shape(*x.shape, dtype=x.dtype), jax.eval_shape(self.begin, *begin))
        advance = state, curves, params, count, *(shape(size, sharding=whole) for size in (self.points, 2))
        arguments = {"begin": begin, "advance": advance, "summarise": (curves, count)}
        return {name: (getattr(self, name), each) for name, each in arguments.items()}

    def traced(self, params) -> dict[str, jax.stages.Traced]:
        """The three, traced at the precision asked for; `params` as for `calls`."""
        return self._traced(self.calls(params))

    def _traced(self, calls: dict[str, tuple[Callable, tuple]]) -> dict[str, jax.stages.Traced]:
        spread, found = NamedSharding(self.mesh, PartitionSpec("seeds")), {}
        with precision.of_products(self.matmul_precision):
            for name, (function, arguments) in calls.items():
                donated = (0, 1) if name == "advance" else ()  # it takes over the memory of its state and curves
                found[name] = jax.jit(function, out_shardings=spread, donate_argnums=donated).trace(*arguments)
        return found

    def compile(self, params) -> "Compiled":
        """Compiles the three, on fewer devices where they call LAPACK (see `lapack`); `params` as for `calls`."""
        began, calls = time.monotonic(), self.calls(params)
        traced, mesh = self._traced(calls), sparing(self.mesh)
        if mesh.size < self.mesh.size and any(calls_lapack(each.jaxpr.jaxpr) for each in traced.values()):
            slots = -(-self.slots * self.mesh.size // mesh.size)
            return dataclasses.replace(self, mesh=mesh, slots=slots).compile(params)
        platform = self.mesh.devices.flat[0].platform
        options = {name: COMPILER_OPTIONS.get(platform, {}) for name in calls}
        options["begin"] = options["begin"] | _IN_HASTE.get(platform, {})
        with precision.of_products(self.matmul_precision):  # lowering makes products too
            programs = {name: each.lower().compile(options[name]) for name, each in traced.items()}
        return Compiled(program=self, shapes=calls["advance"][1][:2], seconds=time.monotonic() - began, **programs)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program's three methods, compiled, and the `seconds` that took. To be called as those of the `Program`.

    `shapes`: of states and curves, `(D, slots, ...)`.
    """

    program: Program
    shapes: tuple
    begin: jax.stages.Compiled
    advance: jax.stages.Compiled
    summarise: jax.stages.Compiled
    seconds: float

    def put(self, tree):
        """States and curves from the host, `(D, slots, ...)`, each on its device."""
        return jax.device_put(tree, jax.tree.map(lambda shape: shape.sharding, self.shapes))
