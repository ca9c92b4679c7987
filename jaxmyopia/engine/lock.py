# SPDX-License-Identifier: Apache-2.0
"""The lock of a run's folder, and the heartbeat of each of its processes: a small file that the process keeps fresh.

It keeps a second run out while the first lives, tells a lock that a dead process left, and lets processes of one run
see that one of them has gone.

Two things tell whether the process of a heartbeat lives. Under the same kernel, the kernel's own lock (`flock`) on a
file that is never deleted or replaced: it goes with its process, whatever namespace that has its number in. Under
another kernel, or where a file system has no such locks: the heartbeat, which is alive while it changes. No clock is
compared.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import platform
import re
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any, TypedDict

from jaxmyopia.checks import RunError
from jaxmyopia.engine.schema import fault

_BEAT = 5.0  # seconds between two heartbeats
_MISSED = 6  # beats after which a process is taken for dead
_WATCHED = 3  # beats for which a heartbeat under another kernel is looked at
_SIGN, _LOCK = "alive-{}.json", "lock-{}"
_UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)


class _Sign(TypedDict):
    """A heartbeat. `kernel`: under which the lock file is the same file to all; `who`: the process, for people."""

    kernel: str
    who: str
    owner: str
    processes: int
    state: str
    beat: int


def _boot() -> str:
    """What tells this kernel, since it was booted, from all others; it is the same in all containers on it."""
    with contextlib.suppress(OSError):
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node()


def _read(path: pathlib.Path) -> dict[str, Any]:
    """A heartbeat as it stands; empty if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        sign = json.loads(path.read_bytes())
        return {} if fault(sign, _Sign) else sign
    return {}


def _bytes(path: pathlib.Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _changes(path: pathlib.Path) -> bool:
    """Whether a heartbeat is kept fresh; looks for some seconds."""
    before, end = _bytes(path), time.monotonic() + _WATCHED * _BEAT
    while time.monotonic() < end:
        time.sleep(_BEAT / 5)
        if _bytes(path) != before:
            return True
    return False


class _Kernel:
    """A file by which the kernel locks: made if it is not there, and never deleted or replaced."""

    def __init__(self, path: pathlib.Path):
        self._path, self._file = path, open(path, "ab", buffering=0)  # noqa: SIM115  # held for the life of a run
        status = os.fstat(self._file.fileno())
        # The same file of the same mount under the same kernel: there its locks are the same to all.
        self.where = f"{_boot()}/{status.st_dev}/{status.st_ino}"

    def take(self) -> bool | None:
        """Locks it, until `close` or the end of the process; False if another has it, None if there are no locks."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return None
            raise
        return True

    def stands(self) -> bool:
        """Whether the file is still the one that the folder has."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path))
        except OSError:
            return False

    def close(self) -> None:
        """Gives the lock back."""
        self._file.close()


class Lock:
    """This process's lock on a run's folder and its heartbeat there; a context, within which it is kept fresh.

    Args:
      folder: of the run.
      process: the number of this process among the run's.
      processes: how many the run has.

    Raises:
      RunError: on entry, if another run lives in the folder, or it cannot be locked.
    """

    def __init__(self, folder: pathlib.Path, *, process: int = 0, processes: int = 1):
        self._folder, self._process, self._processes = folder, process, processes
        self._path = self._sign_of(process)
        self._sign: dict[str, Any] = {"who": f"process {os.getpid()} on {platform.node()}"}
        self._sign |= {"owner": secrets.token_hex(8), "processes": processes, "state": "running", "beat": 0}
        self._over, self._looked, self._taken = threading.Event(), -_BEAT, False
        self._seen: dict[int, tuple[dict[str, Any], float]] = {}  # each peer's heartbeat, and since when it stands
        self._thread = threading.Thread(target=self._keep_fresh, name="lock", daemon=True)

    def _sign_of(self, process: int) -> pathlib.Path:
        return self._folder / f".{_SIGN.format(process)}"

    def _lock_of(self, process: int | str) -> pathlib.Path:
        return self._folder / f".{_LOCK.format(process)}"

    def __enter__(self) -> "Lock":
        try:
            with self._alone():
                self._keep_out()
                self._kernel = _Kernel(self._lock_of(self._process))
                locked = self._kernel.take()
                self._sign["kernel"] = self._kernel.where if locked else ""
                self._write(self._sign)
            if not locked:
                self._settle()
        except OSError as error:
            raise RunError(f"{self._folder} could not be locked ({error.strerror})") from None
        self._thread.start()
        return self

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time enters or leaves, under one kernel."""
        guard, end = _Kernel(self._lock_of("entry")), time.monotonic() + 4 * _WATCHED * _BEAT
        try:
            while guard.take() is False:
                if time.monotonic() > end:
                    raise RunError(f"{self._folder} is in use by another run, which has just begun")
                time.sleep(0.005)
            yield
        finally:
            guard.close()

    def _numbers(self) -> list[int]:
        """The numbers of all processes that have been here."""
        names = [path.name for path in self._folder.glob(".*")]
        found = (re.fullmatch(r"\.(?:alive-(\d+)\.json|lock-(\d+))", name) for name in names)
        return sorted({int(match[1] or match[2]) for match in found if match})

    def _keep_out(self) -> None:
        """Raises RunError if another run lives here; else deletes what dead ones left."""
        for number in self._numbers():
            path = self._sign_of(number)
            sign = _read(path)
            if number != self._process and sign.get("processes") == self._processes:
                continue  # another process of this run
            if self._lives(number, path, sign):
                who = f" ({sign['who']})" if sign else ""
                raise RunError(f"{self._folder} is in use by another run{who}; wait for it, or choose another --out")
            path.unlink(missing_ok=True)

    def _lives(self, number: int, path: pathlib.Path, sign: dict[str, Any]) -> bool:
        """Whether the process that left a heartbeat still runs; may look for some seconds."""
        kernel = _Kernel(self._lock_of(number))
        try:
            free = kernel.take()
        finally:
            kernel.close()
        if free is False:
            return True
        gone = free and sign.get("kernel") == kernel.where
        return not gone and path.exists() and sign.get("state", "running") == "running" and _changes(path)

    def _settle(self) -> None:
        """Where the kernel has no locks, of several that take over one heartbeat the last to write it stays."""
        time.sleep(2 * _BEAT)
        if self._is_taken():
            self._kernel.close()
            raise RunError(f"{self._folder} is in use by another run, which has just begun")
        self._write(self._sign | {"beat": 1})

    def _is_taken(self) -> bool:
        """Whether another process has put its heartbeat in the place of this one's."""
        owner = _read(self._path).get("owner")
        return owner is not None and owner != self._sign["owner"]

    def __exit__(self, kind: type | None, *rest: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError, RunError):
            if self._kernel.stands() and not self._is_taken():
                with self._alone():
                    self._leave(finished=kind is None)
                    self._kernel.close()  # before another may enter
        self._kernel.close()

    def _leave(self, finished: bool) -> None:
        if finished and self._process == 0:  # the last to leave
            signs = self._folder.glob(f".{_SIGN.format('*')}")
            for path in [self._path, *(each for each in signs if _read(each).get("state") != "running")]:
                path.unlink(missing_ok=True)
        elif self._processes == 1:
            self._path.unlink()
        else:  # the others look at it
            self._write({**self._sign, "state": "finished" if finished else "stopped"})

    def _write(self, sign: dict[str, Any]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(sign))
        os.replace(temporary, self._path)

    def _keep_fresh(self) -> None:
        while not self._over.wait(_BEAT):
            self._taken = self._taken or self._is_taken()
            self._sign["beat"] += 1
            with contextlib.suppress(OSError):  # the run's own writes will say what is wrong
                if not self._taken and self._kernel.stands():
                    self._write(self._sign)

    def check_folder(self) -> None:
        """Raises RunError if the folder is not this run's any more: nothing more may be written there."""
        if self._taken or not self._kernel.stands():
            what = "is another run's now" if self._folder.is_dir() else "has vanished"
            raise RunError(f"{self._folder} {what}; this run has stopped: give its command again")

    def check_peers(self) -> None:
        """Raises RunError if another process of this run, numbered `(processes,)`, has stopped or is not heard of."""
        now = time.monotonic()
        if now - self._looked < _BEAT:
            return
        self._looked = now
        for number in set(range(self._processes)) - {self._process}:
            sign = _read(self._sign_of(number))
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
        return all(_read(self._sign_of(number)).get("state") == "finished" for number in others)
