# SPDX-License-Identifier: Apache-2.0
"""Programs that call LAPACK have a device fewer than there are threads: with as many, a run stood still."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.engine import lapack
from jaxmyopia.engine.chunk import compile_cell
from jaxmyopia.engine.mesh import seed_mesh


@dataclasses.dataclass(frozen=True)
class Shrinking(jm.Training):
    """What is trained shrinks from a start that is orthonormal, by LAPACK or as it is drawn."""

    n: int = 6
    rotated: bool = True

    def init(self, key):
        drawn = jax.random.normal(key, (self.n, 2))
        return jnp.linalg.qr(drawn)[0] if self.rotated else drawn, jnp.zeros(())

    def loss(self, trained, data):
        return jnp.square(trained).sum() / 2 + data


@pytest.mark.parametrize(("nproc", "devices"), [("1", 1), ("3", 2), ("32", 8), ("", None)])
def test_there_are_fewer_devices_than_threads(monkeypatch, nproc, devices):
    monkeypatch.setenv("NPROC", nproc)
    mesh = lapack.sparing(seed_mesh())
    expected = devices if devices is not None else min(max(lapack.threads() - 1, 1), 8)
    assert mesh.size == expected and mesh.axis_names == seed_mesh().axis_names


def test_a_program_with_lapack_in_a_part_of_it_has_them_and_gives_what_it_should(monkeypatch):
    monkeypatch.setenv("NPROC", "3")
    sizes = []
    for rotated in (True, False):
        (cell,) = Shrinking(rotated=rotated).cells(seeds=40, steps=10, records=4, learning_rate=0.1)
        sizes.append(compile_cell(cell).program.mesh.size)
    assert sizes == [2, 8]
    loss = jm.run(Shrinking(), seeds=40, steps=10, records=4, keep_curves=40, learning_rate=0.1).curves["loss"]
    np.testing.assert_allclose(loss[0], 1.0, rtol=1e-5)  # two columns of length 1
    np.testing.assert_allclose(loss[-1], 0.9**20, rtol=1e-4)


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (lambda x: jax.lax.fori_loop(0, 2, lambda _, y: jnp.linalg.inv(y), x), True),
        (lambda x: jax.lax.cond(x[0, 0] > 0, jnp.linalg.cholesky, lambda y: y, x), True),
        (jax.jit(lambda x: jnp.linalg.eigvalsh(x)), True),
        (lambda x: jax.scipy.linalg.solve_triangular(x, x), True),
        (lambda x: jnp.linalg.norm(x) * jnp.matmul(x, x), False),
    ],
)
def test_calls_are_found_wherever_they_are(function, calls):
    assert lapack.calls_lapack(jax.make_jaxpr(function)(jnp.eye(3)).jaxpr) == calls
