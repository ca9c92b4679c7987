# SPDX-License-Identifier: Apache-2.0
"""Eighty columns, and colours where they are wanted alone."""

import io

import pytest

from jaxmyopia.terminal import folded, painted

TOLD = (
    "SUPPORTED  It holds. (it-holds)\n    supported     sgd: 1\n    CONTROL FAILED: none\nNOT JUDGED  SUPPORTED stays."
)


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_words_of_verdicts_are_coloured_where_lines_begin_with_them():
    shown = painted(TOLD, Terminal(), {"TERM": "xterm", "NO_COLOR": ""})
    assert shown.splitlines()[0] == "\x1b[32mSUPPORTED\x1b[0m  It holds. (it-holds)"
    assert shown.count("\x1b[0m") == 2 and "\x1b[31mCONTROL FAILED\x1b[0m: none" in shown


@pytest.mark.parametrize(
    ("file", "environ"),
    [(io.StringIO(), {}), (Terminal(), {"NO_COLOR": "1"}), (Terminal(), {"TERM": "dumb"})],
    ids=["file", "NO_COLOR", "dumb"],
)
def test_elsewhere_no_byte_is_added(file, environ):
    assert painted(TOLD, file, environ) == TOLD


def test_folding_keeps_lines_that_are_short_and_words_that_are_long():
    table = f"files   12 of 12\n\n{'x' * 100}"
    assert folded(table) == table
    assert folded("a " * 60, hang=4).splitlines()[1].startswith("    a a")
