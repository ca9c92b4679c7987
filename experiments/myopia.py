# SPDX-License-Identifier: Apache-2.0
"""Judges five claims about myopia by epoch and shutdown: does the recipe make agents that run a few epochs and stop?

python -m experiments.myopia                  two minutes on two cores
python -m experiments.myopia --preset=full    half an hour or more
"""

import dataclasses

from absl import flags

from jaxmyopia import cli as launch
from jaxmyopia.checks import require_one_of
from jaxmyopia.engine.session import say
from jaxmyopia.report import page
from jaxmyopia.studies.dilemma import sweep as companions
from jaxmyopia.studies.dilemma.claims import judge_companions
from jaxmyopia.studies.epochs import sweep as presets
from jaxmyopia.studies.epochs.claims import judge_claims
from jaxmyopia.studies.epochs.report import FinishedMyopia, write_report

FLAGS = flags.FLAGS
_LISTS = {
    "schedules": str,
    "lures": str,
    "credits": str,
    "learners": str,
    "optimizers": str,
    "reveals": str,
    "learning_rates": float,
    "populations": int,
    "intervals": int,
}
_SCALARS = (
    "epochs",
    "epoch_steps",
    "cutoff",
    "discount",
    "steps",
    "selection_steps",
    "seeds",
    "exploration",
    "decay",
    "clip",
    "entropy",
    "runs_a_batch",
    "sure",
    "lowered",
)

SECTIONS = ("epochs", "dilemma", "neutrality")

launch.define_flags("myopia", list(presets.PRESETS))
flags.adopt_module_key_flags(launch)  # for --helpshort
flags.DEFINE_list("sections", list(SECTIONS), "What is run: epochs, dilemma, neutrality.")
flags.DEFINE_integer("epochs", None, "Epochs of a run, E.")
flags.DEFINE_integer("epoch_steps", None, "Steps of an epoch, L.")
flags.DEFINE_integer("cutoff", None, "Epoch K from which the schedule holds.")
flags.DEFINE_list("schedules", None, "What a step pays at most from K on: negative, zero, flat (no limit).")
flags.DEFINE_list("lures", None, "Lures: invest, borrow, none.")
flags.DEFINE_list("credits", None, "What an action is answerable for: run, epoch.")
flags.DEFINE_list("learners", None, "Learners: reinforce, ppo, qlearning.")
flags.DEFINE_list("optimizers", None, "Optimisers: sgd, momentum, adam, adamw, rmsprop, lion.")
flags.DEFINE_list("reveals", None, "How the epoch index is shown: one_hot, scalar, masked.")
flags.DEFINE_list("learning_rates", None, "Learning rates of every learner, in place of its own.")
flags.DEFINE_float("discount", None, "Discount of a step.")
flags.DEFINE_integer("steps", None, "Updates of every learner, in place of its own budget.")
flags.DEFINE_list("populations", None, "Agents in a population; 0 for no selection.")
flags.DEFINE_list("intervals", None, "Updates between selections.")
flags.DEFINE_integer("selection_steps", None, "Updates of every population.")
flags.DEFINE_float("exploration", None, "Q-learning's probability of a random action.")
flags.DEFINE_float("decay", None, "PPO's lambda.")
flags.DEFINE_float("clip", None, "PPO's epsilon.")
flags.DEFINE_float("entropy", None, "Weight of the entropy bonus.")
flags.DEFINE_integer("runs_a_batch", None, "Runs in a batch.")
flags.DEFINE_float("sure", None, "Probability with which an agent must run until K, and then stop, to count.")
flags.DEFINE_float("lowered", None, "The least difference of lure rates that counts as a change.")
flags.DEFINE_integer("dilemma_steps", None, "Steps of the dilemma; runs are judged at 5,000 and at the end.")
flags.DEFINE_list("epsilons", None, "The dilemma's shares of random actions; 0.1 is the one that is judged.")
flags.DEFINE_integer("meta_episodes", None, "Meta-episodes of the neutrality study.")


def sweep_from_flags() -> presets.Sweep:
    """The preset with the flags that were given in its place."""
    given = {name: FLAGS[name].value for name in _SCALARS}
    given |= {name: launch.numbers(name, kind) for name, kind in _LISTS.items()}
    return presets.resolve(FLAGS.preset, {name: value for name, value in given.items() if value is not None})


def companions_from_flags() -> companions.Companions:
    """The companions' preset with the flags that were given in its place."""
    given = {"seeds": FLAGS.seeds, "steps": FLAGS.dilemma_steps, "meta_episodes": FLAGS.meta_episodes}
    given["epsilons"] = launch.numbers("epsilons", float)
    chosen = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(companions.PRESETS[FLAGS.preset], **chosen)


def main() -> None:
    """Runs the cells, judges the claims, writes the report."""
    for name in FLAGS.sections:
        require_one_of("sections", name, SECTIONS)
    sweep, beside = sweep_from_flags(), companions_from_flags()
    made = {"epochs": sweep.cells, "dilemma": beside.dilemma_cells, "neutrality": beside.neutrality_cells}
    cells = [cell for name in FLAGS.sections for cell in made[name]()]
    config = {"experiment": "myopia", **dataclasses.asdict(sweep), "companions": dataclasses.asdict(beside)}
    folder = launch.run_experiment(config, cells)
    if folder is None:
        return
    run = FinishedMyopia(folder=folder, cells=cells, sweep=sweep)
    claims = judge_claims(run.table, sweep.thresholds) + judge_companions(run.table)
    folder.write_json("claims.json", page.claims_json(claims))
    write_report(run, claims)
    print(page.claims_text(claims))
    say(f"\nReport: {folder.path / 'report.html'}")


if __name__ == "__main__":
    launch.launch(main)
