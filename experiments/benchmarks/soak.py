# SPDX-License-Identifier: Apache-2.0
"""Does to runs what can happen to them, and says whether the bytes of their tables stay the same.

python -m experiments.benchmarks.soak                            every fault at every file operation: an hour and a half
python -m experiments.benchmarks.soak --every=20                 at every 20th, kills at every one: some minutes
python -m experiments.benchmarks.soak --faults=killed,lost       some faults alone
python -m experiments.benchmarks.soak --sections=same,peers,checkpoints,many        whole runs: half an hour
"""

import dataclasses
import functools
import multiprocessing
import os
import pathlib
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from experiments.benchmarks import whole_runs
from experiments.benchmarks.faults import job, kinds
from experiments.benchmarks.faults.trap import Trap
from jaxmyopia import launch
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.provenance import environment
from jaxmyopia.engine.session import say
from jaxmyopia.flags import flag

Row = dict[str, object]
_SHOWN = 5  # of the attempts that went wrong, in a row


@dataclasses.dataclass(frozen=True)
class Soak:
    """Flags of soak."""

    sections: tuple[str, ...] = flag(("faults",), "What to do: faults, same, peers, checkpoints, many.")
    faults: tuple[str, ...] = flag(tuple(kinds.KINDS), "Which faults.")
    every: int = flag(1, "At every so many-th file operation; a kill always at every one.")


FLAGS = launch.flags_of(Soak, name="soak", out="runs/soak")


def operations(out: pathlib.Path) -> int:
    """Counts the file operations of an undisturbed job.

    Raises:
      RuntimeError: if it fails.
    """
    counted = out.with_name("operations")

    def go() -> int:
        job.small()
        trap = Trap(out, lambda count, name, path: None)
        trap.arm()
        code = job.run(out)
        counted.write_text(str(trap.count))
        return code

    if job.wait(job.fork(out.with_name(f"{out.name}.log"), go)):
        raise RuntimeError(f"the job failed; see {out}.log")
    return int(counted.read_text())


def attempt(work: pathlib.Path, expected: str, fault: str, number: int) -> tuple[int, str | None]:
    """One fault at one operation: its number and what went wrong, None if it was not tried; cleared away if nothing."""
    out = work / f"{fault}-{number:05d}"  # no name begins another
    try:
        wrong = kinds.KINDS[fault](out, number, expected)
    except kinds.Untried:
        job.clear(out)
        return number, None
    if not wrong:
        job.clear(out)
    return number, wrong


def faults(work: pathlib.Path) -> Iterator[Row]:
    """Every fault at every operation of a small run, one at a time on each core."""
    count = operations(work / "whole")
    expected = job.digest(work / "whole")
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
        for fault in FLAGS.faults:
            coarse = 1 if fault == "killed" else max(FLAGS.every, kinds.COARSE.get(kinds.KINDS[fault], 1))
            began, numbers = time.monotonic(), range(1, count + 1, coarse)
            found = list(pool.map(functools.partial(attempt, work, expected, fault), numbers))
            tried = [(number, wrong) for number, wrong in found if wrong is not None]
            bad = [f"{number}: {wrong}".replace(f"{work}/", "") for number, wrong in tried if wrong]
            row = {"what": fault, "operations": count, "tried": len(tried), "survived": len(tried) - len(bad)}
            yield row | {"seconds": round(time.monotonic() - began), "wrong": bad[:_SHOWN], "same": not bad}


SECTIONS = {"faults": faults, **whole_runs.SECTIONS}


def main() -> None:
    """Does the sections asked for and writes what they found after each row."""
    for name in FLAGS.sections:
        require_one_of("sections", name, SECTIONS)
    for name in FLAGS.faults:
        require_one_of("faults", name, kinds.KINDS)
    require(FLAGS.every >= 1, "every", FLAGS.every, "must be at least 1")
    names = ("sections", "faults", "every")
    folder = RunFolder(FLAGS.out, {"experiment": "soak", **{name: FLAGS[name].value for name in names}})
    began, found = time.monotonic(), {}
    entries = {"command": launch.command(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    # Faults first: their processes are forked, and none of JAX's threads may be there yet.
    for name in sorted(FLAGS.sections, key=list(SECTIONS).index):
        work = (folder.path / "work" / name).absolute()
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        found[name] = []
        for row in SECTIONS[name](work):
            say(f"{name}: {row}")
            found[name].append(row)
            folder.write_json("soak.json", found)
            folder.write_manifest(**entries, status="running")
    wrong = [row for each in found.values() for row in each if not row.get("same", True)]
    if not wrong:
        shutil.rmtree(folder.path / "work")
    seconds = round(time.monotonic() - began, 1)
    folder.write_manifest(**entries, **environment(), seconds=seconds, status="complete")
    print(f"{sum(map(len, found.values()))} rows, {len(wrong)} in which something went wrong:")
    for row in wrong:
        print(row)


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=__doc__)
