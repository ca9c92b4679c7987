# SPDX-License-Identifier: Apache-2.0
"""Where progress is shown: a bar in a terminal or a notebook, in a log a line a minute, or nowhere."""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from typing import IO, Any, Protocol

from tqdm.auto import tqdm

from jaxmyopia.terminal import WIDTH, takes_a_bar

Clock = Callable[[], float]
_FORMAT = "{percentage:3.0f}%|{bar}|{desc}"
_TEXT = 50  # columns of the text: at 80, two dozen are left for the bar
_OFTEN = 0.5  # seconds between two looks of a bar
_SELDOM = 60.0  # and between two lines of a log


class Display(Protocol):
    """What progress is shown on."""

    def due(self) -> bool:
        """Whether it has shown the same for long enough."""
        ...

    def show(self, share: float, text: str, *, at_once: bool = False) -> None:
        """Shows the share that is done, from 0 to 1, and some words; `at_once` where that matters to who watches."""
        ...

    def close(self, share: float, text: str) -> None:
        """Shows how it ended."""
        ...


class Nowhere:
    """Shows nothing."""

    def due(self) -> bool:
        """Never."""
        return False

    def show(self, share: float, text: str, *, at_once: bool = False) -> None:
        """Nothing."""

    def close(self, share: float, text: str) -> None:
        """Nothing."""


class _Unheard:
    """A file that may be closed, by whoever reads it, without a word: the run goes on."""

    def __init__(self, file: IO[str]):
        self._file = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Bar:
    """A bar of one line that changes; `columns`: of the terminal, where it does not tell."""

    def __init__(self, file: IO[str], clock: Clock, columns: int | None = None):
        shown: Any = _Unheard(file)
        width: dict[str, Any] = {"ncols": columns} if columns else {"dynamic_ncols": True}
        self._clock, self._shown = clock, -math.inf
        self._bar = tqdm(total=1.0, bar_format=_FORMAT, file=shown, **width)

    def due(self) -> bool:
        """Twice a second."""
        return self._clock() - self._shown >= _OFTEN

    def show(self, share: float, text: str, *, at_once: bool = False) -> None:
        """Redraws the line."""
        if at_once or self.due():
            self._shown, self._bar.n = self._clock(), share
            self._bar.set_description_str(f" {text}"[:_TEXT], refresh=True)

    def close(self, share: float, text: str) -> None:
        """Leaves the last line."""
        self.show(share, text, at_once=True)
        self._bar.close()


class Log:
    """Lines that stay: one at the start, one a minute, one at the end."""

    def __init__(self, file: IO[str], clock: Clock):
        self._file, self._clock = _Unheard(file), clock
        self._began, self._shown = clock(), -math.inf

    def due(self) -> bool:
        """Once a minute."""
        return self._clock() - self._shown >= _SELDOM

    def show(self, share: float, text: str, *, at_once: bool = False) -> None:
        """Writes a line, if it is time."""
        if self.due():
            self._shown = self._clock()
            line = f"{100 * share:3.0f} % after {duration(self._clock() - self._began)}: {text}"
            self._file.write(f"{line[:WIDTH]}\n")
            self._file.flush()

    def close(self, share: float, text: str) -> None:
        """Writes the last line."""
        self._shown = -math.inf
        self.show(share, text)


def display(file: IO[str] | None = None, clock: Clock = time.monotonic) -> Display:
    """What suits a file, by default standard error: a bar, or lines where a bar would fill a log."""
    out = file or sys.stderr
    return Bar(out, clock) if takes_a_bar(out) else Log(out, clock)


def duration(seconds: float) -> str:
    """Seconds as they are read at a glance.

    >>> duration(0), duration(83), duration(9000)
    ('0 s', '1:23 min', '2.5 h')
    """
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"
