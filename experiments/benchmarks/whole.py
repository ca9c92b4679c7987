# SPDX-License-Identifier: Apache-2.0
"""Sections of the benchmark that time whole runs: against peers, of more records and steps, in fresh processes."""

import dataclasses
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from experiments.benchmarks.baselines import Case
from experiments.benchmarks.load import Load, busiest, shown
from experiments.benchmarks.peers import Run, Whole, jaxmyopia
from experiments.benchmarks.timing import runs_in_turn
from jaxmyopia.checks import require
from jaxmyopia.engine.session import say
from jaxmyopia.studies.lowrank.losses import LOSSES

Row = dict[str, object]
_WIDE = 16  # above this rank there are fewer seeds, steps and records: a step costs a hundred times as much
_RECORDS = (10, 50, 200, 800)
_STEPS = (200, 1000, 5000, 20000)
_SEEDS = 128  # of the growth with records and steps


def cases(sizes: Iterable[tuple[int, int]], usual_seeds: Callable[[int, int], int]) -> Iterator[Whole]:
    """Every loss, optimiser and size `(n, r)`, each with the seeds that suit all; at full rank SGD alone."""
    for loss in LOSSES:
        for n, rank in sizes:
            for optimizer in ("sgd",) if rank > _WIDE else ("sgd", "adam"):
                if rank > _WIDE:
                    yield Whole(Case(loss, optimizer, n, rank, seeds=32), steps=200, records=50)
                else:
                    yield Whole(Case(loss, optimizer, n, rank, seeds=usual_seeds(n, rank)))


def race(whole: Whole, entered: dict[str, Callable[[Whole], Run]], *, seconds: float, repeats: int) -> list[Row]:
    """Measures whole runs of several, in turn.

    Args:
      whole: what is run.
      entered: who takes part, by name.
      seconds: how long each measurement takes at least.
      repeats: measurements of each.

    Returns:
      A row each: `took`, the seconds of every repeat, `seconds`, their median, `compiling`, what the first run took
      longer, `ratio`, how many times as long jit(vmap) takes, and `other_load`.
    """
    runs, firsts = {}, {}
    for name, prepare in entered.items():
        began = time.perf_counter()
        runs[name] = prepare(whole)
        runs[name]()
        firsts[name] = time.perf_counter() - began
    measured = runs_in_turn(runs, seconds=seconds, repeats=repeats)
    sizes = {"steps": whole.steps, "records": len(whole.waits)}
    base = measured["jit(vmap)"].median if "jit(vmap)" in measured else None
    rows = []
    for name, timed in measured.items():
        row = {**dataclasses.asdict(whole.case), **sizes, "baseline": name, "took": timed.each, "seconds": timed.median}
        row |= {"compiling": max(firsts[name] - timed.median, 0.0), "other_load": timed.load.share}
        rows.append(row | {"ratio": base / timed.median if base else None})
    reached = ", ".join(f"{row['baseline']} {row['seconds']:.3g} s" for row in rows)
    say(f"{whole}: {reached}; other load {shown(busiest(rows))}")
    return rows


def growth(name: str, *, seconds: float, repeats: int) -> Iterator[Row]:
    """Whole runs of this project alone, of more and more `records` or `steps`."""
    for loss in LOSSES:
        for value in {"records": _RECORDS, "steps": _STEPS}[name]:
            whole = dataclasses.replace(Whole(Case(loss, "sgd", 100, 2, seeds=_SEEDS)), **{name: value})
            yield from race(whole, {"jaxmyopia": jaxmyopia}, seconds=seconds, repeats=repeats)


_RUN = """
import re, time
from jaxmyopia.engine import mesh
mesh.use_cpu_devices(); mesh.use_compilation_cache({cache!r})
from jaxmyopia import LowRank, run
began = time.monotonic()
table = run(LowRank(n={n}, rank=2, loss={loss!r}), seeds={seeds}, steps={steps}, learning_rate=1e-3, init_scale=1.0)
seconds = time.monotonic() - began
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())  # getrusage has the parent's peak too
print(len(table), seconds, int(peak[1]) / 1024)
"""


def fresh(cache: pathlib.Path, repeats: int) -> Iterator[Row]:
    """Whole runs of this project, each in a process of its own: seconds, and peak memory in MiB (Linux alone).

    Args:
      cache: folder of compiled programs, new.
      repeats: starts with a warm cache of the smallest runs.

    Yields:
      A row each.
    """
    shapes = [(10, "square", 1000, count) for count in (64, 1024, 4096, 16384, 65536)]
    shapes += [(100, loss, 1000, count) for loss in LOSSES for count in (64, 1024, 4096)] + [
        (100, "square", 1000, 65536)
    ]
    for n, loss, steps, count in shapes:
        row = {"n": n, "loss": loss, "rank": 2, "optimizer": "sgd", "steps": steps, "seeds": count}
        script = _RUN.format(cache=str(cache), n=n, loss=loss, seeds=count, steps=steps)
        load = Load()
        for temperature in ("cold", *("warm",) * repeats) if count == 64 else ("warm",) * 3:
            began = time.monotonic()
            with load.timed():
                done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            found, inside, mebibytes = map(float, done.stdout.split())
            require(found == count, "seeds", found, f"must be {count}")
            row.setdefault(f"{temperature}_start", []).append(time.monotonic() - began)
            row.setdefault(f"{temperature}_run", []).append(inside)
            row["peak_mib"] = mebibytes
        row["seconds"], row["other_load"] = statistics.median(row["warm_run"]), load.share
        say(f"run {loss} n={n} S={count}: {row['seconds']:.2f} s, {row['peak_mib']:.0f} MiB")
        yield row
