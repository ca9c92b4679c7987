# SPDX-License-Identifier: Apache-2.0
"""The gradient of S seeds' losses, by the cheapest of three paths.

  dense, either layout       G = dL/dZ from all n^2 entries of Z, then (G B, G^T A): 3 n^2 r multiply-adds
  factored, either layout    square loss alone, where G = A B^T - U V^T need not be formed:
                             (A (B^T B) - U (V^T B), B (A^T A) - V (U^T A)): 4 n r (r + R) multiply-adds

Counts decide between dense and factored; the layout is seeds-last where the count is small (docs/speed.md has the
measurements, `python -m experiments.benchmarks.benchmark` makes them).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmyopia.studies.lowrank.layouts import FUSED_RANK, SEEDS_FIRST, SEEDS_LAST, Layout
from jaxmyopia.studies.lowrank.losses import Target
from jaxmyopia.studies.lowrank.own import OwnLoss, arithmetic

_SMALL_WORK = 4096  # multiply-adds a step below which a call of a matrix product costs more than it saves
_SMALL_RANK = 4  # seeds-last has a loop, to be compiled, for every pair of columns
_EXP = 8  # multiply-adds that one exp is worth
# Of a block of seeds: the bytes it works on in a step, the fewest and the most seeds. On a CPU the bytes are half of a
# core's level-2 cache. On an accelerator more seeds are faster, but a small run is padded to a block (an H100,
# 2026-11-26: n = 100, r = 2, cross-entropy, 5.0, 6.6, 8.2 million seed-steps a second at 256, 512, 1,024 seeds).
_CPU_BLOCK = 2**19, 16, 256
_CPU_WIDE_BLOCK = 2**19, 4, 256  # above rank `FUSED_RANK`, where products outweigh a dispatch
_ACCELERATOR_BLOCK = 2**25, 128, 16384
# The same of dense gradients seeds-last on a CPU: XLA compiles a loop over so little as one function, without a
# dispatch for every operation: 14 times as fast as with twice the seeds (square, r = 2 in its span; 2026-11-26).
_CPU_TINY_BLOCK = 28 * 2**10, 32, 512


@dataclasses.dataclass(frozen=True)
class Path:
    """How a gradient is computed: in which `layout`, and whether `factored`."""

    layout: Layout
    factored: bool

    def prepare(self, loss: str | OwnLoss, factors: jax.Array) -> Target:
        """The target from its pair of factors U, V, in the layout's order."""
        return Target(factors=factors, dense=() if self.factored else arithmetic(loss).prepare(self.layout, factors))

    def gradient(self, loss: str | OwnLoss, factors: jax.Array, target: Target) -> jax.Array:
        """The gradient of every seed's loss in its factors.

        Args:
          loss: a name of `LOSSES`, or one's own; `square` if factored.
          factors: the pair A, B, `(2, n, r, S)` or `(2, S, r, n)`.
          target: from `prepare`.

        Returns:
          The gradients, shaped like `factors`.
        """
        layout = self.layout
        if not self.factored:
            return layout.backward(arithmetic(loss).slope(layout, factors, target), factors)
        own, other = (jnp.flip(layout.gram(factors, y), axis=0) for y in (factors, target.factors))
        return layout.mix((own, factors), (-other, target.factors))


def counted_cost(loss: str | OwnLoss, *, factored: bool, n: int, rank: int, target_rank: int) -> int:
    """The multiply-adds of one gradient of one seed, an exp counted as several.

    Args:
      loss: a name of `LOSSES`, or one's own, counted as an exp an entry.
      factored: whether Z is not formed.
      n: side of the matrices.
      rank: columns r of the learned factors.
      target_rank: rank R of the target.

    Returns:
      A scalar.
    """
    if factored:
        return 4 * n * rank * (rank + target_rank)
    return 3 * n * n * rank + (0 if loss == "square" else _EXP * n * n)


def choose_path(loss: str | OwnLoss, *, n: int, rank: int, target_rank: int) -> Path:
    """The path of the least counted cost.

    Args:
      loss: a name of `LOSSES`, or one's own, counted as an exp an entry.
      n: side of the matrices.
      rank: columns r of the learned factors.
      target_rank: rank R of the target.

    Returns:
      The `Path`.
    """
    costs = {
        factored: counted_cost(loss, factored=factored, n=n, rank=rank, target_rank=target_rank)
        for factored in ((False, True) if loss == "square" else (False,))
    }
    factored = min(costs, key=lambda each: costs[each])
    small = costs[factored] <= _SMALL_WORK and max(rank, target_rank) <= _SMALL_RANK
    return Path(layout=SEEDS_LAST if small else SEEDS_FIRST, factored=factored)


def block_size(path: Path, *, n: int, rank: int, target_rank: int) -> int:
    """How many seeds are computed together.

    Args:
      path: of the gradient.
      n: side of the matrices.
      rank: columns r of the learned factors.
      target_rank: rank R of the target.

    Returns:
      A power of two.
    """
    # Factors with their gradient, or two moments; the target's factors; Z, its slope and the target.
    floats = 2 * n * (2 * rank + target_rank) + (0 if path.factored else 3 * n * n)
    if jax.default_backend() != "cpu":
        size, fewest, most = _ACCELERATOR_BLOCK
    elif path.layout is SEEDS_LAST and not path.factored:
        size, fewest, most = _CPU_TINY_BLOCK
    else:
        size, fewest, most = _CPU_BLOCK if rank <= FUSED_RANK else _CPU_WIDE_BLOCK
    seeds = max(size // (4 * floats), 1)
    return min(max(1 << seeds.bit_length() - 1, fewest), most)
