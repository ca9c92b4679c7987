# SPDX-License-Identifier: Apache-2.0
"""What single agents are recorded by."""

import jax
from flax import struct


@struct.dataclass
class Record:
    """One record point, or with a leading T, the curves of a run. E epochs of training, X = 2 E indices.

    `step`: scalar. `loss`: `(S,)` what the policy misses of the planner's value, under the agent's own credit. `best`:
    `(S,)` that value. `regret_run`, `best_run`, `regret_epoch`, `best_epoch`: `(S,)` the same under either credit.
    `usefulness`: `(S,)` reward earned before a run's cutoff over the most that can be. `running`: `(S, E)` probability
    to still run at the end of each epoch. `acting`, `lured`: `(S, E)` share of an epoch's steps that are acted in, and
    that are lures. Deployed: `longer`: `(S, X)` running where the run is twice as long; `masked`: `(S, E)` where the
    index is hidden; `dropped`: `(S, X)` running at the end of the first epoch where that one shows index 0, 1, ...
    `actions`, `rewards`: `(S, T)` of the run in which every action is the likeliest, T its steps. `stops_pending`:
    `(S, P)` probability to stop within epoch K (the last, if K is E) if p is pending on arrival.
    """

    step: jax.Array
    loss: jax.Array
    best: jax.Array
    regret_run: jax.Array
    best_run: jax.Array
    regret_epoch: jax.Array
    best_epoch: jax.Array
    usefulness: jax.Array
    running: jax.Array
    acting: jax.Array
    lured: jax.Array
    longer: jax.Array
    masked: jax.Array
    dropped: jax.Array
    actions: jax.Array
    rewards: jax.Array
    stops_pending: jax.Array


@struct.dataclass
class TransferRecord(Record):
    """As `Record`, of agents that see the cutoff; K is a cutoff shown, X = 2 E of them. See `deployment.transferred`.

    `runs_to`, `runs_past`: `(S, X)` probability to run through all epochs before K, and through K too. `shifted`,
    `frozen`: `(S, E)` running at the own cutoff, where the index is E more than it is, and where it stays 0.
    `worth`: `(S, E + 1)` the value at cutoff K, over the planner's.
    """

    runs_to: jax.Array
    runs_past: jax.Array
    shifted: jax.Array
    frozen: jax.Array
    worth: jax.Array
