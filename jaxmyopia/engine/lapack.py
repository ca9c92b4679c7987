# SPDX-License-Identifier: Apache-2.0
"""Programs that call LAPACK, and the devices that they may have.

On a CPU such a call deals its batch to the threads that run the devices, and waits for them: with as many devices as
threads all of them wait, and a run stands still (seen with jax 0.10.2 on two cores: `qr` and `cholesky`). With one
device fewer a thread is left that does the work.
"""

import os
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxmyopia.engine.cost import inner_jaxprs

CALLS = frozenset(
    {
        "cholesky",
        "eig",
        "eigh",
        "geqp3",
        "geqrf",
        "hessenberg",
        "householder_product",
        "lu",
        "ormqr",
        "qr",
        "schur",
        "svd",
        "symmetric_product",
        "triangular_solve",
        "tridiagonal",
        "tridiagonal_solve",
    }
)


def calls_lapack(jaxpr: Any) -> bool:
    """Whether a traced function has a call of LAPACK, in loops, branches and functions too.

    >>> import jax, jax.numpy as jnp
    >>> norms = lambda x: jax.lax.map(lambda m: jnp.linalg.norm(m, 2), x)  # of matrices: the greatest singular value
    >>> [calls_lapack(jax.make_jaxpr(f)(jnp.ones((3, 2, 2))).jaxpr) for f in (norms, jnp.sum)]
    [True, False]
    """
    return any(
        equation.primitive.name in CALLS
        or any(calls_lapack(inner) for value in equation.params.values() for inner in inner_jaxprs(value))
        for equation in jaxpr.eqns
    )


def threads() -> int:
    """How many threads XLA runs the CPU's devices with: one a core, or as many as `NPROC` says."""
    told = os.environ.get("NPROC", "")
    return int(told) if told.isdigit() and int(told) > 0 else len(os.sched_getaffinity(0))


def sparing(mesh: Mesh) -> Mesh:
    """The mesh with fewer devices than there are threads, at least one; itself where it is no CPU's, or has so few."""
    devices = mesh.devices.flat
    most = max(threads() - 1, 1)
    if devices[0].platform != "cpu" or mesh.size <= most:
        return mesh
    return Mesh(np.asarray(devices[:most]), mesh.axis_names, axis_types=mesh.axis_types)
