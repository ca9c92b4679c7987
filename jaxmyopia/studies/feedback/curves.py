# SPDX-License-Identifier: Apache-2.0
"""Mean curves of a finished run, and where they meet."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmyopia.engine.folder import RunFolder
from jaxmyopia.studies.feedback.claims import LEARNERS
from jaxmyopia.studies.feedback.principle import Principle
from jaxmyopia.studies.feedback.study import Comparisons, answers_after
from jaxmyopia.study import Cell


@dataclasses.dataclass(frozen=True)
class MeanCurve:
    """One learner under one combination of settings, at every record.

    `learner`: a name of `LEARNERS`, or `principle`. `settings`: by name. `answers`, `cos`, `error`, `information`:
    `(T,)`; answers of a principle are bits a coordinate.
    """

    learner: str
    settings: dict[str, float]
    answers: np.ndarray
    cos: np.ndarray
    error: np.ndarray
    information: np.ndarray


def mean_curves(folder: RunFolder, cells: Sequence[Cell]) -> list[MeanCurve]:
    """Reads the mean curves of all cells of a folder, in their order."""
    found = []
    for index, cell in enumerate(cells):
        if not isinstance(cell.study, Comparisons | Principle):
            continue
        cos, spent = folder.sketch(index, "cos"), folder.sketch(index, "information").mean()
        mean, error, names = cos.mean(), cos.standard_error(), [name for name, _ in cell.sweep]
        for place, values in enumerate(cell.combinations):
            settings = {"d": float(cell.study.d)} | dict(zip(names, values, strict=True))
            curve = MeanCurve(
                _name(cell.study, settings), settings, _answers(cell), mean[:, place], error[:, place], spent[:, place]
            )
            found.append(curve)
    return found


def _name(study: Comparisons | Principle, settings: dict[str, float]) -> str:
    if isinstance(study, Principle):
        return "principle"
    kind = "active" if study.pool > 1 else "random", settings["prior"]
    return next(name for name, each in LEARNERS.items() if each == kind)


def _answers(cell: Cell) -> np.ndarray:
    steps = cell.record_steps()
    return answers_after(cell.study.rounds)[steps] if isinstance(cell.study, Comparisons) else steps


def pick(curves: Sequence[MeanCurve], learner: str, **settings: float) -> list[MeanCurve]:
    """The curves of a learner that have these settings."""
    fits = lambda each: all(np.isclose(each.settings[name], value) for name, value in settings.items())
    return [each for each in curves if each.learner == learner and fits(each)]


def meets(answers: np.ndarray, cos: np.ndarray, level: float) -> float:
    """From how many answers on a mean curve stays at a level or above, by straight lines in their logarithm; else inf.

    >>> round(meets(np.array([0, 1, 2, 4, 8]), np.array([0, 0.1, 0.3, 0.5, 0.7]), 0.6), 6)  # half-way in logarithm
    5.656854

    Args:
      answers: `(T,)`, the first 0.
      cos: `(T,)`.
      level: of the cosine.

    Returns:
      The number.
    """
    below = np.flatnonzero(cos < level)
    last = below[-1] if below.size else -1
    if last + 1 >= len(cos):
        return float("inf")
    if last < 1:
        return float(answers[last + 1])
    share = (level - cos[last]) / (cos[last + 1] - cos[last])
    return float(answers[last] * (answers[last + 1] / answers[last]) ** share)
