# SPDX-License-Identifier: Apache-2.0
"""Codes of the epoch index, by which it is shown, and the cutoff beside it: a row of numbers in [0, 1] an index.

What an index means to an agent that never met it depends on the code:

  one_hot      a unit an index: one that was never on; whatever its weights were at the start
  scalar       one number, (i + 1) / n: a value beyond the range that was met
  digits       two one-hot digits in base b = ceil(sqrt(n)): a new pair; of what was met if both digits were (in
               training on 0 ... m - 1 that is so for no index if b divides m: the second digit was met, the first not)
  sinusoidal   sines and cosines, wavelengths in a geometric grid from 4 to 2 n: waves that are known, at phases that
               are new for all but the shortest
  masked       nothing is shown

An index that has no row shows nothing: zeros, which are no index's code.
Source: Vaswani et al. 2017, "Attention is all you need", section 3.5, for the waves (here scaled to [0, 1]).
"""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxmyopia.checks import require_one_of

REVEALED = ("one_hot", "scalar", "masked", "digits", "sinusoidal")
_WAVES = 4  # frequencies, a sine and a cosine each
_SHORTEST = 4.0  # wavelength, in epochs


def code_width(reveal: str, indices: int) -> int:
    """The numbers of a code, C, of so many indices; without writing any of them out."""
    waves, base = 2 * _WAVES, _base(indices)
    return {"one_hot": indices, "scalar": 1, "masked": 0, "digits": 2 * base, "sinusoidal": waves}[reveal]


def _base(indices: int) -> int:
    return math.isqrt(indices - 1) + 1


@functools.cache
def code_matrix(reveal: str, indices: int) -> np.ndarray:
    """The codes of all indices.

    >>> code_matrix("digits", 4).tolist()
    [[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]

    Args:
      reveal: a name of `REVEALED`.
      indices: how many, n.

    Returns:
      `(n, C)` float32, rows that all differ (unless `masked`, where C is 0).

    Raises:
      ValueError: if the name is unknown.
    """
    require_one_of("reveal_epoch", reveal, REVEALED)
    index = np.arange(indices)
    if reveal == "one_hot":
        return np.eye(indices, dtype=np.float32)
    if reveal == "scalar":  # 0 is no index at all
        return ((index + 1).astype(np.float32) * (np.float32(1) / np.float32(indices)))[:, None]
    if reveal == "digits":
        base = _base(indices)
        return np.concatenate([np.eye(base, dtype=np.float32)[digit] for digit in np.divmod(index, base)], axis=1)
    if reveal == "sinusoidal":
        longest = max(2.0 * indices, _SHORTEST)  # half a wave over all indices: no two of them look alike
        phase = index[:, None] * (2 * np.pi / np.geomspace(_SHORTEST, longest, _WAVES))
        return ((1 + np.concatenate([np.sin(phase), np.cos(phase)], axis=1)) / 2).astype(np.float32)
    return np.zeros((indices, 0), np.float32)


def numbers_of(code: tuple[str, int], index: jax.Array, dtype: DTypeLike, shown: chex.Numeric = 1.0) -> jax.Array:
    """What indices are shown as.

    Args:
      code: its name and the count of indices, as of `code_matrix`.
      index: of any shape.
      dtype: of what comes out.
      shown: what the code is multiplied with.

    Returns:
      `(..., C)`; zeros where there is no such index.
    """
    reveal, indices = code
    there = (index >= 0) & (index < indices)
    if reveal == "scalar":  # in one product: rounded as it always was
        return (jnp.where(there, index + 1, 0).astype(dtype) * (shown / indices))[..., None]
    rows = jnp.asarray(code_matrix(reveal, indices), dtype)[jnp.clip(index, 0, indices - 1)]
    return jnp.where(there[..., None], rows, jnp.zeros((), dtype)) * shown


def written(
    seen: jax.Array, code: tuple[str, int], index: jax.Array, *, at: int, shown: chex.Numeric = 1.0
) -> jax.Array:
    """What is seen with the code of an index put into it.

    Args:
      seen: `(D,)`.
      code: as of `numbers_of`.
      index: scalar.
      at: the entry at which the code begins.
      shown: what the code is multiplied with.

    Returns:
      `(D,)`.
    """
    own, place = code_width(*code), np.arange(seen.shape[0], dtype=np.int32)
    if code[0] == "one_hot":  # nothing need be looked up
        return jnp.where(place == jnp.where((index >= 0) & (index < own), at + index, -1), shown, seen)
    if not own:
        return seen
    numbers = numbers_of(code, jnp.asarray(index), seen.dtype, shown)
    return jnp.where((place >= at) & (place < at + own), numbers[np.clip(place - at, 0, own - 1)], seen)
