# SPDX-License-Identifier: Apache-2.0
"""The report of the interpretability experiment: which figures, what to see in them, and the page."""

import functools

from jaxmyopia.answer import Answer
from jaxmyopia.report.figures import Caption, Drawable
from jaxmyopia.studies.superposition import figures, neuron_figures
from jaxmyopia.studies.superposition.figures import FinishedSuperposition
from jaxmyopia.studies.superposition.sweep import Sweep
from jaxmyopia.study import Scalar

_CAPTIONS = {
    caption.name: caption
    for caption in (
        Caption(
            "capacity",
            "How much can be understood, over capacity",
            "Above: capability (share of the variance explained) and what is left of it when all is ablated but the "
            "features understood. Below: the second over the first. Bands hold at all capacities at once with 95 %; "
            "a fraction is drawn where capability is at least 0.02. Spans: importance of the first feature over the "
            "last.",
        ),
        Caption(
            "geometries",
            "Features in two dimensions",
            "Kept models of seed 0. Above: the columns of W, a stroke a feature. Below: W^T W, blue where features "
            "share a direction, red where they are opposed.",
        ),
        Caption(
            "phases",
            "Two features, one dimension",
            "Share of seeds that end with both features in the one dimension, antipodal, rather than with the more "
            "important one alone.",
        ),
        Caption(
            "basins",
            "How often the best polygon is reached",
            "One feature active, exact loss: share of seeds whose loss is that of the regular polygon of least loss.",
        ),
        Caption(
            "dimensions",
            "Dimensions of features",
            "Kept seeds of the published set-up, by how often a feature is active. Dotted: simple fractions. Outlined: "
            "the same with normal noise of 0.05.",
        ),
    )
}
_PARTS = {
    "capacity": ("capacity", figures.capacity),
    "geometries": ("pentagon", figures.geometries),
    "phases": ("phase", figures.phases),
    "basins": ("shapes", figures.basins),
    "dimensions": ("geometry", figures.lines),
}
_OF_MODELS = ("geometries", "dimensions")  # drawn from models that are kept


def draw(answer: Answer) -> dict[Caption, Drawable]:
    """What draws every figure that the run's cells allow.

    Args:
      answer: the finished run.

    Returns:
      Functions that make the figures, by their captions, in the order of the page.
    """
    run = FinishedSuperposition(answer.folder, answer.studies, answer.trials)
    kept = bool(answer.folder.config["keep_curves"])
    found: dict[Caption, Drawable] = {
        _CAPTIONS[name]: functools.partial(make, run)
        for name, (part, make) in _PARTS.items()
        if len(run.rows(part)) and (kept or name not in _OF_MODELS)
    }
    return found | neuron_figures.draw(answer.folder, answer.studies)


def rows_of(answer: Answer) -> list[dict[str, Scalar]]:
    """What was run, a row a cell."""
    rows = []
    for index, cell in enumerate(answer.studies):
        mine, settings = answer.trials.matching(cell=index), cell.study.settings()
        named = ("study", "part", "inputs", "features", "activation", "optimizer", "rate")
        shown = {name: settings.get(name, "") for name in named}
        trials = {"combinations": len(cell.combinations), "seeds": cell.seeds, "steps": cell.steps}
        rows.append(shown | trials | {"diverged": f"{int(mine['diverged'].sum())} of {len(mine)}"})
    return rows


def note(sweep: Sweep) -> str:
    """What a reader of the page should know first."""
    return (
        "Capability is the share of the importance-weighted variance that a model explains. Interpretable capability "
        f"is what is left when everything but the features understood is ablated. Parts: {', '.join(sweep.parts)}."
    )
