# SPDX-License-Identifier: Apache-2.0
"""A binary like those of `experiments`, with two cells of a few seconds and no report, to be stopped and killed."""

from jaxmyopia import cli as launch
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell

SWEEP = (("learning_rate", (0.001,)), ("init_scale", (1.0,)))


def main() -> None:
    """Runs them."""
    studies = [LowRank(n=8, rank=2, optimizer=optimizer) for optimizer in ("sgd", "adam")]
    cells = [Cell(study=study, sweep=SWEEP, seeds=12, steps=150_000) for study in studies]
    launch.run_experiment({"experiment": "two_cells"}, cells)


if __name__ == "__main__":
    launch.define_flags("two_cells", ["quick"])
    launch.launch(main)
