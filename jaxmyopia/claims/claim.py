# SPDX-License-Identifier: Apache-2.0
"""A claim: a sentence, the function of the trials that gives the evidence for it, and its controls."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.claims.conditions import combine, corrected, named, split, summarise, whole
from jaxmyopia.claims.judged import CameOut, ControlResult, Evidence, Judgement
from jaxmyopia.claims.specifications import specifications
from jaxmyopia.stats.table import NoTrials, Trials, require_trials
from jaxmyopia.values import brief

Pieces = Evidence | Sequence[Evidence] | Mapping[str, Evidence]
Ask = Callable[[Trials], Pieces]
_ID = re.compile(r"[\w<][\w.<>-]*")  # in names of files; a function without a name is <lambda>


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that may be judged.

    `id`: in files and flags. `text`: the sentence. `pieces(trials)`: one piece of evidence, or several, in a list or by
    name. `passes`, `fails`: controls by name, such functions of a case in which the claim must be supported, or must
    not. `over`: settings that are averaged; all others in which trials differ make conditions. `details(trials)`: JSON
    values to go with them.
    """

    id: str
    text: str
    pieces: Ask
    passes: Mapping[str, Ask] = dataclasses.field(default_factory=dict)
    fails: Mapping[str, Ask] = dataclasses.field(default_factory=dict)
    over: tuple[str, ...] = ()
    details: Callable[[Trials], dict[str, Any]] | None = None

    def judge(self, trials: Trials) -> Judgement:
        """Judges the claim on a table of trials.

        Args:
          trials: of the whole run; those of cells that are controls are shown to controls alone.

        Returns:
          The `Judgement`: `not judged` where the run does not hold what the claim needs, or a control fails.

        Raises:
          ArgumentError: if the claim gives something that is not evidence, or asks for a column that is none.
        """
        require_trials(trials)
        try:
            evidence, level = self.evidence(trials)
        except NoTrials as error:
            reason = f"the run lacks {error.name}={error.value!r}"
            return Judgement(self.id, self.text, "not judged", reason, f"not judged: {reason}")
        told = whole(evidence)
        verdict, reason = combine(told)
        sentence, conditions = summarise(told, level)
        sentence = sentence if evidence else f"not judged: {reason}"
        controls = tuple(self._controls(trials)) if evidence else ()
        failing = [control.name for control in controls if control.came_out == "failed"]
        if failing:
            verdict, reason = "not judged", f"controls came out wrong: {', '.join(failing)}; {reason}"
            sentence = f"not judged, for a control came out wrong: {', '.join(failing)}"
        details = self._details(trials.main) if evidence else {}
        return Judgement(
            self.id, self.text, verdict, reason, sentence, tuple(evidence), conditions, controls,
            specifications(evidence), details,
        )  # fmt: skip

    def evidence(self, trials: Trials) -> tuple[list[Evidence], float]:
        """The evidence alone, one piece a condition, without controls and what else a judgement holds.

        Args:
          trials: of the whole run.

        Returns:
          The pieces, corrected for their number, and the level of their intervals.

        Raises:
          NoTrials: if the run does not hold what the claim needs.
        """
        return corrected(self._asked(self.pieces, trials.main))

    def _asked(self, ask: Ask, trials: Trials) -> list[Evidence]:
        pieces = self._named(ask(trials))
        settings = {
            name for piece in pieces if piece.asked for name in (*trials.settings, *piece.asked.quantity.definitions)
        }
        for name in self.over if settings else ():
            require(
                name in settings,
                "over",
                name,
                f"must be among what claim {self.id} could average: {', '.join(sorted(settings))}",
            )
        return split(pieces, self.over)

    def _details(self, trials: Trials) -> dict[str, Any]:
        found = self.details(trials) if self.details else {}
        try:
            json.dumps(found)
        except (TypeError, ValueError) as error:
            raise ArgumentError("details", type(found).__name__, f"must give JSON values ({error})") from None
        require(isinstance(found, dict), "details", type(found).__name__, "must give a dict of JSON values by name")
        return found

    def _controls(self, trials: Trials) -> list[ControlResult]:
        """What came of each control; one whose cells the run lacks is left out."""
        found = []
        for must_pass, controls in ((True, self.passes), (False, self.fails)):
            for name, ask in controls.items():
                try:
                    pieces = corrected(self._asked(ask, trials))[0]
                except NoTrials:
                    continue
                verdicts = {piece.name or self.id: piece.verdict for piece in pieces}
                came_out = _came_out(pieces, must_pass=must_pass)
                found.append(ControlResult(f"{name} must {'pass' if must_pass else 'fail'}", came_out, verdicts))
        return found

    def _named(self, found: Pieces) -> list[Evidence]:
        allowed = "must return evidence, such as jm.share(...).above(0.5), a list of it, or a dict of it by name"
        if isinstance(found, Evidence):
            return [dataclasses.replace(found, name=found.name or self.id)]
        require(isinstance(found, Mapping | list | tuple), f"claim {self.id}", type(found).__name__, allowed)
        several = list(found.items()) if isinstance(found, Mapping) else [("", piece) for piece in found]
        for name, piece in several:
            require(isinstance(piece, Evidence), f"claim {self.id}, {name}".strip(", "), type(piece).__name__, allowed)
        pieces = [dataclasses.replace(piece, name=str(name) or piece.name) for name, piece in several]
        told = [(piece.name, piece.condition) for piece in pieces if piece.name]
        for name, condition in told:
            own = "must be the name of one piece alone: what is told twice would count twice"
            require(told.count((name, condition)) == 1, f"claim {self.id}, piece", name, own)
        if len(pieces) == 1:
            return [dataclasses.replace(pieces[0], name=pieces[0].name or self.id)]
        return _all_named(pieces)


def _all_named(pieces: Sequence[Evidence]) -> list[Evidence]:
    """Those without a name are called by their condition, or what they estimate; by their place too, if alike."""
    found = [piece.name or named("", piece.condition) or piece.statistic for piece in pieces]
    return [
        piece if piece.name else piece.at(name if found.count(name) == 1 else f"{name} ({place})")
        for place, (piece, name) in enumerate(zip(pieces, found, strict=True), 1)
    ]


def _came_out(pieces: Sequence[Evidence], *, must_pass: bool) -> CameOut:
    """How a control came out: as a whole, as the claim would be judged."""
    verdict, _ = combine(whole(pieces))
    if not must_pass:
        return "failed" if verdict == "supported" else ("held" if pieces else "undecided")
    few = {piece.verdict for piece in pieces} <= {"supported", "inconclusive"}
    return "held" if verdict == "supported" else ("undecided" if few else "failed")


def claim(
    text: str,
    *,
    id: str | None = None,
    passes: Mapping[str, Ask] | None = None,
    fails: Mapping[str, Ask] | None = None,
    over: Sequence[str] = (),
    details: Callable[[Trials], dict[str, Any]] | None = None,
) -> Callable[[Ask], Claim]:
    """Makes a claim of a function of the trials: `@jm.claim("From a small start, ...")`.

    Args:
      text: the sentence that is claimed.
      id: of the claim; by default the function's name, with hyphens.
      passes: controls by name: functions like the claim's own, of a case in which it must be supported.
      fails: likewise, of a case in which it must not be. A claim whose controls come out wrong has no verdict.
      over: settings that are averaged; the claim is judged at each combination of the others in which trials differ. Of
        a measure's conditions, those named here stay at their main one.
      details: a function of the trials that gives JSON values to be kept beside the evidence.

    Returns:
      A decorator that makes a `Claim`.

    Raises:
      ArgumentError: if the text is empty or what is decorated is no function.
    """
    require(isinstance(text, str) and bool(text.strip()), "text", text, "must be the sentence that is claimed")
    plain = id is None or (isinstance(id, str) and _ID.fullmatch(id) is not None)
    require(plain, "id", id, "must be a name of letters, digits, hyphens, dots and underscores: files are called by it")
    names = isinstance(over, list | tuple) and all(isinstance(each, str) for each in over)
    require(names, "over", over, "must be a list of names of settings")
    for name, controls in (("passes", passes), ("fails", fails)):
        fine = controls is None or (isinstance(controls, Mapping) and all(map(callable, controls.values())))
        require(fine, name, controls, "must be a dict, by name, of functions like the claim's own")

    def declare(pieces: Ask) -> Claim:
        require(callable(pieces), "claim", pieces, "must decorate a function of the trials")
        name = id or getattr(pieces, "__name__", "claim").strip("_").replace("_", "-")
        return Claim(name, text, pieces, passes or {}, fails or {}, tuple(over), details)

    return declare


def require_claims(claims: Sequence[Claim]) -> None:
    """Refuses what is no list of claims, each with an `id` of its own.

    Raises:
      ArgumentError: if it is none.
    """
    require(isinstance(claims, list | tuple), "claims", brief(claims), "must be a list of claims, made with @jm.claim")
    for each in claims:
        require(isinstance(each, Claim), "claims", each, "must be claims, made with @jm.claim")
    ids = [each.id for each in claims]
    for name in ids:
        require(ids.count(name) == 1, "claims", name, "must have ids of their own")


def judge_all(claims: Sequence[Claim], trials: Trials) -> list[Judgement]:
    """Judges claims in turn; no two may have one `id`.

    Raises:
      ArgumentError: if something is no claim, or two have one id.
    """
    require_claims(claims)
    return [each.judge(trials) for each in claims]
