# SPDX-License-Identifier: Apache-2.0
"""Whether a JSON value is of a type: the one check of what is read from a run's folder."""

import dataclasses
import functools
import types
import typing
from typing import Any


def fault(value: object, hint: Any, at: str = "") -> str | None:
    """Where a JSON value is not what a type hint says.

    >>> fault({"chunks": [1]}, dict[str, list[str]])
    'chunks.0 must be a text, but it is 1'

    Args:
      value: as `json` reads it.
      hint: a plain type, `object` for any value, a Literal, a union, `list`, `tuple` or `dict` of such, a TypedDict or
        a dataclass, both of which may lack what has a default and hold more; a dataclass's `float` may be null (NaN).
      at: the path to the value, for the message.

    Returns:
      One line; None if all is well.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        faults = [fault(value, each, at) for each in inner]
        return None if None in faults else faults[0]
    if origin is typing.Literal:
        return None if isinstance(value, str) and value in inner else _said(value, at, f"one of {', '.join(inner)}")
    if origin in (list, tuple):
        if not isinstance(value, list):
            return _said(value, at, "a list")
        return _first(fault(each, inner[0], _join(at, number)) for number, each in enumerate(value))
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            return _said(value, at, "an object")
        return _first(fault(each, inner[1], _join(at, key)) for key, each in value.items()) if inner else None
    if typing.is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return _fault_of_fields(value, hint, at)
    return None if _is_plain(value, hint) else _said(value, at, _PLAIN[hint])


_PLAIN: dict[object, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", types.NoneType: "null",
}  # fmt: skip


def _is_plain(value: object, hint: Any) -> bool:
    if hint is object:
        return True
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _fault_of_fields(value: object, hint: Any, at: str) -> str | None:
    if not isinstance(value, dict):
        return _said(value, at, "an object")
    hints, needed = _fields(hint)
    lacking = [name for name in hints if name in needed and name not in value]
    if lacking:
        return f"{_join(at, lacking[0])} is missing"
    if dataclasses.is_dataclass(hint):
        hints = {name: each | None if each is float else each for name, each in hints.items()}
    return _first(fault(value[name], each, _join(at, name)) for name, each in hints.items() if name in value)


@functools.cache
def _fields(hint: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of the fields of a TypedDict or a dataclass, and which must be there."""
    hints = typing.get_type_hints(hint)
    if typing.is_typeddict(hint):
        return hints, hint.__required_keys__
    blank = dataclasses.MISSING
    needed = (each.name for each in dataclasses.fields(hint) if each.default is each.default_factory is blank)
    return hints, frozenset(needed)


def _first(faults: typing.Iterable[str | None]) -> str | None:
    return next((each for each in faults if each is not None), None)


def _join(at: str, name: object) -> str:
    text = ascii(str(name))[1:-1][:40]  # one line, whatever the name holds
    return f"{at}.{text}" if at else text


def _said(value: object, at: str, allowed: str) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    shown = kinds.get(type(value)) or str(value)[:20].lower()
    return f"{at or 'it'} must be {allowed}, but it is {shown}"


def built(value: Any, hint: Any) -> Any:
    """A JSON value that has no `fault` as what the type hint says: dataclasses, tuples, and NaN for null numbers."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, tuple):
        return origin(built(each, inner[0]) for each in value)
    if origin in (types.UnionType, typing.Union):
        return built(value, next((each for each in inner if fault(value, each) is None), inner[0]))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints, _ = _fields(hint)
        return hint(**{name: built(value[name], each) for name, each in hints.items() if name in value})
    return float("nan") if value is None and hint is float else value
