# SPDX-License-Identifier: Apache-2.0
"""An experiment: a question with its presets, the cells that are run for it, its claims, and how it is shown."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxmyopia import flags
from jaxmyopia.checks import require_one_of
from jaxmyopia.claims import Claim, Judgement, judge_all
from jaxmyopia.claims.sequential import undecided_cells
from jaxmyopia.registration import Document, document
from jaxmyopia.stats.table import Trials
from jaxmyopia.study import Cell

if TYPE_CHECKING:
    from jaxmyopia.answer import Answer
    from jaxmyopia.report.page import Report


def _nothing(base: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    del base, given
    return {}


def _together(sweep: Any) -> Sequence[dict[str, object]]:
    del sweep
    return [{}]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question, and all that a binary needs to answer it.

    `name`, `summary`: of the question, in a word and in one line; `notes`: more for `--help`. `presets`: sweeps by
    name, the first is the default; a sweep is a frozen dataclass whose fields are the flags. `cells`: what a sweep
    runs. `claims`: what is claimed of it; without, the run's folder is all there is. `report`: what the page shows
    besides; by default the curves. `apart`: the settings apart from each other of which claims are judged, main ones
    first. `implied`: fields that follow from a preset and those given.
    """

    name: str
    summary: str
    presets: Mapping[str, Any]
    cells: Callable[[Any], Sequence[Cell]]
    claims: Callable[[Any], Sequence[Claim]] | None = None
    report: "Callable[[Answer, Any], Report] | None" = None
    apart: Callable[[Any], Sequence[dict[str, object]]] = _together
    implied: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] = _nothing
    notes: str = ""

    def judge(self, trials: Trials, sweep: Any) -> list[tuple[dict[str, object], list[Judgement]]]:
        """Judges the claims on a run's table: for each of `apart`, what tells it apart and the claims judged on it."""
        claims = self.claims(sweep) if self.claims else []
        return [(where, judge_all(claims, trials.narrowed(**where))) for where in self.apart(sweep)]

    def document(self, sweep: Any, cells: Sequence[Cell], numerics: Mapping[str, Any]) -> Document:
        """What is registered of a sweep and its cells; `numerics` as of `engine.identity.numerics`."""
        claims, settings = self.claims(sweep) if self.claims else [], dataclasses.asdict(sweep)
        return document(self.name, cells, claims, numerics, settings=settings, apart=self.apart(sweep))

    def undecided_cells(self, trials: Trials, sweep: Any) -> frozenset[int]:
        """The cells of a run's table on whose trials an undecided piece of a claim rests, over all of `apart`."""
        claims = self.claims(sweep) if self.claims else []
        found = (undecided_cells(claims, trials.narrowed(**where)) for where in self.apart(sweep))
        return frozenset().union(*found)

    @property
    def sweep_type(self) -> type:
        """The dataclass whose fields are the flags."""
        return type(next(iter(self.presets.values())))

    def resolve(self, preset: str, given: Mapping[str, Any]) -> Any:
        """A preset with what was given put in its place.

        Args:
          preset: a name of `presets`.
          given: fields of the sweep, and of dataclasses nested in it.

        Returns:
          The sweep.

        Raises:
          ArgumentError: if the preset is unknown or a value is not allowed.
        """
        require_one_of("preset", preset, self.presets)
        base = self.presets[preset]
        resolved = flags.replace(base, {**self.implied(base, given), **given})
        flags.refuse_idle(resolved, given)
        return resolved
