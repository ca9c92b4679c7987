# SPDX-License-Identifier: Apache-2.0
"""The interpretability experiment: how much of what a model does can be understood?"""

from typing import TYPE_CHECKING

from jaxmyopia.answer import Answer
from jaxmyopia.experiment import Experiment
from jaxmyopia.studies.superposition import claims
from jaxmyopia.studies.superposition.sweep import PRESETS, Sweep

if TYPE_CHECKING:
    from jaxmyopia.report.page import Report


def report(answer: Answer, sweep: Sweep) -> "Report":
    """What the page shows besides the claims."""
    from jaxmyopia.report.page import Report
    from jaxmyopia.studies.superposition import report as superposition_report
    from jaxmyopia.studies.superposition.panels import PANELS

    figures = superposition_report.draw(answer)
    rows, notes = superposition_report.rows_of(answer), [superposition_report.note(sweep)]
    return Report("Superposition, and how much can be understood", figures, rows, notes, PANELS)


INTERPRETABILITY = Experiment(
    name="interpretability",
    summary="Judges claims about superposition: does the capability that can be understood have a valley and a peak?",
    notes="With --preset=full 64 seeds a point, and 4,096 of polygons.",
    presets=PRESETS,
    cells=Sweep.cells,
    claims=lambda sweep: claims.make_claims(),
    report=report,
)
