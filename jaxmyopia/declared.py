# SPDX-License-Identifier: Apache-2.0
"""What the code says of a run that lies in a folder: the package's own experiment, a program's, or cells in hand."""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jaxmyopia import flags
from jaxmyopia.checks import ArgumentError, RunError, require, user_path
from jaxmyopia.claims import Claim, judge_all
from jaxmyopia.claims.sequential import undecided_cells
from jaxmyopia.claims.text import claims_json
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.rounds import as_planned
from jaxmyopia.experiment import Experiment
from jaxmyopia.registration import Document, document
from jaxmyopia.replay import IN_PYTHON
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.registry import EXPERIMENTS
from jaxmyopia.study import Cell


@dataclasses.dataclass(frozen=True)
class Declared:
    """What the code says of a run: its `cells`; the `document` that it would register; `entries(trials)` of
    claims.json, and `undecided(trials)`, the cells of a run in rounds that need more seeds; None where nothing is
    claimed."""

    cells: Sequence[Cell]
    document: Callable[[], Document]
    entries: Callable[[Trials], list[dict[str, object]]] | None = None
    undecided: Callable[[Trials], Collection[int]] | None = None

    @classmethod
    def of(cls, folder: RunFolder, cells: Sequence[Cell], claims: Sequence[Claim]) -> "Declared":
        """By cells and claims in hand; without claims none is judged."""
        name, numerics = str(folder.config.get("experiment")), folder.config["numerics"]
        settings: dict[str, object] | None = {} if name == IN_PYTHON else None
        entries = lambda trials: claims_json(judge_all(claims, trials))
        about = lambda: document(name, cells, claims or None, numerics, settings=settings)
        return cls(cells, about, entries, functools.partial(undecided_cells, claims)) if claims else cls(cells, about)

    @classmethod
    def by(cls, experiment: Experiment, config: Mapping[str, Any], given: Mapping[str, Any]) -> "Declared":
        """By an experiment, at the settings that a folder tells, those `given` in their place."""
        try:
            sweep: Any = flags.replace(flags.rebuilt(experiment.sweep_type, config), given)
            cells = as_planned(experiment.cells(sweep), config)
        except (ArgumentError, TypeError, ValueError) as error:
            raise RunError(f"manifest.json: its settings are none of {experiment.name}'s ({error})") from None

        def entries(trials: Trials) -> list[dict[str, object]]:
            judged = experiment.judge(trials, sweep)
            return [entry for where, each in judged for entry in claims_json(each, **where)]

        about = lambda: experiment.document(sweep, cells, config["numerics"])
        undecided = functools.partial(experiment.undecided_cells, sweep=sweep)
        return cls(cells, about, entries, undecided) if experiment.claims else cls(cells, about)


def opened(path: str | os.PathLike) -> RunFolder:
    """The folder of a completed run.

    Raises:
      ArgumentError: if it is none.
      RunError: if it is not completed.
    """
    folder = RunFolder.existing(user_path("folder", path))
    status = folder.manifest.get("status")
    what = "a shard: merge all of them first" if status == "complete shard" else f"not completed (status: {status})"
    if status != "complete":
        raise RunError(f"{folder.path} is {what}")
    return folder


def registered(folder: RunFolder) -> Declared:
    """What this package's own experiment says of a folder.

    Raises:
      ArgumentError: if it is none of them; the message says what to do.
    """
    name, typed = folder.config.get("experiment"), folder.manifest.get("command", "")
    how = f"give its own command, {re.split(r' --', typed)[0]}, with --out={folder.path} and --verify or --replay_seed"
    how = (
        "the answer of jm.run or jm.settle with this folder as out= has verify() and replay()"
        if name == IN_PYTHON
        else how
    )
    require(name in EXPERIMENTS, "folder", str(folder.path), f"must be of an experiment of this package; {how}")
    return Declared.by(EXPERIMENTS[str(name)](), folder.config, {})
