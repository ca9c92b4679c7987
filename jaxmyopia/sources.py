# SPDX-License-Identifier: Apache-2.0
"""Digits that tell functions apart by their text: their own source, and that of all they refer to.

Followed are defaults, what a function closes over, and the globals that it names, as far as they are of its own package
or lie beside its file; this package counts as its own too. What is of other packages is told by its name. A global
list, set or dict is told by the statements that make it, for it may fill as a program runs. Nothing depends on
addresses, on the order of sets, or on where the files lie.
"""

import dataclasses
import datetime
import enum
import functools
import hashlib
import inspect
import itertools
import json
import numbers
import os
import pathlib
import re
import sys
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmyopia.fingerprint import describe
from jaxmyopia.source_text import source_of, statements

_PACKAGE = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}
_WRITTEN = (range, slice, numbers.Number, enum.Enum, datetime.date, datetime.timedelta, pathlib.PurePath, re.Pattern)
_GENERATED = "<string>"  # the file of methods that dataclasses make


def digest(value: Any, *, of: Sequence[Any], known: Collection[str] = ()) -> str:
    """The SHA-256, in hexadecimal, of what a value says and of the sources of all functions and classes in it.

    >>> half, third = (lambda share: lambda x: x > share)(0.5), (lambda share: lambda x: x > share)(1 / 3)
    >>> digest(half, of=[half]) == digest(third, of=[third])
    False

    Args:
      value: a function, a class, a dataclass or plain values that hold such.
      of: functions and classes whose packages, and the folders of whose files, are followed.
      known: modules that are told elsewhere, so that their names are enough.

    Returns:
      64 digits, the same in every process that imports the same text.
    """
    walk = _Walk([_Home.of(each) for each in of], frozenset(known))
    return hashlib.sha256(_canonical({"value": walk.told(value), "entries": list(walk.entries())}).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _place(thing: Any) -> tuple[str, str]:
    """The module of a function, class or module, and its file."""
    if isinstance(thing, types.FunctionType):  # its __module__ may be another's: see functools.wraps
        return str(thing.__globals__.get("__name__", "")), thing.__code__.co_filename
    module = thing if isinstance(thing, types.ModuleType) else sys.modules.get(getattr(thing, "__module__", None) or "")
    return getattr(module, "__name__", ""), getattr(module, "__file__", None) or ""


@dataclasses.dataclass(frozen=True)
class _Home:
    """A package, and a folder of files; empty where there is no file, such as in a notebook."""

    package: str
    folder: str

    @classmethod
    def of(cls, thing: Any) -> "_Home":
        name, file = _place(thing)
        return cls(name.partition(".")[0], os.path.dirname(os.path.abspath(file)) if os.path.isfile(file) else "")

    @property
    def folders(self) -> tuple[str, ...]:
        """The folder, and those of its package and this one: what lies in them may be moved with them."""
        packages = (sys.modules.get(name) for name in (self.package, _PACKAGE))
        files = (getattr(each, "__path__", None) or () for each in packages)
        return tuple(os.path.abspath(each) for each in (*itertools.chain(*files), self.folder) if each)

    def holds(self, name: str, file: str) -> bool:
        top, path = name.partition(".")[0], os.path.abspath(file)
        if top in (_PACKAGE, self.package):
            return True
        foreign = top in sys.stdlib_module_names or bool(_INSTALLED.intersection(pathlib.PurePath(path).parts))
        return bool(self.folder and file) and not foreign and path.startswith(self.folder + os.sep)


@dataclasses.dataclass(frozen=True, eq=False)
class _Global:
    """A list, set or dict of a module's top level: the text that makes it, and the names in that."""

    text: str
    names: tuple[str, ...]
    scope: Mapping[str, Any] = dataclasses.field(repr=False)
    file: str


class _Walk:
    """All that is reached from a value: each function, class and object once, in the order in which it is met."""

    def __init__(self, homes: Sequence[_Home], known: frozenset[str]):
        self._homes, self._known = homes, known
        self._folders = tuple(dict.fromkeys(folder for home in homes for folder in home.folders))
        self._numbers: dict[int, int] = {}
        self._met: list[Any] = []  # it keeps them alive, so that no two have one id
        self._around: list[int] = []  # containers that are being told

    def entries(self) -> Iterator[Any]:
        """What each of those met says, those included that are met on the way."""
        place = 0
        while place < len(self._met):
            thing = self._met[place]
            place += 1
            if isinstance(thing, _Global):
                yield {"text": thing.text, "globals": self._named(thing.scope, thing.names, thing.file)}
            elif isinstance(thing, types.FunctionType):
                yield self._function(thing)
            else:
                yield self._class(thing) if isinstance(thing, type) else self._object(thing)

    def told(self, value: Any) -> Any:
        """A value as JSON; what has an entry of its own by its number."""
        value = self._inner(value)
        if isinstance(value, types.MethodType):
            return {"method": [self.told(value.__func__), self.told(value.__self__)]}
        if isinstance(value, functools.partial):
            return {"partial": [self.told(each) for each in (value.func, value.args, value.keywords)]}
        if isinstance(value, list | tuple | set | frozenset | Mapping):
            return self._container(value)
        if isinstance(value, types.FunctionType | type):
            return self._number(value) if self._is_ours(value) else {"name": _name(value)}
        if dataclasses.is_dataclass(value) or (hasattr(value, "__dict__") and self._is_ours(type(value))):
            return self._number(value)
        if isinstance(value, bytes) or (isinstance(value, np.ndarray) and value.dtype != object):
            about = [str(value.dtype), value.shape] if isinstance(value, np.ndarray) else []
            data = value.tobytes() if isinstance(value, np.ndarray) else value
            return {"bytes": [*about, hashlib.sha256(data).hexdigest()]}
        if isinstance(value, str | pathlib.PurePath) and (place := self._within(os.fspath(value))):
            return {"file": place}
        if isinstance(value, _WRITTEN) and not isinstance(value, bool | int | float):
            return {"written": repr(value)}
        return {"name": _name(value)} if callable(value) or isinstance(value, types.ModuleType) else describe(value)

    def _inner(self, value: Any) -> Any:
        """The function in a descriptor, or in what others wrap around one; of own wrappers the code counts."""
        if isinstance(value, property):
            return (value.fget, value.fset, value.fdel)
        if isinstance(value, functools.cached_property):
            return value.func
        if isinstance(value, type) or (isinstance(value, types.FunctionType) and self._is_ours(value)):
            return value
        wrapped = inspect.getattr_static(value, "__wrapped__", None) is not None
        return self._inner(value.__wrapped__) if wrapped else value

    def _is_ours(self, thing: Any) -> bool:
        name, file = _place(thing)
        return name not in self._known and any(home.holds(name, file) for home in self._homes)

    def _within(self, path: str) -> str:
        """A path from the folder that is followed and holds it; nothing if none does, and it is told as it stands."""
        for folder in self._folders:
            if path == folder or path.startswith(folder + os.sep):
                return os.path.relpath(path, folder)
        return ""

    def _number(self, thing: Any, entry: Any = None) -> Any:
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._met)
            self._met.append(thing if entry is None else entry)
        return {"entry": self._numbers[id(thing)]}

    def _container(self, value: Any) -> Any:
        if id(value) in self._around:
            return {"around": len(self._around) - self._around.index(id(value))}
        self._around.append(id(value))
        try:
            if isinstance(value, Mapping):
                return {"items": [[self.told(key), self.told(inner)] for key, inner in value.items()]}
            found = [self.told(each) for each in value]
            return {"set": sorted(map(_canonical, found))} if isinstance(value, set | frozenset) else found
        finally:
            self._around.pop()

    def _function(self, function: types.FunctionType) -> Any:
        code = function.__code__
        closed = zip(code.co_freevars, function.__closure__ or (), strict=True)
        return {
            "function": function.__qualname__,
            "source": source_of(code) or self._bytecode(code),
            "defaults": [self.told(function.__defaults__), self.told(function.__kwdefaults__)],
            "closure": {name: self.told(cell.cell_contents) if _is_filled(cell) else None for name, cell in closed},
            "globals": self._named(function.__globals__, sorted(_names(code)), code.co_filename),
        }

    def _named(self, scope: Mapping[str, Any], names: Sequence[str], file: str) -> Any:
        """Of a scope, what bears these names; of modules that are followed, what they hold under them."""
        found = {}
        for name in (name for name in names if name in scope):
            value, rest = scope[name], [each for each in names if each != name]
            made = statements(file).get(name) if isinstance(value, list | set | dict) else None
            if made:
                found[name] = self._number(value, _Global(*made, scope, file))
            elif isinstance(value, types.ModuleType) and self._is_ours(value):
                found[name] = self._named(vars(value), rest, value.__file__ or "")
            else:
                found[name] = self.told(value)
        return found

    def _class(self, cls: type) -> Any:
        source = source_of(cls)
        members = {}
        for name, value in ((name, self._inner(value)) for name, value in vars(cls).items()):
            special = name.startswith("__") and name.endswith("__")
            file = getattr(getattr(value, "__code__", None), "co_filename", "")
            in_text = source is not None and (file == _GENERATED or isinstance(value, list | set | dict))
            if not in_text and name != "_abc_impl" and (not special or isinstance(value, types.FunctionType)):
                members[name] = self.told(value)
        bases = [self.told(base) for base in cls.__bases__]
        return {"class": cls.__qualname__, "source": source, "bases": bases, "members": members}

    def _object(self, value: Any) -> Any:
        of, ours = type(value), self._is_ours(type(value))
        if dataclasses.is_dataclass(value):  # what others keep under private names may change as a program runs
            names = [each.name for each in dataclasses.fields(value) if ours or not each.name.startswith("_")]
        else:
            kept = lambda name: isinstance(inspect.getattr_static(of, name, None), functools.cached_property)
            names = [name for name in sorted(vars(value)) if not kept(name)]
        fields = {name: self.told(getattr(value, name, None)) for name in names}
        return {"object": self.told(of), "fields": fields}

    def _bytecode(self, code: types.CodeType) -> Any:
        """What stands for the source where there is none, such as in an interpreter that one types into."""
        consts = [self._bytecode(each) if isinstance(each, types.CodeType) else self.told(each)
                  for each in code.co_consts]  # fmt: skip
        names = [list(each) for each in (code.co_names, code.co_varnames, code.co_freevars)]
        return {"code": code.co_code.hex(), "names": names, "consts": consts}


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    named = value if isinstance(name, str) else type(value)
    return f"{_place(named)[0] or getattr(named, '__module__', None)}.{name if named is value else named.__qualname__}"


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # of a name that is set later
        return False
    return True


def _names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes that code uses, that of the functions within it too."""
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
