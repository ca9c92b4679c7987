# SPDX-License-Identifier: Apache-2.0
"""`jaxmyopia.run` as a notebook uses it: in memory or in a folder, with the same numbers."""

import numpy as np
import pytest

import jaxmyopia

STUDY = jaxmyopia.LowRank(n=6, rank=2, optimizer="adam")
WANTED = {"seeds": 40, "steps": 30, "keep_curves": 3, "learning_rate": (0.01, 0.1), "init_scale": 0.5}


def test_in_memory_and_in_a_folder_it_gives_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = jaxmyopia.run(STUDY, **WANTED)
    assert not list(tmp_path.iterdir())
    assert "80/80" in capsys.readouterr().err  # the bar
    second = jaxmyopia.run(STUDY, out=tmp_path / "run", progress=False, **WANTED)
    third = jaxmyopia.run(STUDY, out=tmp_path / "run", progress=False, **WANTED)  # finds it done
    assert not capsys.readouterr().err
    for other in (second, third):
        for name in first.table.columns:
            np.testing.assert_array_equal(first.table[name], other.table[name])
        assert first.curves.keys() == other.curves.keys()
        for name, curve in first.curves.items():
            np.testing.assert_array_equal(curve, other.curves[name])
        for name in ("group", "bucket", "count"):
            np.testing.assert_array_equal(
                getattr(first.quantiles["relative_loss"], name), getattr(other.quantiles["relative_loss"], name)
            )
    assert first.folder is None and second.folder.path == tmp_path / "run"
    assert first.combinations == [{"learning_rate": rate, "init_scale": 0.5} for rate in (0.01, 0.1)]
    assert first.curves["loss"].shape == (len(first.steps), 6)
    assert first.quantiles["relative_loss"].quantile(0.5).shape == (len(first.steps), 2)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="keep_curves=-1 is not allowed: must be at least 0"):
        jaxmyopia.run(STUDY, **WANTED | {"keep_curves": -1})
    with pytest.raises(ValueError, match="seeds=0 is not allowed"):
        jaxmyopia.run(STUDY, **WANTED | {"seeds": 0})
    with pytest.raises(ValueError, match=r"momentum=0\.9 is not allowed: must be one of what LowRank has"):
        jaxmyopia.run(STUDY, momentum=0.9, **WANTED)
