# SPDX-License-Identifier: Apache-2.0
"""How many maps of memory this process holds: Linux grants 65,530, and a compiled cell takes about a thousand.

A process that has none left can load no further program.
"""

import pathlib

_HELD = pathlib.Path("/proc/self/maps")
_GRANTED = pathlib.Path("/proc/sys/vm/max_map_count")


def crowded(share: float = 0.5) -> bool:
    """Whether this process holds more of the maps that Linux grants it than it should.

    Args:
      share: of what is granted, a scalar.

    Returns:
      False where that is not known, as on other systems.
    """
    try:
        with _HELD.open("rb") as lines:
            return sum(1 for _ in lines) > share * int(_GRANTED.read_text())
    except OSError:
        return False
