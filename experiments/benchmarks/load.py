# SPDX-License-Identifier: Apache-2.0
"""How busy the rest of the machine is while something is timed: other work slows it, and nobody sees that later."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator

BOUND = 0.05  # of the machine's CPU time: with more for others a benchmark is of a busy machine, and is not published
_STAT = pathlib.Path("/proc/stat")
_IDLE = (3, 4)  # the places of idle and iowait in its first line; guests' time, from place 8, is in user's already


def machine_seconds() -> float | None:
    """CPU seconds that the machine has been busy since it started, stolen ones among them; None if it does not tell."""
    try:
        _, *ticks = _STAT.read_text().partition("\n")[0].split()
    except OSError:
        return None
    return sum(int(each) for i, each in enumerate(ticks[:8]) if i not in _IDLE) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


@dataclasses.dataclass
class Load:
    """CPU seconds that the machine spent on others, and that there were, in all that was timed; None if not known."""

    others: float | None = 0.0
    there: float = 0.0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Counts what lies within."""
        machine, own, began = machine_seconds(), own_seconds(), time.perf_counter()
        yield
        self.there += (time.perf_counter() - began) * (os.cpu_count() or 1)
        now = machine_seconds()
        if machine is None or now is None or self.others is None:
            self.others = None
        else:
            self.others += (now - machine) - (own_seconds() - own)

    @property
    def share(self) -> float | None:
        """Of the machine's CPU time, that of others; None if it is not known."""
        return None if self.others is None or not self.there else min(max(self.others / self.there, 0.0), 1.0)


def shown(share: float | None) -> str:
    """A share of other load in words."""
    return "unknown" if share is None else f"{share:.0%}"


def quiet(shares: list[float | None]) -> bool | None:
    """Whether none of the shares is above `BOUND`; None where one is not known and no other is above it."""
    if any(share is not None and share > BOUND for share in shares):
        return False
    return None if None in shares else True
