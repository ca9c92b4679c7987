# SPDX-License-Identifier: Apache-2.0
"""What `--help` prints: flags in the order in which they were declared, eighty columns wide."""

from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags

from jaxmyopia.terminal import folded, lines_of

_COLUMN = 24  # where the words on a flag begin
_LEGEND = "Flags are typed --name=value. N: a whole number; X: a number; LIST: values with commas between them."


def help_of(values: absl_flags.FlagValues, groups: Sequence[str], about: str) -> str:
    """The help of a program.

    Args:
      values: its flags.
      groups: the headings of those that are shown.
      about: what the program does.

    Returns:
      Lines of text.
    """
    parts = [folded(about.strip()), folded(_LEGEND)]
    for group in groups:
        flags = [flag for flag in values.flags_by_module_dict()[group] if values[flag.name] is flag]
        parts.append("\n".join([f"Flags of {group}:", *(line for flag in flags for line in _lines(flag))]))
    return "\n\n".join(parts)


def _lines(flag: Any) -> list[str]:
    """A flag's name and kind, what it does, and its default."""
    head, text = f"  {_typed(flag)}", " ".join((flag.help or "").split())
    if isinstance(flag.parser, absl_flags.EnumParser):  # absl puts the names in front
        text = text.partition(">: ")[2]
    if not (flag.boolean or flag.value in (None, "", [])) and not text.endswith("]"):
        text += f" [{','.join(flag.value) if isinstance(flag.value, list) else flag.value}]"
    indent = " " * _COLUMN
    if len(head) > _COLUMN - 2:
        return [head, *lines_of(text, initial_indent=indent, subsequent_indent=indent)]
    return lines_of(text, initial_indent=f"{head:<{_COLUMN}}", subsequent_indent=indent) or [head]


def _typed(flag: Any) -> str:
    if flag.boolean:
        return f"--[no]{flag.name}"
    if isinstance(flag.parser, absl_flags.EnumParser):
        return f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
    kinds: dict[type, str] = {absl_flags.IntegerParser: "N", absl_flags.FloatParser: "X", absl_flags.ListParser: "LIST"}
    return f"--{flag.name}={kinds.get(type(flag.parser), 'TEXT')}"
