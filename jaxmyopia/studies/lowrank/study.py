# SPDX-License-Identifier: Apache-2.0
"""The low-rank study: four pure functions over S seeds, each with its own rate and scale."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxmyopia import optimizers
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.measures import Measure
from jaxmyopia.studies.lowrank import dynamics
from jaxmyopia.studies.lowrank import measures as observables
from jaxmyopia.studies.lowrank.bases import orthonormalised
from jaxmyopia.studies.lowrank.gradients import Path, block_size, choose_path
from jaxmyopia.studies.lowrank.losses import LOSSES, Target
from jaxmyopia.studies.lowrank.measures import Record, Thresholds
from jaxmyopia.studies.lowrank.model import TARGETS, draw_problem
from jaxmyopia.studies.lowrank.own import LossLike, OwnLoss, OwnTarget, TargetLike, arithmetic
from jaxmyopia.study import Scalar, Study
from jaxmyopia.values import float_dtype

_NOISE = 2**31  # folded into the key of a seed whose optimiser draws noise


@struct.dataclass
class Params:
    """What may differ by seed without another compilation, `(S,)` each; `weight_decay` None is the optimiser's own."""

    learning_rate: jax.Array
    init_scale: jax.Array
    weight_decay: jax.Array | None = None


@struct.dataclass
class State:
    """S seeds in training.

    `step`: scalar. `factors`: the pair A, B in the layout's order, `(2, n, r, S)` or `(2, S, r, n)`; r + R in place of
    n where the study is `in_span`. `opt_state`: optax's. `target`: constant.
    """

    step: jax.Array
    factors: jax.Array
    opt_state: optax.OptState
    target: Target


@dataclasses.dataclass(frozen=True)
class LowRank(Study):
    """Learning `C = U V^T` with `Z = A B^T` (Jermyn and Shlegeris 2022, "Multi-Component Learning and S-Curves").

    `n`: side of the matrices. `rank`: columns r of the learned factors. `target_rank`: rank R of the target, by
    default r. `target`: a name of `TARGETS`; `spectrum`: its singular values. `loss`: a name of `LOSSES`.
    `optimizer`: a name, see `optimizers.make`. `thresholds`: where counting starts.

    Settings: `learning_rate`, `init_scale`, and `weight_decay` of optimisers that take one (adamw, nadamw, lion, muon,
    ...; others refuse it), as optax applies it: adamw takes rate times decay times each entry off at every step. By
    default it is optax's own, which for adamw is 1e-4; PyTorch's is 0.01.

    A loss of one's own is a pair of functions of one seed's Z and C, `(n, n)` each: `value(Z, C)`, a scalar, and
    `slope(Z, C)`, dL/dZ, `(n, n)`; or `value` alone, then its slope is automatic.

    A target of one's own is a pair `(U, V)` of `(n, R)`, a matrix C `(n, n)`, or a function of the key of one seed that
    gives either. R is the columns of a pair. A C is split by its singular values: if it is fixed, R is by default its
    numerical rank, and lower is refused; if a function gives it, R is by default n, which every C fits, and where
    `target_rank` is lower C is replaced by its best approximation of that rank. Matrices are kept in double precision
    and used in that of the study. In the table a function has its name, and matrices are `own`.

    Raises ArgumentError, a ValueError, if a field is not allowed.
    """

    n: int = 100
    rank: int = 2
    target_rank: int | None = None
    target: TargetLike = "gaussian"
    spectrum: tuple[float, ...] = ()
    loss: LossLike = "square"
    optimizer: str = "sgd"
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    def __post_init__(self):
        super().__post_init__()
        require(self.n >= 2, "n", self.n, "must be at least 2")
        require(self.n <= 2**16, "n", self.n, f"must be at most {2**16}: no memory holds more")
        self._make_own()
        for name in ("rank", "target_rank"):
            require(
                1 <= getattr(self, name) <= self.n, f"{name}s", getattr(self, name), f"must be between 1 and n={self.n}"
            )
        if isinstance(self.target, str):
            require_one_of("targets", self.target, TARGETS)
        if isinstance(self.loss, str):
            require_one_of("losses", self.loss, LOSSES)
        optimizers.check(self.optimizer, "optimizers")
        if self.target == "spectrum":
            fine = len(self.spectrum) >= self._target_rank and all(0 < s < float("inf") for s in self.spectrum)
            require(
                fine,
                "spectrum",
                self.spectrum,
                f"must be positive singular values, at least rank={self.target_rank} of them",
            )

    def _make_own(self) -> None:
        """Keeps a loss and a target of one's own in a form that is hashable, and settles the target's rank."""
        made: dict[str, object] = {}
        if not isinstance(self.loss, str):
            made["loss"] = OwnLoss.of(self.loss, self.n)
        if not isinstance(self.target, str):
            made["target"] = target = OwnTarget.of(self.target, self.n)
            made["target_rank"] = target.rank(self.n, self.target_rank)
        elif self.target_rank is None:
            made["target_rank"] = self.rank
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        # A run is resumed only by the same cells: the digits tell one own loss or target from another.
        target = self._target if isinstance(self._target, str) else self._target.label()
        loss = self._loss if isinstance(self._loss, str) else self._loss.label(self.n)
        return f"{target} rank {self.rank}, {loss}, {self.optimizer}"

    @property
    def _loss(self) -> str | OwnLoss:
        assert isinstance(self.loss, str | OwnLoss)  # made when the study is
        return self.loss

    @property
    def _target(self) -> str | OwnTarget:
        assert isinstance(self.target, str | OwnTarget)  # likewise
        return self.target

    @property
    def _target_rank(self) -> int:
        assert self.target_rank is not None  # set when the study is made
        return self.target_rank

    @property
    def in_span(self) -> bool:
        """Whether factors are kept in coordinates of their span, `(r + R, r)`, instead of entries, `(n, r)`.

        Gradients of the square loss are `(A B^T - U V^T) B` and `(A B^T - U V^T)^T A`: the columns of A stay in the
        span of U and the first A, those of B in that of V and the first B, as long as steps are sums of gradients. In
        orthonormal bases of these spans it is the same problem with a smaller n; norms, inner products and the loss
        are the same numbers.
        """
        return self._loss == "square" and self.optimizer in optimizers.LINEAR and self.rank + self._target_rank < self.n

    @property
    def _sizes(self) -> dict[str, int]:
        """Of the matrices that are stepped."""
        side = self.rank + self._target_rank if self.in_span else self.n
        return {"n": side, "rank": self.rank, "target_rank": self._target_rank}

    @property
    def path(self) -> Path:
        """How the gradient is computed, and with it the layout of the state."""
        return choose_path(self._loss, **self._sizes)

    @property
    def block(self) -> int:
        """Seeds a block: enough to fill the vector units, few enough to stay in cache."""
        return block_size(self.path, **self._sizes)

    @property
    def standard(self) -> tuple[Measure, ...]:
        """What is taken of every trial."""
        return self.thresholds.measures(aligned=max(self.rank, self._target_rank) <= observables.ALIGNMENT_RANK)

    def check_computed(self) -> None:
        """Refuses an optimiser that goes up."""
        optimizers.check_descends(self.optimizer, "optimizers")

    def settings(self) -> dict[str, Scalar]:
        """The columns by which the table tells this study from others."""
        names = ("n", "rank", "target_rank", "target", "loss", "optimizer")
        return {name: getattr(self, name) for name in names} | {"target": str(self._target), "loss": str(self._loss)}

    def known_settings(self) -> dict[str, bool]:
        """The settings and whether each must be given; `weight_decay` where the optimiser takes one."""
        decays = optimizers.default_decay(self.optimizer) is not None
        return {"learning_rate": True, "init_scale": True} | ({"weight_decay": False} if decays else {})

    def params(
        self, *, learning_rate: np.ndarray, init_scale: np.ndarray, weight_decay: np.ndarray | None = None
    ) -> Params:
        """Makes the parameters of S seeds.

        Args:
          learning_rate: `(S,)`, positive.
          init_scale: `(S,)`, positive.
          weight_decay: `(S,)`, not negative; by default the optimiser's own.

        Returns:
          The `Params`.

        Raises:
          ArgumentError: if a value is not positive and finite, or the optimiser takes no weight decay.
        """
        for name, values in (("learning_rates", learning_rate), ("init_scale", init_scale)):
            for value in np.unique(values):
                require(0 < value < np.inf, name, float(value), "must be positive and finite")
        if weight_decay is not None:
            for value in map(float, np.unique(weight_decay)):
                require("weight_decay" in self.known_settings(), "weight_decay", value, f"{self.optimizer} takes none")
                require(0 <= value < np.inf, "weight_decay", value, "must be finite, and not negative")
        rate, scale = (jnp.asarray(each, float_dtype()) for each in (learning_rate, init_scale))
        return Params(rate, scale, None if weight_decay is None else jnp.asarray(weight_decay, float_dtype()))

    def init(self, keys: jax.Array, params: Params) -> State:
        """Draws targets and starts.

        Args:
          keys: `(S,)` one a seed; consumed.
          params: `(S,)` leaves.

        Returns:
          The `State` at step 0.
        """
        chex.assert_equal_shape([keys, params.learning_rate, params.init_scale])

        def draw(key, scale):
            sizes = {"n": self.n, "rank": self.rank, "target_rank": self._target_rank}
            drawn = draw_problem(key, scale, kind=self._target, spectrum=self.spectrum, **sizes)
            return jnp.stack([drawn.a, drawn.b]), jnp.stack([drawn.u, drawn.v])

        # The draws above fold the ranks, small numbers, into the key: no key serves twice.
        noise = jax.vmap(lambda key: jax.random.fold_in(key, _NOISE))(keys)
        factors, target = jax.vmap(draw)(keys, params.init_scale)
        return self.start(factors, target, params, noise)

    def start(self, factors: jax.Array, target: jax.Array, params: Params, noise: jax.Array | None = None) -> State:
        """Starts from given matrices.

        Args:
          factors: `(S, 2, n, r)` each seed's A and B.
          target: `(S, 2, n, R)` each seed's U and V.
          params: `(S,)` leaves.
          noise: `(S,)` keys for optimisers that draw noise.

        Returns:
          The `State` at step 0.
        """
        chex.assert_shape(factors, (None, 2, self.n, self.rank))
        chex.assert_shape(target, (None, 2, self.n, self.target_rank))
        layout = self.path.layout
        if self.in_span:  # of [U, A] = Q R and [V, B] = Q R, R holds the coordinates of all columns
            of_pair = jax.vmap(lambda columns: orthonormalised(columns)[1])
            both = jax.vmap(of_pair)(jnp.concatenate([target, factors], axis=-1))
            target, factors = jnp.split(both, [self._target_rank], axis=-1)
        factors, target = (jax.vmap(layout.turn, out_axes=layout.seed_axis)(x) for x in (factors, target))
        return State(
            step=jnp.zeros((), jnp.int32),
            factors=factors,
            opt_state=dynamics.init_optimizer(
                self.optimizer, layout, factors, params.learning_rate, noise, params.weight_decay
            ),
            target=self.path.prepare(self._loss, target),
        )

    def step(self, state: State, params: Params) -> State:
        """One optimisation step of all S seeds."""
        path = self.path
        gradients = path.gradient(self._loss, state.factors, state.target)
        factors, opt_state = dynamics.apply_optimizer(
            self.optimizer, path.layout, gradients, state.opt_state, state.factors, params.learning_rate,
            params.weight_decay,
        )  # fmt: skip
        return dataclasses.replace(state, step=state.step + 1, factors=factors, opt_state=opt_state)

    def observe(self, state: State, params: Params) -> Record:
        """What one record point keeps: a `Record` with arrays `(S, ...)`."""
        del params
        layout = self.path.layout
        learned, target = state.factors, state.target.factors
        norm_a, norm_b = observables.column_norms(layout, learned)
        align_a, align_b = observables.alignments(layout, learned, target)
        inner_a, inner_b = observables.inner_products(layout, learned, target)
        loss = arithmetic(self._loss).value(layout, learned, state.target)
        return Record(
            step=state.step, loss=loss, norm_a=norm_a, norm_b=norm_b, align_a=align_a, align_b=align_b,
            inner_a=inner_a, inner_b=inner_b,
        )  # fmt: skip

    def summarise(self, curves: Record) -> dict[str, jax.Array]:
        """One number a seed, `(S,)` each, from the curves `(T, S, ...)`; see `observables.summarise`."""
        return observables.summarise(curves) | self.measured(curves)

    def quantiles(self, curves: Record) -> dict[str, jax.Array]:
        """The loss over the first, `(T, S)`; infinite where it is not finite: such a seed ranks above all others."""
        # Written as a product: for one device XLA makes one of a quotient, for several it does not.
        relative = curves.loss * (1 / curves.loss[:1])
        return {"relative_loss": jnp.where(jnp.isfinite(curves.loss), relative, jnp.inf)}
