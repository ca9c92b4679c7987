# SPDX-License-Identifier: Apache-2.0
"""One wording for refused arguments: the name, the value and what is allowed; one error for what surrounds a run."""

import math
import os
import pathlib
import re
from collections.abc import Iterable

_ADDRESS = re.compile(r"<locals>\.| at 0x[0-9a-f]+")  # of a function: it says nothing to who reads the line


class ArgumentError(ValueError):
    """An argument that is not allowed: its `name` as the caller wrote it, its `value`, and what is `allowed`."""

    def __init__(self, name: str, value: object, allowed: str):
        super().__init__(name, value, allowed)
        self.name, self.value, self.allowed = name, value, allowed

    def __str__(self) -> str:
        shown = _ADDRESS.sub("", repr(self.value))
        return _line(f"{self.name}={shown} is not allowed: {self.allowed}")


class RunError(RuntimeError):
    """What is wrong around a run, said in one line: its disk, its files, its other processes, and what to do."""

    def __str__(self) -> str:
        return _line(super().__str__())


def _line(text: str) -> str:
    """One line of what may hold text from elsewhere: a file's, another library's."""
    return " ".join(text.splitlines())


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """Refuses an argument unless `ok`; the message is one line.

    Args:
      ok: whether the value is allowed.
      name: the argument (and flag) that the user set.
      value: what it was set to.
      allowed: what it may be, in a few words.

    Raises:
      ArgumentError: if not `ok`.
    """
    if not ok:
        raise ArgumentError(name, value, allowed)


def require_one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Refuses a name that is not among the `known` ones.

    Args:
      name: the argument (and flag) that the user set.
      value: what it was set to.
      known: the names that exist.

    Raises:
      ArgumentError: if `value` is not known; the message lists what is.
    """
    known = sorted(known)
    require(isinstance(value, str) and value in known, name, value, f"must be one of {', '.join(known)}")


def require_range(name: str, value: object) -> tuple[float, float] | None:
    """The least and the greatest value that there can be, as floats; None is one that is not known.

    Args:
      name: the argument that the user set.
      value: what it was set to.

    Returns:
      `(low, high)`, or None.

    Raises:
      ArgumentError: if it is anything but two finite numbers in their order.
    """
    if value is None:
        return None
    pair = value if isinstance(value, tuple | list) and len(value) == 2 else (math.nan, math.nan)
    low, high = (each if isinstance(each, int | float) and math.isfinite(each) else math.nan for each in pair)
    require(low < high, name, value, "must be two finite numbers, the least and the greatest value that there can be")
    return float(low), float(high)


def user_path(name: str, value: str | os.PathLike) -> pathlib.Path:
    """A path as a user gives it, with `~` as the user's home: called once, where it comes in.

    Args:
      name: the argument (and flag) that the user set.
      value: what it was set to.

    Returns:
      The path.

    Raises:
      ArgumentError: if it is none.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    fine = isinstance(text, str) and text != "" and "\0" not in text
    require(fine, name, value, "must be a path, without NUL")
    try:
        return pathlib.Path(text).expanduser()
    except RuntimeError:
        raise ArgumentError(name, str(value), "must be a path, but there is no such user's home") from None
