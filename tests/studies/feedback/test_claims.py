# SPDX-License-Identifier: Apache-2.0
"""The claims on tables made up so that the right verdicts are known; calculations; the binary."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import feedback
from jaxmyopia.claims import judge_all
from jaxmyopia.stats.table import Trials
from jaxmyopia.studies.feedback.calculations import crossover, inside, rows
from jaxmyopia.studies.feedback.claims import CLAIMS, LEARNERS
from jaxmyopia.studies.feedback.measures import AFTER, AT_BITS, WHOLE
from jaxmyopia.studies.feedback.model import values

SEEDS = 60
SETTINGS = ("study", "learner", "d", "k", "sigma", "angle", "noise", "sharpness", "prior", "belief")


def table_of(cos) -> Trials:
    """A run's table at two angles and sigmas; `cos(learner, angle, answers or None)` gives every cosine, less a little
    noise."""
    parts, rng = [], np.random.default_rng(0)
    for learner, angle, sigma in itertools.product([*LEARNERS, "principle"], (0.0, 90.0), (0.3, 1.0)):
        kind, prior = LEARNERS.get(learner, ("principle", np.nan))
        missing = np.nan if learner == "principle" else 1.0
        own = {"study": "feedback", "learner": kind, "d": 16, "k": 2.0, "sigma": sigma, "angle": angle}
        own |= {"noise": 0.0 if learner == "principle" else np.nan, "sharpness": missing, "belief": missing}
        own |= {"prior": prior, "asked": WHOLE if learner == "principle" else 1024.0}
        own |= {"information": 100.0, "volume": 100.0}
        own |= {name: cos(learner, angle, None) for name in AT_BITS.columns}
        for choice in AFTER.choices:
            own[AFTER.column(choice)] = cos(learner, angle, choice["answers"])
        noisy = {name: x - 1e-3 * rng.uniform(size=SEEDS) if name.startswith("cos_") else x for name, x in own.items()}
        parts.append(noisy)
    columns = {name: np.concatenate([np.broadcast_to(part[name], SEEDS) for part in parts]) for name in parts[0]}
    total = SEEDS * len(parts)
    columns |= {"seed": np.tile(np.arange(SEEDS), len(parts)), "diverged": np.zeros(total, bool)}
    return Trials(columns, (SETTINGS,))


def judged(cos):
    return {each.id: each for each in judge_all(CLAIMS, table_of(cos))}


def test_learners_that_are_as_claimed_support_the_claims_and_others_contradict_them():
    order = ["principle", "subspace", "isotropic", "active", "soft", "active, soft"]
    as_claimed = judged(
        lambda learner, angle, n: 0.95 if n is None and learner == "principle" else 0.1 * order.index(learner)
    )
    assert {each.verdict for each in as_claimed.values()} == {"supported"}
    other = judged(
        lambda learner, angle, n: (
            0.8 - 0.1 * order.index(learner) - (0.6 if n is None and learner == "principle" else 0)
        )
    )
    assert {name: each.verdict for name, each in other.items()} == dict.fromkeys(other, "contradicted")
    assert all(control.came_out == "held" for each in as_claimed.values() for control in each.controls)


def test_where_comparisons_win_depends_on_answers_and_angle():
    def cos(learner, angle, n):
        return (0.95 if angle == 0 else 0.05) if learner == "principle" else 0.3 if (n or 0) < 200 else 0.6

    found = judged(cos)["wrong-principle-costs"]
    assert found.verdict == "depends on the condition" and "where angle is at least 90" in found.headline


def test_bits_and_answers_that_a_run_does_not_come_to_are_not_asked():
    table = table_of(lambda learner, angle, n: 0.9 if learner == "principle" else 0.5)
    chosen = table["learner"] == "active"
    columns = dict(table.columns)
    columns["asked"] = np.where(chosen, 64.0, columns["asked"])
    columns["volume"] = np.where(chosen, 5.0, columns["volume"])  # of 2 coordinates of up to 4 bits
    found = {each.id: each for each in judge_all(CLAIMS, Trials(columns, (SETTINGS,)))}
    answers = {piece.condition["answers"] for piece in found["active-tells-more"].evidence}
    assert answers == {16.0, 64.0}
    bits = lambda rival: {
        piece.condition["bits"] for piece in found["principles-use-more"].evidence
        if piece.condition["rival"] == rival and piece.condition["charge"] == "volume"
    }  # fmt: skip
    assert bits("active") == {1.0, 2.0} and bits("soft") == {1.0, 2.0, 4.0}


@pytest.mark.parametrize(("k", "sigma", "angle"), [(2, 0.5, 30.0), (4, 1.0, 60.0), (3, 0.1, 90.0)])
def test_the_share_inside_a_tilted_subspace_is_that_of_drawn_values(k, sigma, angle):
    d, noise = 10, jax.random.normal(jax.random.key(1), (4000, 2, 10))
    given = (jnp.asarray(x, jnp.float32) for x in (k, sigma, angle))
    w = np.asarray(jax.vmap(values, in_axes=(0, None, None, None))(noise, *given))
    share = (w[:, :k] ** 2).sum(axis=1)
    assert share.mean() == pytest.approx(inside(d, k, sigma, angle), abs=4 * share.std() / np.sqrt(4000) + 1e-6)


def test_calculations_have_one_width_and_the_crossover_that_is_published():
    assert crossover(16, 1.0, 1.0) == pytest.approx(15 / 0.2066, rel=1e-3)  # s^2 E[sigmoid'(g)] = 0.2066
    for lines in rows().values():
        assert len({len(line) for line in lines}) == 1


SMALL = [
    "--seeds=4", "--dims=4", "--subspaces=1", "--sigmas=0.3", "--angles=0", "--sharpnesses=1", "--rounds=4",
    "--active_rounds=4", "--pool=2",
]  # fmt: skip


def test_a_small_run_leaves_a_whole_folder_and_resumes_to_the_byte(tmp_path, capsys):
    out = tmp_path / "run"
    assert feedback.main.exit_code([*SMALL, f"--out={out}"]) == 0
    assert "principles-use-more" in capsys.readouterr().out
    assert (out / "report.html").is_file()
    kept = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.parquet")}
    for path in out.rglob("*chunk-0*"):
        if path.is_file() and path.suffix == ".parquet":
            path.unlink()
            break
    assert feedback.main.exit_code([*SMALL, "--repair", f"--out={out}"]) == 0
    assert kept == {path.relative_to(out): path.read_bytes() for path in out.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--subspaces=9", "from 1 to 8, half of the least of --dims"),
        ("--subspaces=0", "from 1 to 8"),
        ("--sigmas=-1", "from 0.01 to 100"),
        ("--sharpnesses=0", "from 0.01 to 100"),
        ("--pool=0", "from 2 to 4096"),
        ("--angles=30", "must hold 0"),
        ("--angles=0,120", "from 0 to 90"),
        ("--noises=-1", "from 0 to 100"),
        ("--beliefs=2", "must hold 1"),
        ("--rounds=2", "from 3 to 30"),
        ("--active_rounds=31", "from 3 to 30"),
        ("--dims=1", "from 2 to 1024"),
        ("--seeds=0", "at least 1"),
    ],
)
def test_bad_flags_take_one_line_and_write_nothing(flag, allowed, tmp_path, capsys):
    out = tmp_path / "run"
    assert feedback.main.exit_code([flag, f"--out={out}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and allowed in error and not out.exists()
