# SPDX-License-Identifier: Apache-2.0
"""python -m jaxmyopia curves: a line a run, a figure, and one line where something is wrong."""

import numpy as np
import pytest
from matplotlib.image import imread

import jaxmyopia as jm
from jaxmyopia.checks import RunError
from jaxmyopia.curves_command import CurvesOfOnesOwn, show_curves

STEPS = np.arange(0, 400, 4)
STAIRS = 0.2 + sum(1 / (1 + np.exp((STEPS - middle) / 5)) for middle in (100, 300))


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "losses.csv"
    rows = [
        f"{s},{a},{2 - b},{b if s < 40 else 'nan'}" for s, a, b in zip(STEPS, STAIRS, np.exp(-STEPS / 9), strict=True)
    ]
    rows[3] = f"{STEPS[3]},,,1"
    path.write_text("\n".join(["step,two stairs,a run that rises,c", *rows, ""]))
    return path


def test_it_prints_a_line_a_run_and_draws_them(csv, capsys):
    show_curves(CurvesOfOnesOwn(), [str(csv)])
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "curve             plateaus  descents  in log time  descents  upticks   counted",
        "two stairs               2         2            1         2        0   yes",
        "    1 row left out, without a loss or there twice",
        "a run that rises         0         0            0         0        1   yes",
        "    1 row left out, without a loss or there twice",
        "    ends above its start: claims take it for diverged",
        "c                        -         -            -         -        -   no",
        "    not counted: it is not finite at step 40",
    ]
    picture = imread(csv.with_name("losses.curves.png"))
    assert err == f"The figure is in {csv.with_name('losses.curves.png')}.\n"
    assert picture.shape[0] > 200 and picture.shape[1] > 600 and np.ptp(picture[..., :3]) == 1


def test_the_figure_goes_where_it_is_asked_for_or_nowhere(csv, capsys):
    show_curves(CurvesOfOnesOwn(figure=str(csv.with_name("b.svg"))), [str(csv)])
    assert "two stairs" in csv.with_name("b.svg").read_text()
    show_curves(CurvesOfOnesOwn(figure=""), [str(csv)])
    assert sorted(path.name for path in csv.parent.iterdir()) == ["b.svg", "losses.csv"]
    with pytest.raises(RunError, match=r"cannot be written .* --figure= is another file, or none"):
        show_curves(CurvesOfOnesOwn(figure=str(csv.parent / "none" / "b.png")), [str(csv)])
    with pytest.raises(jm.ArgumentError, match=r"figure='b.txt' is not allowed: must end in .png or .svg"):
        CurvesOfOnesOwn(figure="b.txt")


def test_columns_are_named_by_flags(tmp_path, capsys):
    rows = [f"{who},{i},{s},{y}" for who in "ab" for i in (0, 1) for s, y in zip(STEPS, STAIRS, strict=True)]
    (tmp_path / "long.csv").write_text("\n".join(["who,repeat,when,how far", *rows]))
    settings = CurvesOfOnesOwn(run="who,repeat", step="when", value="how far", figure="")
    show_curves(settings, [str(tmp_path / "long.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["a, 0", "a, 1", "b, 0", "b, 1"]
    assert all(line.split()[2:4] == ["2", "2"] for line in lines[1:])


def test_noise_is_told_from_descents_and_what_is_too_rough_is_not_counted(tmp_path, capsys):
    rng, steps = np.random.default_rng(0), np.arange(600)
    decay, jitter = np.exp(-steps / 150), rng.normal(size=(2, 600))
    noisy, wild = decay + 1e-3 * jitter[0], 0.05 + np.abs(decay + 0.5 * jitter[1])
    rows = np.stack([steps, decay, noisy, wild], axis=1)
    np.savetxt(tmp_path / "b.csv", rows, delimiter=",", header="step,smooth,noisy,wild", comments="")
    show_curves(CurvesOfOnesOwn(), [str(tmp_path / "b.csv")])
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert found["smooth"][:4] == found["noisy"][:4] == ["0", "1", "0", "1"]
    assert found["wild"][:4] == ["-"] * 4 and found["wild"][5:] == ["no"]
    assert lines[-1] == "    not counted: it is too rough for these thresholds"


def test_more_runs_than_a_figure_holds(tmp_path):
    from jaxmyopia.measures.spans import where_plateaus
    from jaxmyopia.report.single_curves import MOST, single_curves

    runs = jm.curves({"step": STEPS, "loss": np.stack([STAIRS] * (MOST + 1), axis=1)}).runs
    figure = single_curves(runs, lambda steps, loss: where_plateaus(steps, loss, ratio=0.5, fall=0.02))
    assert len(figure.axes) == MOST and figure.get_suptitle() == f"the first {MOST} of {MOST + 1} runs"
