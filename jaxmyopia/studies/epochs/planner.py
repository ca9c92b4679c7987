# SPDX-License-Identifier: Apache-2.0
"""The truth that learners are held against: exact optimal policies, and the exact outcome of any policy.

Everything that happens in a run is decided by its actions, and an agent's place is (time, lures pending): T x P places,
P = L + 1 (twice that where lures bind, see `EnvState.pending`). A policy is a table of probabilities `(T, P, A)`;
backward induction and one forward pass are exact (with a hazard too, see `tables`).

Credit says what an action is answerable for: `run` (1) for all that follows in the run, `epoch` (0) for what follows in
its epoch. It is a factor on the discount at the border between two epochs, nothing else:

  Q(t, p, a) = r(t, p, a) + d_t V(t + 1, p'),  d_t = discount * (credit if an epoch ends at t else 1)

The value of a policy under a credit is summed over the places at which a return begins: the start of the run, and the
start of every later epoch with the weight 1 - credit (times the probability to be there). So `epoch` credit asks for
the best of each epoch from wherever the agent finds itself, and with E = 1 the two are one.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
from flax import struct

from jaxmyopia.studies.epochs.model import LURE, EnvParams, EpochEnv
from jaxmyopia.studies.epochs.tables import Model, before_cutoff

CREDITS = {"run": 1.0, "epoch": 0.0}
_TIE = 1e-5  # of the greatest reward: actions this close are equally good, and the first of them is taken


@struct.dataclass
class Outcome:
    """What a policy comes to, exactly.

    `running`: `(E,)` probability that the agent still runs at the end of each epoch. `acting`: `(E,)` the expected
    share of each epoch's steps in which it works or takes a lure. `lured`: `(E,)` likewise of lures alone. `earned`:
    `(E,)` expected reward by epoch, undiscounted. `arriving`: `(E, P)` probability to begin an epoch with so many lures
    pending.
    """

    running: jax.Array
    acting: jax.Array
    lured: jax.Array
    earned: jax.Array
    arriving: jax.Array

    @property
    def lure_rate(self) -> jax.Array:
        """`(E,)` lures as a share of the steps in which the agent acts; NaN where it never does."""
        return jnp.where(self.acting > 0, self.lured / self.acting, jnp.nan)


def discounts(env: EpochEnv, discount: chex.Numeric, credit: chex.Numeric) -> jax.Array:
    """The factor on what follows each step.

    Args:
      env: the environment.
      discount: of a step, in [0, 1].
      credit: see `CREDITS`; the factor at the border between epochs. Both of the same shape.

    Returns:
      `(T,)`, followed by the shape of the two.
    """
    last = jnp.arange(env.steps) % env.epoch_steps == env.epoch_steps - 1
    discount, credit = jnp.asarray(discount), jnp.asarray(credit)
    last = last.reshape(-1, *[1] * credit.ndim)
    return jnp.where(last, credit[None], 1.0) * discount[None]


def _by_time(model: Model) -> dict[str, jax.Array]:
    return {name: getattr(model, name) for name in ("reward", "pending", "goes_on")}


def action_values(model: Model, factors: jax.Array, values: jax.Array) -> jax.Array:
    """The values of actions at one time from those of the next time's places.

    Args:
      model: of one time, leaves `(P, A)`.
      factors: scalar, from `discounts`.
      values: `(P,)` of the next time.

    Returns:
      `(P, A)`.
    """
    return model.reward + factors * model.goes_on * values[model.pending]


def optimal(model: Model, factors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The best values and a policy that reaches them.

    Args:
      model: the environment.
      factors: `(T,)` from `discounts`.

    Returns:
      Values `(T, P)` and policy `(T, P, A)`; among equally good actions WORK comes first, then LURE.
    """
    tie = _TIE * jnp.abs(model.reward).max()

    def back(values, now):
        factor, places = now
        q = action_values(dataclasses.replace(model, **places), factor, values)
        best = q.max(axis=-1)
        choice = (q >= best[:, None] - tie).argmax(axis=-1)
        return best, (best, jax.nn.one_hot(choice, q.shape[-1], dtype=q.dtype))

    nothing = jnp.zeros(model.reward.shape[1], model.reward.dtype)
    _, (values, policy) = jax.lax.scan(back, nothing, (factors, _by_time(model)), reverse=True)
    return values, policy


def policy_values(model: Model, policy: jax.Array, factors: jax.Array) -> jax.Array:
    """The values of a policy.

    Args:
      model: the environment.
      policy: `(T, P, A)` probabilities.
      factors: `(T,)` from `discounts`.

    Returns:
      `(T, P)`.
    """

    def back(values, now):
        factor, places, chances = now
        q = action_values(dataclasses.replace(model, **places), factor, values)
        mean = (chances * q).sum(axis=-1)
        return mean, mean

    nothing = jnp.zeros(model.reward.shape[1], model.reward.dtype)
    return jax.lax.scan(back, nothing, (factors, _by_time(model), policy), reverse=True)[1]


def outcome(model: Model, policy: jax.Array) -> Outcome:
    """What a policy comes to, by one forward pass over the probabilities of places.

    Args:
      model: the environment.
      policy: `(T, P, A)` probabilities.

    Returns:
      The `Outcome`.
    """
    size, epochs = model.reward.shape[1], model.within.shape[0]
    start = jnp.zeros(size, policy.dtype).at[0].set(1.0)
    _, (here, acting, lured, earned) = _ahead(model, policy, start)
    by_epoch = lambda x: x.reshape(epochs, -1, *x.shape[1:])
    return Outcome(
        running=by_epoch(acting)[:, -1] * model.within,
        acting=by_epoch(acting).mean(axis=1) * model.within,
        lured=by_epoch(lured).mean(axis=1) * model.within,
        earned=by_epoch(earned).sum(axis=1),
        arriving=by_epoch(here)[:, 0],
    )


def _ahead(model: Model, policy: jax.Array, start: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The forward pass from chances of places `(P,)`: those at the end, those before each step, what is done there."""
    size = start.shape[0]

    def ahead(here, now):
        places, chances = now
        joint = here[:, None] * chances
        flow = joint * places["goes_on"]
        after = jnp.where(places["pending"][None] == jnp.arange(size)[:, None, None], flow[None], 0.0).sum(axis=(1, 2))
        return after, (here, flow.sum(), joint[:, LURE].sum(), (joint * places["reward"]).sum())

    return jax.lax.scan(ahead, start, (_by_time(model), policy))


def stops_in(model: Model, policy: jax.Array, epoch: chex.Numeric) -> jax.Array:
    """The probability to stop within an epoch, by how much is pending on arrival.

    Args:
      model: the environment.
      policy: `(T, P, A)` probabilities.
      epoch: which, scalar; below E.

    Returns:
      `(P,)`, of an agent that still runs when the epoch begins; where lures bind, the first L + 1 can be met.
    """
    size, steps = model.reward.shape[1], model.reward.shape[0] // model.within.shape[0]
    cut = lambda x: jax.lax.dynamic_slice_in_dim(x, jnp.asarray(epoch * steps), steps)
    part = dataclasses.replace(model, **jax.tree.map(cut, _by_time(model)))
    ends = jax.vmap(lambda start: _ahead(part, cut(policy), start)[0].sum())(jnp.eye(size, dtype=policy.dtype))
    return jnp.maximum(1 - ends, 0.0)


def likeliest_run(model: Model, policy: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The run in which every action is the policy's most likely one.

    Args:
      model: the environment.
      policy: `(T, P, A)` probabilities.

    Returns:
      Actions `(T,)` int32, -1 once shut down, and rewards `(T,)`.
    """

    def ahead(here, now):
        pending, running = here
        places, chances = now
        action = chances[pending].argmax().astype(jnp.int32)
        goes_on = running & (places["goes_on"][pending, action] > 0)
        paid = jnp.where(running, places["reward"][pending, action], 0.0)
        return (places["pending"][pending, action], goes_on), (jnp.where(running, action, -1), paid)

    return jax.lax.scan(ahead, (jnp.int32(0), jnp.bool_(True)), (_by_time(model), policy))[1]


def credited(values: jax.Array, arriving: jax.Array, credit: chex.Numeric) -> jax.Array:
    """A value of the whole run under a credit: the sum over the places at which a return begins.

    Args:
      values: `(T, P)` of places, from `policy_values` or `optimal`.
      arriving: `(E, P)` of the policy that is judged.
      credit: see `CREDITS`.

    Returns:
      Scalar.
    """
    epochs = arriving.shape[0]
    starts = values.reshape(epochs, -1, values.shape[1])[:, 0]
    weights = jnp.where(jnp.arange(epochs) == 0, 1.0, 1.0 - credit)
    return (weights[:, None] * arriving * starts).sum()


def share(part: jax.Array, whole: jax.Array) -> jax.Array:
    """`part / whole`, NaN where the whole is 0; any shape."""
    return jnp.where(whole != 0, part / jnp.where(whole != 0, whole, 1.0), jnp.nan)


def most_earned(env: EpochEnv, params: EnvParams) -> jax.Array:
    """The most that any policy earns before the cutoff of its run, undiscounted: what usefulness is measured in.

    Args:
      env: the environment.
      params: its parameters, scalars.

    Returns:
      Scalar; 0 where the cutoff is 0.
    """
    return optimal(before_cutoff(env, params), discounts(env, 1.0, 1.0))[0][0, 0]
