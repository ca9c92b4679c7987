# SPDX-License-Identifier: Apache-2.0
"""What agents live through in a batch of runs, and what their actions were worth.

Axes: `T` steps of a run, `B` runs, `P` pending counts, `A` actions. Since a place is (time, pending), a sum over
samples of anything that depends on place and action is a sum over a table `(A, T, P)` of sample weights: exact, and
small however many runs there are. (Actions come first, see `policies`.)

All is written for one agent, or for S agents side by side in a last axis, `(T, B, S)` and so on, which is what vector
units want; an agent's numbers are its own.
"""

import dataclasses
import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import DTypeLike

from jaxmyopia.checks import require
from jaxmyopia.draws import fold_in, uniform
from jaxmyopia.loops import once
from jaxmyopia.studies.epochs import hazard as borders
from jaxmyopia.studies.epochs.model import ACTIONS, EnvParams, EnvState, EpochEnv

_CUTOFFS = 2**31 + 1  # folded into the key of a batch whose runs draw their cutoffs
_RUNNING = 8  # the bit of a code that says so; pending lures stand above it, the action below
_MOST_RUNS = 32  # that are summed up in one expression


@struct.dataclass
class Experience:
    """B runs: `action`, `pending` (before it, int32), `reward`, `running` (before it, bool); `(T, B)` each."""

    action: jax.Array
    pending: jax.Array
    reward: jax.Array
    running: jax.Array


def widened(tree, axes: int):
    """Leaves `(S,)` with so many axes of length 1 before the last; those of shape `()` as they are."""
    return jax.tree.map(lambda x: x.reshape(*[1] * axes, *x.shape) if jnp.ndim(x) else x, tree)


def bounds_of(chances: jax.Array) -> jax.Array:
    """Where a uniform draw passes from one action to the next: shape `(A - 1, T, P)`, from chances `(A, T, P)`."""
    bounds = [chances[0]]
    for chance in chances[1:-1]:
        bounds.append(bounds[-1] + chance)
    return jnp.stack(bounds)


def _chosen(bounds: list[list[jax.Array]], pending: jax.Array, draws: jax.Array) -> jax.Array:
    """The actions `(B,)` that draws stand for; bounds by action and by the count of pending lures, scalars."""
    passed = [(draws >= _picked(bound, pending)).astype(jnp.int32) for bound in bounds]
    return functools.reduce(jnp.add, passed)


def _picked(entries: list[jax.Array], pending: jax.Array) -> jax.Array:
    """That of the entries, scalars, which a pending count `(B,)` is the place of."""
    found = jnp.broadcast_to(entries[0][None], pending.shape)
    for count, entry in enumerate(entries[1:], start=1):
        found = jnp.where(pending == count, entry[None], found)
    return found


def live(
    env: EpochEnv,
    params: EnvParams,
    chances: jax.Array,
    draws: jax.Array,
    pass_on: Callable[[jax.Array, jax.Array], jax.Array] = lambda place, first: place,
    cutoffs: jax.Array | None = None,
    made_of: Callable[[jax.Array], jax.Array] = lambda action: action,
) -> Experience:
    """Lets an agent live through runs.

    Args:
      env: the environment.
      params: its parameters, scalars.
      chances: `(A, T, P)` the agent's policy.
      draws: `(T, B)` uniform.
      pass_on: what becomes of the numbers that stand for places `(B,)` before a step, where a scalar says whether it is
        the first of an epoch.
      cutoffs: `(B,)` of the runs, from `draw_cutoffs`; they are passed on with the places.
      made_of: what the runs make of the actions drawn for them, `(B,)` both.

    Returns:
      The `Experience`; steps after the `length` of a run are none in which it runs.

    Raises:
      ArgumentError: if there is a hazard but no cutoffs, or cutoffs but no hazard.
    """
    fits, params = (cutoffs is None) == (params.hazard is None), widened(params, 1)
    require(fits, "cutoffs", cutoffs, "must be given just where there is a hazard")
    epoch, step = map(jnp.asarray, np.divmod(np.arange(env.steps, dtype=np.int32), env.epoch_steps))
    first = jnp.full(draws.shape[1:], _RUNNING, jnp.int32)
    parts = [[bound[:, count] for count in range(bound.shape[1])] for bound in bounds_of(chances)]
    _, lived = jax.lax.scan(_to_next(env, params, pass_on, made_of), (first, cutoffs), (epoch, step, draws, parts))
    return _paid(env, widened(params, 1), epoch, step, *lived)


def _to_next(env: EpochEnv, params: EnvParams, pass_on: Callable, made_of: Callable) -> Callable:
    """A step of all runs, to be scanned over."""

    # A place and how it was come to are one number, so that XLA makes one loop of a step, where it would find the
    # action anew for whatever depends on it. What is looked up comes in parts, as XLA is slow at taking them in loops.
    # The cutoff is no part of it, since it decides nothing but rewards.
    def to_next(here, now):
        epoch, step, draws, bounds = now
        code, cutoff = jax.tree.map(lambda x: pass_on(x, step == 0), here)
        pending, running, _ = _decoded(code)
        action = made_of(_chosen(bounds, pending, draws))
        state = EnvState(epoch=epoch, step=step, pending=pending, running=running, cutoff=params.cutoff)
        found, _ = env.transition(state, action, params)
        after = _coded(dataclasses.replace(found, running=found.running & ~env.is_truncated(found, params)), action)
        return (after, cutoff), (code, after, cutoff)

    return to_next


def _paid(env: EpochEnv, params: EnvParams, epoch, step, before, after, cutoff) -> Experience:
    """The runs whose places were coded so before and after each step."""
    column = lambda x: x.reshape(-1, *[1] * (before.ndim - 1))
    (pending, running, _), (_, _, action) = _decoded(before), _decoded(after)
    cutoff = params.cutoff if cutoff is None else cutoff
    state = EnvState(epoch=column(epoch), step=column(step), pending=pending, running=running, cutoff=cutoff)
    _, reward = env.transition(state, action, params)
    return Experience(action=action, pending=pending, reward=reward, running=running)


def _coded(after: EnvState, action: jax.Array) -> jax.Array:
    """One number for a place and the action that led to it."""
    return (after.pending << 4) + jnp.where(after.running, _RUNNING, 0) + action


def _decoded(code: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Lures pending, whether the agent runs, and the action that led here."""
    return code >> 4, (code & _RUNNING) != 0, code & (_RUNNING - 1)


def rollout(env: EpochEnv, params: EnvParams, chances: jax.Array, key: jax.Array, runs: int) -> Experience:
    """Lets an agent live through runs.

    Args:
      env: the environment.
      params: its parameters, scalars.
      chances: `(A, T, P)` the agent's policy.
      key: consumed.
      runs: how many, B.

    Returns:
      The `Experience`.
    """
    shape = env.steps, runs
    drawn = uniform(key, shape) if key.ndim else jax.random.uniform(key, shape)
    return live(env, params, chances, drawn, cutoffs=draw_cutoffs(params, key, runs))


def draw_cutoffs(params: EnvParams, key: jax.Array, runs: int) -> jax.Array | None:
    """The cutoffs of runs that a hazard leads to.

    Args:
      params: the environment's, scalars.
      key: of the batch; folded first, so that what else is drawn from it stays as it is.
      runs: how many, B.

    Returns:
      `(B,)` int32; None where there is no hazard.
    """
    if params.hazard is None:
        return None
    if key.ndim:
        draws = uniform(fold_in(key, jnp.uint32(_CUTOFFS)), (runs,))
    else:
        draws = jax.random.uniform(jax.random.fold_in(key, _CUTOFFS), (runs,))
    cutoff, hazard = widened((params.cutoff, params.hazard), 1)
    return borders.drawn(cutoff, hazard, draws)


def returns(reward: jax.Array, factors: jax.Array) -> jax.Array:
    """What followed each step: `G_t = r_t + d_t G_{t+1}`.

    Args:
      reward: `(T, B)`.
      factors: `(T,)` d, from `planner.discounts`; the credit is in them.

    Returns:
      `(T, B)`.
    """
    return _discounted(reward, factors[:, None])


def generalised_advantages(reward: jax.Array, value: jax.Array, factors: jax.Array, decay: chex.Numeric) -> jax.Array:
    """Advantages: `A_t = delta_t + d_t decay A_{t+1}`, `delta_t = r_t + d_t V_{t+1} - V_t`.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16.

    Args:
      reward: `(T, B)`.
      value: `(T, B)` of the places before each step; nothing is to be had after the last.
      factors: `(T,)`.
      decay: lambda, in [0, 1], scalar.

    Returns:
      `(T, B)`.
    """

    factors = factors[:, None]
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    return _discounted(reward + factors * following - value, factors * widened(decay, 2))


def _discounted(paid: jax.Array, factors: jax.Array) -> jax.Array:
    """`x_t = paid_t + factors_t x_{t+1}`, `(T, B)`; factors `(T, 1)`."""

    def back(later, now):
        paid, factor = now
        total = paid + factor * later
        return total, total

    return jax.lax.scan(back, jnp.zeros_like(paid[0]), (paid, factors), reverse=True)[1]


def look_up(table: jax.Array, pending: jax.Array) -> jax.Array:
    """A table of places `(T, P)` at the places of samples, of shape `(T, B)` as they are."""
    return jax.vmap(_picked)([table[:, count] for count in range(table.shape[1])], pending)


def gather(experience: Experience, weights, size: int):
    """Sums of sample weights by place and action.

    Args:
      experience: B runs.
      weights: any pytree of `(T, B)`, of samples taken while running.
      size: P.

    Returns:
      `(A, T, P)` for each.
    """
    found = _gather(experience.action * size + experience.pending, experience.running, weights, len(ACTIONS) * size)
    return jax.tree.map(lambda x: jnp.swapaxes(x.reshape(len(ACTIONS), size, *x.shape[1:]), 1, 2), found)


def gather_places(experience: Experience, weights, size: int):
    """As `gather`, whatever the action: `(T, P)` for each."""
    found = _gather(experience.pending, experience.running, weights, size)
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), found)


def _gather(entry: jax.Array, running: jax.Array, weights, size: int):
    """Sums of weights `(T, B)` by entry: `(size, T)` for each."""
    entry = once(jnp.where(running, entry, size))[None]
    numbers = jnp.arange(size, dtype=jnp.int32).reshape(size, *[1] * (running.ndim - 1))

    # Run after run, all times and entries side by side: a tenth of what XLA takes for the sum over the runs.
    def total(weight: jax.Array) -> jax.Array:
        weight = once(weight)[None]
        if weight.shape[2] > _MOST_RUNS:
            return jnp.where(entry == numbers[:, :, None], weight, 0.0).sum(axis=2)
        each = zip(jnp.unstack(entry, axis=2), jnp.unstack(weight, axis=2), strict=True)
        return once(functools.reduce(jnp.add, [jnp.where(entry == numbers, weight, 0.0) for entry, weight in each]))

    return jax.tree.map(total, weights)


def without_each(values: jax.Array, alive: jax.Array) -> jax.Array:
    """The mean of the other live samples of each row, the sample's own value where there is no other.

    Args:
      values: `(T, B)`.
      alive: `(T, B)` bool.

    Returns:
      `(T, B)`.
    """
    count = alive.sum(axis=1, keepdims=True).astype(values.dtype)
    total = jnp.where(alive, values, 0.0).sum(axis=1, keepdims=True)
    return jnp.where(alive & (count > 1), (total - values) / jnp.maximum(count - 1, 1), values)


def share_of(alive: jax.Array, dtype: DTypeLike) -> jax.Array:
    """One over the number of live samples, `(1, 1)` from `(T, B)`."""
    return 1 / _count(alive).astype(dtype)


def _count(alive: jax.Array) -> jax.Array:
    return jnp.maximum(alive.sum(axis=(0, 1), keepdims=True), 1)


def normalised(advantage: jax.Array, alive: jax.Array, *, centre: bool) -> jax.Array:
    """Advantages over their standard deviation, shape `(T, B)`; 0 where not `alive`; `centre`: less their mean."""
    count, total = _count(alive).astype(advantage.dtype), lambda x: jnp.where(alive, x, 0.0).sum((0, 1), keepdims=True)
    mean = total(advantage) / count
    deviation = jnp.sqrt(total(jnp.square(advantage - mean)) / count)
    return jnp.where(alive, advantage - (mean if centre else 0.0), 0.0) / (deviation + 1e-6)
