# SPDX-License-Identifier: Apache-2.0
"""Claims and measures work on curves from elsewhere as on those of a run."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest

import jaxmyopia as jm
from jaxmyopia.claims.controls import copies, planted

PLATEAUS = jm.measures.plateaus(ratio=(0.5, 0.25), fall=0.02)
DESCENTS = jm.measures.descents(ratio=(0.5, 0.25), fall=0.02)
STEPS = np.arange(0, 400, 4)


def stairs(*middles, width=5.0):
    """A loss with a descent around each of these steps, and a plateau before each."""
    return 0.2 + sum(1 / (1 + np.exp((STEPS - middle) / width)) for middle in middles)


def table(seeds=32):
    """SGD has two plateaus and Adam one, at either of two rates; but for one seed."""
    rng, parts = np.random.default_rng(0), []
    for seed in range(seeds):
        for optimizer in ("sgd", "adam"):
            for rate in (0.1, 0.01):
                middles = (100, 300) if (optimizer == "sgd") != (seed == 5) else (200,)
                loss = stairs(*middles) * rng.uniform(0.5, 2)
                parts.append(pd.DataFrame({
                    "run": f"{optimizer}-{rate}-{seed}", "optimizer": optimizer, "rate": rate, "seed": seed,
                    "step": STEPS, "loss": loss,
                }))  # fmt: skip
    return pd.concat(parts)


@pytest.fixture(scope="module")
def trials():
    return jm.curves(table())


def test_a_share_and_a_mean_of_curves(trials):
    sgd = trials.where(optimizer="sgd")
    assert sgd[PLATEAUS].tolist() == [1.0 if seed == 5 else 2.0 for seed in sgd["seed"]]
    piece = jm.share(sgd.where(rate=0.1), PLATEAUS, lambda count: count == 2).above(0.5)
    assert (piece.verdict, piece.interval.n) == ("supported", 32)
    assert piece.interval.estimate == pytest.approx(31 / 32)
    assert jm.mean(sgd.where(rate=0.1), PLATEAUS).above(1).interval.estimate == pytest.approx(63 / 32)


def test_a_claim_is_paired_by_seed_and_judged_under_each_setting(trials):
    @jm.claim(
        "SGD has more plateaus than Adam.",
        passes={"planted": lambda rows: more.pieces(planted(
            rows, **dict.fromkeys(PLATEAUS.columns, lambda all: 1.0 + (all["optimizer"] == "sgd"))
        ))},
        fails={"copies": lambda rows: jm.paired(*copies(rows.where(optimizer="sgd", rate=0.1)), PLATEAUS).above(0)},
    )  # fmt: skip
    def more(rows):
        sides = rows.where(optimizer="sgd"), rows.where(optimizer="adam")
        return jm.paired(*sides, PLATEAUS, lambda count: count >= 2).above(0)

    judged = more.judge(trials)
    assert judged.verdict == "supported"
    assert [piece.condition for piece in judged.evidence] == [{"rate": 0.01}, {"rate": 0.1}]
    assert [piece.interval.estimate for piece in judged.evidence] == pytest.approx([30 / 32] * 2)
    assert {each.name: each.came_out for each in judged.controls} == {
        "planted must pass": "held", "copies must fail": "held",
    }  # fmt: skip
    assert judged.evidence[0].holds == 1.0 and len(judged.evidence[0].grid) == 2
    needed = jm.how_many(more, trials, effect=0.5, repeats=3)
    assert len(needed) == 2 and all(np.isfinite(each.median) for each in needed)


def test_derived_measures_and_budgets_are_made_of_curves(trials):
    both = jm.Derived("both", lambda rows: rows.values(PLATEAUS) + rows.values(DESCENTS))
    assert trials.where(optimizer="adam", rate=0.1, seed=0)[both].tolist() == [2.0]
    early = PLATEAUS.at_budgets(1, 0.5)
    one = trials.where(optimizer="sgd", rate=0.1, seed=0)
    assert one[early].tolist() == [2.0] and one.values(early, {"budget": 0.5}).tolist() == [1.0]
    late = jm.Measure(
        "late", lambda curves, share: (curves["loss"] > share * curves["loss"][:1]).mean(axis=0), share=0.5
    )
    assert 0.2 < one[late][0] < 0.8


def test_the_table_holds_what_was_asked_for(trials):
    some = trials.where(optimizer="sgd").keep(trials.where(optimizer="sgd")["seed"] < 3)
    some[PLATEAUS]
    frame = some.to_pandas()
    assert len(frame) == 6 and set(PLATEAUS.columns) <= set(frame) and frame["plateaus_r0.5"].tolist() == [2.0] * 6
    assert len(some.joined(trials.where(optimizer="adam"))[PLATEAUS]) == 6 + 64
    with pytest.raises(jm.ArgumentError, match="must be curves of one call"):
        some.joined(jm.curves({"step": STEPS, "loss": stairs(100)}))


def test_measures_of_one_name_are_told_apart(trials):
    one = jm.curves({"step": STEPS, "loss": 0.2 + stairs(100, 300, width=18)})
    strict, lax = jm.measures.plateaus(ratio=0.02), jm.measures.plateaus(ratio=0.9)
    assert one[strict].tolist() != one[lax].tolist()
    assert one[strict].tolist() == jm.curves({"step": STEPS, "loss": one.runs[0].loss})[strict].tolist()


def test_what_the_curves_lack_is_said_in_one_line(trials):
    for measure in (jm.measures.bumps("cosine"), jm.measures.bumps("cosine").at_budgets(1, 0.5)):
        with pytest.raises(jm.ArgumentError) as refused:
            trials[measure]
        assert str(refused.value) == (
            "curve='cosine' is not allowed: must be the loss or the step: curves from elsewhere hold no others"
        )
    odd = jm.curves(table(2).assign(plateaus=1))
    with pytest.raises(jm.ArgumentError, match="column='plateaus' is not allowed: must have another name"):
        odd[jm.measures.plateaus(ratio=0.5, fall=0.02)]


def test_runs_that_are_not_counted_are_lost_not_left_out():
    rows = table(32).query("rate == 0.1 and optimizer == 'sgd'")
    bad = jm.curves(pd.concat([rows, rows[(rows.seed < 3) & (rows.step == 8)].assign(loss=7.0)]))
    assert (bad["reason"] != "").sum() == 3 and np.isnan(bad[PLATEAUS]).sum() == 3
    assert jm.mean(bad, PLATEAUS).above(1).verdict == "not judged"  # 9 % are lost
    share = jm.share(bad, PLATEAUS, lambda count: count == 2).above(0.5)
    assert share.interval.estimate == pytest.approx(28 / 32) and share.diverged == 3


def test_the_numbers_are_those_of_a_run_of_ours():
    @dataclasses.dataclass(frozen=True)
    class Stairs(jm.Training):
        """Two modes of different strength from a small start."""

        def init(self, key, *, scale):
            return scale * (1 + 0.2 * jax.random.uniform(key, (2, 2))), jax.numpy.array([2.0, 0.5])

        def loss(self, weights, target):
            return ((weights[0] * weights[1] - target) ** 2).sum() / 2

    measures = [PLATEAUS, DESCENTS, jm.measures.upticks(), jm.measures.final_ratio()]
    answer = jm.run(
        Stairs(measures=measures), seeds=8, steps=400, keep_curves=8, progress=False, learning_rate=(0.05, 0.6, 3.0),
        scale=1e-3,
    )  # fmt: skip
    kept, losses = answer.kept, answer.curves["loss"]
    ours = jm.curves({"step": answer.steps, "loss": losses})
    assert kept["diverged"].any() and not kept["diverged"].all() and (kept[PLATEAUS] == 2).any()
    assert ours["diverged"].tolist() == kept["diverged"].tolist()
    for measure in measures:
        for choice in measure.choices:
            # The order of rows: by number here, by seed there.
            theirs = np.where(kept["diverged"], np.nan, kept[measure.column(choice)])
            np.testing.assert_allclose(ours.values(measure, choice), theirs, rtol=1e-6)
