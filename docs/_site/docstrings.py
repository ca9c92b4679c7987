# SPDX-License-Identifier: Apache-2.0
"""Docstrings as Markdown: examples and indented lines are code, and what is returned is told in a sentence."""

import re
from typing import Any

from griffe import Extension, Object

RETURNS = re.compile(r"^(?P<head>(?:Returns|Yields):\n\s+)(?P<first>.*)$", re.MULTILINE)
COLON = re.compile(r"^(?P<before>(?:[^`:]|`[^`]*`)*):(?=\s|$)")
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

    In Returns the first colon is hidden: before it a type would be looked for.
    """
    text = RETURNS.sub(lambda match: match["head"] + COLON.sub(r"\g<before>&#58;", match["first"]), text)
    for pattern, language in ((INDENTED, "text"), (EXAMPLE, "pycon")):
        text = pattern.sub(lambda match, language=language: f"```{language}\n{match[0].rstrip()}\n```\n", text)
    return text
