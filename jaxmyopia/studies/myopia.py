# SPDX-License-Identifier: Apache-2.0
"""The myopia experiment: the epoch environment, and its two companions, the dilemma and the neutrality study."""

import dataclasses
import itertools
from typing import TYPE_CHECKING, ClassVar

from jaxmyopia.answer import Answer
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.claims import Claim
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import When, flag, has, only
from jaxmyopia.studies.dilemma import claims as dilemma_claims
from jaxmyopia.studies.dilemma import sweep as dilemma_sweep
from jaxmyopia.studies.epochs import claims as epochs_claims
from jaxmyopia.studies.epochs import sweep as epochs
from jaxmyopia.studies.neutrality import claims as neutrality_claims
from jaxmyopia.studies.neutrality import sweep as neutrality_sweep
from jaxmyopia.study import Cell

if TYPE_CHECKING:
    from jaxmyopia.report.page import Report

SECTIONS = ("epochs", "dilemma", "neutrality")
_COMPANIONS = "The dilemma and the gridworld are companions, with predictions of their own."


@dataclasses.dataclass(frozen=True)
class Sweep(epochs.Sweep):
    """What a run of the myopia experiment is; each field is a flag. Raises ArgumentError if one is not allowed."""

    sections: tuple[str, ...] = flag(SECTIONS, "What is run: epochs, dilemma, neutrality.")
    dilemma: dilemma_sweep.Sweep = dataclasses.field(
        default_factory=dilemma_sweep.Sweep, metadata=only(has("sections", "dilemma"))
    )
    neutrality: neutrality_sweep.Sweep = dataclasses.field(
        default_factory=neutrality_sweep.Sweep, metadata=only(has("sections", "neutrality"))
    )
    inherited: ClassVar[When] = has("sections", "epochs")

    def __post_init__(self) -> None:
        super().__post_init__()
        alike = len(set(self.sections)) < len(self.sections)
        require(bool(self.sections) and not alike, "sections", self.sections, "must be a list without repeats")
        for name in self.sections:
            require_one_of("sections", name, SECTIONS)

    def cells(self) -> list[Cell]:
        """The cells of the sections asked for, in their order."""
        made = {"epochs": super().cells, "dilemma": self.dilemma.cells, "neutrality": self.neutrality.cells}
        return list(itertools.chain.from_iterable(made[name]() for name in self.sections))

    def claims(self) -> list[Claim]:
        """Those of the epoch environment, then those of its companions."""
        return [
            *epochs_claims.make_claims(self.thresholds),
            *dilemma_claims.make_claims(self.dilemma.dilemma_steps),
            *neutrality_claims.CLAIMS,
        ]


def _preset(name: str) -> Sweep:
    base = epochs.PRESETS[name]
    own = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    return Sweep(**own, dilemma=dilemma_sweep.PRESETS[name], neutrality=neutrality_sweep.PRESETS[name])


def report(answer: Answer, sweep: Sweep) -> "Report":
    """What the page shows besides the claims."""
    from jaxmyopia.report.figures import Caption, Drawable
    from jaxmyopia.report.page import Report
    from jaxmyopia.studies.dilemma import figures as dilemma_figures
    from jaxmyopia.studies.epochs import report as epochs_report
    from jaxmyopia.studies.epochs.finished import FinishedMyopia
    from jaxmyopia.studies.epochs.panels import PANELS
    from jaxmyopia.studies.epochs.params import NAMES
    from jaxmyopia.studies.neutrality import figures as neutrality_figures

    run = FinishedMyopia(folder=answer.folder, cells=answer.studies, table=answer.trials, sweep=sweep)
    figures: dict[Caption, Drawable] = {**epochs_report.draw(run)}
    figures |= dilemma_figures.draw(answer.folder, answer.studies)
    figures |= neutrality_figures.draw(answer.trials, answer.studies)
    notes = [f"{epochs_report.note(sweep)} {_COMPANIONS}"]
    return Report("Myopia by epoch and shutdown", figures, epochs_report.rows_of(run), notes, PANELS, NAMES)


MYOPIA = Experiment(
    name="myopia",
    summary="Judges claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and "
    "stop?",
    notes="A minute and a half on two cores; with --preset=full less than half an hour.",
    presets={name: _preset(name) for name in epochs.PRESETS},
    cells=Sweep.cells,
    claims=Sweep.claims,
    report=report,
)
