# SPDX-License-Identifier: Apache-2.0
"""A record or its curves by name, whatever kind of record a study keeps."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp


@jax.tree_util.register_pytree_with_keys_class
class Curves(Mapping[str, jax.Array]):
    """A record or its curves by name, `curves["loss"]` or `curves.loss`.

    >>> import jax.numpy as jnp
    >>> curves = Curves({"step": jnp.arange(3), "loss": jnp.ones((3, 8))})
    >>> curves.loss.shape, curves["step"].shape, sorted(curves)
    ((3, 8), (3,), ['loss', 'step'])
    """

    def __init__(self, columns: Mapping[str, jax.Array]):
        self._columns = dict(columns)

    @classmethod
    def of(cls, record: object) -> "Curves":
        """The curves of a record: a dict, a dataclass or a named tuple of arrays.

        Raises:
          TypeError: if it is another thing.
        """
        if isinstance(record, Curves):
            return record
        if isinstance(record, Mapping):
            return cls(record)
        if dataclasses.is_dataclass(record) and not isinstance(record, type):
            return cls({field.name: getattr(record, field.name) for field in dataclasses.fields(record)})
        if isinstance(record, tuple) and hasattr(record, "_fields"):
            return cls(dict(zip(record._fields, record, strict=True)))
        raise TypeError(f"a record is a dict or a dataclass of arrays, not a {type(record).__name__}")

    def __getitem__(self, name: str) -> jax.Array:
        if name not in self._columns:
            raise KeyError(f"there is no curve {name!r}; there are {', '.join(sorted(self._columns))}")
        return self._columns[name]

    def __getattr__(self, name: str) -> jax.Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def held_from(self, record: jax.Array) -> "Curves":
        """The curves `(T, S, ...)`, which stay as they are at a record from there on; steps go on."""
        place = jnp.minimum(jnp.arange(self["step"].shape[0]), record)
        return type(self)({name: x if name == "step" else x[place] for name, x in self._columns.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Curves({self._columns!r})"

    def tree_flatten_with_keys(self) -> tuple[list[tuple[object, jax.Array]], tuple[str, ...]]:
        """The arrays with their names, sorted as those of a dict are."""
        names = tuple(sorted(self._columns))
        return [(jax.tree_util.DictKey(name), self._columns[name]) for name in names], names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], columns: Sequence[jax.Array]) -> "Curves":
        """The curves of arrays in the order of their names."""
        return cls(dict(zip(names, columns, strict=True)))
