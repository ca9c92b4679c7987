# SPDX-License-Identifier: Apache-2.0
"""A cell as a run's folder tells it: enough to name it and to place its trials, without the study."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmyopia.engine.manifest import Rounds, looks_of
from jaxmyopia.study import Grid


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedCell(Grid):
    """A cell as its folder tells it: its `name`, and the `settings` that are the same for all its trials."""

    name: str
    settings: dict[str, object]

    def labels(self) -> list[str]:
        """A few words for each combination: the settings that have several values."""
        several = [i for i, (_, values) in enumerate(self.sweep) if len(values) > 1]
        names = [name.replace("_", " ") for name, _ in self.sweep]
        return [", ".join(f"{names[i]} {values[i]:g}" for i in several) for values in self.combinations]

    def title(self, others: Sequence["PlannedCell"]) -> str:
        """A few words that tell it from the other cells: the settings in which they differ; else its name."""
        differing = [name for name in self.settings if len({str(each.settings.get(name)) for each in others}) > 1]
        return ", ".join(str(self.settings[name]) for name in differing) or self.name


def planned_cells(config: Mapping[str, Any], rounds: Rounds | None = None) -> list[PlannedCell]:
    """The cells that a configuration tells.

    Args:
      config: of a run's folder.
      rounds: how far a run in rounds went: a cell has the seeds of its own looks. By default those of all.

    Returns:
      The cells.
    """
    plain, found, own = ("name", "settings", "steps", "records"), [], looks_of(config, rounds)
    for number, cell in enumerate(config.get("cells", ())):
        looks = tuple(cell.get("looks", ()))[: None if own is None else own[number]]
        found.append(
            PlannedCell(
                sweep=tuple((name, tuple(values)) for name, values in cell["sweep"].items()),
                **{name: cell[name] for name in plain},
                seeds=looks[-1] if looks else cell["seeds"],
                control=cell.get("control", False),
                looks=looks,
            )
        )
    return found
