# SPDX-License-Identifier: Apache-2.0
"""What a run's folder, its claims and its page say of a registration, and whether it is so."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmyopia.claims.claim import Claim
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.engine.manifest import read_json
from jaxmyopia.registration import Document, Registration, changes, drawn, hash_of, of_claim


def keep(folder: RunFolder, registration: Registration) -> None:
    """Puts a registration into the manifest of a finished run."""
    folder.write_json("manifest.json", folder.manifest | {"registration": dataclasses.asdict(registration)})


def told(registration: Mapping[str, Any]) -> dict[str, Any]:
    """A registration without its document, as claims.json tells it."""
    return {name: registration[name] for name in ("hash", "date", "beacon")}


def with_registration(
    folder: RunFolder, entries: Sequence[dict[str, Any]], claims: Sequence[Claim]
) -> list[dict[str, Any]]:
    """Entries of claims.json, each with the registration of its claim: null unless this very claim was registered.

    Args:
      folder: of the run.
      entries: of its claims.
      claims: as they are declared; without, they are those that the folder's claims.json tells already.

    Returns:
      The entries, in their order.

    Raises:
      RunError: if claims.json is damaged.
    """
    kept = folder.manifest.get("registration")
    mine = kept and told(kept)
    if claims or not kept:
        before = kept["document"]["claims"] if kept else {}
        same = {each.id for each in claims if each.id in before and before[each.id].get("digest") == of_claim(each)}
    else:
        stand = read_json(folder.path / "claims.json", list[dict[str, object]]) or []
        same = {str(entry.get("id")) for entry in stand if entry.get("registration") == mine}
    return [entry | {"registration": mine if entry["id"] in same else None} for entry in entries]


def line(entries: Sequence[Mapping[str, Any]]) -> str:
    """Whether the claims of claims.json's entries were registered, in a line: for a page, and for a terminal."""
    found = [entry["registration"] for entry in entries if entry.get("registration")]
    if not found:
        return "not registered"
    first = found[0]
    others = list(dict.fromkeys(str(entry["id"]) for entry in entries if not entry.get("registration")))
    rest = f"; not registered: {', '.join(others)}" if others else ""
    hashed = f"hash {first['hash'][:16]}..."
    return f"registered on {first['date']} ({hashed}), seeds drawn from beacon '{first['beacon']}'{rest}"


def check(folder: RunFolder, now: Document | None) -> tuple[int, int, str, list[str]]:
    """Whether a finished run is what was registered, and drew its seeds from that.

    Args:
      folder: of the run.
      now: the document of what this code makes of the folder.

    Returns:
      How many entries are right, of how many, what they are, and the faults, a line each.

    Raises:
      RunError: if claims.json is damaged.
    """
    kept = folder.manifest.get("registration")
    entries = read_json(folder.path / "claims.json", list[dict[str, object]]) or []
    mine = kept and told(kept)
    wrong = [str(entry.get("id")) for entry in entries if entry.get("registration") not in (None, mine)]
    faults = [f"claims.json, {name}: its registration is not that of manifest.json" for name in dict.fromkeys(wrong)]
    if not kept:
        return 0, 0, "not registered", faults
    document = kept["document"]
    hashed, seed = hash_of(document), drawn(kept["hash"], kept["beacon"])
    if (hashed, document["date"]) != (kept["hash"], kept["date"]):
        faults.append(f"manifest.json, registration: its hash is {kept['hash'][:8]}..., its document's {hashed[:8]}...")
    if folder.config.get("root_seed") != seed:
        faults.append(f"manifest.json: root_seed is {folder.config.get('root_seed')}, drawn was {seed}")
    changed = changes(document, now) if now else []
    of = len(document) + 1  # its entries, the date standing for the hash, and the root seed
    right = of - len({text.partition(":")[0].partition(".")[0] for text in changed}) - len(faults)
    how = f"the root seed as drawn from them and beacon '{kept['beacon']}'"
    faults += [f"manifest.json, registration: {each}" for each in changed]
    return max(right, 0), of, f"entries are as registered on {kept['date']}, {how}", faults
