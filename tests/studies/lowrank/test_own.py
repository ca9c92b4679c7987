# SPDX-License-Identifier: Apache-2.0
"""A loss and a target of one's own: where they repeat the built-in ones they give the same; and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmyopia as jm
from jaxmyopia.studies.lowrank.study import LowRank
from jaxmyopia.testing import check_study

N, RANK = 6, 2
init = jax.jit(LowRank.init, static_argnums=0)


def squared(z, c):
    return jnp.square(z - c).sum() / 2


def minus(z, c):
    return z - c


def huber(z, c):
    d = jnp.abs(z - c)
    return jnp.where(d < 1, jnp.square(d) / 2, d - 0.5).sum()


def divergence(z, c):
    log_p, log_q = (x - jax.nn.logsumexp(x) for x in (c, z))
    return (jnp.exp(log_p) * (log_p - log_q)).sum()


def matrix(rank: int = RANK, n: int = N, seed: int = 0) -> np.ndarray:
    u, v = factors(rank, n, seed)
    return u @ v.T


def factors(rank: int = RANK, n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    u, v = np.random.default_rng(seed).normal(size=(2, n, rank))
    return u, v


def normal_pair(key):
    u, v = jax.random.normal(key, (2, N, RANK))
    return u, v


def normal_matrix(key):
    u, v = normal_pair(key)
    return u @ v.T


def result(study: LowRank):
    return jm.run(study, seeds=8, steps=400, records=60, progress=False, learning_rate=0.03, init_scale=0.03)


def loss_of(answer) -> np.ndarray:
    return np.asarray(answer.curves["loss"])


@pytest.mark.parametrize(("loss", "optimizer"), (((squared, minus), "sgd"), (squared, "adam")))
def test_square_loss_of_ones_own_is_square_loss(loss, optimizer):
    study = LowRank(n=N, rank=RANK, optimizer=optimizer)
    named, own = result(study), result(dataclasses.replace(study, loss=loss))
    np.testing.assert_allclose(loss_of(own), loss_of(named), rtol=2e-3, atol=1e-4 * loss_of(named).max())
    plateaus = study.thresholds.plateaus
    assert named.trials.values(plateaus).sum() > 0
    np.testing.assert_array_equal(own.trials.values(plateaus), named.trials.values(plateaus))
    assert own.trials.unique("loss") == ["squared"]


@pytest.mark.parametrize("size", ({"n": 6, "rank": 2}, {"n": 12, "rank": 6}), ids=("seeds last", "seeds first"))
@pytest.mark.parametrize(("name", "own"), (("square", (squared, minus)), ("cross_entropy", divergence)))
def test_the_gradient_and_the_value_are_those_of_the_named_loss_in_either_layout(name, own, size):
    found = []
    for loss in (name, own):
        study = LowRank(**size, loss=loss, optimizer="adam")  # of the entries: under SGD square is in its span
        params = study.params(learning_rate=np.full(5, 0.01), init_scale=np.full(5, 1.0))
        state = init(study, jax.random.split(jax.random.key(0), 5), params)
        layout = study.path.layout
        slope = study.path.gradient(study.loss, state.factors, state.target)
        turned = jax.vmap(layout.turn, in_axes=layout.seed_axis)(slope)
        found.append((np.asarray(study.observe(state, params).loss), np.asarray(turned)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_a_loss_of_ones_own_is_named():
    study = LowRank(n=N, rank=RANK, loss=huber)
    assert study.settings()["loss"] == "huber" and "huber" in str(study)
    assert LowRank(n=N, loss=lambda z, c: squared(z, c)).settings()["loss"] == "own loss"


def test_a_loss_named_as_a_built_in_one_is_told_from_it():
    def square(z, c):
        return 2 * squared(z, c)

    assert LowRank(n=N, loss=square).settings()["loss"] == "own square"


def test_studies_of_ones_own_are_hashable_and_are_replaced():
    study = LowRank(n=N, rank=RANK, loss=(squared, minus), target=matrix())
    again = LowRank(n=N, rank=RANK, loss=(squared, minus), target=jnp.asarray(matrix(), jnp.float32))
    same = LowRank(n=N, rank=RANK, loss=(squared, minus), target=tuple(map(tuple, matrix().tolist())))
    assert study == same and hash(study) == hash(same) and str(study) == str(same)
    assert study != again and str(study) != str(again)  # rounded
    other = dataclasses.replace(study, optimizer="adam", rank=3)
    assert other.target_rank == RANK and other.target == study.target and other.loss == study.loss
    assert study.settings() | {"optimizer": "adam", "rank": 3} == other.settings()
    assert str(study) != str(dataclasses.replace(study, loss=squared, target=matrix(seed=1)))


def target_of(study: LowRank, seeds: int = 3) -> np.ndarray:
    """The product of the target's factors, `(S, n, n)`."""
    params = study.params(learning_rate=np.full(seeds, 0.01), init_scale=np.full(seeds, 1.0))
    state = init(study, jax.random.split(jax.random.key(0), seeds), params)
    layout = study.path.layout
    u, v = np.moveaxis(jax.vmap(layout.turn, in_axes=layout.seed_axis)(state.target.factors), 1, 0)
    return u @ v.swapaxes(1, 2)


@pytest.mark.parametrize(
    ("target", "asked", "rank"),
    (
        (matrix(), None, 2),
        (matrix(3), None, 3),
        (matrix(), 4, 4),
        (matrix(N), None, N),
        (tuple(map(tuple, matrix(1).tolist())), None, 1),
        (factors(3), None, 3),
        (factors(), 2, 2),
        (np.zeros((N, N)), None, 1),
    ),
)
def test_fixed_targets_are_what_was_given(target, asked, rank):
    study = LowRank(n=N, rank=RANK, target=target, target_rank=asked, optimizer="adam")
    expected = target[0] @ target[1].T if len(target) == 2 else np.asarray(target)
    assert study.target_rank == rank and study.settings()["target"] == "own"
    np.testing.assert_allclose(target_of(study), np.broadcast_to(expected, (3, N, N)), atol=3e-6)


def test_a_nested_tuple_of_side_two_is_a_matrix():
    study = LowRank(n=2, rank=1, target=((1.0, 2.0), (3.0, 4.0)))
    np.testing.assert_allclose(target_of(study)[0], [[1, 2], [3, 4]], atol=1e-6)


@pytest.mark.parametrize(
    ("function", "asked", "rank"),
    ((normal_pair, None, RANK), (normal_matrix, None, N), (normal_matrix, RANK, RANK)),
)
def test_a_function_of_the_key_is_drawn_once_a_seed(function, asked, rank):
    study = LowRank(n=N, rank=RANK, target=function, target_rank=asked, optimizer="adam")
    assert study.target_rank == rank and study.settings()["target"] == function.__name__
    found = target_of(study)
    assert not np.isclose(found[0], found[1]).any()
    adam = dataclasses.replace(study, loss=huber)
    np.testing.assert_allclose(target_of(adam), found, atol=1e-5)
    keys = jax.random.split(jax.random.key(0), 3)
    handed = [jax.random.split(jax.random.fold_in(jax.random.fold_in(key, rank), RANK), 3)[0] for key in keys]
    pairs = [function(key) for key in handed]
    expected = [pair if function is normal_matrix else pair[0] @ pair[1].T for pair in pairs]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_a_matrix_of_a_function_is_cut_to_a_lower_rank():
    whole = target_of(LowRank(n=N, rank=RANK, target=normal_matrix))
    assert np.linalg.matrix_rank(whole[0], tol=1e-4) == RANK
    cut = target_of(LowRank(n=N, rank=RANK, target=normal_matrix, target_rank=1))
    assert all(np.linalg.matrix_rank(c, tol=1e-4) == 1 for c in cut)


def test_targets_of_ones_own_are_learned_by_a_loss_of_ones_own():
    study = LowRank(n=N, rank=RANK, loss=huber, optimizer="adam")
    targets = {"target": [matrix(), normal_pair]}
    answer = jm.run(study, **targets, seeds=8, steps=1000, progress=False, learning_rate=0.03, init_scale=0.3)
    assert sorted(answer.trials.unique("target")) == ["normal_pair", "own"]
    assert not answer.trials["diverged"].any() and (answer.trials["loss_ratio"] < 0.05).all()


def test_a_study_with_a_loss_and_a_target_of_ones_own_keeps_the_contract():
    check_study(LowRank(n=4, rank=1, loss=huber, target=normal_function), learning_rate=0.05, init_scale=0.5)


def normal_function(key):
    return jax.random.normal(key, (4, 4))


NAN = np.where(np.eye(N) > 0, np.nan, 1.0)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    (
        ("loss", {"loss": 3}, "must be one of cross_entropy, square, or a function"),
        ("loss", {"loss": None}, "must be one of"),
        ("loss", {"loss": (squared,)}, "must be one of"),
        ("loss", {"loss": (squared, minus, minus)}, "must be one of"),
        ("loss", {"loss": (squared, "square")}, "must be one of"),
        ("loss", {"loss": np.ones((N, N))}, "must be one of"),
        ("loss", {"loss": minus}, "minus gives float32[6, 6]"),
        ("loss", {"loss": lambda z, c: 1}, "int32[]"),
        ("loss", {"loss": lambda z, c: (squared(z, c), 0.0)}, "tuple of 2 arrays"),
        ("loss", {"loss": lambda z: z.sum()}, "raises TypeError"),
        ("loss", {"loss": lambda z, c: float(z.sum())}, "raises ConcretizationTypeError"),
        ("loss", {"loss": (squared, squared)}, "squared gives float32[]"),
        ("loss", {"loss": (squared, lambda z, c: (z - c).sum(axis=0))}, "float32[6]"),
        ("target", {"target": 3.0}, "must be one of gaussian, orthogonal, spectrum, or finite numbers"),
        ("target", {"target": None}, "must be one of"),
        ("target", {"target": np.ones((N, N + 1))}, "here n=6"),
        ("target", {"target": NAN}, "float64[6, 6]"),
        ("target", {"target": matrix() + 1j}, "complex128[6, 6]"),
        ("target", {"target": ((1.0, 2.0), (3.0,))}, "must be one of"),
        ("target", {"target": (("a", "b"), ("c", "d"))}, "must be one of"),
        ("target", {"target": (matrix(), factors()[0])}, "here n=6"),
        ("target", {"target": factors(n=5)}, "here n=6"),
        ("target", {"target": factors(N + 1)}, "here n=6"),
        ("target", {"target": lambda key: jax.random.normal(key, (N, RANK))}, "float32[6, 2]"),
        ("target", {"target": lambda key: key.no_such}, "raises AttributeError"),
        ("target", {"target": lambda: 1}, "raises TypeError"),
        ("target_rank", {"target": matrix(3), "target_rank": 2}, "must be at least 3"),
        ("target_rank", {"target": factors(3), "target_rank": 2}, "must be 3"),
        ("target_rank", {"target": normal_pair, "target_rank": 3}, "must be 2"),
        ("target_ranks", {"target": normal_matrix, "target_rank": N + 1}, "must be between 1 and n=6"),
    ),
)
def test_what_is_no_loss_and_no_target_is_refused_in_one_line(name, arguments, text):
    with pytest.raises(jm.ArgumentError) as error:
        LowRank(**{"n": N, "rank": RANK} | arguments)
    message = str(error.value)
    assert message.startswith(f"{name}=") and text in message and "\n" not in message and "0x" not in message
