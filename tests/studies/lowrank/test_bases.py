# SPDX-License-Identifier: Apache-2.0
"""Orthonormal bases against NumPy's QR, also of columns that depend on each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmyopia.studies.lowrank.bases import orthonormalised
from jaxmyopia.studies.lowrank.study import LowRank

rng = np.random.default_rng(0)


@pytest.mark.parametrize("scale", (1.0, 1e-4))
@pytest.mark.parametrize("shape", ((7, 3), (100, 20), (6, 6)))
def test_it_is_the_qr_of_numpy_with_a_positive_diagonal(shape, scale):
    columns = (scale * rng.normal(size=shape)).astype(np.float32)
    q, r = map(np.asarray, orthonormalised(jnp.asarray(columns)))
    expected_q, expected_r = np.linalg.qr(columns.astype(float))
    signs = np.sign(np.diag(expected_r))
    np.testing.assert_allclose(q, expected_q * signs, atol=1e-4)
    np.testing.assert_allclose(r, expected_r * signs[:, None], atol=1e-5 * np.abs(expected_r).max())
    np.testing.assert_allclose(q.T @ q, np.eye(shape[1]), atol=1e-6)


def test_what_depends_on_earlier_columns_adds_nothing_and_spoils_nothing():
    a, b, c = rng.normal(size=(3, 9)).astype(np.float32)
    columns = np.stack([a, b, 0 * a, a - 2 * b, c, a + 1e-3 * c], axis=1)
    q, r = map(np.asarray, orthonormalised(jnp.asarray(columns)))
    assert [int(x) for x in np.round(np.square(q).sum(axis=0))] == [1, 1, 0, 0, 1, 0]
    np.testing.assert_allclose(q @ r, columns, atol=1e-6)
    np.testing.assert_allclose(r.T @ r, columns.T @ columns, atol=2e-5)


@pytest.mark.parametrize("fields", ({"optimizer": "sgd"}, {"target": "orthogonal", "optimizer": "adam"}))
def test_a_start_calls_no_library_that_waits_for_threads(fields):
    study = LowRank(n=12, rank=3, **fields)
    params = study.params(learning_rate=np.ones(2), init_scale=np.ones(2))
    text = jax.jit(study.init).lower(jax.random.split(jax.random.key(0), 2), params).as_text()
    assert "lapack" not in text
