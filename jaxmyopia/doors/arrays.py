# SPDX-License-Identifier: Apache-2.0
"""The kept curves of a run as an xarray Dataset: dimensions and settings by name."""

from typing import TYPE_CHECKING, Any

from jaxmyopia.checks import RunError, require

if TYPE_CHECKING:
    from jaxmyopia.answer import Answer


def curves_to_xarray(answer: "Answer", cell: int | None = None) -> Any:
    """The kept curves of a run as a Dataset; see `Answer.to_xarray`."""
    try:
        import xarray  # an extra, not a requirement
    except ModuleNotFoundError:
        raise RunError("xarray is not installed: pip install xarray, or this package's extra [xarray]") from None
    folder = answer.folder
    keep = folder.config.get("keep_curves", 0)
    if cell is None:
        curves, kept, steps = {name: answer.curves[name] for name in answer.curves}, answer.kept, answer.steps
    else:
        curves, steps = answer.curves.of_cell(cell), answer.cells[cell].record_steps()
        rows = folder.table().matching(cell=cell)
        kept = rows.keep(rows["seed"] < keep)
    require(bool(curves), "keep_curves", keep, "must be above 0, or no curves are kept")
    several = [name for name, curve in curves.items() if curve.shape[1] != len(kept)]
    require(not several, "cell", cell, f"must be one of the cells: {', '.join(several)} is not kept in all")
    variables = {
        name: (("step", "trial", *(f"{name}_{axis}" for axis in range(curve.ndim - 2))), curve)
        for name, curve in curves.items()
    }
    taken = {name for dimensions, _ in variables.values() for name in dimensions} | {*variables}
    named = [name for name in ("cell", "seed", *kept.settings) if name in kept.columns]
    coordinates = {f"{name}_setting" if name in taken else name: ("trial", kept.columns[name]) for name in named}
    return xarray.Dataset(variables, {"step": steps, **coordinates}, {"receipt": answer.receipt})
