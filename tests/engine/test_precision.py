# SPDX-License-Identifier: Apache-2.0
"""Products of matrices: float32 on every backend, as the lowered text says; rounded operands where it is simulated."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from experiments.benchmarks import platform_check
from jaxmyopia.checks import ArgumentError
from jaxmyopia.engine import precision
from jaxmyopia.engine.session import RunOptions
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.study import Cell
from jaxmyopia.training import Training


def rounded_by_hand(x, mantissa):
    """Round to nearest, ties to even, on the bits of a float32."""
    drop = 23 - mantissa
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    half = (1 << (drop - 1)) - 1 + ((bits >> drop) & 1)
    return ((bits + half) >> drop << drop).astype(np.uint32).view(np.float32)


A, B = (np.asarray(jax.random.normal(jax.random.key(i), (5, 5))) for i in range(2))
BITS = {"simulated_tf32": 10, "simulated_bfloat16": 7}


def wanted(name):
    return rounded_by_hand(A, BITS[name]) @ rounded_by_hand(B, BITS[name])


def looped(a, b):
    return jax.lax.fori_loop(0, 1, lambda i, x: a @ b, a)


def branched(a, b):
    return jax.lax.cond(a[0, 0] < 1e9, lambda: a @ b, lambda: b)


def called(a, b):
    return jax.jit(jnp.matmul)(a, b)


@jax.custom_vjp
def _own(a, b):
    return a @ b


_own.defvjp(lambda a, b: (a @ b, None), lambda kept, g: (g, g))


def scanned(a, b):
    return jax.lax.scan(lambda x, _: (a @ b, None), a, None, length=2)[0]


def remade(a, b):
    return jax.checkpoint(jnp.matmul)(a, b)


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("function", [jnp.matmul, looped, branched, called, _own, scanned, remade])
def test_operands_are_rounded_wherever_the_product_stands(function, name):
    found = jax.jit(precision.simulated(function, name))(A, B)
    np.testing.assert_allclose(found, wanted(name), rtol=2e-6, atol=2e-6)
    assert np.abs(found - A @ B).max() > 1e-4


def solved(a, b):
    """A product within the named functions of an operation."""
    matrix = jnp.eye(5) * 4 + a @ a.T
    return jax.scipy.sparse.linalg.cg(lambda x: matrix @ x, b, maxiter=3)[0]


def test_products_of_an_operation_s_own_functions_are_rounded():
    plain, rounded = solved(A, B), jax.jit(precision.simulated(solved, "simulated_bfloat16"))(A, B)
    inner = np.asarray(rounded_by_hand(A, 7) @ rounded_by_hand(A.T, 7))
    half = jax.scipy.sparse.linalg.cg(lambda x: (jnp.eye(5) * 4 + inner) @ x, jnp.asarray(B), maxiter=3)[0]
    assert np.abs(rounded - half).max() > 1e-5  # those within are rounded, not the first alone
    assert 1e-5 < np.abs(rounded - plain).max() < 0.1


def test_nothing_is_simulated_where_nothing_would_be_rounded(x64):
    with pytest.raises(ArgumentError, match="only products of float32 are rounded"):
        RunOptions(matmul_precision="simulated_tf32")
    RunOptions(matmul_precision="default")


def test_what_is_no_product_is_left_alone():
    found = precision.simulated(lambda a, b: {"sum": (a * b).sum()}, "simulated_bfloat16")(A, B)
    assert found["sum"] == (jnp.asarray(A) * B).sum()
    assert precision.simulated(looped, "highest") is looped


def test_gradients_are_rounded_too():
    loss = lambda a: jnp.sum((a @ B) ** 2)
    found = jax.jit(precision.simulated(jax.grad(loss), "simulated_bfloat16"))(A)
    inner = 2 * wanted("simulated_bfloat16")
    by_hand = rounded_by_hand(inner, 7) @ rounded_by_hand(B, 7).T
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Net(Training):
    """One layer; `wish`: the precision that its own code asks for."""

    wish: str | None = None

    def init(self, key, *, scale):
        return scale * jax.random.normal(key, (4, 4)), jax.random.normal(key, (4, 4))

    def loss(self, weights, data):
        return jnp.square(jnp.dot(weights, data, precision=self.wish)).sum()


SCALES = (("learning_rate", (0.1,)), ("init_scale", (0.5,)))
STUDIES = [
    LowRank(n=8, rank=8),
    LowRank(n=8, rank=2, optimizer="muon", target="orthogonal"),
    Net(optimizer="adam"),
]


@pytest.mark.parametrize("study", STUDIES, ids=str)
def test_no_product_is_left_to_the_default_of_any_platform(study):
    sweep = SCALES if isinstance(study, LowRank) else (("learning_rate", (0.1,)), ("scale", (1.0,)))
    cell = Cell(study=study, sweep=sweep, seeds=1, steps=10)
    counts = {}
    for platform in platform_check.PLATFORMS:
        counts[platform], left = platform_check.left_at_default(cell, platform)
        assert left == []
    assert min(counts.values()) > 0


def test_one_that_its_code_leaves_there_is_seen():
    cell = Cell(study=Net(wish="default"), sweep=(("learning_rate", (0.1,)), ("scale", (1.0,))), seeds=1, steps=10)
    assert all(platform_check.left_at_default(cell, platform)[1] for platform in platform_check.PLATFORMS)


def test_it_is_part_of_the_program_and_of_the_call():
    found = {}
    for name in ("highest", "simulated_bfloat16"):
        answer = jm.run(
            Net(), seeds=4, steps=20, records=8, learning_rate=0.01, scale=1.0, matmul_precision=name, progress=False,
        )  # fmt: skip
        assert answer.folder.config["numerics"]["matmul_precision"] == name
        found[name] = answer.trials["loss_ratio"]
    assert (found["highest"] != found["simulated_bfloat16"]).all()
    np.testing.assert_allclose(found["highest"], found["simulated_bfloat16"], rtol=0.1)


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(ArgumentError, match=r"^matmul_precision='bf16' is not allowed: must be one of default, high"):
        RunOptions(matmul_precision="bf16")
