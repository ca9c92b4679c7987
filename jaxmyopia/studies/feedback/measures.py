# SPDX-License-Identifier: Apache-2.0
"""What is read off the curves of a learner: how near it comes after so many answers, and at so many bits.

Bits are charged in three ways, each a condition of its own:

  information   I(y; w) an answer: of one chosen at random against the prior, so that N answers are charged N times
                that, which is more than they tell together; of one chosen actively what it is expected to tell beyond
                those before. A principle: its code length, entropy coded.
  volume        log2 of how many times the prior's volume holds the posterior's: what all answers told together.
                A principle: its code length, entropy coded.
  answers       one bit an answer; a principle b bits a coordinate, as they are.
"""

import jax
import jax.numpy as jnp

from jaxmyopia.curves import Curves
from jaxmyopia.measures import Measure
from jaxmyopia.studies.feedback.model import code_lengths

CHARGES = ("information", "volume", "answers")
BITS = (1, 2, 4)  # a coordinate, of a principle that is charged
WHOLE = 8  # the same, where nobody counts them
ANSWERS = (16, 64, 256, 1024)
_LENGTHS = code_lengths(max(BITS))
_COS = (-1.0, 1.0)


def _at(cos: jax.Array, spent: jax.Array, budget: jax.Array) -> jax.Array:
    """Cosines `(S,)` where so much, `(S,)`, was spent, between records by straight lines; at the end if it never was.

    `cos`, `spent`: `(T, S)`.
    """
    rising = jax.lax.cummax(spent, axis=0)
    return jax.vmap(jnp.interp, in_axes=(0, 1, 1))(budget, rising, cos)


def _after_answers(curves: Curves, answers: jax.Array) -> jax.Array:
    spent = jnp.broadcast_to(curves["answers"].astype(curves.loss.dtype)[:, None], curves.loss.shape)
    return _at(curves["cos"], spent, jnp.full(curves.loss.shape[1:], answers, curves.loss.dtype))


def code_length(bits: float, charge: str) -> float:
    """Bits a coordinate that a principle of so many bits a coordinate is charged."""
    return float(bits if charge == "answers" else _LENGTHS[int(bits)])


def _at_bits_of_a_principle(curves: Curves, charge: str, bits: float) -> jax.Array:
    spent = curves[charge]
    if charge == "answers":
        spent = jnp.broadcast_to(spent.astype(curves.loss.dtype)[:, None], curves.loss.shape)
    return _at(curves["cos"], spent, curves["k"][0] * code_length(bits, charge))


def _of_the_principle(curves: Curves, charge: str, bits: float) -> jax.Array:
    del charge
    return _at_step(curves, bits)


def _at_step(curves: Curves, bits: float) -> jax.Array:
    """Cosines `(S,)` at so many bits a coordinate, by the last record that has no more."""
    return curves["cos"][(curves.step <= int(bits)).sum() - 1]


def _whole_principle(curves: Curves, answers: float) -> jax.Array:
    del answers
    return _at_step(curves, WHOLE)


def after_answers(*, principle: bool = False) -> Measure:
    """cos(w, what was learned of it) after so many answers, or all there were; of a principle, which hears none, with
    `WHOLE` bits a coordinate."""
    fn = _whole_principle if principle else _after_answers
    return Measure("cos_after", fn, range=_COS, conditions=("answers",), unroll=True, answers=ANSWERS)


def at_bits(*, principle: bool = False) -> Measure:
    """cos(w, what was learned of it) at the bits that a principle of so many bits a coordinate takes."""
    fn = _of_the_principle if principle else _at_bits_of_a_principle
    return Measure(
        "cos_at", fn, range=_COS, conditions=("charge", "bits"), unroll=True, charge=CHARGES, bits=BITS
    )  # fmt: skip


AT_BITS, AFTER = at_bits(), after_answers()
