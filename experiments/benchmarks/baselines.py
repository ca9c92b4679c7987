# SPDX-License-Identifier: Apache-2.0
"""Four ways to train S seeds of the low-rank problem for T steps: this project, and what it is measured against.

Each starts from the same factors and ends with the same ones, up to rounding. A baseline is a function of a `Case`
and its `Start` that does all that comes before the first step, compiling included, and returns a function of a number
of steps which trains for that long and returns once the outcome is there: factors `(S, 2, n, r)`.
"""

import dataclasses
import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmyopia.engine.mesh import per_device, seed_mesh
from jaxmyopia.engine.program import COMPILER_OPTIONS
from jaxmyopia.studies.lowrank.study import LowRank

Train = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained: a loss, an optimiser at a rate, the side n, the rank r of factors and target, S seeds."""

    loss: str
    optimizer: str
    n: int
    rank: int
    seeds: int
    learning_rate: float = 1e-3

    def __str__(self) -> str:
        return f"{self.loss} {self.optimizer} n={self.n} r={self.rank}"

    @property
    def study(self) -> LowRank:
        """The case as a study."""
        return LowRank(n=self.n, rank=self.rank, loss=self.loss, optimizer=self.optimizer)


def draw_start(case: Case) -> np.ndarray:
    """The factors A, B and the target's U, V of every seed, `(S, 4, n, r)`."""
    return np.random.default_rng(0).normal(size=(case.seeds, 4, case.n, case.rank)).astype(np.float32)


def jaxmyopia(case: Case, start: np.ndarray, study: LowRank | None = None) -> Train:
    """This project's step, blocks and devices, without its records; `study` for one that takes another path."""
    study = study or case.study
    layout, mesh, size = study.path.layout, seed_mesh(), study.block
    slots = -(-case.seeds // (mesh.size * size))
    trials = np.minimum(np.arange(mesh.size * slots * size), case.seeds - 1).reshape(mesh.size, slots, size)
    params = study.params(learning_rate=np.full(size, case.learning_rate), init_scale=np.ones(size))

    def train(pairs, steps):
        def block(pairs):
            state = study.start(pairs[:, :2], pairs[:, 2:], params)
            state = jax.lax.fori_loop(0, steps, lambda _, state: study.step(state, params), state)
            return jax.vmap(layout.turn, in_axes=layout.seed_axis)(state.factors)

        return jax.lax.map(block, pairs)

    spread = jax.jit(per_device(train, mesh), compiler_options=COMPILER_OPTIONS.get(jax.default_backend()))
    pairs = jnp.asarray(start[trials])

    def run(steps: int) -> np.ndarray:
        factors = jax.block_until_ready(spread(pairs, np.full(mesh.size, steps, np.int32)))
        return np.asarray(factors).reshape(-1, *factors.shape[3:])[: case.seeds]

    run(1)
    return run


def plain_loss(case: Case) -> Callable[[tuple[jax.Array, jax.Array], jax.Array], jax.Array]:
    """The loss of one seed's factors `(n, r)` and its C `(n, n)`, as a user of JAX writes it."""

    def loss(factors, c):
        z = factors[0] @ factors[1].T
        if case.loss == "square":
            return jnp.square(z - c).sum() / 2
        log_q, log_p = (x - jax.nn.logsumexp(x) for x in (z, c))
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q))

    return loss


def jit_vmap(case: Case, start: np.ndarray) -> Train:
    """JAX as a good user writes it: `jit(vmap(loop of value_and_grad and optax))`, one seed's code in matrix form.

    It knows its mean loss at the end, as PyTorch's two do: a user logs it.
    """
    optimizer, loss = getattr(optax, case.optimizer)(case.learning_rate), plain_loss(case)

    def train(pairs, steps):
        factors, c = (pairs[0], pairs[1]), pairs[2] @ pairs[3].T

        def step(_, carry):
            factors, state, total = carry
            value, gradients = jax.value_and_grad(loss)(factors, c)
            updates, state = optimizer.update(gradients, state, factors)
            return optax.apply_updates(factors, updates), state, total + value

        start = factors, optimizer.init(factors), jnp.zeros(())
        factors, _, total = jax.lax.fori_loop(0, steps, step, start)
        return jnp.stack(factors), total / steps

    batched, pairs = jax.jit(jax.vmap(train, in_axes=(0, None))), jnp.asarray(start)

    def run(steps: int) -> np.ndarray:
        return np.asarray(jax.block_until_ready(batched(pairs, jnp.int32(steps)))[0])

    run(1)
    return run


def torch_loss(case: Case):
    """The same in PyTorch, of one seed or of several."""
    import torch

    def loss(a, b, c):
        z = a @ b.mT
        if case.loss == "square":
            return (z - c).square().sum(dim=(-2, -1)) / 2
        flat = lambda x: x.flatten(start_dim=-2)
        log_q, log_p = (torch.log_softmax(flat(x), dim=-1) for x in (z, c))
        return (log_p.exp() * (log_p - log_q)).sum(dim=-1)

    return loss


def _torch_optimizer(case: Case, parameters: list):
    import torch

    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case.optimizer](parameters, lr=case.learning_rate)


def torch_pairs(start: np.ndarray):
    """A, B and C of every seed."""
    import torch

    a, b, u, v = torch.from_numpy(start).unbind(dim=1)
    return a.clone().contiguous(), b.clone().contiguous(), u @ v.mT


def torch_batched(case: Case, start: np.ndarray) -> Train:
    """PyTorch with the seeds as a batch dimension, eager: summed loss, backward, torch.optim."""
    import torch

    loss = torch_loss(case)

    def run(steps: int) -> np.ndarray:
        a, b, c = torch_pairs(start)
        parameters = [a.requires_grad_(), b.requires_grad_()]
        optimizer = _torch_optimizer(case, parameters)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(a, b, c).sum().backward()
            optimizer.step()
        return torch.stack(parameters, dim=1).detach().numpy()

    run(1)
    return run


def torch_step(case: Case):
    """One step of all seeds: A, B, C, Adam's moments, the count of steps -> A, B, moments, losses."""
    import torch

    gradients = torch.func.vmap(torch.func.grad_and_value(torch_loss(case), argnums=(0, 1)))
    rate = case.learning_rate

    def step(a, b, c, moments, count):
        pair, value = gradients(a, b, c)
        if case.optimizer == "sgd":
            return a - rate * pair[0], b - rate * pair[1], moments, value
        first = [0.9 * m + 0.1 * g for m, g in zip(moments[0], pair, strict=True)]
        second = [0.999 * m + 0.001 * g * g for m, g in zip(moments[1], pair, strict=True)]
        update = lambda m, v: rate * (m / (1 - 0.9**count)) / ((v / (1 - 0.999**count)).sqrt() + 1e-8)
        return a - update(first[0], second[0]), b - update(first[1], second[1]), (first, second), value

    return step


def torch_moments(a, b):
    """Adam's moments before the first step."""
    import torch

    return tuple([torch.zeros_like(a), torch.zeros_like(b)] for _ in range(2))


def torch_compiled(case: Case, start: np.ndarray) -> Train:
    """PyTorch with `torch.func.vmap` of one seed's gradient, and gradient and update under `torch.compile`."""
    import torch

    plain = torch_step(case)

    def step(a, b, c, moments, count, total):
        a, b, moments, value = plain(a, b, c, moments, count)
        return a, b, moments, total + value

    compiled = torch.compile(step)

    def run(steps: int) -> np.ndarray:
        a, b, c = torch_pairs(start)
        moments, total = torch_moments(a, b), torch.zeros(case.seeds)
        with torch.no_grad():
            for i in range(steps):
                a, b, moments, total = compiled(a, b, c, moments, torch.tensor(float(i + 1)), total)
        return torch.stack([a, b], dim=1).numpy()

    run(2)
    return run


def baselines() -> dict[str, Callable[[Case, np.ndarray], Train]]:
    """Those that can take part here, by name: PyTorch only if it is installed."""
    here: dict[str, Callable[[Case, np.ndarray], Train]] = {"jaxmyopia": jaxmyopia, "jit(vmap)": jit_vmap}
    if importlib.util.find_spec("torch"):
        here |= {"torch": torch_batched, "torch.compile": torch_compiled}
    return here
