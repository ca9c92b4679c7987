# SPDX-License-Identifier: Apache-2.0
"""What all pages say alike, in Markdown: prose in lines, tables, numbers, and where and how a run was made."""

import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 119  # the longest line of prose


def wrap(text: str, indent: str = "") -> str:
    """Prose in lines of at most `WIDTH`, those after the first indented."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows `(lines, columns)` as a table, the first its head."""
    head, *lines = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *lines])


def number(value: float | None, digits: int = 3) -> str:
    """A number in so many digits; a dash for none."""
    return "–" if value is None else f"{value:.{digits}g}"


def made(manifest: dict[str, Any]) -> str:
    """When and on what a run was made."""
    device = manifest.get("config", {}).get("numerics", {}).get("device_kind", "cpu")
    on = manifest["machine"] if device == "cpu" else f"{manifest['machine']}, {device}"
    return f"{manifest['started'][:10]}, {on}, jax {manifest['versions']['jax']}"


def command(manifest: dict[str, Any]) -> str:
    """The command of a run, as a block, continued where it is long."""
    lines = textwrap.wrap(manifest["command"], WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    text = " \\\n  ".join(lines)
    return f"```bash\n{text}\n```"
