# SPDX-License-Identifier: Apache-2.0
"""Judges six claims about the S-curves of low-rank learning under SGD and Adam.

python -m experiments.plateaus                  a minute on two cores
python -m experiments.plateaus --preset=full    an hour or two
"""

import dataclasses

from absl import flags

from jaxmyopia import cli as launch
from jaxmyopia.engine.session import say
from jaxmyopia.report import page
from jaxmyopia.studies.lowrank import sweep as presets
from jaxmyopia.studies.lowrank.claims import judge_claims
from jaxmyopia.studies.lowrank.finished import FinishedRun
from jaxmyopia.studies.lowrank.report import write_report

FLAGS = flags.FLAGS
_LISTS = {"ranks": int, "learning_rates": float, "spectrum": float, "losses": str, "targets": str, "optimizers": str}
_SCALARS = (
    "n",
    "seeds",
    "wide_seeds",
    "steps",
    "wide_steps",
    "init_scale",
    "bump_delta",
    "plateau_ratio",
    "descent_fall",
    "uptick",
    "zero_loss",
)

launch.define_flags("plateaus", list(presets.PRESETS))
flags.adopt_module_key_flags(launch)  # for --helpshort
flags.DEFINE_integer("n", None, "Side of the matrices.")
flags.DEFINE_integer("wide_seeds", None, "Seeds in cells of rank above 16, which cost more.")
flags.DEFINE_integer("steps", None, "Optimisation steps.")
flags.DEFINE_integer("wide_steps", None, "Optimisation steps in cells of rank above 16.")
flags.DEFINE_list("ranks", None, "Ranks of target and learned factors.")
flags.DEFINE_list("losses", None, "Losses: square, cross_entropy.")
flags.DEFINE_list("targets", None, "Targets: gaussian, orthogonal, spectrum.")
flags.DEFINE_list("spectrum", None, "Singular values of the target `spectrum`.")
flags.DEFINE_list("optimizers", None, "Optimisers: momentum, or optax's by name.")
flags.DEFINE_list("learning_rates", None, "Learning rates of every cell, in place of each optimiser's own grid.")
flags.DEFINE_float("init_scale", None, "Standard deviation of the learned factors' start.")
flags.DEFINE_float("bump_delta", None, "A bump: an alignment falls by this much after a maximum.")
flags.DEFINE_float("plateau_ratio", None, "A plateau: the loss falls at most this many times as fast as beside it.")
flags.DEFINE_float("descent_fall", None, "A descent: the loss falls by at least this share of the first loss.")
flags.DEFINE_float("uptick", None, "An uptick: the loss rises by at least this factor.")
flags.DEFINE_float("zero_loss", None, "Zero loss: a final loss below this share of the first.")


def sweep_from_flags() -> presets.Sweep:
    """The preset with the flags that were given in its place."""
    given = {name: FLAGS[name].value for name in _SCALARS}
    given |= {name: launch.numbers(name, kind) for name, kind in _LISTS.items()}
    return presets.resolve(FLAGS.preset, {name: value for name, value in given.items() if value is not None})


def main() -> None:
    """Runs the cells, judges the claims, writes the report."""
    sweep = sweep_from_flags()
    cells = sweep.cells()
    folder = launch.run_experiment({"experiment": "plateaus", **dataclasses.asdict(sweep)}, cells)
    if folder is None:
        return
    run = FinishedRun(folder=folder, cells=cells, thresholds=sweep.thresholds)
    by_target = {target: judge_claims(run.table.matching(target=target), sweep.thresholds) for target in sweep.targets}
    folder.write_json(
        "claims.json",
        [entry for target, claims in by_target.items() for entry in page.claims_json(claims, target=target)],
    )
    write_report(run, by_target[run.target])
    for target, claims in by_target.items():
        print(f"\n{target} targets, n = {sweep.n}\n{page.claims_text(claims)}")
    say(f"\nReport: {folder.path / 'report.html'}")


if __name__ == "__main__":
    launch.launch(main)
