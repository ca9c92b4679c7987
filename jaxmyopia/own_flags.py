# SPDX-License-Identifier: Apache-2.0
"""The flags of a file that declares a study: what it is called with, as fields of a dataclass made for it."""

import dataclasses
import inspect
import pathlib
import sys
import types
from collections.abc import Mapping
from typing import Any

from jaxmyopia.flags import flag


def summary_of(cls: type) -> str:
    """The first line of a study's docstring; a dataclass without one has its signature there, which says nothing."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
    return cls.__name__ if text.startswith(f"{cls.__name__}(") else text


_PLAIN = bool | int | float | str


def is_flag(value: object) -> bool:
    several = value if isinstance(value, tuple | list) and value else [value]
    return all(isinstance(each, _PLAIN) for each in several) and len({type(each) for each in several}) == 1


def sweep_of(defaults: Mapping[str, Any]) -> Any:
    """An instance of a new dataclass whose fields are flags; what varies takes several values."""
    fields = []
    for key, value in defaults.items():
        several = isinstance(value, tuple | list)
        kind = type(value[0]) if several else type(value)
        default = tuple(value) if several else value
        many = several or key not in ("seeds", "steps", "records")
        if many and not several:
            default = (value,)
        annotation = types.GenericAlias(tuple, (kind, ...)) if many else kind
        fields.append((key, annotation, flag(default, f"Of the run; {value!r} by default.")))
    return dataclasses.make_dataclass("Sweep", fields, frozen=True)()


def program_name() -> str:
    module = sys.modules["__main__"]
    spec = getattr(module, "__spec__", None)
    return spec.name.rpartition(".")[2] if spec else pathlib.Path(getattr(module, "__file__", "run")).stem
