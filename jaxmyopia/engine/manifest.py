# SPDX-License-Identifier: Apache-2.0
"""What is read from a run's folder as JSON, checked once, where it is read: the manifest, its chunks and their files.

A chunk is named by its cell and its place in it, and so are its files: a name that comes from a file leads nowhere but
to `seeds/` and `curves/` of the same folder.
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from jaxmyopia.checks import RunError
from jaxmyopia.engine.schema import fault

FORMAT = 4  # of a run's folder; 2 is version 0.1's
_STEM = re.compile(r"chunk-(\d{3,9})-(\d{5,9})")
_CURVE = r"[^/\x00-\x1f]{1,200}"  # the name of a curve
_CHECKSUM = re.compile(r"[0-9a-f]{64}")

Files = dict[str, str]  # a chunk's: name -> checksum


class _Cell(TypedDict):
    name: str
    settings: dict[str, bool | int | float | str | None]
    sweep: dict[str, list[bool | int | float]]
    seeds: int
    steps: int
    records: int
    chunks: NotRequired[int]
    control: NotRequired[bool]
    looks: NotRequired[list[int]]
    chunks_of_rounds: NotRequired[list[int]]  # how many there are up to each look


class Rounds(TypedDict):
    """How far a run went that goes on until its claims are decided.

    `of`: how many rounds there may be. `run`: how many were asked for so far. `seeds`: the most that any cell has,
    controls aside, at the end of each of them. `cells`: in how many of them each cell took part, from the first on; the
    table holds the seeds of these. `decided`: whether all claims are. `ended`: whether no more are asked for.
    """

    of: int
    run: int
    seeds: list[int]
    cells: NotRequired[list[int]]  # without it every cell took part in all
    decided: bool
    ended: NotRequired[bool]


class _Config(TypedDict):
    format: int
    cells: NotRequired[list[_Cell]]
    keep_curves: NotRequired[int]
    root_seed: NotRequired[int]
    numerics: NotRequired[dict[str, bool | int | str]]
    experiment: NotRequired[str]
    num_shards: NotRequired[int]
    shard_index: NotRequired[int]


class RegisteredDocument(TypedDict):
    """What a reader needs of a registration; see `jaxmyopia.registration`."""

    format: int
    date: str
    claims: dict[str, dict[str, str]]


class _Registration(TypedDict):
    hash: str
    date: str
    beacon: str
    document: RegisteredDocument


class _Manifest(TypedDict):
    config: _Config
    chunks: NotRequired[dict[str, Files]]
    versions: NotRequired[dict[str, str]]
    compile_seconds: NotRequired[dict[str, int | float]]
    seconds: NotRequired[int | float]
    git: NotRequired[str | None]
    status: NotRequired[str]
    command: NotRequired[str]
    started: NotRequired[str]
    machine: NotRequired[str]
    processor: NotRequired[str]
    devices: NotRequired[list[str]]
    registration: NotRequired[_Registration]
    rounds: NotRequired[Rounds]


class _AnyFormat(TypedDict):
    config: dict[str, object]
    versions: NotRequired[dict[str, object]]


def stem_of(cell: int, chunk: int) -> str:
    """The name of a chunk, by its cell's number and its place in the cell."""
    return f"chunk-{cell:03d}-{chunk:05d}"


def place_of(stem: str) -> tuple[int, int]:
    """The cell and the place of a chunk that `check_chunk` has passed."""
    match = _STEM.fullmatch(stem)
    assert match
    return int(match[1]), int(match[2])


def read_json(path: pathlib.Path, hint: Any, advice: str = "") -> Any:
    """The contents of a JSON file; None if there is none.

    Args:
      path: of the file.
      hint: what it holds; see `schema.fault`.
      advice: what to do about a damaged one, for the message.

    Raises:
      RunError: if it is damaged.
    """
    content = _content(path)
    return None if content is None else _parsed(path, content, hint, advice)


def _content(path: pathlib.Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path} could not be read ({error.strerror})") from None


def _parsed(path: pathlib.Path, content: bytes, hint: Any, advice: str) -> Any:
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except RecursionError:
        damaged(path, "it is nested too deeply", advice)
    except _Repeated as error:
        damaged(path, str(error), advice)
    except ValueError:
        damaged(path, "it is not JSON", advice)
    wrong = fault(value, hint)
    if wrong:
        damaged(path, wrong, advice)
    return value


class _Repeated(ValueError):
    """A JSON object names something twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Repeated(f"it holds {ascii(key)[:60]} twice")
        found[key] = value
    return found


def damaged(path: pathlib.Path, what: str, advice: str = "") -> Any:
    """Raises the RunError of a file that is not what was written, in one line."""
    raise RunError(f"{path} is damaged: {what}{f'; {advice}' if advice else ''}") from None


def read_manifest(folder: str | os.PathLike) -> dict[str, Any]:
    """The manifest of a run's folder, JSON values; empty if it has none. One of another format is read as it is.

    Raises:
      RunError: if it is damaged.
    """
    path = pathlib.Path(folder) / "manifest.json"
    content = _content(path)
    return {} if content is None else _manifest(path, content)


@functools.lru_cache(maxsize=8)  # a reader asks for it often; nobody changes what it is given
def _manifest(path: pathlib.Path, content: bytes) -> dict[str, Any]:
    advice = "choose another folder"
    found = _parsed(path, content, _AnyFormat, advice)
    if found["config"].get("format") != FORMAT:
        return found
    wrong = fault(found, _Manifest) or _first_wrong(found)
    if wrong:
        damaged(path, wrong, advice)
    return found


def _first_wrong(manifest: Mapping[str, Any]) -> str | None:
    for number, cell in enumerate(manifest["config"].get("cells", ())):
        for name, least, most in (("seeds", 1, 2**32), ("steps", 1, 2**31 - 1), ("records", 4, 2**31 - 1)):
            if not least <= cell[name] <= most:
                return f"config.cells.{number}.{name} is {str(cell[name])[:20]}"
        if not all(0 < len(set(values)) == len(values) for values in cell["sweep"].values()):
            return f"config.cells.{number}.sweep holds no value or one twice"
    wrong = _wrong_rounds(manifest["config"].get("cells", ()), manifest.get("rounds"))
    if wrong:
        return wrong
    plan = plan_of(manifest["config"])
    faults = (wrong_chunk(stem, files, plan) for stem, files in manifest.get("chunks", {}).items())
    return next((each for each in faults if each), None)


def _wrong_rounds(cells: Sequence[Mapping[str, Any]], rounds: Rounds | None) -> str | None:
    """What is wrong with the rounds in which cells are run; None if nothing is, or there are none."""
    count = max((len(cell.get("looks", ())) for cell in cells), default=0)
    for number, cell in enumerate(cells):
        for name, end in (("looks", "seeds"), ("chunks_of_rounds", "chunks")):
            told = cell.get(name, [])
            rises = not told or (told == sorted(told) and told[0] >= 1 and told[-1] == cell.get(end))
            if len(told) != count or not rises:
                return f"config.cells.{number}.{name} is {str(told)[:60]}"
    if rounds is None:
        return None
    fine = rounds["of"] == max(count, 1) and 1 <= rounds["run"] <= rounds["of"]
    if not fine or len(rounds["seeds"]) != rounds["run"]:
        return f"rounds is {str(rounds)[:80]}"
    own, run = rounds.get("cells"), rounds["run"]
    fine = own is None or (len(own) == len(cells) and {run} <= set(own) <= set(range(1, run + 1)))
    return None if fine else f"rounds.cells is {str(own)[:60]}"


def looks_of(config: Mapping[str, Any], rounds: Rounds | None, look: int | None = None) -> list[int] | None:
    """How many looks each cell of a run in rounds has had; None where all its chunks count.

    Args:
      config: of the run.
      rounds: how far it went, if anybody has said so.
      look: as it was at this one, by its number from 1 on.
    """
    count = len(config.get("cells", ()))
    if rounds is None:
        return None if look is None else [look] * count
    own = rounds.get("cells") or [rounds["run"]] * count
    return own if look is None else [min(look, each) for each in own]


def plan_of(config: Mapping[str, Any], rounds: Rounds | None = None, look: int | None = None) -> list[int] | None:
    """How many chunks each cell has; None where the configuration does not say.

    Args:
      config: of the run.
      rounds: how far a run in rounds went: those up to its cell's own look; by default all.
      look: as it was at this one, as of `looks_of`.
    """
    cells, looks = config.get("cells", ()), looks_of(config, rounds, look)
    if not cells or not all("chunks" in cell for cell in cells):
        return None
    if looks is None or not all("looks" in cell for cell in cells):
        return [cell["chunks"] for cell in cells]
    return [cell["chunks_of_rounds"][own - 1] for cell, own in zip(cells, looks, strict=True)]


def wrong_chunk(stem: str, files: Files, plan: list[int] | None) -> str | None:
    """What is wrong with a chunk as a manifest or a completion record tells it; None if nothing is.

    Args:
      stem: its name.
      files: names and checksums of its files.
      plan: how many chunks each cell has, if that is known.
    """
    match, shown = _STEM.fullmatch(stem), ascii(stem)[:60]
    if not match or stem != stem_of(int(match[1]), int(match[2])):
        return f"{shown} is no name of a chunk"
    cell, chunk = int(match[1]), int(match[2])
    if plan is not None and not (cell < len(plan) and chunk < plan[cell]):
        return f"{shown} is no chunk of this run"
    names = re.compile(rf"seeds/{stem}\.parquet|curves/{stem}\.{_CURVE}\.(npy|parquet)")
    for name, checksum in files.items():
        if not names.fullmatch(name):
            return f"{ascii(name)[:80]} is no file of {stem}"
        if not _CHECKSUM.fullmatch(checksum):
            return f"the checksum of {ascii(name)[:80]} is none"
    return None if f"seeds/{stem}.parquet" in files else f"{stem} has no rows"


def records(folder: pathlib.Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Files]]:
    """The completion records of a folder that the manifest does not hold yet: each chunk's name, and its files.

    Raises:
      RunError: if one is damaged.
    """
    plan, advice = plan_of(config), "delete it, and the command computes its chunk again"
    for path in sorted((folder / "seeds").glob("chunk-*.json")):
        files = read_json(path, Files, advice)
        wrong = files is not None and wrong_chunk(path.stem, files, plan)
        if wrong:
            damaged(path, wrong, advice)
        if files is not None:
            yield path.stem, files
