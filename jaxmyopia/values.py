# SPDX-License-Identifier: Apache-2.0
"""What a value must be where it enters: a field as it was declared, a setting as its dtype can hold it."""

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxmyopia.checks import ArgumentError, require

_WORDS = {bool: "True or False", int: "a whole number", float: "a number"}
_SEVERAL = {bool: "several of True and False", int: "whole numbers", float: "numbers", str: "names"}


def conform(instance: object) -> None:
    """Makes the plain fields of a frozen dataclass what they are declared to be, and refuses those that are not.

    Numbers of numpy become Python's, whole numbers floats where those are wanted, lists and arrays tuples. Fields
    declared as anything else than `int`, `float`, `bool`, tuples of those or of `str`, a dataclass, or one of them or
    None, are left alone.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Net:
    ...     width: int = 8
    ...     scales: tuple[float, ...] = ()
    >>> net = Net(np.int64(4), [1, 0.5])
    >>> conform(net)
    >>> net
    Net(width=4, scales=(1.0, 0.5))

    Args:
      instance: whose fields they are.

    Raises:
      ArgumentError: naming the field.
    """
    cls: Any = type(instance)
    for name, kinds in _declared(cls).items():
        value = getattr(instance, name)
        made = plain(name, value, *kinds)
        if made is not value:
            object.__setattr__(instance, name, made)


@functools.lru_cache(maxsize=4096)
def _declared(cls: type) -> Mapping[str, tuple[Any, ...]]:
    """The fields of a dataclass that are of a plain kind: the kinds each may have."""
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError):  # words for what is not there at run time
        hints = {field.name: field.type for field in dataclasses.fields(cls)}
    found = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        several = typing.get_origin(hint) in (types.UnionType, typing.Union)
        kinds = typing.get_args(hint) if several else (hint,)
        if all(_is_plain(kind) for kind in kinds):
            found[field.name] = kinds
    return found


def _is_plain(kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return len(typing.get_args(kind)) == 2 and typing.get_args(kind)[1] is ... and _element(kind) in (*_WORDS, str)
    return kind in (*_WORDS, type(None)) or (isinstance(kind, type) and dataclasses.is_dataclass(kind))


def _element(kind: Any) -> Any:
    return typing.get_args(kind)[0]


def plain(name: str, value: Any, *kinds: Any) -> Any:
    """A value as one of the plain kinds that `conform` knows.

    >>> plain("cutoff", np.int64(4), int)
    4

    Args:
      name: the argument that the user set.
      value: what it was set to.
      *kinds: what it may be.

    Returns:
      The value, as the first of them that it is.

    Raises:
      ArgumentError: if it is none of them.
    """
    for kind in kinds:
        fits, made = _as(kind, value)
        if fits:
            return made
    words = [_shown(kind) for kind in kinds]
    raise ArgumentError(name, brief(value), f"must be {' or '.join(words)}")


def _as(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value is of a plain kind, and the value as one."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple | range) and not (isinstance(value, np.ndarray) and value.ndim == 1):
            return False, value
        made = [_as(_element(kind), each) for each in value]
        same = isinstance(value, tuple) and all(new is old for (_, new), old in zip(made, value, strict=True))
        return all(fits for fits, _ in made), value if same else tuple(new for _, new in made)
    if kind is bool:
        fits = isinstance(value, bool | np.bool_)
        return fits, bool(value) if fits else value
    if kind in (int, float):
        wanted = numbers.Integral if kind is int else numbers.Real
        fits = isinstance(value, wanted) and not isinstance(value, bool | np.bool_)
        try:
            return fits, value if not fits or type(value) is kind else kind(value)
        except OverflowError:  # a whole number that no float holds
            return False, value
    return isinstance(value, kind), value


def _shown(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a tuple of {_SEVERAL[_element(kind)]}"
    if kind is type(None):
        return "None"
    return _WORDS.get(kind) or f"a {kind.__name__}"


def brief(value: object) -> object:
    """A value that fits into a line."""
    text = repr(value)
    return value if len(text) <= 80 and "\n" not in text else f"a {type(value).__name__}"


def float_dtype() -> np.dtype:
    """The dtype of the programs' floats; starts no backend, as an array would."""
    return np.dtype(jax.dtypes.canonicalize_dtype(float))


def check_settings(sweep: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Refuses values of settings that are no numbers, or not apart, once they have the dtype of the programs.

    Args:
      sweep: the settings and their values.

    Raises:
      ArgumentError: naming the setting.
    """
    dtype = float_dtype()
    least, most = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    for name, values in sweep:
        for value in values:
            require(isinstance(value, numbers.Real), name, brief(value), "must be a number, or several")
            fine = not most < abs(value) < np.inf
            require(fine, name, brief(value), f"must be at most {most:.3g} in size, in {dtype}")
            # Compiled programs take what is below the least normal number for 0.
            fine = value == 0 or not abs(value) < least
            require(fine, name, value, f"must be 0 or at least {least:.3g} in size, in {dtype}")
        held = np.asarray(values, dtype)
        allowed = f"must be values without repeats, but some are the same in {dtype}"
        require(len(set(held.tolist())) == len(values), name, values, allowed)


def numbers_of(name: str, given: object) -> tuple[float, ...]:
    """The values of a setting, however they were given.

    Args:
      name: of the setting.
      given: a number, or several in a list, a tuple or an array.

    Returns:
      The values.

    Raises:
      ArgumentError: if they are anything else.
    """
    allowed = "must be a number or several, known before anything is traced"
    require(not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(given)), name, "a tracer", allowed)
    try:
        values = np.asarray(given)
        fine = values.ndim <= 1 and values.dtype.kind in "biuf"
    except (TypeError, ValueError):
        fine = False
    require(fine, name, brief(given), "must be a number or several")
    return tuple(np.atleast_1d(values).tolist())
