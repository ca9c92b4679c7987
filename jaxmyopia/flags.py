# SPDX-License-Identifier: Apache-2.0
"""Command-line flags from the fields of a dataclass: name, type and default are spelled once, where the field is.

Fields of nested dataclasses are flags too. A flag that is not given leaves the field as the preset has it.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from absl import flags as absl_flags

from jaxmyopia.checks import ArgumentError, require, require_one_of

FlagValues = absl_flags.FlagValues
Settings = TypeVar("Settings")

_HELP, _ROLE, _WHEN = "jaxmyopia.help", "jaxmyopia.role", "jaxmyopia.when"
_DEFINERS: dict[type, Callable[..., object]] = {
    int: absl_flags.DEFINE_integer,
    float: absl_flags.DEFINE_float,
    str: absl_flags.DEFINE_string,
    bool: absl_flags.DEFINE_bool,
}


@dataclasses.dataclass(frozen=True)
class When:
    """Where a flag acts: `holds(settings)`, of the outermost dataclass, and `words` that go on from "acts only"."""

    words: str
    holds: Callable[[Any], bool]


def has(name: str, *wanted: object) -> When:
    """Where the flag of a list has one of the values wanted."""
    words = f"where --{name} has {' or '.join(map(str, wanted))}"
    return When(words, lambda settings: any(value in getattr(settings, name) for value in wanted))


def flag(default: Any, help: str, *, when: When | None = None) -> Any:
    """A field of a dataclass that is a flag of the same name.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sweep:
    ...     seeds: int = flag(64, "Seeds in every cell.")
    >>> [(each.name, each.kind) for each in specs(Sweep)]
    [('seeds', <class 'int'>)]

    Args:
      default: of the field.
      help: what `--help` says.
      when: where it acts, unless that is everywhere; elsewhere it is refused.

    Returns:
      The field.
    """
    return dataclasses.field(default=default, metadata={_HELP: help, _WHEN: when})


def only(when: When) -> dict[str, When]:
    """The metadata of a field that holds a dataclass whose flags act only `when`."""
    return {_WHEN: when}


def no_flag(default: Any) -> Any:
    """A field with this `default` that no flag sets."""
    return dataclasses.field(default=default, metadata={_ROLE: "none"})


def same_flag(default: Any) -> Any:
    """A field of a nested dataclass that the flag of the same name, of the dataclass around it, sets as well."""
    return dataclasses.field(default=default, metadata={_ROLE: "same"})


@dataclasses.dataclass(frozen=True)
class Spec:
    """A flag: `name`, `kind` (int, float, str, bool), whether it takes `many` values, `help`, the field's `default`."""

    name: str
    kind: type
    many: bool
    help: str
    default: object


def specs(settings: type) -> list[Spec]:
    """The flags of a dataclass and of those nested in it.

    Args:
      settings: the dataclass.

    Returns:
      One `Spec` a flag, in the order of the fields.

    Raises:
      ArgumentError: if a field's type cannot be a flag, or if two fields that are not marked have one name.
    """
    found: dict[str, Spec] = {}
    for spec in _walk(settings):
        require(spec.name not in found, "field", spec.name, f"must be one flag of {settings.__name__}; see same_flag")
        found[spec.name] = spec
    return list(found.values())


def _walk(settings: type) -> Iterator[Spec]:
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        hint, role = hints[field.name], field.metadata.get(_ROLE)
        if role is None and isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from _walk(hint)
        elif role is None:
            kind, many = _kind(settings, field.name, hint)
            text = field.metadata.get(_HELP, f"Field of {settings.__name__}.")
            yield Spec(field.name, kind, many, text, field.default)


def _kind(settings: type, name: str, hint: Any) -> tuple[type, bool]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (each for each in typing.get_args(hint) if each is not type(None))
    many = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if many else hint
    allowed = "must be an int, float, str, bool, a tuple of them, a dataclass, or no_flag"
    require(kind in _DEFINERS, f"{settings.__name__}.{name}", hint, allowed)
    return kind, many


def define(values: FlagValues, settings: type, *, group: str, presets: Mapping[str, object] | None = None) -> None:
    """Defines the flags of a dataclass.

    Args:
      values: where.
      settings: the dataclass.
      group: the heading under which `--help` lists them.
      presets: instances by name: a flag that is not given is None, and help shows what the presets have. Without them,
        a flag's default is the field's.
    """
    for spec in specs(settings):
        definer: Callable[..., object] = absl_flags.DEFINE_list if spec.many else _DEFINERS[spec.kind]
        if presets is None:
            default, text = spec.default, spec.help
            default = list(map(str, default)) if spec.many and isinstance(default, tuple) else default
        else:
            default, text = None, f"{spec.help} [{_shown(spec.name, presets)}]"
        definer(spec.name, default, text, flag_values=values, module_name=group)


def _shown(name: str, presets: Mapping[str, object]) -> str:
    def show(value: object) -> str:
        return "none" if value in (None, ()) else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    shown = {preset: show(_find(sweep, name)) for preset, sweep in presets.items()}
    alike = len(set(shown.values())) == 1
    return next(iter(shown.values())) if alike else "; ".join(f"{preset}: {text}" for preset, text in shown.items())


def _find(settings: Any, name: str) -> object:
    """The value of a flag's field, here or in a nested dataclass."""
    for field in dataclasses.fields(settings):
        value, role = getattr(settings, field.name), field.metadata.get(_ROLE)
        if role is None and dataclasses.is_dataclass(value):
            if any(spec.name == name for spec in _walk(type(value))):
                return _find(value, name)
        elif field.name == name and role is None:
            return value
    raise KeyError(name)


def numbers(values: FlagValues, name: str, kind: type) -> tuple[Any, ...] | None:
    """The entries of a comma-separated flag as `kind`; None if it was not given.

    Raises:
      ArgumentError: if there is none, or one is not of this kind.
    """
    entries = values[name].value
    if entries is None:
        return None
    require(len(entries) > 0, name, "", "must be a comma-separated list")
    out = []
    for entry in entries:
        try:
            out.append(kind(entry))
        except ValueError:
            allowed = f"must be a comma-separated list of {'whole ' if kind is int else ''}numbers"
            raise ArgumentError(name, entry, allowed) from None
    return tuple(out)


def given(values: FlagValues, settings: type) -> dict[str, Any]:
    """What was given of a dataclass's flags, by name: those whose value is not None."""
    found = {}
    for spec in specs(settings):
        value = numbers(values, spec.name, spec.kind) if spec.many else values[spec.name].value
        if value is not None:
            found[spec.name] = value
    return found


def replace(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """A dataclass with some fields replaced, those of nested dataclasses too; names that it lacks are passed over."""
    mine: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value, role = getattr(settings, field.name), field.metadata.get(_ROLE)
        if role != "none" and dataclasses.is_dataclass(value):
            mine[field.name] = replace(value, changes)
        elif role != "none" and field.name in changes:
            mine[field.name] = changes[field.name]
    return dataclasses.replace(settings, **mine)  # type: ignore[type-var]


def rebuilt(settings: type[Settings], values: Mapping[str, Any]) -> Settings:
    """A dataclass from what `dataclasses.asdict` gave, read back from JSON.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sweep:
    ...     ranks: tuple[int, ...] = flag((1, 2), "Ranks.")
    >>> rebuilt(Sweep, {"ranks": [4], "root_seed": 0})
    Sweep(ranks=(4,))

    Args:
      settings: the dataclass.
      values: by name; those that are no field are passed over, and a field that is not there has its default.

    Returns:
      The instance.
    """
    hints, made = typing.get_type_hints(settings), {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        if field.name in values:
            value, hint = values[field.name], hints[field.name]
            nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
            made[field.name] = rebuilt(hint, value) if nested else tuple(value) if isinstance(value, list) else value
    return settings(**made)


def _conditions(settings: type, outer: tuple[When, ...] = ()) -> Iterator[tuple[str, tuple[When, ...]]]:
    """Each field that a flag sets, with all that must hold for it to act; a name comes once for every such field.

    What must hold for all that a dataclass inherits is its attribute `inherited`.
    """
    hints, own = typing.get_type_hints(settings), inspect.get_annotations(settings)
    for field in dataclasses.fields(settings):
        whens = outer + tuple(each for each in (field.metadata.get(_WHEN),) if each)
        if field.name not in own and hasattr(settings, "inherited"):
            whens += (settings.inherited,)
        hint = hints[field.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and field.metadata.get(_ROLE) is None:
            yield from _conditions(hint, whens)
        elif field.metadata.get(_ROLE) != "none":
            yield field.name, whens


def refuse_idle(settings: object, given: Mapping[str, Any]) -> None:
    """Refuses flags that were given but cannot act.

    Args:
      settings: the dataclass with all flags in place.
      given: the flags that were given, by name.

    Raises:
      ArgumentError: naming the flag and where it acts.
    """
    lacking: dict[str, list[list[When]]] = {}
    for name, whens in _conditions(type(settings)):
        lacking.setdefault(name, []).append([when for when in whens if not when.holds(settings)])
    for name, value in given.items():
        if name in lacking and all(lacking[name]):
            raise ArgumentError(name, value, f"it would do nothing: it acts only {lacking[name][0][0].words}")


def as_arguments(values: FlagValues, arguments: Mapping[str, Any]) -> list[str]:
    """Keyword arguments as command-line flags; None is one that is not given.

    Args:
      values: the flags that there are.
      arguments: values by the flag's name, sequences for lists.

    Returns:
      `--name=value`, one each.

    Raises:
      ArgumentError: if there is no such flag, or a value is none that it takes.
    """
    words = []
    for name, value in arguments.items():
        require_one_of("argument", name, values)
        if value is None:
            continue
        if isinstance(value, bool) and values[name].boolean:
            words.append(f"--{name}" if value else f"--no{name}")
            continue
        value = value.tolist() if hasattr(value, "tolist") else value  # numpy's and JAX's
        many = isinstance(value, Sequence) and not isinstance(value, str)
        text = ",".join(map(str, value)) if many else str(value)
        try:
            values[name].parser.parse(text)
        except (TypeError, ValueError) as error:
            raise ArgumentError(name, value, str(error)) from None
        words.append(f"--{name}={text}")
    return words
