# SPDX-License-Identifier: Apache-2.0
"""What fuzz draws flags from, and what keeps its cases small."""

from collections.abc import Mapping, Sequence

# By flag: values that are right by themselves (if not beside all others), and some that are wrong.
Pools = Mapping[str, tuple[Sequence[str], Sequence[str]]]
_NUMBERS = ("", "nan", "inf", "-1", "x", "1e39", "1e-46", "1_0", "9" * 40)
_COUNTS = ("", "0", "-1", "1.5", "nan", "many", "9" * 40)
_NAMES = ("", ",", "bogus", "SGD")
_RATES = ("0.1", "0.01,0.3", "1e-30", "1e30")
_SHARED: Pools = {
    "root_seed": (("0", "5", "4294967295"), ("", "x", "1.5")),
    "keep_curves": (("0", "1", "9"), ("-1", "x", "1.5")),
    "checkpoint_secs": (("0.001", "60", "inf"), ("0", "-1", "nan", "")),
    "repair": (("true", "false"), ("maybe",)),
    "until_decided": (("false",), ("maybe",)),
    "cap": ((), ("", "0", "-1", "x", "99")),
    "num_shards": (("1", "2"), ("0", "-1", "x")),
    "shard_index": (("0", "1"), ("-1", "2", "x")),
    "num_processes": ((), ("2",)),
    "coordinator": ((), ("nonsense",)),
    "preset": (("quick",), ("huge",)),
}
_SHARES = (("0.05", "0.5", "0.9"), ("0", "1", *_NUMBERS))
THRESHOLDS: Pools = dict.fromkeys(("bump_delta", "plateau_ratio", "descent_fall", "uptick_floor", "zero_loss"), _SHARES)
_OPTIMIZERS = ("sgd", "adam", "sgd,adam", "momentum", "lion", "noisy_sgd", "muon", "lamb")
POOLS: dict[str, Pools] = {
    "plateaus": _SHARED | THRESHOLDS | {
        "n": (("4",), ("1", "65537", *_COUNTS)),
        "ranks": (("1", "2", "4", "1,2"), ("5", "1,1", ",", *_COUNTS)),
        "losses": (("square", "cross_entropy", "cross_entropy,square"), ("square,square", *_NAMES)),
        "targets": (("gaussian", "orthogonal", "spectrum", "gaussian,spectrum"), _NAMES),
        "spectrum": (("2", "3,2,1,0.5", "1e-20,1,1,1"), ("0", *_NUMBERS)),
        "optimizers": (_OPTIMIZERS, ("lbfgs", *_NAMES)),
        "learning_rates": (_RATES, ("0", "0.1,0.1", "0.1,0.1000000000001", *_NUMBERS)),
        "rates": (("2", "3", "4", "5"), ("1", "6", *_COUNTS)),
        "init_scale": (("1", "1e-20", "1e10", "1,0.1"), ("0", "1,1", *_NUMBERS)),
        "wide_scale": ((), ("1",)),
        "weight_decay": ((), ("0.1",)),
        "steps": (("2", "1", "3"), _COUNTS),
        "records": (("4", "7", "200"), ("3", *_COUNTS)),
        "seeds": (("1", "2", "3"), _COUNTS),
        "wide_seeds": ((), ("2",)),
        "uptick": (("1.05", "3", "1e30"), ("1", *_NUMBERS)),
    },
    "adam_bumps": _SHARED | {
        "n": (("4",), ("1", *_COUNTS)),
        "ranks": (("1", "2", "1,2"), ("5", "1,1", *_COUNTS)),
        "seeds": (("1", "2", "3"), _COUNTS),
        "steps": (("2", "1", "3"), _COUNTS),
        "bump_delta": THRESHOLDS["bump_delta"],
    },
    "myopia": _SHARED | {
        "sections": (("epochs", "dilemma", "neutrality", "dilemma,neutrality"), ("dilemma,dilemma", *_NAMES)),
        "seeds": (("1", "2", "3"), _COUNTS),
        "epochs": (("2", "3"), ("5000", *_COUNTS)),
        "epoch_steps": (("1", "2"), _COUNTS),
        "parts": (("recipe", "leaks", "penalties", "hazards", "transfer", "recipe,transfer"), _NAMES),
        "cutoff": (("0", "1", "2", "1,2"), ("9", "1,1", "-1", "x")),
        "schedules": (("negative", "flat", "negative,zero,flat"), _NAMES),
        "lures": (("invest", "borrow,none"), _NAMES),
        "credits": (("epoch", "run", "epoch,run"), _NAMES),
        "learners": (("reinforce", "qlearning"), _NAMES),
        "optimizers": (("adam", "sgd", "muon"), ("lbfgs", *_NAMES)),
        "reveals": (("one_hot", "masked", "one_hot,scalar"), _NAMES),
        "learning_rates": (_RATES, ("0", *_NUMBERS)),
        "discount": (("0", "0.9", "1"), ("1.5", *_NUMBERS)),
        "steps": (("1", "2"), _COUNTS),
        "records": (("4", "8"), ("3", *_COUNTS)),
        "leaks": (("selection", "trait", "traces"), _NAMES),
        "traces": (("0.5", "0.5,0.9"), ("0", *_NUMBERS)),
        "penalties": (("2", "0.5,6"), ("0", "2,2", *_NUMBERS)),
        "hazards": (("0.5", "0.1,1"), ("0", "1.5", *_NUMBERS)),
        "codes": (("scalar", "one_hot,digits"), ("masked", *_NAMES)),
        "trained": (("1", "1,2"), ("1,1",)),
        "debts": (("0", "0,-2"), ("1,1", *_NUMBERS)),
        "optimism": (("0", "3"), ("-1", *_NUMBERS)),
        "populations": (("0", "2"), ("1", *_COUNTS[1:])),
        "intervals": (("1", "1,2"), _COUNTS),
        "selection_steps": (("1", "2"), _COUNTS),
        "runs_a_batch": (("2", "4"), ("1", "3", *_COUNTS)),
        "minibatches": (("1", "2"), _COUNTS),
        "exploration": (("0", "0.5", "1"), ("2", *_NUMBERS)),
        "sure": (("0.6", "0.99"), ("0.5", "1", *_NUMBERS)),
        "lowered": (("0.01", "0.9"), ("0", "1", *_NUMBERS)),
        "dilemma_steps": (("5", "20"), _COUNTS),
        "epsilons": (("0.1", "0.1,0.3"), ("0.3", *_NUMBERS)),
        "meta_episodes": (("1", "3"), _COUNTS),
        "neutrality_optimizers": (("sgd", "adam"), ("sgd,sgd", *_NAMES)),
    },
    "feedback": _SHARED | {
        "seeds": (("1", "2", "3"), _COUNTS),
        "dims": (("4", "4,6"), ("1", "4,4", "2000", *_COUNTS)),
        "subspaces": (("1", "2", "1,2"), ("3", "1,1", *_COUNTS)),
        "sigmas": (("0.3", "0.01,100"), ("0", "101", "1,1", *_NUMBERS)),
        "angles": (("0", "0,90", "45,0"), ("30", "0,91", *_NUMBERS)),
        "sharpnesses": (("0.01", "100", "1,4"), ("0", "1,1", *_NUMBERS)),
        "beliefs": (("1", "1,0.01", "100,1"), ("2", "0,1", *_NUMBERS)),
        "noises": (("0", "0.5", "100,0"), ("0,0", "101", *_NUMBERS[:4])),
        "rounds": (("3", "8"), ("2", "31", *_COUNTS)),
        "active_rounds": (("3", "8"), ("2", "31", *_COUNTS)),
        "pool": (("2", "5"), ("1", "5000", *_COUNTS)),
    },
    "interpretability": _SHARED | {
        "parts": (("capacity", "published", "shapes", "geometry", "neurons", "capacity,shapes"), _NAMES),
        "features": (("8", "9"), ("0", "3", *_COUNTS)),
        "capacities": (("1,2", "2"), ("9", "2,2", *_COUNTS)),
        "actives": (("0", "1", "0.5,0"), ("1.5", *_NUMBERS)),
        "spans": (("1", "1,2"), ("0.5", *_NUMBERS)),
        "optimizers": (("adam", "sgd", "lion"), ("lbfgs", *_NAMES)),
        "capacity_rates": (_RATES[:1], ("0", "0.1,0.2,0.3", *_NUMBERS)),
        "capacity_steps": (("1", "2"), _COUNTS),
        "capacity_seeds": (("1", "2"), _COUNTS),
        "polygon_features": (("3", "5,6"), ("2", "17", *_COUNTS)),
        "shape_decays": (("0", "0,0.1"), ("0,0", *_NUMBERS)),
        "scales": (("0", "0.1,1"), _NUMBERS),
        "rates": (_RATES, ("0", *_NUMBERS)),
        "levels": (("0", "19", "3,4"), ("20", "-1", "x")),
        "geometry_hidden": (("1", "3"), ("9", *_COUNTS)),
        "batch": (("1", "8"), _COUNTS),
        "falling": (("true", "false"), ("maybe",)),
        "phase_spans": (("1", "2,3"), ("0", *_NUMBERS)),
        "pentagon_actives": (("1", "0.5,0.1"), ("0", "2", *_NUMBERS)),
        "numbers": (("2", "2,4"), ("0", "2,2", *_COUNTS)),
        "biases": (("0", "0,-1"), ("0,0", "nan", "x")),
    },
}  # fmt: skip
# What keeps a case small, unless it is drawn.
SMALL = {
    "plateaus": {"n": "4", "ranks": "1", "losses": "square", "optimizers": "sgd", "steps": "2", "seeds": "2",
                 "records": "4"},
    "adam_bumps": {"n": "4", "ranks": "1", "steps": "2", "seeds": "2"},
    "myopia": {"sections": "neutrality", "seeds": "2", "meta_episodes": "2"},
    "interpretability": {},
    "feedback": {"seeds": "2", "dims": "4", "subspaces": "1", "sigmas": "0.3", "angles": "0", "sharpnesses": "1",
                 "rounds": "4", "active_rounds": "4", "pool": "2"},
}  # fmt: skip
# Beside what they act with.
OF_SECTION = {
    "epochs": {"parts": "recipe", "epochs": "2", "epoch_steps": "2", "cutoff": "1", "learners": "qlearning",
               "steps": "2", "runs_a_batch": "4"},
    "dilemma": {"dilemma_steps": "5"},
    "neutrality": {"meta_episodes": "2"},
}  # fmt: skip
OF_LEAK = {
    "selection": {"populations": "2", "selection_steps": "2"},
    "trait": {"leak_seeds": "2", "trait_steps": "2"},
    "traces": {"leak_seeds": "2", "traces_steps": "2"},
}
# Of interpretability, by part.
OF_PART: Mapping[str, Mapping[str, str]] = {
    "capacity": {"features": "8", "capacities": "1,2", "capacity_steps": "2", "capacity_seeds": "2"},
    "published": {"pentagon_actives": "0.5", "twenty_actives": "0.5", "phase_actives": "0.5", "phase_spans": "2",
                  "published_steps": "2", "published_seeds": "2"},
    "shapes": {"polygon_features": "3", "scales": "0.1", "rates": "0.1", "shape_steps": "2", "shape_seeds": "2"},
    "geometry": {"geometry_features": "8", "geometry_hidden": "2", "levels": "6", "batch": "4", "geometry_steps": "2",
                 "geometry_seeds": "2"},
    "neurons": {"numbers": "4", "biases": "0,-1", "neuron_steps": "2", "neuron_seeds": "2"},
}  # fmt: skip
