# SPDX-License-Identifier: Apache-2.0
"""The baselines of the benchmark must do the same work: from one start to the same factors."""

import jax
import numpy as np
import pytest

from experiments.benchmarks.baselines import Case, baselines, draw_start

STEPS = 20


def textbook(case: Case, start: np.ndarray) -> np.ndarray:
    """Gradient descent or Adam in double precision, a seed at a time."""
    out = []
    for a, b, u, v in start.astype(float):
        factors, moments = np.stack([a, b]), np.zeros((2, 2, case.n, case.rank))
        for t in range(1, STEPS + 1):
            z, c = factors[0] @ factors[1].T, u @ v.T
            q, p = (np.exp(x) / np.exp(x).sum() for x in (z, c))
            slope = z - c if case.loss == "square" else q - p
            gradient = np.stack([slope @ factors[1], slope.T @ factors[0]])
            moments = np.stack([0.9 * moments[0] + 0.1 * gradient, 0.999 * moments[1] + 0.001 * gradient**2])
            adam = moments[0] / (1 - 0.9**t) / (np.sqrt(moments[1] / (1 - 0.999**t)) + 1e-8)
            factors = factors - case.learning_rate * (adam if case.optimizer == "adam" else gradient)
        out.append(factors)
    return np.stack(out)


@pytest.mark.parametrize("name", [name for name in baselines() if name != "torch.compile"])
@pytest.mark.parametrize("optimizer", ("sgd", "adam"))
@pytest.mark.parametrize("loss", ("square", "cross_entropy"))
@pytest.mark.parametrize(("n", "rank", "seeds"), ((5, 2, 3), (24, 6, 9)))
def test_baselines_end_where_the_textbook_does(name, loss, optimizer, n, rank, seeds):
    case = Case(loss=loss, optimizer=optimizer, n=n, rank=rank, seeds=seeds, learning_rate=0.01)
    start = 0.5 * draw_start(case)
    with jax.numpy_dtype_promotion("standard"):  # a user's plain optax
        found = baselines()[name](case, start)(STEPS)
    expected = textbook(case, start)
    if name == "jaxmyopia" and case.study.in_span:  # coordinates: inner products of columns are what both have
        assert found.shape == (seeds, 2, 2 * rank, rank)
        found, expected = (np.swapaxes(x, -1, -2) @ x for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)
