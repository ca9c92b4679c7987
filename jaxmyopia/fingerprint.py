# SPDX-License-Identifier: Apache-2.0
"""Digits that tell functions apart where they have no name, or one name twice."""

import contextlib
import hashlib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import jax


def fingerprint(function: Callable[..., Any], *args: Any) -> str:
    """Eight digits that tell the arithmetic of a function from that of another.

    Args:
      function: one that JAX can trace.
      *args: shapes or arrays.

    Returns:
      Hexadecimal digits.
    """
    traced = jax.make_jaxpr(function)(*args)
    numbers = [x for x in traced.consts if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)]
    constants = b"".join(jax.device_get(x).tobytes() for x in numbers)
    text = re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr))  # without addresses
    return hashlib.sha256(text.encode() + constants).hexdigest()[:8]


def source_digest(things: Iterable[Any]) -> str | None:
    """Eight digits of the source of classes and functions that are not this package's: edited code is other code.

    Args:
      things: classes and functions.

    Returns:
      Hexadecimal digits; None where nothing is the user's, or its source is not at hand.
    """
    own = [each for each in things if not (getattr(each, "__module__", "") or "").startswith("jaxmyopia.")]
    texts = []
    for each in dict.fromkeys(own):
        with contextlib.suppress(OSError, TypeError):
            texts.append(inspect.getsource(each))
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8] if texts else None
