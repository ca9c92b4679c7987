# SPDX-License-Identifier: Apache-2.0
"""What XLA should work out once."""

import jax

_FEW = 2**12  # numbers: sooner worked out anew than kept by a loop


def once(values: jax.Array, *, few: int = _FEW) -> jax.Array:
    """The same values, worked out here and kept: XLA would work them out anew in every loop that uses them.

    (A loop over the first axis that does nothing: XLA's compiler for CPUs drops `optimization_barrier` by itself before
    it decides what to work out anew.)

    Args:
      values: any array of an axis or more.
      few: fewer numbers are left to XLA.

    Returns:
      The values.
    """
    return values if values.size < few else jax.lax.map(jax.lax.optimization_barrier, values)
