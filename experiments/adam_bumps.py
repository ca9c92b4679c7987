# SPDX-License-Identifier: Apache-2.0
"""Judges two predictions on where Adam's extra bumps come from: from rates above the scale of the start.

python -m experiments.adam_bumps --root_seed=1     a minute on two cores
"""

from absl import flags

from jaxmyopia import cli as launch
from jaxmyopia.engine.session import say
from jaxmyopia.report import page
from jaxmyopia.studies.lowrank.adam_bumps import judge_predictions, make_cells
from jaxmyopia.studies.lowrank.adam_bumps_figure import CAPTION, plot_excess
from jaxmyopia.studies.lowrank.measures import Thresholds

FLAGS = flags.FLAGS
_PRESETS = {"quick": {"seeds": 64, "steps": 3000}, "full": {"seeds": 1024, "steps": 3000}}

launch.define_flags("adam_bumps", list(_PRESETS))
flags.adopt_module_key_flags(launch)
flags.DEFINE_integer("n", 100, "Side of the matrices.")
flags.DEFINE_integer("steps", None, "Optimisation steps.")
flags.DEFINE_list("ranks", ["1", "2", "4"], "Ranks of target and learned factors.")
flags.DEFINE_float("bump_delta", 0.1, "A bump: an alignment falls by this much after a maximum.")


def main() -> None:
    """Runs the cells, judges the predictions, draws the figure."""
    given = {name: FLAGS[name].value for name in ("seeds", "steps") if FLAGS[name].value is not None}
    sizes = _PRESETS[FLAGS.preset] | given
    thresholds = Thresholds(bump_delta=FLAGS.bump_delta)
    cells = make_cells(ranks=launch.numbers("ranks", int), n=FLAGS.n, thresholds=thresholds, **sizes)
    config = {"experiment": "adam_bumps", "n": FLAGS.n, "bump_delta": FLAGS.bump_delta, **sizes}
    folder = launch.run_experiment(config, cells)
    if folder is None:
        return
    table = folder.table()
    claims = judge_predictions(table, thresholds)
    folder.write_json("claims.json", page.claims_json(claims))
    plot_excess(folder, table, FLAGS.bump_delta)
    rows = [{"cell": str(cell.study), "seeds": cell.seeds, "steps": cell.steps} for cell in cells]
    page.write_page(folder, title="Adam's extra bumps", claims=claims, captions=[CAPTION], rows=rows, notes=[])
    print(page.claims_text(claims))
    say(f"\nReport: {folder.path / 'report.html'}")


if __name__ == "__main__":
    launch.launch(main)
