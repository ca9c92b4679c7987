# SPDX-License-Identifier: Apache-2.0
"""A loss and a target of one's own, written for one seed, in the form in which a study carries them: hashable.

A loss compares Z = A B^T with C = U V^T, both `(n, n)`; whatever it is, all their entries are formed. A target is the
matrix C or its pair of factors U, V, `(n, R)` each, fixed or drawn from a seed's key.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxmyopia import contract
from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.fingerprint import fingerprint
from jaxmyopia.studies.lowrank.layouts import Layout
from jaxmyopia.studies.lowrank.losses import LOSSES, Loss, Target
from jaxmyopia.studies.lowrank.model import TARGETS

OfMatrices = Callable[[jax.Array, jax.Array], jax.Array]
OfKey = Callable[[jax.Array], Any]

_LOSS = f"must be one of {', '.join(sorted(LOSSES))}, or a function value(Z, C), or a pair (value, slope) of them"
_TARGET = (
    f"must be one of {', '.join(sorted(TARGETS))}, or finite numbers: a matrix C (n, n) or a pair (U, V) of (n, R), "
    "R from 1 to n; or a function of the key that gives either"
)


def _shown(given: object) -> object:
    """What came, in a few words of one line."""
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        return f"{given.dtype}{list(given.shape)}"
    if isinstance(given, tuple | list):
        shown = [str(_shown(each)) for each in given[:3]]
        return f"{type(given).__name__} of {', '.join(shown)}{', ...' if len(given) > 3 else ''}"
    return given if given is None or isinstance(given, int | float) else f"a {type(given).__name__}"


def _name(function: Callable[..., Any], otherwise: str, taken: object) -> str:
    name = getattr(function, "__name__", "<nameless>")
    if name.startswith("<"):
        return otherwise
    return f"own {name}" if name in (taken if isinstance(taken, tuple | dict) else ()) else name


def _trace(argument: str, function: Callable[..., Any], *shapes: Any) -> Any:
    """The shapes that a function gives; ArgumentError in one line if JAX cannot trace it."""
    name = _name(function, f"own {argument}", ())
    try:
        return jax.eval_shape(function, *shapes)
    except Exception as error:  # whatever a function does
        text = (str(error).strip().splitlines() or [""])[0]
        came = f"{name} raises {type(error).__name__}: {text}"
        allowed = "must be functions that JAX can trace, "
        allowed += "of Z and C, both (n, n)" if argument == "loss" else "of the key of one seed"
        raise ArgumentError(argument, came, allowed) from error


def _require_hashable(argument: str, given: object) -> None:
    try:
        hash(given)
    except TypeError:
        raise ArgumentError(argument, _shown(given), "must be made of hashable functions") from None


@dataclasses.dataclass(frozen=True)
class OwnLoss:
    """A loss of one seed: `value(Z, C)`, a scalar, and `slope(Z, C)`, dL/dZ `(n, n)`; None: by autodiff of the value.

    Equal if the functions are the same objects.
    """

    value: OfMatrices
    slope: OfMatrices | None = None

    @classmethod
    def of(cls, given: object, n: int) -> "OwnLoss":
        """A loss as the user gave it, tried on matrices of side n.

        Args:
          given: `value`, or a pair `(value, slope)`, or what this has made.
          n: side of the matrices.

        Returns:
          The `OwnLoss`.

        Raises:
          ArgumentError: if it is none, cannot be traced, or gives other shapes.
        """
        if not isinstance(given, cls):
            several = isinstance(given, tuple | list)
            functions = tuple(given) if isinstance(given, tuple | list) else (given,)
            fine = len(functions) == (2 if several else 1) and all(map(callable, functions))
            require(fine, "loss", _shown(given), _LOSS)
            given = cls(*functions)
        _require_hashable("loss", given)
        _check_loss(given, n, jnp.zeros(()).dtype)
        return given

    def __str__(self) -> str:
        return _name(self.value, "own loss", LOSSES)

    def label(self, n: int) -> str:
        """The name, and eight digits that tell its arithmetic from that of others."""
        return f"{self}-{_digest_of_loss(self, n, jnp.zeros(()).dtype)}"

    def slope_of_one(self, z: jax.Array, c: jax.Array) -> jax.Array:
        """dL/dZ of one seed, `(n, n)`."""
        return (self.slope or jax.grad(self.value))(z, c)

    @property
    def over_seeds(self) -> Loss:
        """The loss of S seeds, in either layout."""

        def mapped(function: OfMatrices, out: bool) -> Callable[[Layout, jax.Array, Target], jax.Array]:
            def over(layout: Layout, factors: jax.Array, target: Target) -> jax.Array:
                (c,) = target.dense
                z = layout.product(factors)
                seeds = 3 - sum(layout.entry_axes)  # of a matrix's three axes, the one that no entry's is
                return jax.vmap(function, in_axes=seeds, out_axes=seeds if out else 0)(z, c).astype(z.dtype)

            return over

        return Loss(
            prepare=LOSSES["square"].prepare, slope=mapped(self.slope_of_one, True), value=mapped(self.value, False)
        )


def arithmetic(loss: str | OwnLoss) -> Loss:
    """The loss of S seeds that a name of `LOSSES`, or a loss of one's own, stands for."""
    return LOSSES[loss] if isinstance(loss, str) else loss.over_seeds


@functools.lru_cache(maxsize=4096)
def _check_loss(loss: OwnLoss, n: int, dtype: Any) -> None:
    matrix = jax.ShapeDtypeStruct((n, n), dtype)
    checked: list[tuple[OfMatrices, tuple[int, ...]]] = [(loss.value, ()), (loss.slope or loss.slope_of_one, (n, n))]
    for function, shape in checked:
        found = _trace("loss", function, matrix, matrix)
        fine = isinstance(found, jax.ShapeDtypeStruct) and jnp.issubdtype(found.dtype, jnp.floating)
        came = f"{_name(function, str(loss), ())} gives {contract.shown(found)}"
        part = "slope(Z, C), which must give dL/dZ, floats" if shape else "value(Z, C), which must give a float"
        require(fine and found.shape == shape, "loss", came, f"must have a {part} of shape {shape}")


@functools.lru_cache(maxsize=4096)
def _digest_of_loss(loss: OwnLoss, n: int, dtype: Any) -> str:
    matrix = jax.ShapeDtypeStruct((n, n), dtype)
    return fingerprint(lambda z, c: (loss.value(z, c), loss.slope_of_one(z, c)), matrix, matrix)


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A fixed matrix that is hashed by its numbers: its `shape`, and `data`, float64 row by row."""

    shape: tuple[int, ...]
    data: bytes = dataclasses.field(repr=False)

    @property
    def array(self) -> np.ndarray:
        """The matrix."""
        return np.frombuffer(self.data).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class OwnTarget:
    """A target: `given` as matrices, C alone or the pair U, V; or as a function of one seed's key that gives either.

    Equal if the numbers are equal, or the function is the same object.
    """

    given: tuple[Matrix, ...] | OfKey

    @classmethod
    def of(cls, given: object, n: int) -> "OwnTarget":
        """A target as the user gave it, for matrices of side n.

        Args:
          given: C `(n, n)`, or `(U, V)` of `(n, R)`, or a function of the key; or what this has made.
          n: side of the matrices.

        Returns:
          The `OwnTarget`.

        Raises:
          ArgumentError: if it is none of these, or not finite.
        """
        if not isinstance(given, cls):
            given = cls(given if callable(given) else _matrices(given))
        _require_hashable("target", given.given)
        given.shapes(n)
        return given

    def __str__(self) -> str:
        return _name(self.given, "own", TARGETS) if callable(self.given) else "own"

    def label(self) -> str:
        """The name, and eight digits that tell this target from others."""
        if callable(self.given):
            return f"{self}-{fingerprint(self.given, _key())}"
        return f"{self}-{hashlib.sha256(b''.join(each.data for each in self.given)).hexdigest()[:8]}"

    def shapes(self, n: int) -> tuple[tuple[int, ...], ...]:
        """The shape of C, or those of U and V; refuses others than `(n, n)` and `(n, R)`."""
        if callable(self.given):
            return _shapes_of_function(self.given, n, jnp.zeros(()).dtype)
        return _fitting(self.given, n, ", ".join(str(each.shape) for each in self.given))

    def rank(self, n: int, asked: int | None) -> int:
        """The rank R of the pair.

        Args:
          n: side of the matrices.
          asked: the `target_rank` that was given, or None.

        Returns:
          The columns of a pair. Of a fixed C, what was asked, else its numerical rank. Of a function that gives C, what
          was asked, else n.

        Raises:
          ArgumentError: if the pair has other columns than asked, or a fixed C a higher rank.
        """
        shapes = self.shapes(n)
        if len(shapes) == 2:
            columns = shapes[0][1]
            require(asked in (None, columns), "target_rank", asked, f"must be {columns}, the columns of U and V")
            return columns
        if callable(self.given):
            return n if asked is None else asked
        values = _singular_values(self.given[0].array, np)[1]
        least = max(int((values > 0).sum()), 1)
        require(asked is None or asked >= least, "target_rank", asked, f"must be at least {least}, the rank of C")
        return least if asked is None else asked

    def draw(self, key: jax.Array, rank: int) -> tuple[jax.Array, jax.Array]:
        """One seed's U and V.

        Args:
          key: handed to the function, if it is one.
          rank: R, as `rank` gave it.

        Returns:
          `u`, `v`: `(n, R)` each.
        """
        dtype = jnp.zeros(()).dtype
        parts: list[Any]
        if callable(self.given):
            parts = [jnp.asarray(part, dtype) for part in _parts(self.given(key))]
        else:
            parts = [each.array for each in self.given]
        u, v = parts if len(parts) == 2 else _factor(parts[0], rank, jnp if callable(self.given) else np)
        return jnp.asarray(u, dtype), jnp.asarray(v, dtype)


LossLike: TypeAlias = str | OfMatrices | tuple[OfMatrices, OfMatrices] | OwnLoss
TargetLike: TypeAlias = str | ArrayLike | tuple[ArrayLike, ArrayLike] | OfKey | OwnTarget


def _key() -> Any:
    return jax.eval_shape(lambda: jax.random.key(0))


def _parts(found: Any) -> tuple[Any, ...]:
    return tuple(found) if isinstance(found, tuple | list) else (found,)


def _matrices(given: Any) -> tuple[Matrix, ...]:
    try:
        pair = isinstance(given, tuple | list) and len(given) == 2 and all(np.ndim(each) == 2 for each in given)
        arrays = [np.asarray(each) for each in (given if pair else [given])]
        fine = all(each.dtype.kind not in "cSU" for each in arrays)
        arrays = [np.ascontiguousarray(each, float) for each in arrays] if fine else []
        fine = fine and all(np.isfinite(each).all() for each in arrays)
    except (TypeError, ValueError):  # ragged, or no numbers
        fine = False
    require(fine, "target", _shown(given), _TARGET)
    return tuple(Matrix(each.shape, each.tobytes()) for each in arrays)


def _fitting(parts: Any, n: int, came: object) -> tuple[tuple[int, ...], ...]:
    shapes = tuple(tuple(getattr(part, "shape", ())) for part in parts)
    c = shapes == ((n, n),)
    pair = len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) == 2 and shapes[0][0] == n
    fine = c or (pair and 1 <= shapes[0][1] <= n)
    require(fine, "target", came, f"{_TARGET}; here n={n}")
    return shapes


@functools.lru_cache(maxsize=4096)
def _shapes_of_function(function: OfKey, n: int, dtype: Any) -> tuple[tuple[int, ...], ...]:
    del dtype  # decides what the function draws
    found = _trace("target", function, _key())
    came = f"{_name(function, 'own target', ())} gives {_shown(found)}"
    real = [not jnp.issubdtype(part.dtype, jnp.complexfloating) for part in jax.tree.leaves(found)]
    require(all(real), "target", came, _TARGET)
    return _fitting(_parts(found), n, came)


def _singular_values(c: Any, xp: ModuleType) -> tuple[Any, Any, Any]:
    """The singular vectors and values of C, those that are rounding of the study's precision set to zero."""
    left, values, right = xp.linalg.svd(c, full_matrices=False)
    rounding = c.shape[0] * float(jnp.finfo(jnp.zeros(()).dtype).eps) * values[0]
    return left, xp.where(values > rounding, values, xp.zeros_like(values)), right


def _factor(c: Any, rank: int, xp: ModuleType) -> tuple[Any, Any]:
    """U and V of the best approximation of C of that rank, C itself if it has no higher: Eckart and Young (1936)."""
    left, values, right = _singular_values(c, xp)
    root = xp.sqrt(values[:rank])[None, :]
    return left[:, :rank] * root, right[:rank].T * root
