# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a JSON value, in one line that says where."""

import pytest

from jaxmyopia.checks import ArgumentError, RunError
from jaxmyopia.claims.judged import Judgement
from jaxmyopia.engine.schema import built, fault
from jaxmyopia.stats.intervals import Interval

INTERVAL = {"estimate": None, "low": 0, "high": 1.5, "n": 3, "method": "BCa"}
CLAIM = {"id": "a", "text": "b", "verdict": "inconclusive", "reason": "c"}


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    (
        ({"a": [1, None]}, dict[str, list[int | float]], "a.1 must be a whole number, but it is null"),
        (True, int, "it must be a whole number, but it is true"),
        (INTERVAL | {"n": 3.0}, Interval, "n must be a whole number, but it is 3.0"),
        (INTERVAL | {"low": "0"}, Interval, "low must be a number, but it is a text"),
        ({"n": 3}, Interval, "estimate is missing"),
        ([], Interval, "it must be an object, but it is a list"),
        (CLAIM | {"verdict": "sure"}, Judgement, "verdict must be one of supported, contradicted, no difference"),
        (CLAIM | {"evidence": {}}, Judgement, "evidence must be a list, but it is an object"),
        ({"a\nb": 1}, dict[str, str], r"a\nb must be a text, but it is 1"),
    ),
)
def test_it_says_where_and_what(value, hint, said):
    assert fault(value, hint).startswith(said)


def test_what_has_no_fault_is_built():
    assert fault(INTERVAL | {"more": 1}, Interval) is None and fault(CLAIM, Judgement) is None
    made = built(INTERVAL, Interval)
    assert made.estimate != made.estimate and (made.low, made.n, made.level) == (0, 3, 0.95)
    assert built([CLAIM], list[Judgement]) == [Judgement("a", "b", "inconclusive", "c")]


def test_an_error_is_one_line_whatever_it_quotes():
    for error in (ArgumentError("out", "x", "holds a\nb"), RunError("a\r\nb\u2028c")):
        assert len(str(error).splitlines()) == 1
