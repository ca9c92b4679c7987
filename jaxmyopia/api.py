# SPDX-License-Identifier: Apache-2.0
"""From Python and notebooks: `run` a study, `register` and `settle` claims, `load` what was run."""

import contextlib
import importlib
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmyopia.answer import Answer
from jaxmyopia.checks import require, user_path
from jaxmyopia.claims import Claim
from jaxmyopia.claims.registered import keep
from jaxmyopia.claims.registration import Document, document, registered
from jaxmyopia.claims.registration import register as write_registration
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.identity import numerics
from jaxmyopia.engine.mesh import CACHE, require_jax, use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.precision import HIGHEST
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.replay import IN_PYTHON
from jaxmyopia.study import Cell, Study

_OF_NO_ROW = ("keep_curves", "out", "progress")  # arguments of `run` that are not registered


def execute(
    cells: Sequence[Cell], options: RunOptions, *, config: dict[str, object], out: str | None, command: str
) -> Answer | None:
    """Runs cells into a folder, on what JAX has: the one way of binaries, notebooks and libraries.

    Args:
      cells: what to run.
      options: how.
      config: the resolved settings, JSON values.
      out: the folder; None for a temporary one.
      command: what the user typed, for the manifest.

    Returns:
      The `Answer`, without claims; None where there is nothing to judge: in a shard, and in processes that do not lead.

    Raises:
      ArgumentError: if the folder holds something else or cannot be written.
      RunError: if the disk, a file or another process fails.
    """
    temporary = tempfile.TemporaryDirectory(prefix="jaxmyopia-") if out is None else None
    folder = open_folder(temporary.name if temporary else str(out), config, cells, options)
    if options.share.judges:
        threading.Thread(target=_import_ahead, name="import").start()
    folder.owner = temporary  # it lasts as long as anything that reads the folder: an answer, its table, its curves
    entries = run_cells(folder, cells, options, command=command)
    return Answer(folder, studies=tuple(cells)) if entries else None


def _import_ahead() -> None:
    """Imports what comes after the run, a second in all, while programs compile."""
    for name in ("pandas", "scipy.stats", "jaxmyopia.report.page"):  # the first by pyarrow, where it is installed
        with contextlib.suppress(Exception):  # whoever needs it will say so
            importlib.import_module(name)


def run(
    study: Study | Sequence[Study],
    *,
    seeds: int,
    steps: int,
    records: int = 200,
    root_seed: int = 0,
    keep_curves: int = 4,
    matmul_precision: str = HIGHEST,
    out: str | os.PathLike | None = None,
    progress: bool = True,
    **settings: Any,
) -> Answer:
    """Runs a study, or several into one table.

    >>> import jaxmyopia as jm
    >>> study = jm.LowRank(n=4, rank=1)
    >>> found = jm.run(study, seeds=8, steps=100, records=20, progress=False, learning_rate=0.1, init_scale=1e-2)
    >>> len(found.trials), bool((found.trials["loss_ratio"] < 0.5).all()), found.curves["loss"].shape[1]
    (8, True, 4)

    Args:
      study: what to run.
      seeds: how many seeds S.
      steps: how many steps T.
      records: how many records are taken of a run, the start and the end among them.
      root_seed: the root of every seed's key, from 0 to 2**64 - 1.
      keep_curves: how many seeds' whole curves are kept.
      matmul_precision: of products of matrices: highest (float32 everywhere), high or default (the device's choice), or
        simulated_tf32, simulated_bfloat16.
      out: a folder to run in, which can be stopped and resumed; by default a temporary one, which goes with the answer.
      progress: whether to show a bar.
      **settings: a value or several. A field of the study (such as `optimizer`) makes a cell for each; any other name
        is a setting (such as `learning_rate`), whose values are trials of one program.

    Returns:
      The `Answer`.

    Raises:
      ArgumentError: if an argument is not allowed.
      RunError: if the folder cannot be used.
    """
    studies = _studies(study)
    options = RunOptions(
        root_seed=root_seed, keep_curves=keep_curves, matmul_precision=matmul_precision, progress=progress
    )
    _use_jax()
    cells = _cells(studies, seeds=seeds, steps=steps, records=records, **settings)
    path = None if out is None else str(user_path("out", out))
    found = execute(cells, options, config={"experiment": IN_PYTHON}, out=path, command="jaxmyopia.run")
    assert found is not None  # one process, one shard
    return found


def _studies(study: Study | Sequence[Study]) -> list[Study]:
    studies: list[Any] = list(study) if isinstance(study, list | tuple) else [study]
    require(len(studies) > 0, "study", study, "must be a study, or several")
    for each in studies:
        require(isinstance(each, Study), "study", each, "must be an instance of a class made from Training or Study")
    return studies


def _use_jax() -> None:
    use_cpu_devices()
    require_jax()
    use_compilation_cache(CACHE, unless_set=True)


def _cells(studies: Sequence[Study], **arguments: Any) -> list[Cell]:
    return [cell for each in studies for cell in each.cells(**arguments)]


def _check(claims: Sequence[Claim], arguments: Mapping[str, Any]) -> None:
    require(isinstance(claims, list | tuple), "claims", claims, "must be a list of claims, made with @jm.claim")
    for each in claims:
        require(isinstance(each, Claim), "claims", each, "must be claims, made with @jm.claim")
    missing = [name for name in ("seeds", "steps") if name not in arguments]
    require(not missing, ", ".join(missing), None, "must be given, as for run")


def _document(study: Study | Sequence[Study], claims: Sequence[Claim], arguments: Mapping[str, Any]) -> Document:
    """What is registered of a call: all that it runs and judges, not how or where."""
    given = {name: value for name, value in arguments.items() if name not in _OF_NO_ROW}
    precision = RunOptions(matmul_precision=given.pop("matmul_precision", HIGHEST)).matmul_precision
    _use_jax()
    return document(IN_PYTHON, _cells(_studies(study), **given), claims, numerics(precision), settings={})


def register(study: Study | Sequence[Study], claims: Sequence[Claim], path: str | os.PathLike, **arguments: Any) -> str:
    """Registers what would be run and judged, before there are seeds; see docs/verdicts.md.

    Args:
      study: what will be run.
      claims: made with `@jm.claim`.
      path: a new file.
      **arguments: as for `run`, without `root_seed`.

    Returns:
      The hash to publish, 64 digits.

    Raises:
      ArgumentError: if an argument is not allowed, or the file registers something else.
    """
    _check(claims, arguments)
    alone = "root_seed" not in arguments
    require(alone, "root_seed", arguments.get("root_seed"), "must not be given: it will be drawn")
    return write_registration(path, _document(study, claims, arguments))


def settle(
    study: Study | Sequence[Study],
    claims: Sequence[Claim],
    *,
    registration: str | os.PathLike | None = None,
    beacon: str | None = None,
    **arguments: Any,
) -> Answer:
    """Runs a study and judges claims on it.

    Args:
      study: what to run.
      claims: made with `@jm.claim`.
      registration: a file that `register` wrote of this very call; then seeds are drawn from it and the beacon.
      beacon: public randomness of a moment after the registration, such as "drand 6000000 4f3c...".
      **arguments: as for `run`.

    Returns:
      The `Answer`: it prints its claims, and shows them in a notebook.

    Raises:
      ArgumentError: if an argument is not allowed, or is not what was registered.
      RunError: if the folder cannot be used.
    """
    _check(claims, arguments)
    kept = None
    require(beacon is None or registration is not None, "beacon", beacon, "must not be given without registration")
    if registration is not None:
        alone = "root_seed" not in arguments
        require(alone, "root_seed", arguments.get("root_seed"), "must not be given beside registration")
        kept = registered(registration, beacon, _document(study, claims, arguments))
        arguments = {**arguments, "root_seed": kept.root_seed}
    found = run(study, **arguments)
    if kept is not None:
        keep(found.folder, kept)
    found = found.judged(claims)
    if arguments.get("out") is not None:
        found.write()
    return found


def load(folder: str | os.PathLike) -> Answer:
    """Reads a run's folder back.

    Args:
      folder: of a run that this version wrote.

    Returns:
      The `Answer`, with the claims that were judged.

    Raises:
      ArgumentError: if it is no run's folder, or another version's.
      RunError: if a file is damaged.
    """
    return Answer.read(folder)
