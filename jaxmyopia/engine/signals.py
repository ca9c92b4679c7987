# SPDX-License-Identifier: Apache-2.0
"""Interrupts and terminations: the first asks for a stop at the next safe point, the second stops at once.

SIGTERM is what a preempted virtual machine or a cancelled batch job gets some seconds before it ends.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run was asked to stop by the signal `signum`, a scalar."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopRequest:
    """Whether a stop has been asked for; between two safe points it waits, elsewhere it stops the work at once."""

    def __init__(self):
        self._signum: int | None = None
        self._busy = False

    def _receive(self, signum: int, frame: object) -> None:
        del frame
        if self._signum is not None:
            sys.stderr.write("\nStopped at once. What is completed is kept; the same command resumes it.\n")
            sys.stderr.flush()
            os._exit(128 + signum)
        self._signum = signum
        if not self._busy:
            raise Stopped(signum)
        sys.stderr.write("\nStopping at the next safe point, within seconds; once more stops at once.\n")

    @contextlib.contextmanager
    def until_safe(self) -> Iterator[None]:
        """Within it a stop waits; at its end nothing is raised: see `check`."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def check(self) -> None:
        """Raises `Stopped` if a stop was asked for."""
        if self._signum is not None:
            raise Stopped(self._signum)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into stop requests while it lasts; only the main thread of a process can."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._receive) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
