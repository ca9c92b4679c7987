# SPDX-License-Identifier: Apache-2.0
"""Flags that cannot act are refused, and values of no use are, before anything is run."""

import numpy as np
import pytest

from experiments import adam_bumps, feedback, interpretability, myopia, plateaus
from jaxmyopia import cli, flags, launch
from jaxmyopia.checks import ArgumentError
from jaxmyopia.stats.table import Trials

BINARIES = {
    "plateaus": plateaus.main, "adam_bumps": adam_bumps.main, "myopia": myopia.main,
    "interpretability": interpretability.main, "feedback": feedback.main,
}  # fmt: skip
IDLE = {  # by experiment: other flags, a flag that does nothing beside them, what it would need
    "plateaus": [
        ("", "spectrum=2", "where --targets has spectrum"),
        ("learning_rates=0.1", "rates=5", "without --learning_rates"),
        ("ranks=20,100", "seeds=100", "at ranks up to 16; above, --wide_seeds does"),
        ("ranks=20", "steps=2000", "at ranks up to 16; above, --wide_steps does"),
        ("ranks=1", "wide_seeds=3", "at ranks above 16"),
        ("ranks=1", "wide_scale=1", "at ranks above 16"),
        ("optimizers=sgd", "weight_decay=0.1", "where --optimizers has adamw"),
        ("ranks=16", "wide_steps=3", "at ranks above 16"),
        ("ranks=20", "bump_delta=0.2", "at ranks up to 16"),
        ("", "coordinator=here:80", "with --distributed"),
        ("", "num_processes=2", "with --distributed"),
        ("", "process_id=0", "with --distributed"),
    ],
    "adam_bumps": [],
    "feedback": [],
    "myopia": [
        *(("sections=dilemma", f"{name}={value}", "where --sections has epochs") for name, value in (
            ("parts", "recipe"), ("epochs", 9), ("epoch_steps", 3), ("cutoff", 3), ("schedules", "flat"),
            ("lures", "invest"), ("credits", "run"), ("learners", "ppo"), ("optimizers", "sgd"), ("reveals", "masked"),
            ("lures_bind", "true"), ("learning_rates", 0.1), ("discount", 0.9), ("updates", "1,2,3"), ("steps", 3),
            ("records", 9), ("leaks", "trait"), ("leak_seeds", 9), ("populations", 4), ("intervals", 3),
            ("population_seeds", 3), ("selection_steps", 3), ("selection_rate", 0.2), ("trait_steps", 3),
            ("traces", 0.5), ("traces_steps", 3), ("penalties", 3), ("hazards", 0.5), ("codes", "digits"),
            ("trained", "1,2"), ("transfer_steps", 3), ("transfer_rate", 0.1), ("transfer_width", 8),
            ("transfer_entropy", 0.1), ("debts", 1),
            ("runs_a_batch", 4), ("entropy", 0.1), ("clip", 0.1), ("decay", 0.9), ("passes", 3), ("minibatches", 2),
            ("value_weight", 0.2), ("exploration", 0.2), ("optimism", 1), ("sure", 0.8), ("lowered", 0.1),
        )),
        ("steps=3", "updates=1,2,3", "without --steps"),
        *((f"parts={part}", f"{name}={value}", "where --parts has") for part, name, value in (
            ("leaks", "schedules", "flat"), ("leaks", "lures", "invest"), ("leaks", "credits", "run"),
            ("leaks", "learners", "ppo"), ("leaks", "optimizers", "sgd"), ("penalties", "reveals", "masked"),
            ("penalties", "lures_bind", "true"), ("leaks", "learning_rates", 0.1), ("leaks", "discount", 0.9),
            ("leaks", "steps", 3), ("recipe", "leaks", "trait"), ("recipe", "penalties", 3),
            ("recipe", "hazards", 0.5), ("recipe", "codes", "digits"), ("recipe", "debts", 1), ("hazards", "sure", 0.8),
            ("recipe", "lowered", 0.1),
        )),
        *(("leaks=trait", f"{name}={value}", "where --leaks has selection") for name, value in (("populations", 3),)),
        *(("leaks=selection", f"{name}={value}", "where --leaks has") for name, value in
          (("leak_seeds", 3), ("trait_steps", 3), ("traces", 0.5), ("traces_steps", 3))),
        *(("populations=0", f"{name}=3", "where --populations") for name in
          ("intervals", "population_seeds", "selection_steps", "selection_rate")),
        ("parts=recipe learners=qlearning", "entropy=0.1", "where --learners has reinforce or ppo"),
        *(("parts=recipe learners=qlearning,reinforce", f"{name}={value}", "where --learners has ppo")
          for name, value in
          (("clip", 0.1), ("decay", 0.9), ("passes", 3), ("minibatches", 2), ("value_weight", 0.2))),
        *(("learners=ppo", f"{name}=0.2", "where --learners has qlearning") for name in ("exploration", "optimism")),
        *(("sections=epochs", f"{name}={value}", "where --sections has dilemma") for name, value in
          (("dilemma_steps", 6000), ("epsilons", "0.1,0.2"))),
        *(("sections=epochs", f"{name}={value}", "where --sections has neutrality") for name, value in
          (("meta_episodes", 9), ("neutrality_optimizers", "adam"))),
    ],
    "interpretability": [
        *((f"parts={'published' if part == 'shapes' else 'shapes'}", f"{name}={value}",
           f"where --parts has {part}") for part, flags_of in {
            "capacity": (("features", 32), ("capacities", "2,3"), ("actives", 0.2), ("spans", 3), ("optimizers", "sgd"),
                         ("capacity_rates", 0.1), ("capacity_steps", 9), ("capacity_seeds", 9)),
            "published": (("pentagon_actives", 0.3), ("twenty_actives", 0.3), ("phase_actives", 0.3),
                          ("phase_spans", 3), ("published_rate", 0.1), ("published_steps", 9), ("published_seeds", 9)),
            "shapes": (("polygon_features", 5), ("shape_optimizers", "lion"), ("scales", 0.2), ("rates", 0.2),
                       ("shape_decays", 0.1), ("shape_steps", 9), ("shape_seeds", 9)),
            "geometry": (("geometry_features", 99), ("geometry_hidden", 3), ("levels", 3), ("starts", 0.2),
                         ("decays", 0.1), ("geometry_rate", 0.1), ("batch", 8), ("geometry_steps", 9),
                         ("geometry_seeds", 9), ("falling", "true"), ("as_published", "true")),
            "neurons": (("neuron_seeds", 9), ("neuron_steps", 9), ("numbers", 16), ("biases", -0.5)),
        }.items() for name, value in flags_of),
    ],
}  # fmt: skip
# Flags that act in every combination; a new flag belongs here or above.
ALWAYS = {
    "plateaus": "n ranks losses targets optimizers learning_rates init_scale records "
    "plateau_ratio descent_fall uptick uptick_floor zero_loss",
    "adam_bumps": "n ranks seeds steps bump_delta",
    "myopia": "sections seeds",
    "interpretability": "parts",
    "feedback": "seeds dims subspaces sigmas angles sharpnesses beliefs noises rounds active_rounds pool",
}


def read(name, *words):
    """The sweep and the engine's flags of a command."""
    values = BINARIES[name].flags()
    values([name, *(f"--{word}" for word in words if word)])
    return BINARIES[name].sweep(values), launch.read(values, cli.Engine)


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in IDLE.items() for case in cases], ids=str)
def test_a_flag_that_would_do_nothing_is_refused_with_what_it_needs(name, case):
    others, idle, needs = case
    read(name, *others.split())  # alone they are fine
    with pytest.raises(ArgumentError, match=r"it would do nothing: it acts only") as refused:
        read(name, *others.split(), idle)
    assert refused.value.name == idle.partition("=")[0] and f"acts only {needs}" in refused.value.allowed


@pytest.mark.parametrize("name", BINARIES)
def test_of_every_flag_it_is_known_where_it_acts(name):
    known = {idle.partition("=")[0] for _, idle, _ in IDLE[name]} | set(ALWAYS[name].split())
    assert {spec.name for spec in flags.specs(BINARIES[name].experiment.sweep_type)} <= known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plateaus", ["ranks=100", "seeds=8", "steps=9"]),  # they bound the wide ones
        ("plateaus", ["targets=spectrum", "spectrum=2", "ranks=1"]),
        ("plateaus", ["distributed", "num_processes=2", "process_id=0", "coordinator=here:80"]),
        ("myopia", ["sections=dilemma", "seeds=3", "dilemma_steps=6000"]),
        ("myopia", ["sections=neutrality", "seeds=3"]),
        ("myopia", ["seeds=3", "clip=0.3", "exploration=0.2", "meta_episodes=9", "epsilons=0.1,0.3"]),
    ],
    ids=str,
)
def test_flags_that_act_are_taken(name, words):
    read(name, *words)


@pytest.mark.parametrize("name", BINARIES)
def test_empty_lists_and_numbers_that_are_none_are_one_line(name, capsys):
    binary = BINARIES[name]
    for spec in flags.specs(binary.experiment.sweep_type):
        for word in ["", ",", "nan", "9" * 62] if spec.many else ["", "nan", "9" * 62]:
            values = binary.flags()
            try:
                launch.parse(values, [name, f"--{spec.name}={word}"])
                cells = binary.experiment.cells(binary.sweep(values))
            except SystemExit as stop:
                assert stop.code == 2
                continue
            except ArgumentError as error:
                assert "\n" not in str(error)
                continue
            raise AssertionError(f"--{spec.name}={word} makes {len(cells)} cells")
    assert all(line.startswith("error: ") for line in capsys.readouterr().err.splitlines())


def test_shares_of_random_actions_hold_the_one_that_is_judged():
    with pytest.raises(ArgumentError, match=r"epsilons=\(0.2,\).* must hold 0.1"):
        read("myopia", "epsilons=0.2")


def test_what_is_claimed_of_more_steps_than_there_are_is_not_judged():
    for steps, judged in ((10, 0), (5000, 4), (50_000, 6)):
        sweep, _ = read("myopia", f"dilemma_steps={steps}")
        own = [each for each in sweep.claims() if "dilemma" in each.pieces.__module__]
        reasons = [each.judge(Trials({"seed": np.zeros(0)})).reason for each in own if each.pieces.__name__ == "lacks"]
        assert len(reasons) == 6 - judged
        assert all(reason.startswith("the run lacks dilemma_steps=5") for reason in reasons)
