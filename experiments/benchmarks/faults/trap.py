# SPDX-License-Identifier: Apache-2.0
"""Counts what a process asks of the file system under one folder, and does something before one of those operations.

Python's audit hooks see every opening, renaming, making and deleting; `os.fsync` has none and is wrapped. What is
written between two of these, also by libraries in C, is seen as the file's content when it is synced.
"""

import errno
import os
import pathlib
import sys
from collections.abc import Callable

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "fcntl.flock")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Trap:
    """Once armed, calls `before(number, name, path)` before each file operation under `folder`, numbered from 1.

    `name`: of the operation, such as `open`, `os.rename` (the path it takes a name from), `sync`. `synced(handle)` is
    called after each sync. It lasts until the process ends.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        before: Callable[[int, str, str], None],
        synced: Callable[[int], None] = lambda handle: None,
    ):
        self._folder, self._before, self._synced, self.count, self._busy = str(folder), before, synced, 0, False

    def arm(self) -> None:
        """From here on operations count."""
        fsync = os.fsync

        def sync(handle: int) -> None:
            self._see("sync", os.readlink(f"/proc/self/fd/{handle}"))
            fsync(handle)
            self._synced(handle)

        os.fsync = sync
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple) -> None:
        if self._busy:
            return
        if event == "open" and isinstance(args[0], str | bytes) and args[2] & _WRITES:
            self._see("open", os.fsdecode(args[0]))
        elif event == "fcntl.flock":
            self._see(event, os.readlink(f"/proc/self/fd/{getattr(args[0], 'fileno', lambda: args[0])()}"))
        elif event in _CHANGES:
            handle = args[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
            path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ""
            if isinstance(handle, int) and handle >= 0 and not os.path.isabs(path):
                path = os.path.join(os.readlink(f"/proc/self/fd/{handle}"), path)
            self._see(event, path)

    def _see(self, name: str, path: str) -> None:
        if not path.startswith(self._folder):
            return
        self.count += 1
        self._busy = True  # what is done there is nobody's operation
        try:
            self._before(self.count, name, path)
        finally:
            self._busy = False


def fail(number: int) -> OSError:
    """The error of a disk, by its `errno`."""
    return OSError(number, os.strerror(number))


FULL, READ_ONLY, BROKEN = errno.ENOSPC, errno.EROFS, errno.EIO
