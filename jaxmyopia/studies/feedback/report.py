# SPDX-License-Identifier: Apache-2.0
"""The report of the feedback experiment: which figures, what to see in them, and the page."""

from jaxmyopia.answer import Answer
from jaxmyopia.report.figures import Caption, Drawable
from jaxmyopia.report.page import Report
from jaxmyopia.studies.feedback import figures
from jaxmyopia.studies.feedback.sweep import Sweep

_NOTE = (
    "A model knows a k-dimensional subspace in which a human's values w in R^d mostly lie. Comparisons are "
    "answered with the sharpness s; sigma is w's length outside the subspace over that inside. Seeds are paired: "
    "seed i has the same values under every learner, and the same answers under every prior."
)
_COSINES = Caption(
    "cosines",
    "How near a learner comes, against what its answers tell",
    "Mean cosine between w and what was learned, over bits charged as I(y; w) an answer, or a principle's code. A row "
    "a sigma, a column a sharpness, of the largest d and the least k; bands are 95 % intervals. Dotted: what is left "
    "outside the subspace, 1/sqrt(1 + sigma^2); dashed: theory of comparisons without a prior, 1 - cos^2 = (d - 1) / "
    "(N I).",
)
_CROSSOVER = Caption(
    "crossover",
    "From how many answers on comparisons are ahead of a whole principle",
    "Mean cosines of learners without a prior, with a soft prior and with chosen comparisons meet that of a principle, "
    "right subspace. The line is theory for no prior, N = (d - 1) / (I sigma^2); triangles on the upper edge: not in "
    "the answers that were asked.",
)
_WRONG = Caption(
    "wrong_subspace",
    "A subspace that is wrong: who is ahead",
    "Cosine of a learner minus that of a whole principle from a subspace tilted by so many degrees, mean over seeds, "
    "after so many answers. Blue: comparisons are ahead.",
)


def report(answer: Answer, sweep: Sweep) -> Report:
    """What the page shows besides the claims."""
    del sweep
    drawn: dict[Caption, Drawable] = {
        _COSINES: lambda: figures.cosines(answer.folder, answer.studies),
        _CROSSOVER: lambda: figures.crossover(answer.folder, answer.studies),
        _WRONG: lambda: figures.wrong_subspace(answer.trials),
    }
    return Report("How much of what a model knows does its feedback use?", drawn, notes=[_NOTE])
