# SPDX-License-Identifier: Apache-2.0
"""What a terminal is shown: eighty columns, a bar where one can be drawn, colour where it is wanted."""

import os
import re
import textwrap
from collections.abc import Mapping
from typing import IO, Any

WIDTH = 80  # columns of what is printed for readers
# First words of a claim in a terminal; what is neither good nor bad stays as it is.
_COLOURS = {"SUPPORTED": "32", "CONTRADICTED": "31", "INCONCLUSIVE": "33", "CONTROL FAILED": "31"}
_WORDS = re.compile(rf"^( *)({'|'.join(_COLOURS)})(?=[ :])", re.MULTILINE)


def lines_of(text: str, width: int = WIDTH, **indent: Any) -> list[str]:
    """Lines of text; names with hyphens stay whole, so that they can be searched for.

    Args:
      text: one paragraph.
      width: columns.
      **indent: `initial_indent` and `subsequent_indent`, as for `textwrap.wrap`.

    Returns:
      The lines, at most so wide but for words that are wider.
    """
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False, **indent)


def folded(text: str, hang: int = 0) -> str:
    """A text with all of its lines folded to the width; what a line goes on with is indented by `hang` columns.

    >>> print(folded("short\\n\\n" + "a line that is long, " * 5))
    short
    <BLANKLINE>
    a line that is long, a line that is long, a line that is long, a line that is
    long, a line that is long,
    """
    every = (
        [each] if len(each) <= WIDTH else lines_of(each, subsequent_indent=" " * hang) for each in text.splitlines()
    )
    return "\n".join(line for lines in every for line in lines)


def takes_a_bar(file: IO[str]) -> bool:
    """Whether a file can show a line that changes: a terminal that moves its cursor, or a notebook, and no log."""
    if type(file).__module__.partition(".")[0] == "ipykernel":  # its streams say that they are no terminals
        return True
    return _is_terminal(file) and os.environ.get("TERM") != "dumb"


def _is_terminal(file: IO[str]) -> bool:
    try:
        return file.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def painted(text: str, file: IO[str], environ: Mapping[str, str] = os.environ) -> str:
    """Judged claims as text with the words of verdicts coloured, where the file is a terminal that wants colours.

    Args:
      text: see `claims.text`.
      file: where it will be shown.
      environ: `NO_COLOR` that is not empty, or `TERM=dumb`, wants none; see https://no-color.org.

    Returns:
      The text.
    """
    wanted = _is_terminal(file) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return _WORDS.sub(lambda found: f"{found[1]}\x1b[{_COLOURS[found[2]]}m{found[2]}\x1b[0m", text) if wanted else text
