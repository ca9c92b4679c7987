# SPDX-License-Identifier: Apache-2.0
"""A file that declares a study and its claims, as a program."""

import dataclasses
import inspect
import pathlib
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmyopia.checks import require
from jaxmyopia.claims import Claim
from jaxmyopia.claims.claim import require_claims
from jaxmyopia.cli import Engine, binary
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag, specs
from jaxmyopia.study import Study
from jaxmyopia.values import brief


def main(
    study: Study,
    *,
    claims: Sequence[Claim],
    seeds: int,
    steps: int,
    records: int = 200,
    name: str | None = None,
    argv: Sequence[str] | None = None,
    **settings: Any,
) -> None:
    """Makes a file that declares a study and its claims a program: flags, progress, resume, page.

    Every plain field of the study, and every setting, is a flag; what is given here are their defaults.

    Args:
      study: what to run.
      claims: made with `@jm.claim`.
      seeds: how many seeds.
      steps: how many steps.
      records: how many records are taken of a run, the start and the end among them.
      name: of the program and its folder `runs/NAME`; by default the file's.
      argv: flags as they are typed, by default `sys.argv`.
      **settings: a value or several, as for `run`.

    Raises:
      ArgumentError: if there is something that is no claim, or two claims have one id.
    """
    require_claims(claims)
    require(
        isinstance(study, Study), "study", brief(study), "must be an instance of a class made from Training or Study"
    )
    shared = {"out", "preset", *(spec.name for spec in specs(Engine))}
    for key in (*settings, *(field.name for field in dataclasses.fields(study) if field.name != "measures")):
        require(key not in shared, key, settings.get(key), "must have another name: it is a flag of every program")
    defaults = {"seeds": seeds, "steps": steps, "records": records, **settings}
    for field in dataclasses.fields(study):
        value = getattr(study, field.name)
        if isinstance(value, bool | int | float | str):
            defaults.setdefault(field.name, value)
    sweep = _sweep_of({key: value for key, value in defaults.items() if _is_flag(value)}, study)
    fixed = {key: value for key, value in defaults.items() if not _is_flag(value)}
    program = Experiment(
        name=name or _program(),
        summary=_summary(type(study)),
        presets={"default": sweep},
        cells=lambda sweep: study.cells(**fixed, **{key: getattr(sweep, key) for key in dataclasses.asdict(sweep)}),
        claims=lambda sweep: claims,
    )
    binary(program).launch(argv)


def _summary(cls: type) -> str:
    """The first line of a study's docstring; a dataclass without one has its signature there, which says nothing."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
    return cls.__name__ if text.startswith(f"{cls.__name__}(") else text


_PLAIN = bool | int | float | str


def _is_flag(value: object) -> bool:
    several = value if isinstance(value, tuple | list) and value else [value]
    return all(isinstance(each, _PLAIN) for each in several) and len({type(each) for each in several}) == 1


_HELP = {
    "seeds": "Seeds in every cell: 0, 1, ...",
    "steps": "Steps of training.",
    "records": "How many records are taken of a run, the start and the end among them.",
}


def _help(name: str, study: Study) -> str:
    of_study = name in {field.name for field in dataclasses.fields(study)}
    return f"{'Field' if of_study else 'Setting'} of {type(study).__name__}, one value or several."


def _sweep_of(defaults: Mapping[str, Any], study: Study) -> Any:
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
        fields.append((key, annotation, flag(default, _HELP.get(key) or _help(key, study))))
    return dataclasses.make_dataclass("Sweep", fields, frozen=True)()


def _program() -> str:
    module = sys.modules["__main__"]
    spec = getattr(module, "__spec__", None)
    return spec.name.rpartition(".")[2] if spec else pathlib.Path(getattr(module, "__file__", "run")).stem
