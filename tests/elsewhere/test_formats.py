# SPDX-License-Identifier: Apache-2.0
"""What trackers write is read as it is meant: literals in the form of each tool's own export."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import jaxmyopia as jm

LOSSES = np.array([4.0, 2.0, 1.0, 0.5])


def file(tmp_path, text, name="export.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def told(trials):
    """Of each run its name, steps, losses, and why it is not counted."""
    return [(run.name, run.steps.tolist(), run.loss.tolist(), run.reason) for run in trials.runs]


WANDB = """"Step","sage-3 - loss","sage-3 - loss__MIN","sage-3 - loss__MAX","a - b-7 - loss","a - b-7 - loss__MIN","a - b-7 - loss__MAX"
"0","4","4","4","3","3","3"
"10","2","2","2","","",""
"20","1","1","1","1.5","1.5","1.5"
"30","","","","0.5","0.5","0.5"
"""  # noqa: E501


def test_weights_and_biases_has_a_column_a_run_with_its_least_and_greatest(tmp_path):
    trials = jm.curves(file(tmp_path, WANDB))
    assert told(trials) == [("sage-3", [0, 10, 20], [4, 2, 1], ""), ("a - b-7", [0, 20, 30], [3, 1.5, 0.5], "")]
    assert trials["left_out"].tolist() == [1, 1] and trials["seed"].tolist() == [0, 1]


def test_weights_and_biases_by_another_axis_has_steps_a_run_and_several_metrics(tmp_path):
    text = (
        """"train/global_step","x - _step","x - _step__MIN","x - _step__MAX","x - train/loss","x - train/loss__MIN","""
        + (""""x - train/loss__MAX","x - lr","x - lr__MIN","x - lr__MAX"\n""")
    )
    text += "".join(f'"{10 * i}","{i}","{i}","{i}","{y}","{y}","{y}","0.1","0.1","0.1"\n' for i, y in enumerate(LOSSES))
    assert told(jm.curves(file(tmp_path, text))) == [("x", [0, 10, 20, 30], LOSSES.tolist(), "")]
    assert told(jm.curves(tmp_path / "export.csv", value="lr"))[0][2] == [0.1] * 4


def test_the_history_of_one_run_is_one_run(tmp_path):
    rows = [f"{i},{i},{i * 0.5},{1.7e9 + i},{loss},{1 - loss / 4}" for i, loss in enumerate(LOSSES)]
    text = "\n".join([",_step,_runtime,_timestamp,loss,accuracy", *rows])
    assert told(jm.curves(file(tmp_path, text, "brisk-moon-4.csv"))) == [
        ("brisk-moon-4", [0, 1, 2, 3], LOSSES.tolist(), "")
    ]


def test_tensorboard_has_one_run_a_file(tmp_path):
    text = """Wall time,Step,Value
1654943296.2150984,0,4.0
1654943313.7791796,1,2.0
1654943332.386608,2,1.0
"""
    assert told(jm.curves(file(tmp_path, text, "run-adam.csv"))) == [("run-adam", [0, 1, 2], [4, 2, 1], "")]
    later = text + "1654943350.320845,4,0.5\n1654943390.0,3,0.7\n"
    assert told(jm.curves(file(tmp_path, later)))[0][3] == "step 4 was logged before step 3: was the run resumed?"


MLFLOW = """run_id,key,value,step,timestamp
9f2a,loss,4,0,1700000000000
9f2a,loss,2,1,1700000001000
9f2a,loss,1,2,1700000002000
03bc,loss,3,0,1700000000500
03bc,loss,2,5,1700000001500
03bc,loss,1,9,1700000002500
"""


def test_mlflow_is_long_and_names_each_value(tmp_path):
    expected = [("03bc", [0, 5, 9], [3, 2, 1], ""), ("9f2a", [0, 1, 2], [4, 2, 1], "")]
    assert told(jm.curves(file(tmp_path, MLFLOW))) == expected
    more = MLFLOW + "9f2a,val_loss,5,0,1700000000000\n9f2a,accuracy,0.1,0,1700000000000\n"
    assert told(jm.curves(file(tmp_path, more))) == expected
    with pytest.raises(jm.ArgumentError, match=r"value='los' is not allowed: must be one of accuracy, loss, val_loss"):
        jm.curves(file(tmp_path, more), value="los")
    assert told(jm.curves(file(tmp_path, more), value="val_loss"))[0][3] == "it has 1 records, and needs 3"


LIGHTNING = """epoch,step,train_loss,val_loss
0,9,4.0,
0,19,2.0,
0,19,,3.5
1,29,1.0,
1,39,0.5,
1,39,,1.5
"""


def test_lightning_has_empty_cells_and_asks_which_loss(tmp_path):
    with pytest.raises(jm.ArgumentError) as refused:
        jm.curves(file(tmp_path, LIGHTNING, "metrics.csv"))
    assert str(refused.value) == ("value=None is not allowed: must name the losses, which may be train_loss, val_loss")
    trials = jm.curves(tmp_path / "metrics.csv", value="train_loss")
    assert told(trials) == [("metrics", [9, 19, 29, 39], LOSSES.tolist(), "")] and trials["left_out"].tolist() == [2]
    one = "\n".join(line.rsplit(",", 1)[0] for line in LIGHTNING.splitlines())
    assert told(jm.curves(file(tmp_path, one, "metrics.csv")))[0][1:] == ([9, 19, 29, 39], LOSSES.tolist(), "")


LONG = pd.DataFrame(
    {
        "optimizer": ["adam"] * 8 + ["sgd"] * 8,
        "seed": ([3] * 4 + [7] * 4) * 2,
        "step": [0, 1, 2, 3] * 4,
        "loss": np.tile(LOSSES, 4),
        "accuracy": np.linspace(0, 1, 16),
    }
)


@pytest.mark.parametrize("form", [lambda t: t, pa.Table.from_pandas, lambda t: t.to_dict("list"), "csv"])
def test_a_long_table_in_all_forms_has_settings_and_seeds(tmp_path, form):
    if form == "csv":
        LONG.to_csv(tmp_path / "long.csv", index=False)
    table = tmp_path / "long.csv" if form == "csv" else form(LONG)
    trials = jm.curves(table, run=("optimizer", "seed"))
    assert trials["run"].tolist() == ["adam, 3", "adam, 7", "sgd, 3", "sgd, 7"]
    assert trials["seed"].tolist() == [3, 7, 3, 7] and trials.settings == ("optimizer",)
    assert len(trials.where(optimizer="adam")) == 2 and "accuracy" not in trials.columns
    assert [run.loss.tolist() for run in trials.runs] == [LOSSES.tolist()] * 4


def test_columns_that_tell_runs_apart_are_asked_for():
    with pytest.raises(jm.ArgumentError) as refused:
        jm.curves(LONG.drop(columns="accuracy"))
    assert str(refused.value) == (
        "run='seed' is not allowed: must name the columns that tell runs apart, such as (seed, optimizer): "
        "3 has several records a step"
    )
    one = jm.curves(LONG[LONG.optimizer == "sgd"])
    assert one["seed"].tolist() == [3, 7] and one["run"].tolist() == ["3", "7"]


def test_what_is_one_run_alone_has_is_a_column_and_no_condition():
    table = LONG.assign(run=LONG.optimizer + LONG.seed.astype(str), born=LONG.optimizer + LONG.seed.astype(str) + "!")
    trials = jm.curves(table)
    assert trials.settings == ("optimizer",) and len(trials.where(born="sgd7!")) == 1


def test_a_pivoted_frame_and_arrays_are_wide():
    pivoted = LONG[LONG.optimizer == "sgd"].pivot(index="step", columns="seed", values="loss")
    assert told(jm.curves(pivoted)) == [(name, [0, 1, 2, 3], LOSSES.tolist(), "") for name in ("3", "7")]
    both = np.stack([LOSSES, 2 * LOSSES], axis=1)
    trials = jm.curves({"step": np.arange(4), "loss": both, "other": LOSSES})
    assert trials["run"].tolist() == ["loss 0", "loss 1", "other"]
    one = jm.curves({"step": np.arange(4), "train_loss": LOSSES, "learning_rate": LOSSES})
    assert one["run"].tolist() == ["run"] and one.runs[0].loss.tolist() == LOSSES.tolist()
    two = jm.curves({"step": np.arange(4), "train_loss": LOSSES, "val_loss": LOSSES}, value=("train_loss", "val_loss"))
    assert two["run"].tolist() == ["train_loss", "val_loss"]


def test_files_are_read_alike_whatever_their_kind(tmp_path):
    step, loss = np.arange(4.0), np.array([[1.0, 2], [0.5, 1], [0.2, 1], [0.1, 0.5]])
    np.savez(tmp_path / "a.npz", step=step, loss=loss)
    np.save(tmp_path / "a.npy", np.column_stack([step, loss]))
    rows = "".join(f"{s},{a},{b}\n" for s, (a, b) in zip(step, loss, strict=True))
    file(tmp_path, "iterations of mine,x,y\n" + rows, "a.csv")
    file(tmp_path, rows, "b.csv")
    names = {
        "a.npz": ["loss 0", "loss 1"],
        "a.npy": ["run 0", "run 1"],
        "a.csv": ["x", "y"],
        "b.csv": ["run 0", "run 1"],
    }
    for name, known in names.items():
        assert told(jm.curves(tmp_path / name)) == [
            (run, [0, 1, 2, 3], loss[:, i].tolist(), "") for i, run in enumerate(known)
        ]


def test_names_of_runs_are_not_taken_for_metrics(tmp_path):
    runs = ["test 1", "train-a", "lr 0.1", "adam - 0.1", "sgd - 0.1", "valley"]
    for comma in ",;\t":
        rows = [comma.join(map(str, [step, *[4 - step] * len(runs)])) for step in range(3)]
        trials = jm.curves(file(tmp_path, "\n".join([comma.join(["step", *runs]), *rows])))
        assert trials["run"].tolist() == runs and trials["records"].tolist() == [3] * len(runs)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "it is empty"),
        ("step,a\n", "must hold records, but it is empty"),
        ("step\n0\n1\n2\n", "at least one curve beside the step"),
        ("step,a,a\n0,1,1\n", "two are called 'a'"),
        ("step,a\n0,1\n1\n2,1\n", "Expected 2 columns, got 1"),
        ("step,a\n0,1\n1,x\n2,1\n", "must hold numbers in column 'a', but one is 'x'"),
        ("step,a\nzero,1\n1,1\n2,1\n", "must hold numbers in column 'step', but one is 'zero'"),
        ("run,step,loss\na,0,1\n,1,1\n", "run='run' is not allowed: must be told in every row; row 2 has none"),
        ("run,time,loss\na,0,1\na,1,1\n", "step=None is not allowed: must name the column of steps"),
        ("run,step,records,loss\na,0,1,1\na,1,1,1\n", "column='records' is not allowed: must have another name"),
        ("run,seed,step,loss\na,0,0,1\na,1,1,1\n", "must be one number a run"),
        ("run,seed,step,loss\na,0.5,0,1\na,0.5,1,1\n", "seed='0.5' is not allowed: must be a whole number"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, allowed):
    with pytest.raises(jm.ArgumentError) as refused:
        jm.curves(file(tmp_path, text))
    assert allowed in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "columns", "allowed"),
    [
        (3, {}, "table='int' is not allowed: must be a path, a DataFrame"),
        ("missing.csv", {}, "must be a file that can be read"),
        ("losses.txt", {}, "must end in one of .csv, .npy, .npz"),
        ({"step": [0, 1], "a": [1]}, {}, "step has 2 records, and a 1"),
        ({"step": [0, 1], "a": [1, "x"]}, {}, "must hold the step and losses"),
        (LONG, {"run": "who"}, "run='who' is not allowed: must be a column, such as optimizer"),
        (LONG, {"step": 3}, "step=3 is not allowed"),
        (LONG, {"run": "step"}, "step='step' is not allowed: must be another column than those of runs"),
        (
            LONG,
            {"run": "loss", "value": "loss"},
            "column='loss' is not allowed: must be one of run, step and value alone",
        ),
        ({"step": range(4), "a": range(4)}, {"value": "step"}, "value='step' is not allowed: must be another column"),
        (
            {"step": range(3), "who": ["a"] * 3, "loss": range(3)},
            {},
            "one is 'a'; if each row is of one run, run= names",
        ),
        (LONG, {"run": 3}, "run=3 is not allowed"),
        (LONG, {"run": "seed", "value": "los"}, "value='los' is not allowed: must be one of"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_in_one_line(table, columns, allowed):
    with pytest.raises(jm.ArgumentError) as refused:
        jm.curves(table, **columns)
    assert allowed in str(refused.value) and "\n" not in str(refused.value)
