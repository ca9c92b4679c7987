# SPDX-License-Identifier: Apache-2.0
"""The myopia experiment: the epoch environment, and its two companions, the dilemma and the neutrality study."""

import dataclasses
from collections.abc import Sequence

from jaxmyopia.checks import require_one_of
from jaxmyopia.claims.verdicts import Claim
from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.dilemma import sweep as dilemma
from jaxmyopia.studies.dilemma.claims import judge_companions
from jaxmyopia.studies.epochs import sweep as epochs
from jaxmyopia.studies.epochs.claims import judge_claims
from jaxmyopia.studies.epochs.report import FinishedMyopia, write_report
from jaxmyopia.study import Cell

SECTIONS = ("epochs", "dilemma", "neutrality")


@dataclasses.dataclass(frozen=True)
class Sweep(epochs.Sweep):
    """What a run of the myopia experiment is; each field is a flag. Raises ArgumentError if one is not allowed."""

    sections: tuple[str, ...] = flag(SECTIONS, "What is run: epochs, dilemma, neutrality.")
    companions: dilemma.Companions = dataclasses.field(default_factory=dilemma.Companions)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.sections:
            require_one_of("sections", name, SECTIONS)

    def cells(self) -> list[Cell]:
        """The cells of the sections asked for, in their order, `(cells,)`."""
        made = {
            "epochs": super().cells,
            "dilemma": self.companions.dilemma_cells,
            "neutrality": self.companions.neutrality_cells,
        }
        return [cell for name in self.sections for cell in made[name]()]


def _with(sweep: epochs.Sweep, companions: dilemma.Companions) -> Sweep:
    own = {field.name: getattr(sweep, field.name) for field in dataclasses.fields(sweep)}
    return Sweep(**own, companions=companions)


PRESETS = {name: _with(sweep, dilemma.PRESETS[name]) for name, sweep in epochs.PRESETS.items()}


def judge(trials: Trials, sweep: Sweep) -> list[Claim]:
    """Judges the claims of the epoch environment, then those of its companions."""
    return judge_claims(trials, sweep.thresholds) + judge_companions(trials)


def report(folder: RunFolder, cells: Sequence[Cell], sweep: Sweep, claims: Sequence[Claim]) -> None:
    """Draws the figures and writes the page."""
    write_report(FinishedMyopia(folder=folder, cells=cells, sweep=sweep), claims)


MYOPIA = Experiment(
    name="myopia",
    summary="Judges claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and "
    "stop?",
    notes="Two minutes on two cores; with --preset=full half an hour or more.",
    presets=PRESETS,
    cells=Sweep.cells,
    judge=judge,
    report=report,
)
