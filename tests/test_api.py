# SPDX-License-Identifier: Apache-2.0
"""`run`, `settle` and `load` as a notebook uses them: with a folder or without, with the same numbers."""

import importlib.util
import json
import linecache
import sys

import numpy as np
import pytest

import jaxmyopia as jm

STUDY = jm.LowRank(n=6, rank=2, optimizer="adam")
WANTED = {"seeds": 40, "steps": 30, "keep_curves": 3, "learning_rate": (0.01, 0.1), "init_scale": 0.5}
RATIO = jm.measures.final_ratio()


@jm.claim("The larger rate ends lower.")
def larger_is_better(trials):
    return jm.paired(trials.where(learning_rate=0.1), trials.where(learning_rate=0.01), RATIO).below(0)


@jm.claim("There is a rank 3.")
def rank_three(trials):
    return jm.mean(trials.where(rank=3), RATIO).below(1)


def test_with_and_without_a_folder_it_gives_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = jm.run(STUDY, **WANTED)
    assert not list(tmp_path.iterdir())
    assert "80/80" in capsys.readouterr().err  # the bar
    second = jm.run(STUDY, out=tmp_path / "run", progress=False, **WANTED)
    third = jm.load(tmp_path / "run")
    assert not capsys.readouterr().err
    for other in (second, third):
        for name in first.trials.columns:
            np.testing.assert_array_equal(first.trials[name], other.trials[name])
        assert list(first.curves) == list(other.curves)
        for name, curve in first.curves.items():
            np.testing.assert_array_equal(curve, other.curves[name])
        for name in ("group", "bucket", "count"):
            mine, its = (getattr(each.quantiles("relative_loss"), name) for each in (first, other))
            np.testing.assert_array_equal(mine, its)
    assert second.folder.path == tmp_path / "run"
    assert first.cells[0].combinations == [(rate, 0.5) for rate in (0.01, 0.1)]
    assert first.curves["loss"].shape == (len(first.steps), 6) == (len(first.steps), len(first.kept))
    assert first.quantiles("relative_loss").quantile(0.5).shape == (len(first.steps), 2)


def test_the_temporary_folder_goes_with_the_answer():
    answer = jm.run(STUDY, progress=False, **WANTED)
    path, trials = answer.folder.path, answer.trials
    del answer
    assert path.is_dir() and len(trials["loss_ratio"]) == 80  # what still reads it keeps it
    del trials
    assert not path.exists()


def test_fields_make_cells_and_settings_make_trials():
    answer = jm.run(STUDY, progress=False, **WANTED | {"optimizer": ("sgd", "adam")})
    assert [cell.settings["optimizer"] for cell in answer.cells] == ["sgd", "adam"]
    assert len(answer.trials) == 2 * 2 * 40
    assert {"optimizer", "learning_rate", "rank"} <= set(
        answer.trials.settings
    ) and "seed" not in answer.trials.settings


def test_settled_claims_are_shown_saved_and_read_back(tmp_path):
    answer = jm.settle(STUDY, [larger_is_better, rank_three], progress=False, **WANTED)
    assert [each.verdict for each in answer.claims] == ["supported", "not judged"]
    assert answer.claims[1].reason == "the run lacks rank=3"
    assert "SUPPORTED  The larger rate ends lower." in str(answer)
    html = answer._repr_html_()
    assert "The larger rate ends lower." in html and "<svg" in html
    saved = answer.save(tmp_path / "kept")
    assert saved.claims == answer.claims == jm.load(tmp_path / "kept").claims
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {"manifest.json", "claims.json", "report.html"}
    page = answer.page(tmp_path / "page.html")
    assert page.read_text().startswith("<!doctype html>")
    with pytest.raises(jm.ArgumentError, match="must be new, or empty"):
        answer.save(tmp_path / "kept")


def test_an_older_folder_is_refused_with_the_version_that_wrote_it(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"config": {"format": 2}, "versions": {"jaxmyopia": "0.1.0"}}))
    with pytest.raises(jm.ArgumentError, match=r"was written by jaxmyopia 0\.1\.0 \(format 2\); this version reads"):
        jm.load(tmp_path)
    with pytest.raises(jm.ArgumentError, match="must be the folder of a run"):
        jm.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"keep_curves": -1}, "keep_curves=-1 is not allowed: must be a whole number from 0"),
        ({"seeds": 0}, "seeds=0 is not allowed"),
        ({"momentum": 0.9}, "momentum=0.9 is not allowed"),
        ({"seeds": "8"}, "seeds='8' is not allowed: must be at least 1, a whole number"),
        ({"seeds": 1e3}, "seeds=1000.0 is not allowed"),
        ({"seeds": True}, "seeds=True is not allowed"),
        ({"seeds": 10**12}, "seeds=1000000000000 is not allowed: must be at most"),
        ({"steps": None}, "steps=None is not allowed"),
        ({"records": [0, 1]}, "records=[0, 1] is not allowed"),
        ({"learning_rate": "fast"}, "learning_rate='fast' is not allowed"),
        ({"out": ""}, "out='' is not allowed: must be a path"),
    ],
)
def test_bad_arguments_take_one_line(changed, message):
    with pytest.raises(jm.ArgumentError) as error:
        jm.run(STUDY, progress=False, **WANTED | changed)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("claims", [larger_is_better, [lambda trials: None], ["text"], [larger_is_better] * 2])
def test_what_is_no_list_of_claims_is_refused_before_it_is_run(claims, tmp_path):
    with pytest.raises(jm.ArgumentError, match="claim"):
        jm.settle(STUDY, claims, progress=False, **WANTED | {"out": tmp_path / "run"})
    assert not (tmp_path / "run").exists()


END = jm.Measure("end", lambda curves: curves["loss"][-1])
SMALL = {"seeds": 8, "steps": 4, "records": 4, "learning_rate": 0.1, "init_scale": 0.5, "progress": False}


def test_home_is_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    answer = jm.settle(STUDY, [larger_is_better], **SMALL | {"out": "~/mine", "learning_rate": (0.01, 0.1)})
    assert answer.folder.path == tmp_path / "mine" and len(jm.load("~/mine").trials) == 16


@pytest.mark.parametrize(
    "measures",
    [
        [END, jm.Measure("end", lambda curves: curves["loss"][0])],
        [jm.Measure("seed", END.fn)],
        [jm.Measure("diverged", END.fn)],
        [jm.Measure("optimizer", END.fn)],
        [jm.Measure("plateaus_r0.5_f0.02".replace(".", "_"), END.fn), END, END, jm.Measure("learning_rate", END.fn)],
    ],
)
def test_two_columns_of_one_name_are_refused(measures):
    study = jm.LowRank(n=6, rank=2, measures=measures)
    with pytest.raises(jm.ArgumentError, match=r"^LowRank\.measures="):
        jm.run(study, **SMALL)


def test_measures_are_a_list():
    with pytest.raises(jm.ArgumentError, match=r"measures=.* must be a list of measures"):
        jm.LowRank(measures=END)


OWN = """
import dataclasses
import jax.numpy as jnp
import jaxmyopia as jm

@dataclasses.dataclass(frozen=True)
class Own(jm.Training):
    def init(self, key, *, start):
        return jnp.ones(2) * start, ()

    def loss(self, w, data):
        return {scale} * (w * w).sum()
"""


def _own(path, **words):
    path.write_text(OWN.format(**words))
    spec = importlib.util.spec_from_file_location("own", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["own"] = module
    linecache.checkcache()
    spec.loader.exec_module(module)
    return module.Own()


def test_a_folder_is_not_resumed_with_edited_code(tmp_path):
    run = {"seeds": 4, "steps": 4, "records": 4, "learning_rate": 0.1, "start": 1.0, "progress": False}
    path, out = tmp_path / "own.py", tmp_path / "run"
    first = jm.run(_own(path, scale="1.0"), out=out, **run)
    assert len(jm.run(_own(path, scale="1.0"), out=out, **run).trials) == len(first.trials)
    with pytest.raises(jm.ArgumentError, match=r"another configuration .*program: "):
        jm.run(_own(path, scale="100.0"), out=out, **run)


def test_an_error_of_the_users_own_code_says_where(tmp_path):
    study = _own(tmp_path / "own.py", scale="undefined_name")
    with pytest.raises(jm.ArgumentError, match=r"NameError: .*undefined_name.* \(own\.py, line 12\)") as error:
        jm.run(study, seeds=4, steps=4, learning_rate=0.1, start=1.0, progress=False)
    assert "\n" not in str(error.value)
