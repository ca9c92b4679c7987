# SPDX-License-Identifier: Apache-2.0
"""What a study must keep to, tried out on shapes alone: whatever breaks it is one line that names the member."""

import dataclasses
import functools
import inspect
import operator
import pathlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import ArgumentError
from jaxmyopia.curves import Curves
from jaxmyopia.measures import Derived, Measure, summarise

if TYPE_CHECKING:
    from jaxmyopia.study import Study

_RECORDS = 9  # T, where shapes are tried
_config: Any = jax.config  # jax adds its options as attributes while it is imported: no type names them


@dataclasses.dataclass(frozen=True)
class Shapes:
    """What a study's functions give for one block: shapes of its `params`, its `state` and one `record`."""

    params: Any
    state: Any
    record: Any

    def by_seed(self) -> list[str]:
        """The names in the record of what each seed has for itself; what has shape `()` all seeds share."""
        return [name for name, leaf in Curves.of(self.record).items() if leaf.shape != ()]

    def bytes(self, records: int) -> int:
        """Bytes of a block's state and of so many records."""
        size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
        return size(self.state) + records * size(self.record)


def shapes(study: "Study", columns: Mapping[str, np.ndarray]) -> Shapes:
    """The shapes of a study's block; traced once for a study and the names of its settings.

    Args:
      study: the study.
      columns: its settings, `(combinations,)` each.

    Returns:
      The `Shapes`.
    """
    first = {name: np.full(study.block, column[0]) for name, column in columns.items()}
    leaves, tree = jax.tree.flatten(jax.eval_shape(lambda: study.params(**first)))
    return _shapes(study, tree, tuple(leaves), bool(_config.jax_enable_x64))


@functools.lru_cache(maxsize=4096)
def _shapes(
    study: "Study", tree: jax.tree_util.PyTreeDef, leaves: tuple[jax.ShapeDtypeStruct, ...], x64: bool
) -> Shapes:
    del x64  # decides all dtypes

    def begin(params):
        state = study.batched.init(jax.random.split(jax.random.key(0), study.block), params)
        return state, study.batched.observe(state, params)

    params = jax.tree.unflatten(tree, leaves)
    return Shapes(params, *jax.eval_shape(begin, params))


def to_supply(wanted: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Marks a member that a subclass supplies; `wanted` says what it looks like."""

    def mark(member: Any) -> Callable[..., Any]:
        member.wanted = wanted
        return member

    return mark


def narrows(member: Callable[..., Any]) -> Callable[..., Any]:
    """Tells type checkers that a subclass may name the keyword arguments that its member takes."""
    return member


def known_settings(study: "Study") -> dict[str, bool] | None:
    """`study.known_settings()`, asked once a study."""
    return _known_settings(study)


@functools.lru_cache(maxsize=4096)
def _known_settings(study: "Study") -> dict[str, bool] | None:
    return study.known_settings()


def known_names(study: "Study", known: Mapping[str, bool]) -> str:
    """What may be given, in words."""
    fields = ", ".join(field.name for field in dataclasses.fields(study))
    settings = f"the settings {', '.join(known)}" if known else "no settings"
    return f"must be one of what {type(study).__name__} has: {settings}; the fields {fields}"


def check(study: "Study", columns: Mapping[str, np.ndarray]) -> None:
    """Refuses a study, or settings of it, that would fail once it runs.

    Functions are traced once a class, its measures and the names of its settings: of thousands of cells, the first
    pays. `check_traced` traces a study whatever its class.

    Args:
      study: the study.
      columns: its settings, `(combinations,)` each.

    Raises:
      ArgumentError: one line that names the member, what came and what is allowed.
    """
    check_members(study)
    _check_names(study, columns)
    _check_columns_apart(study, columns)
    try:
        study.params(**columns)  # refuses values that are not allowed
    except ArgumentError:
        raise
    except Exception as error:
        raise _raised(study, "params", error, f"must take the settings {', '.join(columns)}") from error
    study.check_computed()
    kind = (type(study), study.measures, tuple(columns))
    if kind not in _TRACED:
        check_traced(study, {name: float(column[0]) for name, column in columns.items()})
        _TRACED.add(kind)


_TRACED: set[tuple[object, ...]] = set()


def check_members(study: "Study") -> None:
    """Refuses what is no study: another class, a field that cannot be hashed, a member that is missing or no function.

    Raises:
      ArgumentError: naming it.
    """
    from jaxmyopia.study import Study

    if not isinstance(study, Study):
        classy = isinstance(study, type)
        allowed = "must be an instance of a class made from jaxmyopia.Training or jaxmyopia.Study"
        raise ArgumentError("study", f"the class {study.__name__}" if classy else f"a {type(study).__name__}", allowed)
    cls = type(study)
    if inspect.get_annotations(cls) and "__dataclass_fields__" not in cls.__dict__:
        raise ArgumentError("study", cls.__name__, "must be decorated with @dataclasses.dataclass(frozen=True)")
    for field in dataclasses.fields(study):
        value = getattr(study, field.name)
        try:
            hash(value)
        except TypeError:
            allowed = (
                "must be hashable, such as a tuple in place of a list: fields are fixed (super().__post_init__()?)"
            )
            raise ArgumentError(f"{cls.__name__}.{field.name}", value, allowed) from None
    for measure in study.measures:
        if not isinstance(measure, Measure) or isinstance(measure, Derived):
            raise ArgumentError(f"{cls.__name__}.measures", measure, "must be a jaxmyopia.Measure of curves")
    for name in study.members:
        member = getattr(study, name)
        if not callable(member):
            raise ArgumentError(f"{cls.__name__}.{name}", member, "must be a function of the study")
        wanted = getattr(getattr(cls, name), "wanted", None)
        if wanted is not None:
            raise ArgumentError(f"{cls.__name__}.{name}", None, f"must be there: {wanted}")


def _check_names(study: "Study", columns: Mapping[str, np.ndarray]) -> None:
    known = known_settings(study)
    if known is None:
        return
    for name, column in columns.items():
        if name not in known:
            raise ArgumentError(name, float(column[0]), known_names(study, known))
    for name, needed in known.items():
        if needed and name not in columns:
            raise ArgumentError(
                name, None, f"must be given: {type(study).__name__} has the settings {', '.join(known)}"
            )


def _check_columns_apart(study: "Study", columns: Mapping[str, np.ndarray]) -> None:
    """Refuses two columns of one name: of settings, of measures, and of what the table has anyway."""
    taken = dict.fromkeys(RESERVED, "a column of every table")
    for name in columns:
        allowed = f"must have another name: {name} is {taken.get(name, '')}"
        require_member(name not in taken, study, "init", name, allowed)
        taken[name] = "a setting"
    taken |= dict.fromkeys(study.settings().keys() - taken.keys(), "a field of the study")
    for measure in dict.fromkeys((*study.standard, *study.measures)):
        for name in measure.columns:
            require_member(
                name not in taken, study, "measures", name, f"must be named once, but it is {taken.get(name)}"
            )
            taken[name] = "another measure's column"


RESERVED = ("cell", "seed", "diverged")


def _raised(study: "Study", member: str, error: Exception, allowed: str) -> ArgumentError:
    text = str(error).strip().splitlines()
    came = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not _is_library(each.filename)]
    if frames:  # where the user's own code was at last
        came += f" ({pathlib.Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return ArgumentError(f"{type(study).__name__}.{member}", came, allowed)


def _is_library(path: str) -> bool:
    return any(part in path for part in ("site-packages", "importlib")) or pathlib.Path(path).is_relative_to(_HERE)


_HERE = pathlib.Path(__file__).parent


def trace(study: "Study", member: str, function: Callable[..., Any], *args: Any) -> Any:
    """The shapes that a member gives.

    Args:
      study: whose.
      member: its name.
      function: the member.
      *args: shapes.

    Returns:
      Shapes.

    Raises:
      ArgumentError: if it cannot be traced.
    """
    try:
        return jax.eval_shape(function, *args)
    except ArgumentError:
        raise
    except Exception as error:
        raise _raised(study, member, error, "must be a function that JAX can trace, from arrays to arrays") from error


def shown(tree: Any) -> str:
    """A pytree of shapes in a few words."""
    leaves = jax.tree.leaves(tree)
    if len(leaves) == 1 and leaves[0] is tree:
        return f"{tree.dtype}{list(tree.shape)}"
    return f"{type(tree).__name__} of {len(leaves)} arrays" if leaves else repr(tree)


def require_member(ok: bool, study: "Study", member: str, came: object, allowed: str) -> None:
    """Refuses what a member gave unless `ok`.

    Raises:
      ArgumentError: naming the member.
    """
    if not ok:
        raise ArgumentError(f"{type(study).__name__}.{member}", came, allowed)


def check_traced(study: "Study", settings: Mapping[str, float]) -> None:
    """Traces all of a study's functions on shapes and refuses what they give wrong.

    Args:
      study: the study.
      settings: a value for each of its settings.

    Raises:
      ArgumentError: naming the member.
    """
    study.check_one_seed(settings)
    seeds, batched = study.block, study.batched
    require_member(isinstance(seeds, int) and seeds >= 1, study, "block", seeds, "must be a whole number from 1")
    columns = {name: np.full(seeds, value) for name, value in settings.items()}
    params = trace(study, "params", lambda: study.params(**columns))
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        where = f"{jax.tree_util.keystr(path)} is {shown(leaf)}"
        require_member(leaf.shape == (seeds,), study, "params", where, f"must have leaves (S,), here ({seeds},)")
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), seeds))
    state = trace(study, "init", batched.init, keys, params)
    _check_step(study, state, trace(study, "step", batched.step, state, params))
    record = trace(study, "observe", batched.observe, state, params)
    curves = _check_record(study, record, seeds)
    records = _RECORDS + (seeds == _RECORDS)
    curves = jax.tree.map(lambda x: jax.ShapeDtypeStruct((records, *x.shape), x.dtype), curves)
    for measure in study.measures:
        found = trace(study, f"measures, {measure.name}", lambda x, m=measure: summarise((m,), x), curves)
        _check_columns(study, f"measures, {measure.name}", found, (seeds,), "(S,)")
    summary = trace(study, "summarise", study.summarise, curves)
    _check_columns(study, "summarise", summary, (seeds,), "(S,)")
    require_member("diverged" in summary, study, "summarise", sorted(summary), "must have a column `diverged` (S,)")
    truth = f"diverged: {shown(summary['diverged'])}"
    require_member(summary["diverged"].dtype == bool, study, "summarise", truth, "must tell by a bool what diverged")
    _check_columns(study, "quantiles", trace(study, "quantiles", study.quantiles, curves), (records, seeds), "(T, S)")


def _check_step(study: "Study", before: Any, after: Any) -> None:
    (old, tree), (new, other) = (jax.tree_util.tree_flatten_with_path(state) for state in (before, after))
    require_member(bool(old), study, "init", shown(before), "must give a state of arrays")
    came = f"another structure: {shown(after)} in place of {shown(before)}"
    require_member(operator.eq(tree, other), study, "step", came, "must give a state like the one it takes")
    for (path, x), (_, y) in zip(old, new, strict=True):
        came = f"{jax.tree_util.keystr(path) or 'the state'}: {shown(y)} in place of {shown(x)}"
        same = x.shape == y.shape and x.dtype == y.dtype
        require_member(same, study, "step", came, "must keep the shape and the dtype of all that it takes")


def _check_record(study: "Study", record: Any, seeds: int) -> Any:
    try:
        curves = Curves.of(record)
    except TypeError:
        allowed = "must be a dict or a dataclass of arrays, `step` among them"
        require_member(False, study, "observe", shown(record), allowed)
    for name, leaf in curves.items():
        came = f"{name}: a {type(leaf).__name__}"
        require_member(isinstance(leaf, jax.ShapeDtypeStruct), study, "observe", came, "must hold one array by a name")
    require_member("step" in curves, study, "observe", sorted(curves), "must have `step`, the state's count of steps")
    step = curves["step"]
    whole = step.shape == () and jnp.issubdtype(step.dtype, jnp.integer)
    require_member(whole, study, "observe", f"step: {shown(step)}", "must have a whole number of shape () as `step`")
    for name, leaf in curves.items():
        fine = leaf.shape == () or leaf.shape[0] == seeds
        allowed = f"must lead with the seeds, (S, ...), here S = {seeds}, or be () if all share it"
        require_member(fine, study, "observe", f"{name}: {shown(leaf)}", allowed)
    return curves


def _check_columns(study: "Study", member: str, found: Any, shape: Sequence[int], letters: str) -> None:
    allowed = f"must be a dict of arrays {letters} by name"
    require_member(isinstance(found, Mapping), study, member, shown(found), allowed)
    for name, leaf in found.items():
        came = f"{name}: {shown(leaf)}"
        fine = isinstance(leaf, jax.ShapeDtypeStruct) and leaf.shape == tuple(shape)
        require_member(fine, study, member, came, f"{allowed}, here {tuple(shape)}")
        real = not jnp.issubdtype(leaf.dtype, jnp.complexfloating)
        require_member(real, study, member, came, "must be real: a table and quantiles hold no complex numbers")
