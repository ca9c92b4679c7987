# SPDX-License-Identifier: Apache-2.0
"""Seeds that never arrive under cross-entropy at rank 1: they know how large logits are, but have lost their signs."""

import jax
import numpy as np
import pytest
from scipy import optimize, special

from jaxmyopia.studies.lowrank import theory
from jaxmyopia.studies.lowrank.study import LowRank

SEEDS = 32


def kl(flat: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Cross-entropy of a, b, one after the other, at rank 1, and its gradient."""
    a, b = np.split(flat, 2)
    z = np.outer(a, b)
    slope = special.softmax(z) - p
    value = special.logsumexp(z) - (p * z).sum() - special.entr(p).sum()
    return value, np.concatenate([slope @ b, a @ slope])


def hessian(flat: np.ndarray, p: np.ndarray) -> np.ndarray:
    a, b = np.split(flat, 2)
    q = special.softmax(np.outer(a, b))
    mean = np.concatenate([q @ b, a @ q])  # of dZ under Q
    mixed = q * np.outer(a, b) + q - p
    diagonal = np.concatenate([q @ b**2, a**2 @ q])
    return np.diag(diagonal) + np.block([[np.zeros_like(q), mixed], [mixed.T, np.zeros_like(q)]]) - np.outer(mean, mean)


def settled(start: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Where descent ends, in double precision."""
    options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    return optimize.minimize(kl, np.ravel(start), args=(p,), jac=True, method="L-BFGS-B", options=options).x


@pytest.fixture(scope="module")
def ends():
    """Where SGD is after 4,000 steps from scale 1, and the targets: `(S, 2, n)` each."""
    study = LowRank(n=100, rank=1, loss="cross_entropy")
    params = study.params(learning_rate=np.full(SEEDS, 0.5), init_scale=np.ones(SEEDS))
    start = jax.jit(study.init)(jax.random.split(jax.random.key(7), SEEDS), params)
    end = jax.jit(lambda s: jax.lax.fori_loop(0, 4000, lambda _, s: study.step(s, params), s))(start)
    turn = jax.vmap(study.path.layout.turn, in_axes=study.path.layout.seed_axis)
    return tuple(np.asarray(turn(x), float)[..., 0] for x in (end.factors, end.target.factors))


def test_the_hessian_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    flat, p, h = rng.normal(size=8), special.softmax(rng.normal(size=(4, 4))), 1e-5
    rows = [(kl(flat + h * e, p)[1] - kl(flat - h * e, p)[1]) / (2 * h) for e in np.eye(8)]
    np.testing.assert_allclose(hessian(flat, p), rows, atol=1e-9)
    np.testing.assert_allclose(optimize.approx_fprime(flat, lambda x: kl(x, p)[0]), kl(flat, p)[1], atol=1e-6)


@pytest.mark.slow
def test_who_never_arrives_is_in_a_minimum_that_has_lost_the_signs(ends):
    stuck = 0
    for factors, target in zip(*ends, strict=True):
        c = np.outer(*target)
        p = special.softmax(c)
        if kl(factors.ravel(), p)[0] < 1e-4:
            continue
        end = settled(factors, p)
        height, slope = kl(end, p)
        if height < 1e-9:  # was on its way
            continue
        stuck += 1
        assert height > 0.01 * theory.initial_cross_entropy(c)
        # A strict minimum, but for the one direction of a longer and b shorter, which changes nothing.
        curvatures = np.linalg.eigvalsh(hessian(end, p))
        assert np.linalg.norm(slope) < 1e-6 and abs(curvatures[0]) < 1e-6 and curvatures[1] > 1e-4
        # It is the one that a learner of sizes without signs falls into; most rows and columns have one sign.
        assert kl(settled(np.abs(target), p), p)[0] == pytest.approx(height, abs=1e-7)
        assert height < theory.sign_blind_loss(c)
        assert kl(np.abs(target).ravel(), p)[0] == pytest.approx(theory.sign_blind_loss(c), rel=1e-10)
    assert 0.15 < stuck / SEEDS < 0.45


@pytest.mark.slow
def test_targets_with_small_logits_and_the_square_loss_have_no_such_minimum(ends):
    rng = np.random.default_rng(0)
    for factors, target in zip(*(x[:8] for x in ends), strict=True):
        blind = np.abs(target) + 1e-3 * rng.normal(size=target.shape)  # off the saddle, if it is one
        p = special.softmax(0.3 * np.outer(*target))
        assert kl(settled(np.sqrt(0.3) * blind, p), p)[0] < 1e-9

        def square(flat, c):
            a, b = np.split(flat, 2)
            error = np.outer(a, b) - c
            return np.square(error).sum() / 2, np.concatenate([error @ b, a @ error])

        for start in (factors, blind):  # from where cross-entropy is stuck, too
            found = optimize.minimize(square, start.ravel(), args=(np.outer(*target),), jac=True, method="L-BFGS-B")
            assert found.fun < 1e-6


def test_the_sign_blind_loss_is_zero_where_no_logit_is_negative_and_counts_what_is():
    rng = np.random.default_rng(0)
    c = 3 * rng.normal(size=(4, 5, 5))
    np.testing.assert_allclose(theory.sign_blind_loss(np.abs(c)), 0, atol=1e-14)
    for one, value in zip(c, theory.sign_blind_loss(c), strict=True):
        p, q = special.softmax(one), special.softmax(np.abs(one))
        np.testing.assert_allclose(value, special.rel_entr(p, q).sum(), rtol=1e-12)
    # u, v = +-x: two right and two wrong corners share the mass, and one bit is missing.
    np.testing.assert_allclose(theory.sign_blind_loss(np.outer([30.0, -30], [30, -30])), np.log(2), rtol=1e-12)
