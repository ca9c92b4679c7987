# SPDX-License-Identifier: Apache-2.0
"""The kinds of faults: each happens at one numbered file operation of a run, and says what was wrong afterwards.

A run survives if the same command, given again, ends with the bytes of an undisturbed one, nothing else lies in its
folder, and no process has ended with a traceback or without a word.
"""

import errno
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

from experiments.benchmarks.faults import job
from experiments.benchmarks.faults.attempts import (
    Untried,
    again,
    die,
    die_at,
    ended,
    log_of,
    resumed,
    victim,
    was_killed,
)
from experiments.benchmarks.faults.disk import Disk, replace_folder
from experiments.benchmarks.faults.several import late_process, merge_killed, process_killed, shard_unfinished
from experiments.benchmarks.faults.trap import Trap


def killed(out: pathlib.Path, number: int, expected: str, *, devices: int = 1) -> str:
    """The process is killed before an operation."""
    code = job.wait(victim(out, die_at(number)))
    return was_killed(out, code) or resumed(out, expected, devices=devices)


def torn(out: pathlib.Path, number: int, expected: str) -> str:
    """It is killed before a sync, half of the file written."""

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            if name == "sync" and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
                die()
            os._exit(77)

    code = job.wait(victim(out, before))
    if code == 77:
        raise Untried
    return was_killed(out, code) or resumed(out, expected)


def lost(out: pathlib.Path, number: int, expected: str, *, names_last: bool = False) -> str:
    """The machine loses its power; what was not synced is gone, names too."""
    disk, after = Disk(out), out.with_name(f"{out.name}.after")

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            disk.after_loss(after, names_last=names_last)
            die()

    code = job.wait(victim(out, before, synced=disk.synced))
    wrong = was_killed(out, code)
    replace_folder(out, after)
    return wrong or resumed(out, expected)


def lost_contents(out: pathlib.Path, number: int, expected: str) -> str:
    """The machine loses its power on a file system that writes names before contents."""
    return lost(out, number, expected, names_last=True)


def failing(out: pathlib.Path, number: int, expected: str, *, error: int, names: tuple[str, ...], once: bool) -> str:
    """Operations fail from one on, or that one alone."""

    def before(count: int, name: str, path: str) -> None:
        if name in names and (count == number if once else count >= number):
            raise OSError(error, os.strerror(error))

    code = job.wait(victim(out, before))
    return ended(out, code, 0, 1, 2) or resumed(out, expected)


_MAKING = ("open", "sync", "os.rename", "os.mkdir")
_ALL = (*_MAKING, "os.remove", "os.rmdir")


def full(out: pathlib.Path, number: int, expected: str) -> str:
    """The disk is full from an operation on."""
    return failing(out, number, expected, error=errno.ENOSPC, names=_MAKING, once=False)


def read_only(out: pathlib.Path, number: int, expected: str) -> str:
    """The folder cannot be written from an operation on."""
    return failing(out, number, expected, error=errno.EROFS, names=_ALL, once=False)


def broken(out: pathlib.Path, number: int, expected: str) -> str:
    """One operation fails."""
    return failing(out, number, expected, error=errno.EIO, names=_ALL, once=True)


def small_disk(out: pathlib.Path, number: int, expected: str) -> str:
    """The disk has so many pages of 4 KiB in all; then it is made larger."""
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={number * 4}k", "soak", str(out)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        raise Untried
    try:
        inside = out / "run"
        code = job.wait(again(inside))
        if code == 0:  # there was room enough
            raise Untried
        wrong = ended(inside, code, 1, 2)
        subprocess.run(["mount", "-o", "remount,size=64m", str(out)], check=True)
        return wrong or resumed(inside, expected)
    finally:
        subprocess.run(["umount", str(out)], check=True)


def removed(out: pathlib.Path, number: int, expected: str) -> str:
    """The folder is deleted under the run."""

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            shutil.rmtree(out, ignore_errors=True)

    code = job.wait(victim(out, before))
    return ended(out, code, 0, 1, 2) or resumed(out, expected)


def stopped(out: pathlib.Path, number: int, expected: str) -> str:
    """The process is stopped, the command given twice, and the process continued."""

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGSTOP)

    pid = victim(out, before)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if not os.WIFSTOPPED(status):
        return ended(out, os.waitstatus_to_exitcode(status), 0) or resumed(out, expected)
    holds = (out / ".alive-0.json").exists()
    second = job.wait(again(out))
    os.kill(pid, signal.SIGCONT)
    first = job.wait(pid)
    if holds and second != 1:
        return f"two runs in one folder: the second ended with {second}"
    return ended(out, second, 0, 1) or ended(out, first, 0, 1) or resumed(out, expected)


def doubled(out: pathlib.Path, number: int, expected: str) -> str:
    """The command is given again while the run works on."""
    reached, reach = os.pipe()

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            os.write(reach, b"x")

    first = victim(out, before)
    os.close(reach)
    os.read(reached, 1)
    os.close(reached)
    second = again(out, beat=5.0)
    codes = job.wait(first), job.wait(second)
    wrong = "" if 0 in codes else f"neither finished: {codes}"
    return wrong or ended(out, codes[0], 0, 1, 2) or ended(out, codes[1], 0, 1, 2) or resumed(out, expected)


def clock_back(out: pathlib.Path, number: int, expected: str) -> str:
    """The clock is set back by a day; the run goes on."""
    back = [0.0]

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            back[0] = 86400.0

    def go() -> int:
        now = time.time
        time.time = lambda: now() - back[0]
        job.small()
        Trap(out, before).arm()
        return job.run(out)

    wrong = ended(out, job.wait(job.fork(log_of(out), go)), 0)
    found = "" if wrong else job.digest(out)
    return wrong or ("" if found == expected else f"other bytes: {found}") or resumed(out, expected)


def other_devices(out: pathlib.Path, number: int, expected: str) -> str:
    """The process is killed, and the run resumed on two or three devices instead of one."""
    return killed(out, number, expected, devices=2 + number % 2)


KINDS: dict[str, Callable[[pathlib.Path, int, str], str]] = {
    each.__name__: each
    for each in (
        killed, torn, lost, lost_contents, full, read_only, broken, small_disk, removed, stopped, doubled, clock_back,
        other_devices, late_process, process_killed, merge_killed, shard_unfinished,
    )
}  # fmt: skip
# Where a process waits for another, or nothing but a moment changes, every so many-th operation will do.
COARSE = {late_process: 20, process_killed: 4, clock_back: 4, other_devices: 4, shard_unfinished: 4, doubled: 2}
