# SPDX-License-Identifier: Apache-2.0
"""From Python and notebooks: `run` a study, `register` and `settle` claims, `load` what was run."""

import contextlib
import functools
import importlib
import os
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jaxmyopia.answer import Answer
from jaxmyopia.checks import require, user_path
from jaxmyopia.claims import Claim
from jaxmyopia.claims.claim import require_claims
from jaxmyopia.claims.sequential import undecided_cells
from jaxmyopia.engine.chunk_record import OnChunk
from jaxmyopia.engine.experiment import open_folder, run_cells
from jaxmyopia.engine.identity import numerics
from jaxmyopia.engine.mesh import CACHE, require_jax, use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.precision import HIGHEST
from jaxmyopia.engine.rounds import in_rounds
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.registered import keep
from jaxmyopia.registration import Document, Registration, document, registered
from jaxmyopia.registration import register as write_registration
from jaxmyopia.replay import IN_PYTHON
from jaxmyopia.stats.table import Trials
from jaxmyopia.study import Cell, Study

# Arguments of `run` that make no cell, and those that are not registered.
_OPTIONS = ("root_seed", "keep_curves", "matmul_precision", "progress", "on_chunk")
_OF_NO_ROW = ("keep_curves", "out", "progress", "on_chunk")


def execute(
    cells: Sequence[Cell],
    options: RunOptions,
    *,
    config: dict[str, object],
    out: str | None,
    command: str,
    undecided: Callable[[Trials], Collection[int]] | None = None,
) -> Answer | None:
    """Runs cells into a folder, on what JAX has: the one way of binaries, notebooks and libraries.

    Args:
      cells: what to run.
      options: how.
      config: the resolved settings, JSON values.
      out: the folder; None for a temporary one.
      command: what the user typed, for the manifest.
      undecided: of a table so far the cells that need more seeds, of a run in rounds; see `engine.rounds`.

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
    ask = None if undecided is None else lambda number: undecided(folder.table(number + 1))
    entries = run_cells(folder, cells, options, command=command, undecided=ask)
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
    on_chunk: OnChunk | None = None,
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
      on_chunk: is called with a `ChunkRecord` of each chunk once it is written, such as for TensorBoard; not with those
        that stood before a resume. An error in it is said, and the run goes on.
      **settings: a value or several. A field of the study (such as `optimizer`) makes a cell for each; any other name
        is a setting (such as `learning_rate`), whose values are trials of one program.

    Returns:
      The `Answer`.

    Raises:
      ArgumentError: if an argument is not allowed.
      RunError: if the folder cannot be used.
    """
    options = RunOptions(
        root_seed=root_seed, keep_curves=keep_curves, matmul_precision=matmul_precision, progress=progress,
        on_chunk=on_chunk,
    )  # fmt: skip
    cells = _cells(study, seeds=seeds, steps=steps, records=records, **settings)
    return _run(cells, options, out)


def _run(
    cells: Sequence[Cell],
    options: RunOptions,
    out: str | os.PathLike | None,
    undecided: Callable[[Trials], Collection[int]] | None = None,
) -> Answer:
    path = None if out is None else str(user_path("out", out))
    config: dict[str, object] = {"experiment": IN_PYTHON}
    found = execute(cells, options, config=config, out=path, command="jaxmyopia.run", undecided=undecided)
    assert found is not None  # one process, one shard
    return found


def _studies(study: Study | Sequence[Study]) -> list[Study]:
    studies: list[Any] = list(study) if isinstance(study, list | tuple) else [study]
    require(len(studies) > 0, "study", study, "must be a study, or several")
    for each in studies:
        require(isinstance(each, Study), "study", each, "must be an instance of a class made from Training or Study")
    return studies


def _cells(
    study: Study | Sequence[Study], *, cap: int | None = None, until_decided: bool = False, **sweep: Any
) -> list[Cell]:
    """The cells of a call, JAX being made ready for them."""
    studies = _studies(study)
    use_cpu_devices()
    require_jax()
    use_compilation_cache(CACHE, unless_set=True)
    cells = [cell for each in studies for cell in each.cells(**sweep)]
    return in_rounds(cells, cap) if until_decided else cells


def _check(claims: Sequence[Claim], arguments: Mapping[str, Any]) -> None:
    require_claims(claims)
    missing = [name for name in ("seeds", "steps") if name not in arguments]
    require(not missing, ", ".join(missing), None, "must be given, as for run")
    alone = arguments.get("until_decided") or arguments.get("cap") is None
    require(bool(alone), "cap", arguments.get("cap"), "it would do nothing: it acts only with until_decided")


def _document(study: Study | Sequence[Study], claims: Sequence[Claim], arguments: Mapping[str, Any]) -> Document:
    """What is registered of a call: all that it runs and judges, not how or where."""
    given = {name: value for name, value in arguments.items() if name not in _OF_NO_ROW}
    precision = RunOptions(matmul_precision=given.pop("matmul_precision", HIGHEST)).matmul_precision
    return document(IN_PYTHON, _cells(study, **given), claims, numerics(precision), settings={})


def register(study: Study | Sequence[Study], claims: Sequence[Claim], path: str | os.PathLike, **arguments: Any) -> str:
    """Registers what would be run and judged, before there are seeds; see docs/verdicts.md.

    Args:
      study: what will be run.
      claims: made with `@jm.claim`.
      path: a new file.
      **arguments: as for `settle`, without `root_seed`.

    Returns:
      The hash to publish, 64 digits.

    Raises:
      ArgumentError: if an argument is not allowed, or the file registers something else.
    """
    _check(claims, arguments)
    require(len(claims) > 0, "claims", claims, "must be what will be judged: one claim at least")
    alone = "root_seed" not in arguments
    require(alone, "root_seed", arguments.get("root_seed"), "must not be given: it will be drawn")
    return write_registration(path, _document(study, claims, arguments))


def _drawn(
    study: Study | Sequence[Study], claims: Sequence[Claim], path: str | os.PathLike | None, beacon: str | None,
    arguments: Mapping[str, Any],
) -> Registration | None:  # fmt: skip
    """The registration that a call names, once it is found to be of that call."""
    require(beacon is None or path is not None, "beacon", beacon, "must not be given without registration")
    if path is None:
        return None
    alone = "root_seed" not in arguments
    require(alone, "root_seed", arguments.get("root_seed"), "must not be given beside registration")
    return registered(path, beacon, _document(study, claims, arguments))


def settle(
    study: Study | Sequence[Study],
    claims: Sequence[Claim],
    *,
    registration: str | os.PathLike | None = None,
    beacon: str | None = None,
    until_decided: bool = False,
    cap: int | None = None,
    **arguments: Any,
) -> Answer:
    """Runs a study and judges claims on it.

    Args:
      study: what to run.
      claims: made with `@jm.claim`.
      registration: a file that `register` wrote of this very call; then seeds are drawn from it and the beacon.
      beacon: public randomness of a moment after the registration, such as "drand 6000000 4f3c...".
      until_decided: whether seeds are added, from `seeds` on, until every piece of every claim is decided: to the cells
        on whose trials an undecided piece rests.
      cap: so many seeds are the most then; by default 1,024, or four times `seeds` where that is more.
      **arguments: as for `run`.

    Returns:
      The `Answer`: it prints its claims, and shows them in a notebook.

    Raises:
      ArgumentError: if an argument is not allowed, or is not what was registered.
      RunError: if the folder cannot be used.
    """
    arguments = {**arguments, "until_decided": until_decided, "cap": cap}
    _check(claims, arguments)
    kept = _drawn(study, claims, registration, beacon, arguments)
    given: dict[str, Any] = {name: arguments.pop(name) for name in _OPTIONS if name in arguments}
    options = RunOptions(**given | ({"root_seed": kept.root_seed} if kept else {}))
    out, undecided = arguments.pop("out", None), functools.partial(undecided_cells, claims) if until_decided else None
    found = _run(_cells(study, **arguments), options, out, undecided)
    if kept is not None:
        keep(found.folder, kept)
    found = found.judged(claims)
    if out is not None:
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
