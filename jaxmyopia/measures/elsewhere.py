# SPDX-License-Identifier: Apache-2.0
"""Loss curves from elsewhere: read from a file, counted as those of a run are."""

import csv
import dataclasses
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.measures.descents import count_upticks, descents


@dataclasses.dataclass(frozen=True)
class Counted:
    """What was counted in one curve: `counts` of plateaus, descents, upticks, or the `reason` why none could be."""

    name: str
    counts: tuple[object, object, object]
    reason: str = ""


def read_curves(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads a file of loss curves.

    Args:
      path: `.csv` with the columns step, then one loss a run, a line of names above them or not; `.npy` with the same
        columns; `.npz` with `step` `(T,)` and any other arrays `(T,)` or `(T, runs)`.

    Returns:
      The steps `(T,)`, and the losses by name, `(T,)` each.

    Raises:
      ArgumentError: if the file is missing or holds something else.
    """
    readers = {".csv": _read_csv, ".npy": _read_npy, ".npz": _read_npz}
    require(path.suffix in readers, "file", str(path), f"must end in one of {', '.join(readers)}")
    try:
        steps, losses = readers[path.suffix](path)
    except OSError as error:
        raise ArgumentError("file", str(path), f"must be a file that can be read ({error.strerror})") from None
    except (ValueError, KeyError, csv.Error, zipfile.BadZipFile) as error:
        if isinstance(error, ArgumentError):
            raise
        reason = " ".join(str(error).split())
        raise ArgumentError("file", str(path), f"must hold the step and losses, numbers all ({reason})") from None
    require(bool(losses), "file", str(path), "must hold at least one curve beside the step")
    require(len(steps) >= 3, "file", str(path), f"must hold at least 3 records, but it has {len(steps)}")
    increasing = bool(np.isfinite(steps).all() and (np.diff(steps) > 0).all())
    require(increasing, "file", str(path), "must hold increasing steps first")
    for name, loss in losses.items():
        require(loss.shape == steps.shape, "file", str(path), f"{name} must have {len(steps)} records")
    return steps, losses


def _columns(table: np.ndarray, names: list[str] | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"its shape is {table.shape}")
    names = names or [f"run {i}" for i in range(table.shape[1] - 1)]
    return table[:, 0], dict(zip(names, table[:, 1:].T, strict=True))


def _read_csv(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with open(path, newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise ValueError("it is empty")
    try:
        float(lines[0][0])
        names = None
    except ValueError:
        names = [f"{name.strip()}" for name in lines.pop(0)[1:]]
        if len(set(names)) < len(names):
            raise ValueError("two columns have one name") from None
    if len({len(line) for line in lines}) > 1:
        raise ValueError("its lines differ in length")
    numbers = [[float(word) if word.strip() else float("nan") for word in line] for line in lines]
    return _columns(np.asarray(numbers, float), names)


def _read_npy(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return _columns(np.asarray(np.load(path), float))


def _read_npz(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with np.load(path) as file:
        arrays = {name: np.asarray(file[name], float) for name in file.files}
    steps, losses = arrays.pop("step", None), {}
    if steps is None:
        raise ValueError("there is no array named step")
    for name, array in arrays.items():
        if array.ndim == 1:
            losses[name] = array
        else:
            losses |= {f"{name} {i}": column for i, column in enumerate(array.reshape(len(array), -1).T)}
    return steps, losses


def count(steps: np.ndarray, losses: dict[str, np.ndarray], *, ratio: float, fall: float, rise: float) -> list[Counted]:
    """Counts plateaus, descents and upticks.

    Args:
      steps: `(T,)`, increasing.
      losses: by name, `(T,)` each.
      ratio, fall: of `descents`.
      rise: of `count_upticks`.

    Returns:
      One `Counted` a curve, `(runs,)`.
    """
    table = jnp.asarray(np.stack(list(losses.values()), axis=1), jnp.float32)

    def counts(steps: jax.Array, table: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        found = descents(steps, table, ratio=ratio, fall=fall)
        return found.plateaus, found.count, count_upticks(table, rise=rise)

    numbers = np.stack(jax.device_get(jax.jit(counts)(jnp.asarray(steps, jnp.float32), table)), axis=1)
    rows = []
    for name, loss, row in zip(losses, losses.values(), numbers, strict=True):
        reason = _why_not(loss)
        plateaus, found, upticks = row.tolist()
        rows.append(Counted(name, ("-", "-", "-") if reason else (plateaus, found, upticks), reason))
    return rows


def _why_not(loss: np.ndarray) -> str:
    """Why a curve `(T,)` cannot be counted; empty if it can."""
    if not np.isfinite(loss).all():
        return f"no: it is not finite at record {int(np.argmin(np.isfinite(loss)))}"
    return "" if loss[0] > 0 else "no: it does not start above zero"
