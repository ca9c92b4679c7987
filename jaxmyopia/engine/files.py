# SPDX-License-Identifier: Apache-2.0
"""Files of a run's folder: written whole or not at all, with their checksums; and their values compared and cleaned."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import secrets
from collections.abc import Iterable, Iterator

import numpy as np

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}~")  # the names that `atomic` gives


@contextlib.contextmanager
def atomic(path: pathlib.Path) -> Iterator[str]:
    """Gives a temporary name beside `path`, for a file of any shape; renamed to it on success, gone on failure."""
    name = str(path.with_name(f".{path.name}.{secrets.token_hex(4)}~"))
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # the umask takes away what it says
    try:
        yield name
        sync(name)
        os.replace(name, path)
        sync(path.parent)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def sync(path: pathlib.Path | str) -> None:
    """Waits until a file of any shape, or the names in a folder, are on the disk.

    Raises:
      OSError: if the disk fails.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder in which names may be made but not listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # some file systems cannot for a folder
            raise
    finally:
        os.close(handle)


def make_folder(path: pathlib.Path, *, parents: bool = True) -> None:
    """Makes a folder and, with `parents`, those above it that are missing; their names are on the disk then.

    Raises:
      OSError: if it cannot be made.
    """
    made = [each for each in (path, *path.parents) if each == path or not each.exists()]
    path.mkdir(parents=parents, exist_ok=True)
    for each in reversed(made):  # also where it stood before: who made it may have been killed before this
        sync(each.parent)


def leftovers(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The temporary files that killed writers left in a folder of any size, and in those right below it."""
    for path in (*folder.glob(".*"), *folder.glob("*/.*")):
        if _TEMPORARY.fullmatch(path.name):
            yield path


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
        shown = (text if len(text) < 100 else f"{text[:96]} ..." for text in map(json.dumps, (old, new)))
        yield f"{path}: {', now '.join(shown)}"


def told_first(found: Iterable[str]) -> list[str]:
    """Differences in the order in which they tell most: flags before what lies deeper, digits last."""
    place = lambda text: text.partition(":")[0]
    return sorted(found, key=lambda text: (place(text).endswith(".program"), place(text).count(".")))


def json_value(value: object) -> object:
    """A value of any shape with numpy's numbers as Python's, and NaN and infinities (which JSON lacks) as null."""
    if isinstance(value, dict):
        return {key: json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
