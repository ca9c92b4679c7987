# SPDX-License-Identifier: Apache-2.0
"""Faults of runs that several processes or machines share."""

import pathlib
import time
from collections.abc import Callable

from experiments.benchmarks.faults import job
from experiments.benchmarks.faults.attempts import (
    KILLED,
    QUICK,
    Before,
    Untried,
    again,
    die_at,
    ended,
    log_of,
    resumed,
    victim,
    was_killed,
)
from experiments.benchmarks.faults.trap import Trap
from jaxmyopia.engine.manifest import read_manifest


def _shard(out: pathlib.Path, number: int) -> tuple[pathlib.Path, tuple[str, str]]:
    return out.with_name(f"{out.name}.shard{number}"), ("--num_shards=2", f"--shard_index={number}")


def _merge(out: pathlib.Path, before: Before = lambda count, name, path: None) -> int:
    def go() -> int:
        Trap(out, before).arm()
        return job.merge(out, *(_shard(out, number)[0] for number in range(2)))

    return job.wait(job.fork(log_of(out), go))


def _both_shards(out: pathlib.Path) -> str:
    wrong = ""
    for number in range(2):
        shard, flags = _shard(out, number)
        wrong = wrong or ended(shard, job.wait(again(shard, *flags)), 0)
    return wrong


def merge_killed(out: pathlib.Path, number: int, expected: str) -> str:
    """A merge of two shards is killed, and given again."""
    wrong = _both_shards(out)
    code = _merge(out, die_at(number))
    wrong = wrong or was_killed(out, code)
    if read_manifest(out).get("status") != "complete":
        wrong = wrong or ended(out, _merge(out), 0)
    return wrong or resumed(out, expected)


def shard_unfinished(out: pathlib.Path, number: int, expected: str) -> str:
    """A shard is killed and merged, which is refused; then it is resumed and merged."""
    first, flags = _shard(out, 0)
    code = job.wait(victim(first, die_at(number), *flags))
    wrong = was_killed(first, code)
    second, flags = _shard(out, 1)
    wrong = wrong or ended(second, job.wait(again(second, *flags)), 0)
    if read_manifest(first).get("status") != "complete shard":
        code = _merge(out)
        wrong = wrong or ended(out, code, 2) or ("it was merged all the same" if out.exists() else "")
    return wrong or _both_shards(out) or ended(out, _merge(out), 0) or resumed(out, expected)


def _processes(out: pathlib.Path, *starts: Callable[[], int]) -> list[int]:
    """Starts the processes of one run, numbered as they come, and gives their exit codes."""

    def fork(number: int) -> int:
        log = log_of(out) if number == 0 else out.with_name(f"{out.name}.other.log")
        return job.fork(log, starts[number])

    return [job.wait(pid) for pid in [fork(number) for number in range(len(starts))]]


def _process(out: pathlib.Path, number: int, port: int, before: Before | None = None, after: float = 0.0) -> int:
    time.sleep(after)
    job.small(QUICK)
    if before:
        Trap(out, before).arm()
    return job.run(out, process=(number, port))


def late_process(out: pathlib.Path, number: int, expected: str) -> str:
    """One of two processes of a run comes late, by so many hundredths of a second."""
    port = job.free_port()
    codes = _processes(out, lambda: _process(out, 0, port), lambda: _process(out, 1, port, after=number / 100))
    return ("" if codes == [0, 0] else f"ended with {codes}") or resumed(out, expected)


def process_killed(out: pathlib.Path, number: int, expected: str) -> str:
    """One of two processes is killed; the other stops by itself, and both are started again."""
    port, before = job.free_port(), die_at(number)
    codes = _processes(out, lambda: _process(out, 0, port), lambda: _process(out, 1, port, before))
    if codes[1] == 0:
        raise Untried
    if codes[1] != KILLED or codes[0] not in (0, 1):  # 0 if it had nothing more to wait for
        return f"ended with {codes}"
    port = job.free_port()
    codes = _processes(out, lambda: _process(out, 0, port), lambda: _process(out, 1, port))
    return ("" if codes == [0, 0] else f"ended with {codes} when resumed") or resumed(out, expected)
