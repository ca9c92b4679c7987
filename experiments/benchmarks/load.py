# SPDX-License-Identifier: Apache-2.0
"""How busy the rest of the machine is while something is timed: other work slows it, and nobody sees that later."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

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


def busiest(rows: list[dict[str, Any]]) -> float | None:
    """The greatest `other_load` of rows; None if none is known."""
    return max((row["other_load"] for row in rows if row["other_load"] is not None), default=None)


def judged(sections: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Whether a benchmark's rows, by section, were all measured on a quiet machine.

    Returns:
      `quiet`: true, false, or None where the machine does not tell; `other_load`, the greatest share; and `said`, both
      in words.
    """
    rows = [row for section in sections.values() for row in section]
    most, unknown = busiest(rows), any(row["other_load"] is None for row in rows)
    if most is not None and most > BOUND:
        loud = sum((row["other_load"] or 0) > BOUND for row in rows)
        said = f"other work took up to {most:.0%} of the machine, above {BOUND:.0%} in {loud} of {len(rows)} rows"
        return {"quiet": False, "other_load": most, "said": f"Not a quiet machine: {said}. It cannot be published."}
    if unknown:
        said = "How much of the machine other work took is not known here. It cannot be published."
        return {"quiet": None, "other_load": most, "said": said}
    return {
        "quiet": True,
        "other_load": most,
        "said": f"A quiet machine: other work took at most {most or 0:.1%} of it.",
    }
