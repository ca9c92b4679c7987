# SPDX-License-Identifier: Apache-2.0
"""What seeds start from: the distributions of targets and starts, and which draws are shared."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxmyopia.studies.lowrank.model import TARGETS, draw_problem

N, RANK, SEEDS = 6, 3, 200
SPECTRUM = (5.0, 0.5, 3.0, 2.0)  # one more than is used, and not in order


@functools.cache
def problems(kind: str, rank: int = RANK, target_rank: int = RANK, init_scale: float = 1.0, root: int = 0):
    """The problems of SEEDS seeds, seeds first, in numpy."""

    def draw(key):
        return draw_problem(
            key, jnp.asarray(init_scale), kind=kind, n=N, rank=rank, target_rank=target_rank, spectrum=SPECTRUM
        )

    keys = jax.random.split(jax.random.key(root), SEEDS)
    return jax.tree.map(np.asarray, jax.vmap(draw)(keys))


@pytest.mark.parametrize(("kind", "singular_values"), (("orthogonal", (1, 1, 1)), ("spectrum", (5, 3, 0.5))))
def test_targets_have_the_singular_values_chosen_and_orthogonal_columns(kind, singular_values):
    drawn = problems(kind)
    found = np.linalg.svd(drawn.u @ drawn.v.swapaxes(1, 2), compute_uv=False)
    np.testing.assert_allclose(found, np.broadcast_to([*singular_values, 0, 0, 0], (SEEDS, N)), atol=1e-5)
    for factor in (drawn.u, drawn.v):
        gram = factor.swapaxes(1, 2) @ factor
        lengths = (1, 1, 1) if kind == "orthogonal" else SPECTRUM[:RANK]  # in the order given
        np.testing.assert_allclose(gram, np.broadcast_to(np.diag(lengths), gram.shape), atol=1e-5)


def test_orthogonal_targets_point_everywhere_alike():
    # The first column is uniform on the sphere: an entry has mean 0 and variance 1/n, and (1 + x)/2 is a beta variable.
    # QR alone, without the signs, fails this.
    half = (N - 1) / 2
    for factor in (problems("orthogonal").u, problems("orthogonal").v):
        for column in range(RANK):
            assert stats.kstest((1 + factor[:, column, column]) / 2, stats.beta(half, half).cdf).pvalue > 1e-3


def test_gaussian_targets_and_starts_are_independent_standard_normals():
    drawn = problems("gaussian")
    entries = [getattr(drawn, name).reshape(SEEDS, -1) for name in ("u", "v", "a", "b")]
    for each in entries:
        assert stats.kstest(each.ravel(), stats.norm.cdf).pvalue > 1e-3
    correlations = np.corrcoef(np.concatenate(entries, axis=1).T) - np.eye(4 * N * RANK)
    assert np.abs(correlations).max() < 5 / np.sqrt(SEEDS)


def test_the_start_is_scaled_and_the_same_whatever_the_target():
    start = problems("gaussian")
    for kind in TARGETS:
        drawn = problems(kind, init_scale=1e-3)
        np.testing.assert_allclose(drawn.a, 1e-3 * start.a, rtol=1e-6)
        np.testing.assert_allclose(drawn.b, 1e-3 * start.b, rtol=1e-6)


def test_a_scale_changes_no_target():
    chex.assert_trees_all_equal(problems("gaussian").u, problems("gaussian", init_scale=1e-3).u)


@pytest.mark.parametrize("other", ({"rank": 2}, {"target_rank": 2}, {"root": 1}))
def test_other_ranks_and_other_keys_share_no_draws(other):
    one, two = problems("gaussian"), problems("gaussian", **other)
    for name in ("u", "v", "a", "b"):
        # Of some 3000 draws each, a few are equal by chance: float32's normals come from 2^23 uniforms.
        assert np.intersect1d(getattr(one, name), getattr(two, name)).size < SEEDS / 10


def test_no_two_matrices_of_any_seeds_share_draws():
    drawn = np.concatenate([getattr(problems("gaussian"), name).ravel() for name in ("u", "v", "a", "b")])
    assert drawn.size - np.unique(drawn).size < SEEDS / 5
