# SPDX-License-Identifier: Apache-2.0
"""Files of a run's folder: written whole or not at all, with their checksums; and their values compared and cleaned."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from jaxmyopia.checks import ArgumentError, RunError, require


def path_of(name: str, given: object) -> pathlib.Path:
    """The path that an argument gives; `~` is the user's home.

    Args:
      name: of the argument.
      given: text, or what stands for a path.

    Returns:
      The path.

    Raises:
      ArgumentError: if it is none.
    """
    fine = isinstance(given, str | os.PathLike) and str(given) != "" and "\0" not in str(given)
    require(fine, name, given, "must be a folder or a file, by its path")
    try:
        return pathlib.Path(str(given)).expanduser()
    except RuntimeError:  # ~NAME of nobody
        raise ArgumentError(name, str(given), "must be a path, but there is no such user") from None


@contextlib.contextmanager
def atomic(path: pathlib.Path) -> Iterator[str]:
    """Gives a temporary name beside `path`, for a file of any shape; renamed to it on success, gone on failure."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        os.chmod(name, 0o644)
        yield name
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def checksum_of(path: pathlib.Path | str) -> str:
    """The SHA-256 of a file of any shape, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """The leaves in which two JSON values of any shape differ, as `path: old, now new`."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = (dict(enumerate(value)) for value in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield f"{path}: {json.dumps(old)}, now {json.dumps(new)}"


def json_value(value: object) -> object:
    """A value of any shape with numpy's numbers as Python's, and NaN and infinities (which JSON lacks) as null."""
    if isinstance(value, dict):
        return {key: json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """A column of a parquet table as an array of shape `(rows,)`; rows that have the same string share it."""
    if not pa.types.is_string(column.type):
        return column.to_numpy()
    encoded = column.combine_chunks().dictionary_encode()  # rows share their strings; None where there is none
    strings = np.array([*encoded.dictionary.to_pylist(), None], object)
    return strings[encoded.indices.fill_null(len(strings) - 1).to_numpy()]


def save_array(path: str, leaf: np.ndarray) -> None:
    """Writes an array of any shape as a .npy file of this very name, without pickling."""
    with open(path, "wb") as file:
        np.save(file, leaf, allow_pickle=False)


def read_manifest(path: str | os.PathLike) -> dict[str, Any]:
    """The manifest of a run's folder, JSON values of any shape; empty if it has none.

    Raises:
      RunError: if it is damaged.
    """
    try:
        return json.loads((pathlib.Path(path) / "manifest.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise RunError(f"{path}/manifest.json is damaged: it is not JSON; choose another folder") from None


def read_json(path: pathlib.Path) -> Any:
    """The contents of a JSON file; None if there is none.

    Raises:
      RunError: if it is damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise RunError(f"{path} is damaged: it is not JSON") from None
