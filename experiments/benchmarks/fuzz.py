# SPDX-License-Identifier: Apache-2.0
"""Runs experiments on flags drawn at random, right and wrong ones, and studies whose members give nonsense.

Every outcome is a complete folder (exit code 0), or one line and nothing written (exit code 2).

python -m experiments.benchmarks.fuzz                     a hundred of each: about ten minutes on two cores
python -m experiments.benchmarks.fuzz --sections=studies --cases=1000
"""

import collections
import contextlib
import dataclasses
import inspect
import io
import pathlib
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxmyopia as jm
from experiments import adam_bumps, feedback, interpretability, myopia, plateaus
from experiments.benchmarks.fuzz_pools import OF_LEAK, OF_PART, OF_SECTION, POOLS, SMALL
from jaxmyopia import launch
from jaxmyopia.checks import ArgumentError, RunError, require, require_one_of
from jaxmyopia.cli import Binary
from jaxmyopia.engine import program
from jaxmyopia.engine.session import say, show
from jaxmyopia.flags import flag

BINARIES: dict[str, Binary] = {
    "plateaus": plateaus.main,
    "adam_bumps": adam_bumps.main,
    "myopia": myopia.main,
    "interpretability": interpretability.main,
    "feedback": feedback.main,
}


def words_of(name: str, chosen: Mapping[str, str]) -> list[str]:
    """The command of a case: what was drawn, and what keeps it small."""
    small = dict(SMALL[name])
    if name == "myopia":
        sections = chosen.get("sections", "neutrality").split(",")
        small = {"sections": "neutrality", "seeds": "2"}
        for section in (each for each in sections if each in OF_SECTION):
            small |= OF_SECTION[section]
        small |= _of_parts(chosen) if "epochs" in sections else {}
    if name == "interpretability":
        parts = [part for part in chosen.get("parts", _part_of(chosen)).split(",") if part in OF_PART]
        small = {"parts": ",".join(parts) or "shapes"} | {k: v for part in parts for k, v in OF_PART[part].items()}
    return [f"--{flag}={value}" for flag, value in (small | dict(chosen)).items()]


def _part_of(chosen: Mapping[str, str]) -> str:
    """The part of interpretability that the first flag drawn belongs to."""
    experiment = interpretability.main.experiment.presets["quick"]
    for part in OF_PART:
        if any(hasattr(getattr(experiment, part), name) for name in chosen):
            return part
    return "shapes"


def _of_parts(chosen: Mapping[str, str]) -> dict[str, str]:
    """What keeps the drawn parts of the epochs small."""
    parts, small = chosen.get("parts", "recipe").split(","), {}
    if "leaks" in parts:
        small = {"leaks": "trait", "epochs": "3", "cutoff": "2"}
        for leak in chosen.get("leaks", "trait").split(","):
            small |= OF_LEAK.get(leak, {})
    return small | ({"transfer_steps": "2", "epochs": "3", "trained": "1"} if "transfer" in parts else {})


def drawn(name: str, draw: random.Random) -> dict[str, str]:
    """Some flags: most of them right, so that about half of the cases run."""
    pools = POOLS[name]
    chosen = {}
    for flag_name in draw.sample(list(pools), draw.randint(1, 6)):
        right, wrong = pools[flag_name]
        from_right = right and (not wrong or draw.random() < 0.92)
        chosen[flag_name] = draw.choice(right if from_right else wrong)
    return chosen


def outcome(binary: Binary, words: Sequence[str], folder: pathlib.Path) -> str:
    """Runs a case and says how it ended: `complete` or `refused`; or what is wrong about it.

    Args:
      binary: the experiment.
      words: its flags.
      folder: where it may write; it goes again.

    Returns:
      A word, or a text that starts with `wrong`.
    """
    out, said = folder / "run", io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = binary.exit_code([*words, f"--out={out}"])
        found = _judged(code, out, said.getvalue())
    except Exception:
        found = f"wrong: {traceback.format_exc()}"
    shutil.rmtree(out, ignore_errors=True)
    return found


def _judged(code: int, out: pathlib.Path, said: str) -> str:
    if code == 2:
        lines = said.strip().splitlines()
        one = len(lines) == 1 and lines[0].startswith("error: ")
        return "refused" if one and not out.exists() else f"wrong: 2 with {lines}, folder {out.exists()}"
    if code != 0:
        return f"wrong: {code} with {said[-300:]}"
    answer = jm.load(out)
    status, shard = answer.folder.manifest["status"], "num_shards" in answer.folder.config
    if shard:
        return "complete" if status == "complete shard" else f"wrong: {status}"
    whole = status == "complete" and (out / "report.html").is_file() and bool(answer.claims)
    rows = sum(cell.trials for cell in answer.cells if not cell.control)
    return "complete" if whole and len(answer.trials) == rows else f"wrong: {status}, {len(answer.trials)} of {rows}"


@dataclasses.dataclass(frozen=True)
class Walk(jm.Study):
    """Every seed walks towards 0 at a rate of its own: what nonsense is made of."""

    def init(self, keys: jax.Array, params: Any) -> Any:
        """Drawn places."""
        del params
        return {"t": jnp.zeros((), jnp.int32), "at": jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)}

    def step(self, state: Any, params: Any) -> Any:
        """Nearer."""
        return {"t": state["t"] + 1, "at": state["at"] * (1 - params["rate"][:, None])}

    def observe(self, state: Any, params: Any) -> Any:
        """How far."""
        del params
        return {"step": state["t"], "loss": jnp.square(state["at"]).sum(axis=1)}

    def params(self, *, rate: np.ndarray) -> Any:
        """The rate alone."""
        return super().params(rate=rate)


@dataclasses.dataclass(frozen=True)
class Fit(jm.Training):
    """One seed fits a drawn target."""

    def init(self, key: jax.Array, *, scale: jax.Array) -> Any:
        """A start and a target."""
        return scale * jax.random.normal(key, (3,)), jnp.ones(3)

    def loss(self, trained: Any, data: Any) -> jax.Array:
        """Their distance."""
        return jnp.square(trained - data).sum()


def _raise(value: Any) -> Any:
    del value
    raise KeyError("what\never")


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: jax.tree.map(change, value)


NONSENSE: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda value: None,
    "a text": lambda value: "text",
    "a number": lambda value: 1.0,
    "a list": lambda value: [value, value],
    "an empty dict": lambda value: {},
    "in a dict": lambda value: {"a": value},
    "a generator": lambda value: iter([value]),
    "an object": lambda value: object(),
    "objects of numpy": lambda value: np.array([None, 1], object),
    "NaN": _each(lambda x: x * jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else x),
    "infinity": _each(lambda x: x / 0 if jnp.issubdtype(x.dtype, jnp.floating) else x),
    "half precision": _each(lambda x: x.astype(jnp.float16)),
    "whole numbers": _each(lambda x: x.astype(jnp.int32)),
    "complex": _each(lambda x: x.astype(jnp.complex64)),
    "truths": _each(lambda x: x > 0),
    "another axis": _each(lambda x: x[..., None]),
    "first alone": _each(lambda x: x[0] if jnp.ndim(x) else x),
    "turned": _each(lambda x: x.T),
    "nobody": _each(lambda x: x[:0] if jnp.ndim(x) else x),
    "means": _each(jnp.mean),
    "numbers of the host": _each(lambda x: float(x.ravel()[0])),
    "branches": _each(lambda x: x if x.ravel()[0] > 0 else -x),
    "huge": _each(lambda x: jnp.broadcast_to(x[..., None], (*x.shape, 10**9))),
    "raises": _raise,
    "asks too much": lambda value: value["what there is not"],
    "for ever": lambda value: _each(lambda x: x)(value) if jnp.asarray(1).item() else value,
}
MEMBERS = {
    Walk: ("init", "step", "observe", "summarise", "quantiles", "params"),
    Fit: ("init", "loss", "observe", "batch", "validation", "update", "summarise", "quantiles", "params"),
}


def nonsense(base: type, member: str, change: Callable[[Any], Any]) -> jm.Study:
    """A study one of whose members gives something else."""

    def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(getattr(base, member)(self, *args, **kwargs))

    changed.__signature__ = inspect.signature(getattr(base, member))  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True)(type("Odd", (base,), {member: changed}))()


def outcome_of_study(base: type, member: str, kind: str) -> str:
    """Runs a study with one odd member: `complete`, `refused`, or what is wrong."""
    settings = {"rate": 0.1} if base is Walk else {"scale": 1.0, "learning_rate": 0.1}
    try:
        study = nonsense(base, member, NONSENSE[kind])
        answer = jm.run(study, seeds=2, steps=3, records=4, progress=False, **settings)
        return "complete" if len(answer.trials) == 2 else f"wrong: {len(answer.trials)} rows"
    except (ArgumentError, RunError) as error:
        return "refused" if "\n" not in str(error) else f"wrong: {error}"
    except Exception:
        return f"wrong: {traceback.format_exc()}"


@dataclasses.dataclass(frozen=True)
class Fuzz(launch.Machine):
    """Flags of fuzz."""

    sections: tuple[str, ...] = flag((*BINARIES, "studies"), "What is tried: experiments, studies.")
    cases: int = flag(100, "How many of each; of studies at most all that there are.")
    root_seed: int = flag(0, "Of what is drawn.")


FLAGS = launch.flags_of(Fuzz, name="fuzz")


def cases_of(section: str, cases: int, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Each case in words, and how it ended."""
    if section == "studies":
        every = [(base, member, kind) for base, members in MEMBERS.items() for member in members for kind in NONSENSE]
        for base, member, kind in draw.sample(every, min(cases, len(every))):
            yield f"{base.__name__}.{member}: {kind}", outcome_of_study(base, member, kind)
        return
    with tempfile.TemporaryDirectory(prefix="jaxmyopia-fuzz-") as folder:
        for _ in range(cases):
            words = words_of(section, drawn(section, draw))
            yield " ".join(words), outcome(BINARIES[section], words, pathlib.Path(folder))


def main() -> None:
    """Tries the sections asked for and prints how many cases ended how; what is wrong in full."""
    settings: Fuzz = launch.read(FLAGS, Fuzz)
    for name in settings.sections:
        require_one_of("sections", name, (*BINARIES, "studies"))
    require(settings.cases >= 1, "cases", settings.cases, "must be at least 1")
    program.COMPILER_OPTIONS["cpu"]["xla_backend_optimization_level"] = 0  # what is computed is not looked at
    for section in settings.sections:
        ended: collections.Counter[str] = collections.Counter()
        for case, found in cases_of(section, settings.cases, random.Random(f"{settings.root_seed} {section}")):
            ended[found.partition(":")[0]] += 1
            if found.startswith("wrong"):
                say(f"{section}: {case}\n{found}")
        show(f"{section}: {sum(ended.values())} cases, {', '.join(f'{n} {what}' for what, n in sorted(ended.items()))}")


if __name__ == "__main__":
    launch.launch(lambda _: main(), FLAGS, about=str(__doc__))
