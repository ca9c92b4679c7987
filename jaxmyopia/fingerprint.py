# SPDX-License-Identifier: Apache-2.0
"""What tells one value or function from another: JSON values, and digits where there is no name, or one name twice."""

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import pathlib
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

_KNOWN = {__name__.partition(".")[0], "jax", "jaxlib", "optax", "flax", "numpy"}  # the identity has their versions
_INSTALLED = {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}


def fingerprint(function: Callable[..., Any], *args: Any) -> str:
    """Eight digits that tell the arithmetic of a function from that of another.

    Args:
      function: one that JAX can trace.
      *args: shapes or arrays.

    Returns:
      Hexadecimal digits.
    """
    traced = jax.make_jaxpr(function)(*args)
    numbers = [x for x in traced.consts if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)]
    constants = b"".join(jax.device_get(x).tobytes() for x in numbers)
    text = re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr))  # without addresses
    return hashlib.sha256(text.encode() + constants).hexdigest()[:8]


def describe(value: Any) -> Any:
    """A value as JSON that tells it from others, in this process and in the next.

    Functions and classes that are not this package's nor a library's are told apart by their source and by all of the
    user's that it refers to: edited code is other code. Of what is none of these, the type alone counts.

    >>> describe((1, "a", np.float32(0.5))), describe(np.zeros((2, 3), np.float32))
    ([1, 'a', 0.5], 'float32[2,3]-9d908ecf')
    """
    return _tell(value, _whole)


def source_of(cls: type) -> str | None:
    """Eight digits of the source of a class and its bases, as far as they are the user's; None if none is."""
    own = [each for each in cls.__mro__ if _is_own(each)]
    return _digits([_whole(each) for each in own]) if own else None


def _tell(value: Any, code: Callable[[Any], Any], within: tuple[int, ...] = ()) -> Any:
    """A value as JSON; `code` tells functions, classes and whatever else there is."""
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or np.isfinite(value) else repr(value)
    if isinstance(value, bytes):
        return f"bytes-{hashlib.sha256(value).hexdigest()[:8]}"
    if isinstance(value, np.generic):
        return _tell(value.item(), code)
    if id(value) in within:
        return "itself"
    inner = functools.partial(_tell, code=code, within=(*within, id(value)))
    if isinstance(value, list | tuple):
        return [inner(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): inner(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | jax.Array) and not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        array = np.asarray(value)
        digits = hashlib.sha256(array.tobytes()).hexdigest()[:8]
        return f"{array.dtype}[{','.join(map(str, array.shape))}]-{digits}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: inner(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, functools.partial):
        return [inner(value.func), inner(value.args), inner(value.keywords)]
    if isinstance(value, types.MethodType):
        return [inner(value.__func__), inner(value.__self__)]
    return code(value)


def _name(thing: Any) -> str:
    """Of a library's with its module; of the user's without: a program's is `__main__` where it runs."""
    name = getattr(thing, "__qualname__", type(thing).__name__)
    return name if _is_own(thing) else f"{getattr(thing, '__module__', '')}.{name}"


def _whole(thing: Any) -> str:
    """A function or class by its name and, where there is more to tell, digits of all that it reaches."""
    reached: dict[int, Any] = {}  # what was met, in order; it also keeps objects alive, and with them their numbers

    def meet(other: Any) -> str:
        reached.setdefault(id(other), other)
        return _name(other)

    meet(thing)
    told: list[Any] = []
    for each in _growing(reached):
        told += [_name(each), _tell(_parts(each), meet)]
    return f"{_name(thing)}-{_digits(told)}" if any(told[1::2]) else _name(thing)


def _growing(reached: dict[int, Any]) -> Iterator[Any]:
    """The values of a dict that grows meanwhile."""
    done = 0
    while done < len(reached):
        yield list(reached.values())[done]
        done += 1


def _parts(thing: Any) -> list[Any]:
    """What makes a function or class what it is: source, defaults, closure, globals; empty for a library's."""
    function = inspect.unwrap(thing) if callable(thing) else thing
    if isinstance(function, types.FunctionType):
        kept = [each.cell_contents for each in function.__closure__ or () if _is_full(each)]
        given = [each for each in (function.__defaults__, function.__kwdefaults__, kept) if each]
        if _module(function) in _KNOWN | sys.stdlib_module_names:
            return [kept] if kept else []
        return [*given, _source(function), *(_referred(function) if _is_own(function) else [])]
    if isinstance(thing, type) and _is_own(thing):
        members = [each for each in vars(thing).values() if isinstance(each, types.FunctionType)]
        return [_source(thing), *members]
    return []


def _is_full(cell: types.CellType) -> bool:
    with contextlib.suppress(ValueError):
        return cell.cell_contents is not cell
    return False


def _module(thing: Any) -> str:
    return (getattr(thing, "__module__", None) or "__main__").partition(".")[0]


def _is_own(thing: Any) -> bool:
    """Whether a class or function is the user's."""
    file = getattr(sys.modules.get(_module(thing)), "__file__", None)
    installed = file is not None and any(pathlib.Path(file).is_relative_to(folder) for folder in _INSTALLED)
    return not installed and _module(thing) not in _KNOWN | sys.stdlib_module_names


def _source(thing: Any) -> list[str]:
    with contextlib.suppress(OSError, TypeError):
        return [inspect.getsource(thing)]
    code = getattr(thing, "__code__", None)  # typed at a prompt
    return [code.co_code.hex(), repr([each for each in code.co_consts if not inspect.iscode(each)])] if code else []


def _referred(function: types.FunctionType) -> list[Any]:
    """The globals that a function's code names, modules apart."""
    codes, names = [function.__code__], dict[str, None]()
    while codes:
        code = codes.pop()
        names |= dict.fromkeys(code.co_names)
        codes += [each for each in code.co_consts if inspect.iscode(each)]
    known = function.__globals__
    return [[name, known[name]] for name in sorted(names) if name in known and not inspect.ismodule(known[name])]


def _digits(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
