# SPDX-License-Identifier: Apache-2.0
"""A run in rounds, which goes on until its claims are decided: how many seeds there are at each look, and of whom.

The looks are fixed before the run, by the seeds to begin with and the cap alone: each has about half as many seeds
again as the one before, so that few seeds are run in vain, and seven looks take a run from 64 seeds to 1,024. A cell
takes part for as long as something undecided rests on its trials.
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxmyopia.checks import require
from jaxmyopia.engine.chunk import chunks_of_rounds
from jaxmyopia.engine.manifest import Rounds, looks_of
from jaxmyopia.study import Cell, Grid

CAP = 1024  # seeds, by default
_MOST = 2**32
Pair = tuple[int, int]  # a cell's number and a chunk's


def looks(seeds: int, cap: int | None = None) -> tuple[int, ...]:
    """How many seeds there are at each look.

    >>> looks(64), looks(12, 40)
    ((64, 128, 192, 320, 512, 768, 1024), (12, 24, 40))

    Args:
      seeds: at the first.
      cap: at the last; by default 1,024, or four times the first where that is more.

    Returns:
      The numbers, rising: each about half more than the one before, a multiple of 64; of 8 where the first is below 64.

    Raises:
      ArgumentError: if the cap is below the seeds to begin with.
    """
    most = max(CAP, 4 * seeds) if cap is None else cap
    fine = isinstance(most, int) and not isinstance(most, bool) and seeds <= most <= _MOST
    require(fine, "cap", cap, f"must be a whole number from {seeds}, the seeds to begin with, to {_MOST}")
    found = [seeds]
    while found[-1] < most:
        found.append(min(_rounded(1.5 * found[-1], seeds), most))
    return tuple(found)


def _rounded(number: float, seeds: int) -> int:
    """Up to a multiple that suits so many seeds to begin with."""
    unit = 64 if seeds >= 64 else 8
    return math.ceil(number / unit) * unit


def in_rounds(cells: Sequence[Cell], cap: int | None = None) -> list[Cell]:
    """Cells as they are run until their claims are decided, all with the same number of looks.

    A cell with fewer seeds than another keeps its share: at each look it has as many seeds in proportion, rounded up.

    Args:
      cells: with the seeds to begin with.
      cap: of the cell with most seeds; see `looks`.

    Returns:
      The cells, with their looks, and the seeds of the last.

    Raises:
      ArgumentError: if the cap is below the seeds to begin with.
    """
    most = max((cell.seeds for cell in cells), default=1)
    every = looks(most, cap)
    return [_with_looks(cell, [-(-seeds * cell.seeds // most) for seeds in every]) for cell in cells]


def _with_looks(cell: Cell, seeds: Sequence[int]) -> Cell:
    last = seeds[-1]
    found = (seeds[0], *(min(_rounded(each, cell.seeds), last) for each in seeds[1:]))
    return dataclasses.replace(cell, seeds=last, looks=found)


def as_planned(cells: Sequence[Cell], config: Mapping[str, Any]) -> list[Cell]:
    """Cells in rounds, where a run's configuration has them so; as they are where they have looks, or it has none.

    Args:
      cells: with the seeds to begin with.
      config: of the run's folder.

    Returns:
      The cells.

    Raises:
      ArgumentError: if the run's cap is below the seeds to begin with.
    """
    planned = config.get("cells", ())
    if not any("looks" in cell for cell in planned) or any(cell.looks for cell in cells):
        return list(cells)
    return in_rounds(cells, max(cell["seeds"] for cell in planned))


def pairs_of_rounds(cells: Sequence[Cell]) -> list[list[Pair]]:
    """The chunks of each round, in the order of cells; all of them in one where there are no looks."""
    found: list[list[Pair]] = [[] for _ in range(max((len(cell.rounds) for cell in cells), default=1))]
    for number, cell in enumerate(cells):
        ends = itertools.pairwise([0, *chunks_of_rounds(cell)])
        for pairs, (start, end) in zip(found, ends, strict=False):
            pairs += [(number, chunk) for chunk in range(start, end)]
    return found


def next_looks(cells: Sequence[Grid], own: Sequence[int], undecided: Collection[int]) -> list[int]:
    """How many looks each cell has once there was another: one more while something undecided rests on its trials.

    Cells of controls have the first alone, for no verdict waits for them.

    Args:
      cells: with all their looks.
      own: how many each has had so far.
      undecided: the numbers of the cells whose trials an undecided piece takes.

    Returns:
      The numbers; those before where the run ends.
    """
    last = max(own)

    def goes_on(number: int, cell: Grid) -> bool:
        # What a look has passed by stays closed: so a cell's chunks are the first of its plan, and one number, of its
        # own looks, says which of them there were at every look.
        has_next = own[number] == last < len(cell.rounds)
        return has_next and number in undecided and not cell.control

    return [own[number] + goes_on(number, cell) for number, cell in enumerate(cells)]


def rounds_of(cells: Sequence[Grid], own: Sequence[int], *, decided: bool = False, ended: bool = False) -> Rounds:
    """What the manifest says of the rounds of cells, `own` of which each was asked for so far."""
    every, run = [cell.looks or (cell.seeds,) for cell in cells], max(own)
    counted = [number for number, cell in enumerate(cells) if not cell.control] or range(len(cells))
    at = lambda look: max(every[number][min(look, own[number]) - 1] for number in counted)
    seeds = [at(look) for look in range(1, run + 1)]
    return {
        "of": len(every[0]), "run": run, "seeds": seeds, "cells": list(own), "decided": decided, "ended": ended,
    }  # fmt: skip


def told(manifest: Mapping[str, Any]) -> str:
    """After how many seeds a run was decided, in words; empty where it was not to go on until then."""
    rounds = manifest.get("rounds")
    if not rounds:
        return ""
    cells = manifest["config"].get("cells", ())
    own = [each for each, cell in zip(looks_of(manifest["config"], rounds) or (), cells, strict=True)
           if not cell.get("control")]  # fmt: skip
    fewer = sum(each < rounds["run"] for each in own)
    seeds = f"{rounds['seeds'][-1]:,} seeds" + (f" ({fewer} of {len(own)} cells needed fewer)" if fewer else "")
    if rounds["decided"]:
        return f"decided after {seeds}"
    if rounds["run"] == rounds["of"]:
        return f"not decided by the cap of {seeds}"
    return f"not decided {'after' if rounds.get('ended') else 'before'} {seeds}"
