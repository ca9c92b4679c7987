# SPDX-License-Identifier: Apache-2.0
"""The feedback experiment: comparisons against principles."""

from typing import TYPE_CHECKING

from jaxmyopia.answer import Answer
from jaxmyopia.experiment import Experiment
from jaxmyopia.studies.feedback.claims import CLAIMS
from jaxmyopia.studies.feedback.sweep import PRESETS, Sweep

if TYPE_CHECKING:
    from jaxmyopia.report.page import Report


def _report(answer: Answer, sweep: Sweep) -> "Report":
    from jaxmyopia.studies.feedback.report import report

    return report(answer, sweep)


FEEDBACK = Experiment(
    name="feedback",
    summary="Judges claims about feedback: how much of what a model knows of values do comparisons use, or principles?",
    presets=PRESETS,
    cells=Sweep.cells,
    claims=lambda _: CLAIMS,
    report=_report,
)
