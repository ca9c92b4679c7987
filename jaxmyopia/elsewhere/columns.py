# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table are the step, the run and the loss, by the names that common trackers give them."""

import re
from collections.abc import Iterable, Sequence

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.elsewhere.source import Source

STEPS = ("step", "_step", "global_step", "trainer/global_step", "train/global_step", "iteration", "iter", "epoch")
RUNS = ("run", "run_id", "run_uuid", "trial", "trial_id", "run_name")
KEYS = ("key", "tag", "metric")  # of a long table that holds several things, in which each value is named
CLOCKS = ("wall_time", "timestamp", "_timestamp")  # when a record was logged
ASIDE = ("_runtime", "relative_time_(process)", "relative_time_(wall)", "", "unnamed:_0", "index")
_METRIC = re.compile(
    r"(train|training|val|valid|validation|test|eval|dev)[_/](loss|acc|accuracy|error|perplexity)([_/].*)?"
    r"|acc|accuracy|perplexity|grad_norm|lr|learning_rate"
)


def plain(name: str) -> str:
    """A column's name in one spelling: `Wall time` is `wall_time`."""
    return name.strip().lower().replace(" ", "_")


def first_of(columns: Iterable[str], known: Sequence[str]) -> str | None:
    """The column whose name comes first among those `known`."""
    named = {plain(name): name for name in columns}
    return next((named[name] for name in known if name in named), None)


def is_aside(name: str) -> bool:
    """Whether a column is a tracker's own bookkeeping, and neither loss nor setting."""
    return plain(name) in (*STEPS, *CLOCKS, *ASIDE)


def require_column(source: Source, argument: str, name: str) -> None:
    """Refuses an argument that names no column."""
    near = ", ".join(source.table.column_names[:8])
    require(name in source.table.column_names, argument, name, f"must be a column, such as {near}")


def the_loss(names: Sequence[str], *, wanted: str | None = None) -> str:
    """Which of several names is that of the loss, where that is unmistakable.

    Args:
      names: to choose from.
      wanted: the one that was asked for.

    Returns:
      The name.

    Raises:
      ArgumentError: if it may be several, or what is wanted is not among them.
    """
    shown = ", ".join(dict.fromkeys(names[:8]))
    if wanted is not None:
        require(wanted in names, "value", wanted, f"must be one of {shown}")
        return wanted
    alike = [name for name in names if plain(name) == "loss"] or [name for name in names if "loss" in plain(name)]
    alike = alike or [name for name in names if plain(name) == "value"] or list(names)
    if len(alike) != 1:
        raise ArgumentError("value", None, f"must name the losses, which may be {', '.join(alike[:8]) or 'none'}")
    return alike[0]


def by_run(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The run and the metric of columns called `RUN - METRIC`, as Weights & Biases writes them."""
    parts = {name: tuple(name.rsplit(" - ", 1)) for name in names}
    return {name: (part[0], part[1]) for name, part in parts.items() if len(part) == 2}


def is_log(source: Source, names: Sequence[str], step: str) -> bool:
    """Whether the columns of a wide table are what one run has logged, not the losses of several runs.

    It is if it has an epoch beside the step or a tracker's own columns, or one column has the name of a known metric.
    """
    aside = [name for name in source.table.column_names if is_aside(name) and name != step and plain(name) not in ASIDE]
    return bool(aside) or (len(names) > 1 and any(_METRIC.fullmatch(plain(name)) for name in names))
