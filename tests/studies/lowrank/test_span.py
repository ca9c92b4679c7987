# SPDX-License-Identifier: Apache-2.0
"""Learning in the span of start and target against learning of the entries: the same numbers within rounding."""

import dataclasses

import numpy as np
import pytest

from jaxmyopia import run
from jaxmyopia.studies.lowrank.study import LowRank


@dataclasses.dataclass(frozen=True)
class Direct(LowRank):
    """The study of the entries, whatever its optimiser."""

    in_span = False


def found(study: LowRank, rate: float):
    return run(
        study, seeds=64, steps=600, records=80, keep_curves=64, progress=False, learning_rate=rate, init_scale=0.3
    )


@pytest.mark.parametrize(
    ("optimizer", "rank", "target_rank", "rate"),
    (("sgd", 1, 1, 0.02), ("sgd", 2, 2, 0.02), ("momentum", 2, 1, 0.002), ("sgd", 5, 3, 0.01)),
)
def test_every_curve_and_every_count_is_that_of_the_entries(optimizer, rank, target_rank, rate):
    sizes = {"n": 20, "rank": rank, "target_rank": target_rank, "optimizer": optimizer}
    spanned, direct = found(LowRank(**sizes), rate), found(Direct(**sizes), rate)
    loss, expected = (each.curves["loss"] / each.curves["loss"][:1] for each in (spanned, direct))
    assert np.median(expected[-1]) < 0.05  # they learn
    np.testing.assert_allclose(loss, expected, atol=5e-6)
    for name in ("norm_a", "align_a", "align_b", "inner_a", "inner_b"):
        scale = direct.curves[name].max()
        np.testing.assert_allclose(spanned.curves[name], direct.curves[name], atol=2e-4 * scale, err_msg=name)
    thresholds = LowRank().thresholds
    for measure in (thresholds.descents, thresholds.plateaus, thresholds.bumps):
        for choice in measure.choices:
            counts = (each.trials.values(measure, choice) for each in (spanned, direct))
            np.testing.assert_array_equal(*counts, err_msg=measure.column(choice))


@pytest.mark.parametrize(
    ("fields", "in_span"),
    (
        ({}, True),
        ({"optimizer": "momentum"}, True),
        ({"optimizer": "adam"}, False),
        ({"loss": "cross_entropy"}, False),
        ({"rank": 5, "target_rank": 5}, False),
        ({"rank": 5, "target_rank": 4}, True),
    ),
)
def test_only_sums_of_gradients_of_the_square_loss_stay_in_a_span_that_is_smaller(fields, in_span):
    study = LowRank(**{"n": 10, "rank": 2} | fields)
    assert study.in_span is in_span and type(study).in_span is not False
