# SPDX-License-Identifier: Apache-2.0
"""A claim: a sentence, and the function of the trials that gives the evidence for it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxmyopia.checks import require
from jaxmyopia.claims.verdicts import Evidence, Judgement, combine
from jaxmyopia.stats.table import NoTrials, Trials

Pieces = Evidence | Mapping[str, Evidence]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that may be judged. `id`: in files and flags. `text`: the sentence. `pieces(trials)`: one piece of
    evidence, or several by name. `details(trials)`: JSON values to go with them."""

    id: str
    text: str
    pieces: Callable[[Trials], Pieces]
    details: Callable[[Trials], dict[str, Any]] | None = None

    def judge(self, trials: Trials) -> Judgement:
        """Judges the claim on a table of trials.

        Args:
          trials: of the whole run.

        Returns:
          The `Judgement`: `not judged` where the run does not hold what the claim needs.

        Raises:
          ArgumentError: if the claim gives something that is not evidence, or asks for a column that is none.
        """
        try:
            found = self.pieces(trials)
        except NoTrials as error:
            return Judgement(self.id, self.text, "not judged", f"the run lacks {error.name}={error.value!r}")
        evidence = tuple(self._named(found))
        verdict, reason = combine(evidence)
        details = self.details(trials) if self.details and evidence else {}
        return Judgement(self.id, self.text, verdict, reason, evidence, details)

    def _named(self, found: Pieces) -> list[Evidence]:
        allowed = "must return evidence, such as jm.share(...).above(0.5), or a dict of it by name"
        several: Any = {self.id: found} if isinstance(found, Evidence) else found
        require(isinstance(several, Mapping), f"claim {self.id}", type(found).__name__, allowed)
        for name, piece in several.items():
            require(isinstance(piece, Evidence), f"claim {self.id}, {name}", type(piece).__name__, allowed)
        return [dataclasses.replace(piece, name=str(name)) for name, piece in several.items()]


def claim(
    text: str, *, id: str | None = None, details: Callable[[Trials], dict[str, Any]] | None = None
) -> Callable[[Callable[[Trials], Pieces]], Claim]:
    """Makes a claim of a function of the trials: `@jm.claim("From a small start, ...")`.

    Args:
      text: the sentence that is claimed.
      id: of the claim; by default the function's name, with hyphens.
      details: a function of the trials that gives JSON values to be kept beside the evidence.

    Returns:
      A decorator that makes a `Claim`.

    Raises:
      ArgumentError: if the text is empty or what is decorated is no function.
    """
    require(isinstance(text, str) and bool(text.strip()), "text", text, "must be the sentence that is claimed")

    def declare(pieces: Callable[[Trials], Pieces]) -> Claim:
        require(callable(pieces), "claim", pieces, "must decorate a function of the trials")
        name = id or getattr(pieces, "__name__", "claim").strip("_").replace("_", "-")
        return Claim(name, text, pieces, details)

    return declare


def judge_all(claims: Sequence[Claim], trials: Trials) -> list[Judgement]:
    """Judges claims in turn; no two may have one `id`.

    Raises:
      ArgumentError: if something is no claim, or two have one id.
    """
    for each in claims:
        require(isinstance(each, Claim), "claims", each, "must be claims, made with @jm.claim")
    ids = [each.id for each in claims]
    for name in ids:
        require(ids.count(name) == 1, "claims", name, "must have ids of their own")
    return [each.judge(trials) for each in claims]
