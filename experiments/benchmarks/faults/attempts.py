# SPDX-License-Identifier: Apache-2.0
"""What every fault needs: a run with a trap, the same command again, and what is wrong with how they end."""

import os
import pathlib
import signal
from collections.abc import Callable

from experiments.benchmarks.faults import job
from experiments.benchmarks.faults.trap import Trap

KILLED = -signal.SIGKILL
Before = Callable[[int, str, str], None]
QUICK = 0.1  # seconds between heartbeats, where somebody waits for them


class Untried(Exception):
    """This fault cannot happen at this operation, or on this machine."""


def die_at(number: int) -> Before:
    """Ends this process before an operation, by its number."""
    return lambda count, name, path: die() if count == number else None


def die() -> None:
    """Ends this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def victim(out: pathlib.Path, before: Before, *flags: str, synced: Callable[[int], None] = lambda handle: None) -> int:
    """Starts the job with a trap, and gives the number of its process."""

    def go() -> int:
        job.small()
        Trap(out, before, synced).arm()
        return job.run(out, *flags)

    return job.fork(log_of(out), go)


def again(out: pathlib.Path, *flags: str, devices: int = 1, beat: float = QUICK) -> int:
    """Starts the job once more, undisturbed."""

    def go() -> int:
        job.small(beat)
        return job.run(out, *flags, devices=devices)

    return job.fork(log_of(out), go)


def log_of(out: pathlib.Path) -> pathlib.Path:
    return out.with_name(f"{out.name}.log")


def ended(out: pathlib.Path, code: int, *fine: int) -> str:
    """What is wrong with the end of a process: it is none of the `fine` ones, or without its one line."""
    text = log_of(out).read_text(errors="replace") if log_of(out).exists() else ""
    if "Traceback" in text:
        return f"traceback: {text.strip().splitlines()[-1][:200]}"
    if code not in fine:
        return f"ended with {code}: {text.strip()[-200:]}"
    return f"ended with {code} without a word" if code > 0 and "error: " not in text else ""


def was_killed(out: pathlib.Path, code: int) -> str:
    """What is wrong with the end of a process that was to be killed.

    Raises:
      Untried: if it had ended before.
    """
    if code == 0:
        raise Untried
    return ended(out, code, KILLED)


def resumed(out: pathlib.Path, expected: str, *, devices: int = 1) -> str:
    """Gives the command again: what is wrong with what it ends with."""
    wrong = ended(out, job.wait(again(out, devices=devices)), 0)
    found = "" if wrong else job.digest(out)
    return wrong or ("" if found == expected else f"other bytes: {found}")
