# SPDX-License-Identifier: Apache-2.0
"""Registration: what will be run and judged, written down and hashed before there is a seed to run it on.

  hash       SHA-256 of the document, as JSON with sorted keys and without spaces
  root seed  the first 64 bits of SHA-256 of: the hash in hexadecimal, a line feed, the beacon

The document tells the claims, the studies and the rules by their sources, the cells and the settings by their values;
nothing of the machine. The beacon is public randomness of a later moment: who registers cannot know it, and who has
seen it cannot register.
"""

import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, TypedDict

from jaxmyopia.checks import require, user_path
from jaxmyopia.claims.claim import Claim
from jaxmyopia.engine.files import atomic, differences, json_value, make_folder
from jaxmyopia.engine.identity import plan_of
from jaxmyopia.engine.manifest import RegisteredDocument, damaged, read_json
from jaxmyopia.sources import digest
from jaxmyopia.study import Cell, Study

FORMAT = 1  # of a registration
# Modules whose source is the rules: what makes a verdict of a table.
RULES = tuple(
    f"jaxmyopia.{package}.{name}"
    for package, names in {
        "claims": (
            "along", "asked", "choosing", "claim", "conditions", "controls", "evidence", "joint", "judged", "quantity",
            "regions", "sequential", "sides", "specifications", "verdicts",
        ),
        "stats": (
            "bands", "betting", "decisions", "estimates", "intervals", "pairs", "sequences", "sketch", "table",
        ),
    }.items()
    for name in names
)  # fmt: skip
# Of what decides the arithmetic, that which is by choice and not by machine.
_CHOSEN = ("matmul_precision", "x64", "prng", "threefry_partitionable", "random_seed_offset")
_DIGITS = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
_SHOWN = 3  # differences in a message

Document = dict[str, Any]


class _File(TypedDict):
    hash: str
    document: RegisteredDocument


@functools.cache
def rules() -> dict[str, str]:
    """The SHA-256 of the source of each module of `RULES`."""
    top = resources.files("jaxmyopia")
    paths = {name: "/".join(name.split(".")[1:]) + ".py" for name in RULES}
    texts = {name: top.joinpath(path).read_text(encoding="utf-8") for name, path in paths.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def document(
    experiment: str,
    cells: Sequence[Cell],
    claims: Sequence[Claim] | None,
    numerics: Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None,
    apart: Sequence[Mapping[str, object]] = (),
) -> Document:
    """What is registered, but for the date.

    Args:
      experiment: its name.
      cells: what is run.
      claims: what is claimed of it; None where nobody knows.
      numerics: as of `engine.identity.numerics`.
      settings: resolved, JSON values; None where nobody knows.
      apart: the settings apart from each other of which claims are judged.

    Returns:
      JSON values, the same in every process and on every machine.
    """
    made: Document = {
        "format": FORMAT,
        "jaxmyopia": importlib.metadata.version("jaxmyopia"),
        "experiment": experiment,
        "claims": None if claims is None else {each.id: _claim(each) for each in claims},
        "apart": [dict(each) for each in apart],
        "settings": None if settings is None else dict(settings),
        "cells": [{name: value for name, value in plan_of(cell).items() if name != "chunks"} for cell in cells],
        "numerics": {name: numerics.get(name) for name in _CHOSEN},
        "studies": _studies(cells),
        "rules": rules(),
    }
    return json.loads(json.dumps(json_value(made)))


def _claim(claim: Claim) -> dict[str, str]:
    return {"text": claim.text, "digest": of_claim(claim)}


def of_claim(claim: Claim) -> str:
    """The SHA-256 of all that a claim is: sentence, functions, controls, and what they refer to; rules aside."""
    functions = [claim.pieces, *claim.passes.values(), *claim.fails.values()]
    return digest(claim, of=functions, known=RULES)


def _studies(cells: Sequence[Cell]) -> dict[str, str]:
    """The SHA-256 of the sources of each study, its measures, and the functions that its fields hold."""
    found: dict[type[Study], list[Any]] = {}
    for cell in cells:
        study = cell.study
        fields = [getattr(study, each.name) for each in dataclasses.fields(study)]
        measured = [each.fn for each in (*study.standard, *study.measures)]
        found.setdefault(type(study), []).extend(each for each in (*fields, *measured) if callable(each))
    told = {}
    for cls, functions in found.items():
        several = [cls, *{id(each): each for each in functions}.values()]
        told[cls.__qualname__] = digest(several, of=several, known=RULES)
    return told


def hash_of(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a registration's document, in hexadecimal."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def drawn(hashed: str, beacon: str) -> int:
    """The root seed, 64 bits, that follows from a registration's hash and a beacon."""
    return int.from_bytes(hashlib.sha256(f"{hashed}\n{beacon}".encode()).digest()[:8], "big")


@dataclasses.dataclass(frozen=True)
class Registration:
    """What was registered, and the beacon from which, with its hash, the root seed is drawn."""

    hash: str
    date: str
    beacon: str
    document: Document

    @property
    def root_seed(self) -> int:
        """Of every seed's key, 64 bits."""
        return drawn(self.hash, self.beacon)


def register(path: str | os.PathLike, document: Document) -> str:
    """Writes a registration; one that stands and says the same stays as it is.

    Args:
      path: the file to write.
      document: as of `document`.

    Returns:
      The hash.

    Raises:
      ArgumentError: if the file is there and says something else, or cannot be written.
      RunError: if it is there and is damaged.
    """
    target = user_path("register", path)
    if target.exists():
        hashed, before = _read(target)
        _require_same("register", path, before, document, "choose another file")
        return hashed
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    dated = document | {"date": now}
    hashed = hash_of(dated)
    try:
        make_folder(target.parent)
        with atomic(target) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps({"hash": hashed, "document": dated}, indent=1) + "\n")
    except OSError as error:
        require(False, "register", str(path), f"must be a file that can be written ({error.strerror})")
    return hashed


def registered(path: str | os.PathLike, beacon: str | None, document: Document) -> Registration:
    """Reads a registration, and refuses it unless it is of what is about to be run and judged.

    Args:
      path: of the file.
      beacon: public randomness of a moment after the registration, one line of text.
      document: of what is about to be run, as of `document`.

    Returns:
      The `Registration`.

    Raises:
      ArgumentError: if there is no file or no beacon, or something has changed: the message names what.
      RunError: if the file is damaged or was edited.
    """
    fine = isinstance(beacon, str) and beacon.isprintable() and beacon.strip() == beacon != ""
    require(fine, "beacon", beacon, "must be one line of text without spaces around it: a public random value, as told")
    place = user_path("registration", path)
    require(place.is_file(), "registration", str(path), "must be a file that --register or jm.register wrote")
    hashed, kept = _read(place)
    _require_same("registration", path, kept, document, "run what was registered, or register anew")
    return Registration(hashed, str(kept["date"]), str(beacon), kept)


def _read(path: Any) -> tuple[str, Document]:
    found = read_json(path, _File)
    kept = found["document"]
    if hash_of(kept) != found["hash"]:
        damaged(path, "its hash is not that of its document", "somebody has edited it, or a part is lost")
    if kept["format"] != FORMAT:
        damaged(path, f"it is of format {kept['format']}, and this version reads format {FORMAT}")
    return str(found["hash"]), kept


def _require_same(name: str, path: object, kept: Document, now: Document, advice: str) -> None:
    found = changes(kept, now)
    shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    require(not found, name, str(path), f"it registers something else ({shown}); {advice}")


def changes(kept: Document, now: Document) -> list[str]:
    """In what a document differs from one that was registered, a few words each; what nobody knows is passed over."""
    known = {name for name, value in now.items() if value is not None} | (kept.keys() - now.keys() - {"date"})
    before, after = ({name: each.get(name) for name in known} for each in (kept, now))
    found = [_DIGITS.sub(r"\1...", text) for text in differences(before, after)]

    def place(text: str) -> tuple[bool, int]:
        path = text.partition(":")[0]
        return path.startswith(("studies.", "rules.")) or path.endswith(".program"), path.count(".")

    return sorted(found, key=place)
