# SPDX-License-Identifier: Apache-2.0
"""Measures whole runs, and steps alone, against other ways to train the same seeds, in one run and interleaved.

python -m experiments.benchmarks.benchmark                               all sections, 45 minutes on two cores
python -m experiments.benchmarks.benchmark --sections=whole --repeats=3
python -m experiments.benchmarks.benchmark --sections=seeds --peak_tflops=67     on a GPU: share of its peak too
"""

import dataclasses
import itertools
import re
import statistics
import time
from collections.abc import Callable, Iterator

import jax

from experiments.benchmarks import rl_baselines, whole
from experiments.benchmarks.baselines import Case, Train, baselines, draw_start, jaxmyopia
from experiments.benchmarks.load import busiest, judged, shown
from experiments.benchmarks.peers import installed, peers
from experiments.benchmarks.report import write_figures
from experiments.benchmarks.timing import in_turn
from jaxmyopia import launch
from jaxmyopia.checks import require, require_one_of, user_path
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.session import say
from jaxmyopia.flags import flag, numbers
from jaxmyopia.studies.lowrank.gradients import Path, choose_path, counted_cost
from jaxmyopia.studies.lowrank.layouts import SEEDS_FIRST, SEEDS_LAST
from jaxmyopia.studies.lowrank.losses import LOSSES
from jaxmyopia.studies.lowrank.study import LowRank

Row = dict[str, object]

_ALL = ("whole", "records", "steps", "cells", "seeds", "sides", "ranks", "paths", "runs", "environment", "training")
_BASELINES = tuple(peers() | baselines())


@dataclasses.dataclass(frozen=True)
class Benchmark(launch.Machine):
    """Flags of the benchmark."""

    compilation_cache: str = flag("", "Folder of compiled programs; by default none, so that compiling can be timed.")
    sections: tuple[str, ...] = flag(_ALL, "What is measured.")
    baselines: tuple[str, ...] = flag(_BASELINES, "Who takes part in sections whole and cells.")
    contestants: tuple[str, ...] | None = flag(None, "Older name of --baselines.")
    repeats: int = flag(5, "Measurements of each baseline, taken in turn.")
    seconds: float = flag(0.3, "About how long each measurement takes.")
    peak_tflops: float | None = flag(
        None, "The device's arithmetic peak in float32, to state the share that is reached."
    )
    sizes: tuple[str, ...] = flag(
        ("10x2", "100x1", "100x2", "100x10", "100x100"), "Sides and ranks of sections whole and cells."
    )
    batches: tuple[int, ...] = flag((256, 1024, 4096, 16384, 65536), "Numbers of seeds of section seeds.")
    agents: tuple[int, ...] = flag((1, 64, 4096), "Numbers of agents of section training.")


FLAGS = launch.flags_of(Benchmark, name="benchmark", out="runs/benchmark")
_MOST_BYTES = 2**33  # what jit(vmap) may take for its n^2 matrices on the larger batches


def usual_seeds(n: int, rank: int) -> int:
    """A batch that suits all baselines: about 10 MB of n x n matrices."""
    return 64 if rank > 16 else 1024 if n <= 32 else 256


def race(case: Case, entered: dict[str, Callable[[Case, object], Train]]) -> list[Row]:
    """Measures baselines on one case, in turn: a row each, with seed-steps a second of every repeat."""
    start, trains, rows = draw_start(case), {}, []
    for name, prepare in entered.items():
        began = time.perf_counter()
        trains[name] = prepare(case, start)
        rows.append({**dataclasses.asdict(case), "baseline": name, "first_step": time.perf_counter() - began})
    speeds = in_turn(trains, seconds=FLAGS.seconds, repeats=FLAGS.repeats)
    for row in rows:
        timed = speeds[row["baseline"]]
        row["speeds"], row["other_load"] = [case.seeds * speed for speed in timed.each], timed.load.share
        row["speed"] = statistics.median(row["speeds"])
        if FLAGS.peak_tflops:
            size = {"n": case.n, "rank": case.rank, "target_rank": case.rank}
            factored = row["baseline"] == "jaxmyopia" and choose_path(case.loss, **size).factored
            flops = 2 * counted_cost(case.loss, factored=factored, **size)
            row["share_of_peak"] = row["speed"] * flops / (FLAGS.peak_tflops * 1e12)
    base = next((row["speed"] for row in rows if row["baseline"] == "jit(vmap)"), None)
    say(
        f"{case} S={case.seeds}: "
        + ", ".join(f"{row['baseline']} {row['speed'] / 1e3:,.0f}k/s" for row in rows)
        + f"; other load {shown(busiest(rows))}"
    )
    return [row | {"ratio": row["speed"] / base if base else None} for row in rows]


def _sizes() -> list[tuple[int, int]]:
    return [tuple(map(int, size.split("x"))) for size in FLAGS.sizes]


def _entered(known: dict[str, Callable]) -> dict[str, Callable]:
    return {name: known[name] for name in FLAGS.baselines if name in known}


def whole_runs() -> Iterator[Row]:
    """Whole runs, start to table: all peers."""
    entered = _entered(peers())
    for case in whole.cases(_sizes(), usual_seeds) if entered else ():
        yield from whole.race(case, entered, seconds=FLAGS.seconds, repeats=FLAGS.repeats)


def cells() -> Iterator[Row]:
    """Every loss, optimiser and size: all baselines."""
    for loss in LOSSES:
        for n, rank in _sizes():
            for optimizer in ("sgd", "adam"):
                case = Case(loss=loss, optimizer=optimizer, n=n, rank=rank, seeds=usual_seeds(n, rank))
                yield from race(case, _entered(baselines()))


def _growth(cases: list[Case]) -> Iterator[Row]:
    """This project against jit(vmap), which is left out where its matrices take too much memory."""
    for case in cases:
        fits = 4 * 4 * case.seeds * case.n**2 < _MOST_BYTES
        names = ("jaxmyopia", "jit(vmap)") if fits else ("jaxmyopia",)
        yield from race(case, {name: baselines()[name] for name in names})


def seeds() -> Iterator[Row]:
    """How cost grows with the seeds."""
    batches = numbers(FLAGS, "batches", int)
    cases = [
        Case(loss=loss, optimizer="sgd", n=n, rank=2, seeds=count)
        for loss in LOSSES
        for n in (10, 100)
        for count in batches
    ]
    yield from _growth(cases)


def sides() -> Iterator[Row]:
    """How cost grows with the side of the matrices."""
    cases = [
        Case(loss=loss, optimizer="sgd", n=n, rank=2, seeds=usual_seeds(n, 2), learning_rate=1e-4)
        for loss in LOSSES
        for n in (16, 32, 64, 128, 256, 512)
    ]
    yield from _growth(cases)


def ranks() -> Iterator[Row]:
    """How cost grows with the rank."""
    cases = [
        Case(loss=loss, optimizer="sgd", n=100, rank=rank, seeds=usual_seeds(100, rank), learning_rate=1e-4)
        for loss in LOSSES
        for rank in (1, 2, 4, 8, 16, 32, 64, 100)
    ]
    yield from _growth(cases)


@dataclasses.dataclass(frozen=True)
class _OnPath(LowRank):
    """The study on a path that need not be the one chosen."""

    forced: Path | None = None

    @property
    def path(self) -> Path:
        return self.forced


def paths() -> Iterator[Row]:
    """Every path of the gradient at every size: is the chosen one the fastest?"""
    for loss in LOSSES:
        for n, rank in ((10, 1), (10, 2), (10, 4), (32, 2), (32, 4), *((100, r) for r in (1, 2, 4, 10, 32, 64, 100))):
            options = {}
            for layout in (SEEDS_LAST, SEEDS_FIRST):
                for factored in (False, True) if loss == "square" else (False,):
                    if layout is SEEDS_FIRST or (rank <= 4 and (factored or n <= 32)):
                        name = f"{'factored' if factored else 'dense'} {'last' if layout is SEEDS_LAST else 'first'}"
                        options[name] = Path(layout=layout, factored=factored)
            case = Case(loss=loss, optimizer="sgd", n=n, rank=rank, seeds=4 * usual_seeds(n, rank), learning_rate=1e-4)
            entered = {
                name: lambda case, start, path=path: jaxmyopia(
                    case, start, _OnPath(n=case.n, rank=case.rank, loss=case.loss, forced=path)
                )
                for name, path in options.items()
            }
            rows = race(case, entered)
            best = max(row["speed"] for row in rows)
            for row in rows:
                chosen = options[row["baseline"]] == case.study.path
                yield row | {"chosen": chosen, "of_best": row["speed"] / best}


def epoch_env() -> Iterator[Row]:
    """`EpochEnv` under a random policy, against gymnax's DiscountingChain-bsuite; and with what is drawn beforehand."""
    for observed, drawn in itertools.product((False, True), repeat=2):
        entered = rl_baselines.environments(observed=observed, drawn=drawn)
        if len(entered) == 1:
            say("gymnax is not installed (pip install gymnax, where it allows this jax): EpochEnv is measured alone.")
        case = {"trials": rl_baselines.ENVIRONMENTS, "observed": observed, "drawn_beforehand": drawn}
        yield from _against_last(case, entered, rl_baselines.ENVIRONMENTS)


def training() -> Iterator[Row]:
    """PPO in `EpochEnv`, a row per baseline and number of agents: environment steps and updates a second."""
    for agents in numbers(FLAGS, "agents", int):
        entered = {name: prepare(agents) for name, prepare in rl_baselines.TRAINERS.items()}
        a_batch = rl_baselines.SETTINGS.runs_a_batch * rl_baselines.study_of(1)[0].env.steps
        yield from _against_last({"agents": agents, "steps_an_update": a_batch}, entered, agents * a_batch)


def _against_last(case: Row, entered: dict[str, Train], scale: float) -> list[Row]:
    """Rows of baselines: `scale` times their steps a second, and the ratio to the last of them."""
    speeds = in_turn(entered, seconds=FLAGS.seconds, repeats=FLAGS.repeats)
    rows = []
    for name, timed in speeds.items():
        row = {**case, "baseline": name, "speeds": [scale * speed for speed in timed.each]}
        rows.append(row | {"speed": scale * timed.median, "other_load": timed.load.share})
    say(
        f"{case}: "
        + ", ".join(f"{row['baseline']} {row['speed'] / 1e6:,.2f}M/s" for row in rows)
        + f"; other load {shown(busiest(rows))}"
    )
    base = rows[-1]["speed"] if len(rows) > 1 else None
    return [row | {"ratio": row["speed"] / base if base else None} for row in rows]


SECTIONS = {
    "whole": whole_runs,
    "records": lambda: whole.growth("records", seconds=FLAGS.seconds, repeats=FLAGS.repeats),
    "steps": lambda: whole.growth("steps", seconds=FLAGS.seconds, repeats=FLAGS.repeats),
    "cells": cells,
    "seeds": seeds,
    "sides": sides,
    "ranks": ranks,
    "paths": paths,
    "runs": lambda: whole.fresh(user_path("out", FLAGS.out) / "compilation_cache", FLAGS.repeats),
    "environment": epoch_env,
    "training": training,
}


def check_flags() -> None:
    """Raises ValueError if a flag's value is not allowed; flags are lists `(m,)` or scalars."""
    for name in FLAGS.sections:
        require_one_of("sections", name, SECTIONS)
    for name in FLAGS.baselines:
        require_one_of("baselines", name, _BASELINES)
    for size in FLAGS.sizes:
        fine = re.fullmatch(r"[1-9]\d*x[1-9]\d*", size) and int(size.split("x")[1]) <= int(size.split("x")[0]) >= 2
        require(fine, "sizes", size, "must be a side and a rank, as in 100x2")
    for name in ("batches", "agents"):
        for count in numbers(FLAGS, name, int):
            require(count >= 1, name, count, "must be at least 1")
    require(FLAGS.repeats >= 1, "repeats", FLAGS.repeats, "must be at least 1")
    for name in ("seconds", "peak_tflops"):
        value = FLAGS[name].value
        require(value is None or value > 0, name, value, "must be positive")


def main() -> None:
    """Measures the sections asked for, all in this one run."""
    if FLAGS.contestants is not None:
        say("--contestants is called --baselines now; the older name will work for one more release.")
        FLAGS.baselines = FLAGS.contestants
    check_flags()
    if "torch" not in baselines():
        say("PyTorch is not installed (pip install -e '.[bench]'): its baselines are left out.")
    if "C" not in peers():
        say("There is no C compiler (cc, gcc or clang): the baseline in C is left out.")
    names = ("sections", "baselines", "repeats", "seconds", "peak_tflops", "sizes", "batches", "agents")
    config = {"experiment": "benchmark", "device": str(jax.devices()[0]), **{name: FLAGS[name].value for name in names}}
    folder = RunFolder(FLAGS.out, config)
    measured: dict[str, list[Row]] = {}
    began, started = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for name in FLAGS.sections:
        measured[name] = list(SECTIONS[name]())
        seconds = round(time.monotonic() - began, 1)
        entries = {"status": "running", "command": launch.command(), "started": started, "seconds": seconds}
        entries |= environment() | installed()
        folder.write_json("benchmark.json", {"sections": measured, **judged(measured)})
        folder.write_manifest(**entries)
    folder.write_manifest(**entries | {"status": "complete"})
    print(write_figures(folder, measured, entries))
    say(judged(measured)["said"])


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
