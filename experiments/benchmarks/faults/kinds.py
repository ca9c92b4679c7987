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
from experiments.benchmarks.faults.disk import Disk, replace_folder
from experiments.benchmarks.faults.trap import Trap
from jaxmyopia.engine.manifest import read_manifest

KILLED = -signal.SIGKILL
Before = Callable[[int, str, str], None]
QUICK = 0.1  # seconds between heartbeats, where somebody waits for them


class Untried(Exception):
    """This fault cannot happen at this operation, or on this machine."""


def die() -> None:
    """Ends this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def victim(out: pathlib.Path, before: Before, *flags: str, synced: Callable[[int], None] = lambda handle: None) -> int:
    """Starts the job with a trap, and gives the number of its process."""

    def go() -> int:
        job.small()
        Trap(out, before, synced).arm()
        return job.run(out, *flags)

    return job.fork(_log(out), go)


def again(out: pathlib.Path, *flags: str, devices: int = 1, beat: float = QUICK) -> int:
    """Starts the job once more, undisturbed."""

    def go() -> int:
        job.small(beat)
        return job.run(out, *flags, devices=devices)

    return job.fork(_log(out), go)


def _log(out: pathlib.Path) -> pathlib.Path:
    return out.with_name(f"{out.name}.log")


def ended(out: pathlib.Path, code: int, *fine: int) -> str:
    """What is wrong with the end of a process: it is none of the `fine` ones, or without its one line."""
    text = _log(out).read_text(errors="replace") if _log(out).exists() else ""
    if "Traceback" in text:
        return f"traceback: {text.strip().splitlines()[-1][:200]}"
    if code not in fine:
        return f"ended with {code}: {text.strip()[-200:]}"
    return f"ended with {code} without a word" if code > 0 and "error: " not in text else ""


def resumed(out: pathlib.Path, expected: str, *, devices: int = 1) -> str:
    """Gives the command again: what is wrong with what it ends with."""
    wrong = ended(out, job.wait(again(out, devices=devices)), 0)
    found = "" if wrong else job.digest(out)
    return wrong or ("" if found == expected else f"other bytes: {found}")


def killed(out: pathlib.Path, number: int, expected: str, *, devices: int = 1) -> str:
    """The process is killed before an operation."""
    code = job.wait(victim(out, lambda count, name, path: die() if count == number else None))
    return ended(out, code, KILLED, 0) or resumed(out, expected, devices=devices)


def torn(out: pathlib.Path, number: int, expected: str) -> str:
    """It is killed before a sync, half of the file written."""

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            if name == "sync" and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
                die()
            os._exit(77)

    code = job.wait(victim(out, before))
    if code in (0, 77):
        raise Untried
    return ended(out, code, KILLED) or resumed(out, expected)


def lost(out: pathlib.Path, number: int, expected: str, *, names_last: bool = False) -> str:
    """The machine loses its power; what was not synced is gone, with its names or without."""
    disk, after = Disk(out), out.with_name(f"{out.name}.after")

    def before(count: int, name: str, path: str) -> None:
        if count == number:
            disk.after_loss(after, names_last=names_last)
            die()

    code = job.wait(victim(out, before, synced=disk.synced))
    if code == KILLED:
        replace_folder(out, after)
    return ended(out, code, KILLED, 0) or resumed(out, expected)


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
    """The disk has so many pages of 4 KiB in all; then it is made larger. Only root may mount one."""
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={number * 4}k", "soak", str(out)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        raise Untried
    try:
        inside = out / "run"
        wrong = ended(inside, job.wait(again(inside)), 0, 1, 2)
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

    wrong = ended(out, job.wait(job.fork(_log(out), go)), 0)
    found = "" if wrong else job.digest(out)
    return wrong or ("" if found == expected else f"other bytes: {found}") or resumed(out, expected)


def other_devices(out: pathlib.Path, number: int, expected: str) -> str:
    """The process is killed, and the run resumed on two or three devices instead of one."""
    return killed(out, number, expected, devices=2 + number % 2)


def _shard(out: pathlib.Path, number: int) -> tuple[pathlib.Path, tuple[str, str]]:
    return out.with_name(f"{out.name}.shard{number}"), ("--num_shards=2", f"--shard_index={number}")


def _merge(out: pathlib.Path, before: Before = lambda count, name, path: None) -> int:
    def go() -> int:
        Trap(out, before).arm()
        return job.merge(out, *(_shard(out, number)[0] for number in range(2)))

    return job.wait(job.fork(_log(out), go))


def _both_shards(out: pathlib.Path) -> str:
    wrong = ""
    for number in range(2):
        shard, flags = _shard(out, number)
        wrong = wrong or ended(shard, job.wait(again(shard, *flags)), 0)
    return wrong


def merge_killed(out: pathlib.Path, number: int, expected: str) -> str:
    """A merge of two shards is killed, and given again."""
    wrong = _both_shards(out)
    code = _merge(out, lambda count, name, path: die() if count == number else None)
    wrong = wrong or ended(out, code, KILLED, 0)
    if read_manifest(out).get("status") != "complete":
        wrong = wrong or ended(out, _merge(out), 0)
    return wrong or resumed(out, expected)


def shard_unfinished(out: pathlib.Path, number: int, expected: str) -> str:
    """A shard is killed and merged as it stands, which is refused; then it is resumed, and merged."""
    first, flags = _shard(out, 0)
    code = job.wait(victim(first, lambda count, name, path: die() if count == number else None, *flags))
    wrong = ended(first, code, KILLED, 0)
    second, flags = _shard(out, 1)
    wrong = wrong or ended(second, job.wait(again(second, *flags)), 0)
    if read_manifest(first).get("status") != "complete shard":
        code = _merge(out)
        wrong = wrong or ended(out, code, 2) or ("it was merged all the same" if out.exists() else "")
    return wrong or _both_shards(out) or ended(out, _merge(out), 0) or resumed(out, expected)


def _processes(out: pathlib.Path, *starts: Callable[[], int]) -> list[int]:
    """Starts the processes of one run, numbered as they come, and gives their exit codes."""

    def fork(number: int) -> int:
        log = _log(out) if number == 0 else out.with_name(f"{out.name}.other.log")
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
    """One of two processes of a run is killed; the other stops by itself, and both are started again."""
    port, before = job.free_port(), lambda count, name, path: die() if count == number else None
    codes = _processes(out, lambda: _process(out, 0, port), lambda: _process(out, 1, port, before))
    if codes[1] not in (KILLED, 0):
        return f"ended with {codes}"
    if codes[1] == KILLED and codes[0] == 0:
        return "the other did not see it"
    port = job.free_port()
    codes = _processes(out, lambda: _process(out, 0, port), lambda: _process(out, 1, port))
    return ("" if codes == [0, 0] else f"ended with {codes} when resumed") or resumed(out, expected)


KINDS: dict[str, Callable[[pathlib.Path, int, str], str]] = {
    each.__name__: each
    for each in (
        killed, torn, lost, lost_contents, full, read_only, broken, small_disk, removed, stopped, doubled, clock_back,
        other_devices, late_process, process_killed, merge_killed, shard_unfinished,
    )
}  # fmt: skip
