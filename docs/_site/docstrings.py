# SPDX-License-Identifier: Apache-2.0
"""Docstrings as Markdown: examples and indented lines are code, and what is returned is told in a sentence."""

import re
import textwrap
from typing import Any

from griffe import Extension, Object

RETURNS = re.compile(r"^(?P<head>(?:Returns|Yields):\n\s+)(?P<first>.*)$", re.MULTILINE)
CODE_OR_COLON = re.compile(r"(`[^`]*`)|:(?=\s|$)")
EXAMPLE = re.compile(r"(?:^|(?<=\n\n))(?:>>> .*\n?)(?:.+\n?)*")
INDENTED = re.compile(r"(?<=\n\n)(?:  +.*(?:\n|$))+")


class Docstrings(Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj: Object, **others: Any) -> None:
        """Rewrites the docstring of an object."""
        del others
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring whose examples, and lines that stand indented after a blank one, are blocks of code.

    In the first line of Returns colons are hidden: before one a type would be looked for.
    """
    hidden = lambda line: CODE_OR_COLON.sub(lambda match: match[1] or "&#58;", line)
    text = RETURNS.sub(lambda match: match["head"] + hidden(match["first"]), text)
    text = INDENTED.sub(lambda match: _block("text", textwrap.dedent(match[0])), text)
    return EXAMPLE.sub(lambda match: _block("pycon", match[0]), text)


def _block(language: str, lines: str) -> str:
    return f"```{language}\n{lines.rstrip()}\n```\n"
