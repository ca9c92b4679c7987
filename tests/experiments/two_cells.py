# SPDX-License-Identifier: Apache-2.0
"""A binary with two cells of a few seconds, without claims and with an empty page, to be stopped and killed."""

import dataclasses

from jaxmyopia import cli
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import flag
from jaxmyopia.report.page import Report
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is run."""

    steps: int = flag(150_000, "Steps of both cells.")

    def cells(self) -> list[Cell]:
        """The two."""
        sweep = (("learning_rate", (0.001,)), ("init_scale", (1.0,)))
        studies = [LowRank(n=8, rank=2, optimizer=optimizer) for optimizer in ("sgd", "adam")]
        return [Cell(study=study, sweep=sweep, seeds=12, steps=self.steps) for study in studies]


TWO_CELLS = Experiment(
    name="two_cells",
    summary="Two cells, to be stopped.",
    presets={"quick": Sweep()},
    cells=Sweep.cells,
    claims=lambda sweep: (),
    report=lambda answer, sweep: Report("Two cells"),
)
main = cli.binary(TWO_CELLS)

if __name__ == "__main__":
    main.launch()
