# SPDX-License-Identifier: Apache-2.0
"""The lock of a run's folder, and the heartbeat of each of its processes: a small file that the process keeps fresh.

It keeps a second run out while the first lives, tells a lock that a dead process left, and lets processes of one run
see that one of them has gone. No clock is compared: a heartbeat is alive if its process runs on this machine or, on
another, if its counter still moves.
"""

import contextlib
import json
import os
import pathlib
import platform
import threading
import time
from typing import Any

from jaxmyopia.checks import RunError

_BEAT = 5.0  # seconds between two heartbeats
_MISSED = 6  # beats after which a process is taken for dead
_FORMAT = "alive-{}.json"


def _machine() -> str:
    """This machine since it was booted; a process number means something on it alone."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{platform.node()}/{boot.read_text().strip()}"
    return platform.node()


def _born(pid: int) -> str | None:
    """When a process of this machine was started, in the kernel's ticks; None if there is no such process."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if pathlib.Path("/proc/self").exists():
            return None
        try:  # a system without /proc: that it runs must do
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        return "running"
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """A heartbeat as it stands; None if there is none. One half-written is empty."""
    try:
        return json.loads(path.read_text() or "{}")
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        return {}


def _lives(path: pathlib.Path) -> bool:
    """Whether the process that left a heartbeat still runs; looks for some seconds if it is another machine's."""
    sign = _read(path)
    if sign is None or sign.get("state") != "running":
        return False
    if sign["machine"] == _machine():
        return _born(sign["pid"]) == sign["born"]
    end = time.monotonic() + 3 * _BEAT
    while time.monotonic() < end:
        time.sleep(_BEAT / 5)
        if _read(path) != sign:
            return True
    return False


class Lock:
    """This process's lock on a run's folder and its heartbeat there; a context, within which it is kept fresh.

    Args:
      folder: of the run.
      process: the number of this process among the run's.
      processes: how many the run has.

    Raises:
      RunError: on entry, if another run lives in the folder.
    """

    def __init__(self, folder: pathlib.Path, *, process: int = 0, processes: int = 1):
        self._folder, self._process, self._processes = folder, process, processes
        self._path = folder / f".{_FORMAT.format(process)}"
        self._sign: dict[str, Any] = {"machine": _machine(), "pid": os.getpid(), "born": _born(os.getpid())}
        self._sign |= {"processes": processes, "state": "running", "beat": 0}
        self._over, self._looked = threading.Event(), -_BEAT
        self._seen: dict[int, tuple[dict[str, Any], float]] = {}  # each peer's heartbeat, and since when it stands
        self._thread = threading.Thread(target=self._keep_fresh, name="lock", daemon=True)

    def __enter__(self) -> "Lock":
        for path in self._folder.glob(f".{_FORMAT.format('*')}"):
            sign = _read(path) or {}
            if path != self._path and sign.get("processes") == self._processes:
                continue  # another process of this run
            if _lives(path):
                who = f"process {sign['pid']} on {sign['machine'].partition('/')[0]}"
                raise RunError(f"{self._folder} is in use by another run ({who}); wait for it, or choose another --out")
            path.unlink(missing_ok=True)
        try:
            with open(self._path, "x") as file:
                json.dump(self._sign, file)
        except FileExistsError:
            raise RunError(f"{self._folder} is in use by another run, which has just begun") from None
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if kind is None and self._process == 0:  # the last to leave
                for path in self._folder.glob(f".{_FORMAT.format('*')}"):
                    path.unlink()
            elif self._processes == 1:
                self._path.unlink()
            else:  # the others look at it
                self._write({**self._sign, "state": "finished" if kind is None else "stopped"})

    def _write(self, sign: dict[str, Any]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(sign))
        os.replace(temporary, self._path)

    def _keep_fresh(self) -> None:
        while not self._over.wait(_BEAT):
            self._sign["beat"] += 1
            with contextlib.suppress(OSError):  # the run's own writes will say what is wrong
                self._write(self._sign)

    def check_peers(self) -> None:
        """Raises RunError if another process of this run, numbered `(processes,)`, has stopped or is not heard of."""
        now = time.monotonic()
        if now - self._looked < _BEAT:
            return
        self._looked = now
        for number in set(range(self._processes)) - {self._process}:
            sign = _read(self._folder / f".{_FORMAT.format(number)}") or {}
            known, since = self._seen.get(number, (sign, now))
            self._seen[number] = (sign, now if sign != known else since)
            silent, state = now - self._seen[number][1], sign.get("state")
            if state == "stopped" or (state != "finished" and silent > _MISSED * _BEAT):
                how = "has stopped" if state == "stopped" else f"has given no heartbeat for {silent:.0f} s"
                raise RunError(
                    f"process {number} of {self._processes} {how}; what is completed is kept: give every process its "
                    "command again"
                )

    def peers_finished(self) -> bool:
        """Whether every other process has said that it is done."""
        others = set(range(self._processes)) - {self._process}
        signs = (_read(self._folder / f".{_FORMAT.format(number)}") or {} for number in others)
        return all(sign.get("state") == "finished" for sign in signs)
