# SPDX-License-Identifier: Apache-2.0
"""Whole runs of one cell, start to table: this project's, and those of peers that record and summarise the same.

A whole run draws the targets and starts of S seeds from their keys, trains T steps, records all observables at the
record points (the loss; the norms of the learned columns; up to rank 16 |cos| between every learned and target column,
and the sizes of their inner products), summarises every seed's curves in all the table's columns and brings those to
the host. This project keeps the quantiles of the loss besides. A peer is a function of a `Whole` that makes ready what
needs no compiling, and returns a run: it compiles in its first call. Peers count with the public measures of this
project: one seed's, under vmap.
"""

import concurrent.futures
import ctypes
import dataclasses
import functools
import importlib.metadata
import importlib.util
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from experiments.benchmarks.baselines import Case, plain_loss, torch_loss, torch_moments, torch_pairs, torch_step
from jaxmyopia.checks import RunError
from jaxmyopia.engine.chunk import root_key, run_chunks
from jaxmyopia.studies.lowrank.measures import ALIGNMENT_RANK, Record
from jaxmyopia.studies.lowrank.model import draw_problem
from jaxmyopia.study import Cell

ROOT_SEED = 0
SCALE = 1.0  # of the start
_SOURCE = pathlib.Path(__file__).with_name("baseline.c")
_FLAGS = ("-O3", "-march=native", "-ffast-math", "-fPIC")
_MOST_TILE = 8  # rows of a product that the C program keeps in registers

Table = dict[str, np.ndarray]  # columns (S,)


@dataclasses.dataclass(frozen=True)
class Whole:
    """A case, T steps, and about how many records."""

    case: Case
    steps: int = 1000
    records: int = 200

    def __str__(self) -> str:
        return f"{self.case} S={self.case.seeds} T={self.steps} records={self.records}"

    @property
    def cell(self) -> Cell:
        """The same as this project's cell."""
        sweep = ("learning_rate", (self.case.learning_rate,)), ("init_scale", (SCALE,))
        sizes = {"seeds": self.case.seeds, "steps": self.steps, "records": self.records}
        return Cell(study=self.case.study, sweep=sweep, **sizes)

    @property
    def waits(self) -> np.ndarray:
        """The steps before each record: `(T,)` int32."""
        return np.diff(self.cell.record_steps(), prepend=0).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The `table`, columns `(S,)` on the host, and the `curves` it was made of, `(S, T, ...)`, where they are kept."""

    table: Table
    curves: Record | None


Run = Callable[[], Outcome]


def _outcome(whole: Whole, summary: dict[str, jax.Array], curves: Record) -> Outcome:
    """The table of a peer, whose trials are the seeds."""
    rows = {"seed": np.arange(whole.case.seeds)} | whole.cell.columns(np.arange(whole.case.seeds))
    return Outcome(rows | jax.device_get(summary), curves)


def jaxmyopia(whole: Whole, *, keep: bool = False) -> Run:
    """This project's: what `jaxmyopia.run` does, without progress, folder and checkpoints; `keep` for its curves."""
    cell = whole.cell

    def run() -> Outcome:
        chunks = list(run_chunks(cell, root_seed=ROOT_SEED, keep_curves=cell.seeds if keep else 0))
        table = {name: np.concatenate([chunk.rows[name] for chunk in chunks]) for name in chunks[0].rows}
        if not keep:
            return Outcome(table, None)
        kept = {name: np.concatenate([chunk.kept[name] for chunk in chunks], axis=1) for name in chunks[0].kept}
        curves = {name: kept[name].swapaxes(0, 1) if name in kept else cell.record_steps() for name in _CURVES}
        return Outcome(table, Record(**curves))

    return run


_CURVES = tuple(field.name for field in dataclasses.fields(Record))


def _draw(
    case: Case, root: jax.Array, seed: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """One seed's factors A, B and its target's U, V, `(n, r)` each, from the key of all seeds."""
    key = jax.random.fold_in(root, seed)
    sizes = {"n": case.n, "rank": case.rank, "target_rank": case.rank}
    drawn = draw_problem(key, jnp.float32(SCALE), kind="gaussian", **sizes)
    return (drawn.a, drawn.b), (drawn.u, drawn.v)


def _summary(case: Case, curves: Record) -> dict[str, jax.Array]:
    """One seed's columns from its curves `(T, ...)`: this project's public measures of a single seed."""
    one = dataclasses.replace(jax.tree.map(lambda x: x[:, None], curves), step=curves.step)
    return {name: column[0] for name, column in case.study.summarise(one).items()}


def jit_vmap(whole: Whole, *, sharded: bool = False) -> Run:
    """All in one `jit(vmap)` of one seed's code in matrix form: draws, a scan over records, the summary.

    `sharded`: the seeds are dealt to all devices, which a user does who knows that one XLA program of this size keeps
    one core of a CPU busy, if that.
    """
    case, waits, root = whole.case, jnp.asarray(whole.waits), root_key(ROOT_SEED)
    optimizer, loss = getattr(optax, case.optimizer)(case.learning_rate), plain_loss(case)

    def observe(step, factors, target) -> Record:
        norms = [jnp.linalg.norm(x, axis=0) for x in factors]
        inner = align = [jnp.zeros((0, 0))] * 2
        if case.rank <= ALIGNMENT_RANK:
            lengths = [jnp.outer(norm, jnp.linalg.norm(y, axis=0)) for norm, y in zip(norms, target, strict=True)]
            inner = [jnp.abs(x.T @ y) for x, y in zip(factors, target, strict=True)]
            align = [each / length for each, length in zip(inner, lengths, strict=True)]
        return Record(step, loss(factors, target[0] @ target[1].T), *norms, *align, *inner)

    def one(seed):
        factors, target = _draw(case, root, seed)
        c = target[0] @ target[1].T

        def step(_, carry):
            factors, state = carry
            _, gradients = jax.value_and_grad(loss)(factors, c)  # what is not used XLA drops
            updates, state = optimizer.update(gradients, state, factors)
            return optax.apply_updates(factors, updates), state

        def to_record(carry, wait):
            done, *trained = carry
            factors, state = jax.lax.fori_loop(0, wait, step, tuple(trained))
            return (done + wait, factors, state), observe(done + wait, factors, target)

        _, curves = jax.lax.scan(to_record, (jnp.int32(0), factors, optimizer.init(factors)), waits)
        return _summary(case, curves), curves

    batched, seeds = jax.jit(jax.vmap(one)), np.arange(case.seeds, dtype=np.uint32)
    if sharded:
        devices = jax.local_devices()[: math.gcd(case.seeds, jax.local_device_count())]
        mesh = Mesh(np.asarray(devices), ("seeds",), axis_types=(AxisType.Auto,))
        seeds = jax.device_put(seeds, NamedSharding(mesh, PartitionSpec("seeds")))
    return lambda: _outcome(whole, *jax.block_until_ready(batched(seeds)))


def _around(whole: Whole, train: Callable[[np.ndarray], Record]) -> Run:
    """JAX draws and counts for a peer in another language; `train` makes curves `(S, T, ...)` of `(S, 4, n, r)`."""
    case, root = whole.case, root_key(ROOT_SEED)
    draw = jax.jit(jax.vmap(lambda seed: jnp.stack([x for pair in _draw(case, root, seed) for x in pair])))
    summary = jax.jit(jax.vmap(lambda curves: _summary(case, curves)))

    def run() -> Outcome:
        curves = train(np.array(draw(np.arange(case.seeds, dtype=np.uint32))))
        return _outcome(whole, summary(curves), curves)

    return run


def _steps(whole: Whole) -> np.ndarray:
    """The steps of the records, for every seed: `(S, T)`."""
    return np.broadcast_to(whole.cell.record_steps(), (whole.case.seeds, len(whole.waits)))


def torch_compiled(whole: Whole) -> Run:
    """PyTorch: `torch.func.vmap` of one seed's gradient and of its observables, both under `torch.compile`."""
    import torch

    case = whole.case
    plain, loss = torch_step(case), torch_loss(case)
    step = torch.compile(lambda *state: plain(*state)[:3])

    def observe(a, b, u, v, c):
        norms = [torch.linalg.vector_norm(x, dim=-2) for x in (a, b)]
        inner = aligned = [x.new_zeros(len(x), 0, 0) for x in (a, b)]
        if case.rank <= ALIGNMENT_RANK:
            others = [torch.linalg.vector_norm(y, dim=-2) for y in (u, v)]
            lengths = [x[:, :, None] * y[:, None, :] for x, y in zip(norms, others, strict=True)]
            inner = [(x.mT @ y).abs() for x, y in ((a, u), (b, v))]
            aligned = [each / length for each, length in zip(inner, lengths, strict=True)]
        return loss(a, b, c), *norms, *aligned, *inner

    observed = torch.compile(observe)

    def train(start: np.ndarray) -> Record:
        a, b, c = torch_pairs(start)
        u, v = (torch.from_numpy(start[:, i]) for i in (2, 3))
        moments, done, records = torch_moments(a, b), 0, []
        with torch.no_grad():
            for wait in whole.waits:
                for _ in range(wait):
                    done += 1
                    a, b, moments = step(a, b, c, moments, torch.tensor(float(done)))
                records.append(observed(a, b, u, v, c))
        loss, *rest = (torch.stack(each, dim=1).numpy() for each in zip(*records, strict=True))
        return Record(_steps(whole), loss, *rest)

    return _around(whole, train)


def compiler() -> str | None:
    """The C compiler of this machine, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def installed() -> dict[str, str]:
    """The versions of what peers need beside this project's own packages."""
    found = {"torch": importlib.metadata.version("torch")} if importlib.util.find_spec("torch") else {}
    if name := compiler():
        said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
        found["compiler"] = said.partition("\n")[0]
    return found


def _compiled(case: Case) -> ctypes.CDLL:
    """The C program, compiled for a case."""
    rank = case.rank
    # Multiplications of a step: four products of r columns with r x r, and four sums of products; or three of n x n.
    factored = case.loss == "square" and 8 * case.n * rank**2 < 3 * case.n**2 * rank
    values = {"N": case.n, "R": rank, "CROSS_ENTROPY": case.loss == "cross_entropy", "ADAM": case.optimizer == "adam"}
    values |= {"FACTORED": factored, "TILE": max(i for i in range(1, _MOST_TILE + 1) if rank % i == 0)}
    with tempfile.TemporaryDirectory() as folder:
        parts = [os.path.join(folder, name) for name in ("baseline.o", "baseline.so")]
        defined = [f"-D{name}={int(value)}" for name, value in values.items()]
        # Linked by itself: -ffast-math would have the linker change how this whole process rounds.
        for words in (
            [*_FLAGS, *defined, "-c", str(_SOURCE), "-o", parts[0]],
            ["-shared", *parts[:1], "-lm", "-o", parts[1]],
        ):
            done = subprocess.run([compiler(), *words], capture_output=True, text=True)
            if done.returncode:
                raise RunError(f"{compiler()} cannot compile {_SOURCE.name}: {done.stderr.strip()[-300:]}")
        return ctypes.CDLL(parts[1])


def c_loop(whole: Whole) -> Run:
    """A C program, a seed after the other on every core, compiled on the spot for the sizes of the case."""
    case, waits, cores = whole.case, whole.waits, len(os.sched_getaffinity(0))
    aligned, programs = case.rank <= ALIGNMENT_RANK, []

    def train(start: np.ndarray) -> Record:
        programs.extend([] if programs else [_compiled(case)])
        shape = case.seeds, len(waits)
        loss, norms = np.empty(shape, np.float32), np.empty((*shape, 2, case.rank), np.float32)
        width = case.rank if aligned else 0
        align, inner = (np.empty((*shape, 2, width, width), np.float32) for _ in range(2))

        def some(part: slice) -> int:
            arrays = [x[part].ctypes.data_as(ctypes.c_void_p) for x in (loss, norms, align, inner)]
            drawn = start[part].ctypes.data_as(ctypes.c_void_p)
            steps = len(waits), waits.ctypes.data_as(ctypes.c_void_p), ctypes.c_float(case.learning_rate)
            return programs[0].train(
                len(start[part]), drawn, *steps, *(arrays if aligned else [*arrays[:2], None, None])
            )

        ends = np.linspace(0, case.seeds, min(8 * cores, case.seeds) + 1).astype(int)
        with concurrent.futures.ThreadPoolExecutor(cores) as pool:
            if any(pool.map(some, map(slice, ends[:-1], ends[1:]))):
                raise RunError("the C program could not have its memory")
        pairs = (x[:, :, side] for x in (norms, align, inner) for side in (0, 1))
        return Record(_steps(whole), loss, *pairs)

    return _around(whole, train)


def peers() -> dict[str, Callable[[Whole], Run]]:
    """Those that can take part here, by name: PyTorch if it is installed, C if there is a compiler."""
    here: dict[str, Callable[[Whole], Run]] = {"jaxmyopia": jaxmyopia, "jit(vmap)": jit_vmap}
    here["jit(vmap) sharded"] = functools.partial(jit_vmap, sharded=True)
    if importlib.util.find_spec("torch"):
        here["torch.compile"] = torch_compiled
    return here | ({"C": c_loop} if compiler() else {})
