# SPDX-License-Identifier: Apache-2.0
"""The command line: flags that all experiments share, how a binary runs, and how it ends when something is wrong.

Flags live in one `FlagValues` a call, so that any number of binaries can be imported, and called, in one process.
"""

import dataclasses
import inspect
import logging
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import jax
from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from jaxmyopia import flags
from jaxmyopia.api import CACHE, Answer, execute
from jaxmyopia.checks import ArgumentError, RunError, require
from jaxmyopia.claims import Claim, judge_all
from jaxmyopia.engine.experiment import plan
from jaxmyopia.engine.mesh import use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.probe import estimate
from jaxmyopia.engine.processes import Share, meet
from jaxmyopia.engine.session import RunOptions, say
from jaxmyopia.engine.signals import Stopped
from jaxmyopia.experiment import Experiment
from jaxmyopia.flags import FlagValues, flag
from jaxmyopia.report.page import claims_json, claims_text, write_page
from jaxmyopia.study import Study

SHARED = "what every experiment has"  # heading of the shared flags


@dataclasses.dataclass(frozen=True)
class Machine:
    """Flags of everything that computes."""

    cpu_devices: int | None = flag(None, "Devices that the CPU is taken for; by default its cores.")
    compilation_cache: str = flag(CACHE, "Folder of compiled programs; empty for none.")


@dataclasses.dataclass(frozen=True)
class Engine(Machine):
    """Flags of every experiment, beside those of its own."""

    root_seed: int = flag(0, "Root of every seed's random key.")
    keep_curves: int = flag(4, "Keep all curves of this many seeds in every cell.")
    dry_run: bool = flag(False, "Print what would be run, time a few steps of it, and stop.")
    checkpoint_secs: float = flag(60.0, "Seconds between checkpoints of what is in flight.")
    repair: bool = flag(False, "Compute chunks again whose files are damaged or missing.")
    num_shards: int = flag(1, "Machines that share the run without knowing of each other; see merge.")
    shard_index: int = flag(0, "Which of them this one is.")
    distributed: bool = flag(False, "This is one of several processes that share the run and its folder.")
    coordinator: str | None = flag(None, "HOST:PORT of process 0; found on TPU pods, Slurm and MPI.")
    num_processes: int | None = flag(None, "How many processes there are; found likewise.")
    process_id: int | None = flag(None, "Which of them this one is; found likewise.")


def flags_of(settings: type, *, name: str, out: str | None = None) -> FlagValues:
    """The flags of a program that is no experiment.

    Args:
      settings: a dataclass whose fields are the flags.
      name: the heading under which `--help` lists them.
      out: the default of the flag `--out`, where it has one.

    Returns:
      The flags, not yet parsed.
    """
    values = FlagValues()
    if out:
        absl_flags.DEFINE_string("out", out, "Folder of the run.", flag_values=values, module_name=name)
    flags.define(values, settings, group=name)
    return values


def read(values: FlagValues, settings: type) -> Any:
    """An instance of a dataclass from its parsed flags."""
    return settings(**flags.given(values, settings))


def command(argv: Sequence[str] | None = None) -> str:
    """The command that was typed, as it may be typed again; `argv` without the program."""
    module = sys.modules["__main__"].__spec__
    program = ["-m", module.name.removesuffix(".__main__")] if module else [sys.argv[0]]
    return shlex.join(["python", *program, *(sys.argv[1:] if argv is None else argv)])


def in_kernel() -> bool:
    """Whether `sys.argv` is that of a notebook's kernel, `... -f connection.json`, and not of a program."""
    return len(sys.argv) >= 3 and sys.argv[-2] == "-f" and sys.argv[-1].endswith(".json")


class _Help(absl_flags.BooleanFlag):
    """A flag that prints help and ends with exit code 0."""

    def __init__(self, name: str, short_name: str | None, show: Callable[[], str]):
        super().__init__(name, False, "Print this help.", short_name=short_name)
        self._show = show

    def parse(self, argument: str | bool | None) -> None:
        if self._parse(argument):
            print(self._show())
            sys.exit(0)


def _complete(values: FlagValues, about: str) -> None:
    """Adds help, and absl's own flags (`--verbosity` and the like) where no flag has their name."""
    if "help" in values:
        return
    groups = list(values.flags_by_module_dict())

    def short() -> str:
        return f"{about.strip()}\n{''.join(chr(10) + values.module_help(group) for group in groups)}"

    for name, short_name in (("help", "?"), ("helpshort", None)):
        values[name] = _Help(name, short_name, lambda: f"{short()}\n\n--helpfull lists absl's and JAX's flags too.")
    values["helpfull"] = _Help("helpfull", None, lambda: f"{short()}\n{absl_flags.FLAGS.get_help()}")
    app.define_help_flags()
    for name in absl_flags.FLAGS:
        shared = absl_flags.FLAGS[name]
        if shared.name not in values and shared.short_name not in values:
            values[shared.name] = shared


def parse(values: FlagValues, argv: Sequence[str], *, about: str = "", arguments: bool = False) -> list[str]:
    """Parses flags; what is wrong with them takes one line and exit code 2.

    Args:
      values: the flags.
      argv: the program and what was typed.
      about: what `--help` says above the flags.
      arguments: whether there may be arguments that are no flags.

    Returns:
      The arguments that are no flags.
    """
    _complete(values, about)
    try:
        rest = values(argv)[1:]
        require(arguments or not rest, "arguments", " ".join(rest), "flags start with --; see --helpshort")
        return rest
    except (absl_flags.Error, ArgumentError) as error:
        say(f"error: {' '.join(str(error).split())}")
        sys.exit(2)


def finish(main: Callable[[], object], values: FlagValues) -> int:
    """Runs a program once its flags are parsed: what is wrong takes one line, a stop a word on how to resume.

    Args:
      main: the program.
      values: its flags.

    Returns:
      The exit code: 0, 1 if the disk, a file or another process failed, 2 for a bad argument, 128 and the number of
      the signal if one stopped it.
    """
    try:
        main()
    except ArgumentError as error:
        say(f"error: {'--' if error.name in values else ''}{error}")
        return 2
    except RunError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt as stop:
        signum = stop.signum if isinstance(stop, Stopped) else signal.SIGINT
        what = "Interrupted" if signum == signal.SIGINT else "Terminated"
        kept = f" What is completed is kept in {values.out}; to resume: {command()}" if "out" in values else ""
        say(f"\n{what}.{kept}")
        return 128 + signum
    return 0


def launch(
    main: Callable[[list[str]], object],
    values: FlagValues,
    *,
    about: str,
    argv: Sequence[str] | None = None,
    arguments: bool = False,
) -> NoReturn:
    """Parses the flags, makes JAX ready, runs `main` and exits.

    Args:
      main: takes the arguments that are no flags.
      values, about, arguments: as for `parse`.
      argv: the program and what was typed, by default `sys.argv`.
    """

    def run(rest: list[str]) -> int:
        if not absl_flags.FLAGS["verbosity"].present:  # absl's app would show jax's notes on absent backends
            absl_logging.set_verbosity(absl_logging.WARNING)
            logging.getLogger("jax").setLevel(logging.WARNING)
        signal.signal(signal.SIGTERM, _terminate)

        def ready() -> None:
            use_machine(values)
            main(rest)

        code = finish(ready, values)
        if code and jax.distributed.is_initialized():
            os._exit(code)  # an orderly end would wait for processes that may be gone
        return code

    def parser(argv: Sequence[str]) -> list[str]:
        rest = parse(values, argv, about=about, arguments=arguments)
        absl_flags.FLAGS.mark_as_parsed()
        return rest

    app.run(run, argv=list(sys.argv if argv is None else argv), flags_parser=parser)
    raise AssertionError("absl's app exits")


def _terminate(signum: int, frame: object) -> None:
    del frame
    raise Stopped(signum)


def use_machine(values: FlagValues) -> None:
    """Makes JAX ready as the flags say, alone or with other processes."""
    if "cpu_devices" in values:
        use_cpu_devices(values.cpu_devices)
        use_compilation_cache(values.compilation_cache)
    if "distributed" in values and values.distributed:
        meet(values.coordinator, values.num_processes, values.process_id)


def run_options(engine: Engine) -> RunOptions:
    """How an experiment is run; raises ArgumentError if a value is not allowed."""
    share = Share(
        shard=engine.shard_index,
        shards=engine.num_shards,
        process=jax.process_index(),
        processes=jax.process_count(),
    )
    return RunOptions(
        root_seed=engine.root_seed,
        keep_curves=engine.keep_curves,
        checkpoint_secs=engine.checkpoint_secs,
        repair=engine.repair,
        share=share,
    )


@dataclasses.dataclass(frozen=True)
class Binary:
    """An experiment as a program: call it with flags as keyword arguments, or `launch` it with what was typed."""

    experiment: Experiment

    def flags(self) -> FlagValues:
        """The experiment's flags, not yet parsed."""
        values, name = FlagValues(), self.experiment.name
        presets = self.experiment.presets
        absl_flags.DEFINE_string(
            "out",
            f"runs/{name}",
            "Folder of the run; the same command resumes it.",
            flag_values=values,
            module_name=SHARED,
        )
        absl_flags.DEFINE_enum(
            "preset",
            next(iter(presets)),
            list(presets),
            "Settings for all flags that are not given.",
            flag_values=values,
            module_name=SHARED,
        )
        flags.define(values, Engine, group=SHARED)
        flags.define(values, self.experiment.sweep_type, group=name, presets=presets)
        return values

    def sweep(self, values: FlagValues) -> Any:
        """The preset with the flags that were given in its place."""
        return self.experiment.resolve(values.preset, flags.given(values, self.experiment.sweep_type))

    def __call__(self, **arguments: Any) -> Answer | None:
        """Runs the experiment; `sys.argv` is not read.

        Args:
          **arguments: flags, by name.

        Returns:
          The `Answer`; None if there is nothing to judge: after `dry_run`, in a shard, and in processes that do not
          lead.

        Raises:
          ArgumentError: if there is no such flag, or a value is not allowed.
          RunError: if the disk, a file or another process fails.
        """
        values = self.flags()
        words = flags.as_arguments(values, arguments)
        values([self.experiment.name, *words])
        use_machine(values)
        return self.run(values, shlex.join(["python", "-m", "jaxmyopia", "run", self.experiment.name, *words]))

    def exit_code(self, argv: Sequence[str]) -> int:
        """Runs the experiment on flags as they are typed, `argv`, on JAX as it stands, and gives the exit code."""
        values = self.flags()
        try:
            parse(values, [self.experiment.name, *argv], about=self.about)
        except SystemExit as stop:
            return int(stop.code or 0)
        return finish(lambda: self.run(values, command(argv)), values)

    def launch(self, argv: Sequence[str] | None = None) -> None:
        """Runs the experiment on flags as they are typed, by default `sys.argv`, and exits.

        In a notebook's kernel, whose `sys.argv` is not the experiment's, it runs the default preset and returns.
        """
        if argv is None and in_kernel():
            self()
            return
        values = self.flags()
        launch(lambda rest: self.run(values, command()), values, about=self.about, argv=argv)

    @property
    def about(self) -> str:
        """What `--help` says above the flags."""
        return f"{self.experiment.summary}\n\n{self.experiment.notes}".strip()

    def run(self, values: FlagValues, typed: str) -> Answer | None:
        """Runs the experiment as parsed flags say, judges and reports; `typed` is the command, for the manifest."""
        experiment, sweep = self.experiment, self.sweep(values)
        cells, engine = experiment.cells(sweep), read(values, Engine)
        options = run_options(engine)
        if engine.dry_run:
            print(plan(cells), flush=True)
            print(estimate(cells, options.share))
            return None
        config = {"experiment": experiment.name, **dataclasses.asdict(sweep)}
        answer = execute(cells, options, config=config, out=values.out, command=typed)
        if options.share.shards > 1 and options.share.leads:
            say(
                f"Shard {options.share.shard} of {options.share.shards} is finished; join them all: "
                f"python -m jaxmyopia merge --out=FOLDER {values.out} ..."
            )
        return answer and _judge(experiment, answer, sweep)


def _judge(experiment: Experiment, answer: Answer, sweep: Any) -> Answer:
    """Judges the claims of a finished run, writes them and the report, prints them."""
    claims, wheres = experiment.claims(sweep), experiment.apart(sweep)
    judged = [judge_all(claims, answer.trials.where(**where)) for where in wheres]
    pairs = list(zip(wheres, judged, strict=True))
    answer = dataclasses.replace(answer, claims=tuple(judged[0]))
    answer.folder.write_json("claims.json", [entry for where, each in pairs for entry in claims_json(each, **where)])
    report = experiment.report(answer, sweep) if experiment.report else answer.report(experiment.summary)
    write_page(answer.folder, report, answer.claims)
    for where, each in pairs:
        print(_heading(where) + claims_text(each))
    say(f"\nReport: {answer.folder.path / 'report.html'}")
    return answer


def _heading(where: Mapping[str, object]) -> str:
    return f"\n{', '.join(f'{name} {value}' for name, value in where.items())}\n" if where else ""


def binary(experiment: Experiment) -> Binary:
    """An experiment as a program; see `Binary`."""
    return Binary(experiment)


def main(
    study: Study,
    *,
    claims: Sequence[Claim],
    seeds: int,
    steps: int,
    records: int = 200,
    name: str | None = None,
    argv: Sequence[str] | None = None,
    **settings: Any,
) -> None:
    """Makes a file that declares a study and its claims a program: flags, progress, resume, page.

    Every plain field of the study, and every setting, is a flag; what is given here are their defaults.

    Args:
      study: what to run.
      claims: made with `@jm.claim`.
      seeds: how many seeds.
      steps: how many steps.
      records: about how many records are taken of a run.
      name: of the program and its folder `runs/NAME`; by default the file's.
      argv: flags as they are typed, by default `sys.argv`.
      **settings: a value or several, as for `run`.
    """
    defaults = {"seeds": seeds, "steps": steps, "records": records, **settings}
    for field in dataclasses.fields(study):
        value = getattr(study, field.name)
        if isinstance(value, bool | int | float | str):
            defaults.setdefault(field.name, value)
    sweep = _sweep_of({key: value for key, value in defaults.items() if _is_flag(value)})
    fixed = {key: value for key, value in defaults.items() if not _is_flag(value)}
    program = Experiment(
        name=name or _program(),
        summary=inspect.cleandoc(type(study).__doc__ or "").partition("\n")[0],
        presets={"default": sweep},
        cells=lambda sweep: study.cells(**fixed, **{key: getattr(sweep, key) for key in dataclasses.asdict(sweep)}),
        claims=lambda sweep: claims,
    )
    Binary(program).launch(argv)


_PLAIN = bool | int | float | str


def _is_flag(value: object) -> bool:
    several = value if isinstance(value, tuple | list) and value else [value]
    return all(isinstance(each, _PLAIN) for each in several) and len({type(each) for each in several}) == 1


def _sweep_of(defaults: Mapping[str, Any]) -> Any:
    """An instance of a new dataclass whose fields are flags; what varies takes several values."""
    fields = []
    for key, value in defaults.items():
        several = isinstance(value, tuple | list)
        kind = type(value[0]) if several else type(value)
        default = tuple(value) if several else value
        many = several or key not in ("seeds", "steps", "records")
        if many and not several:
            default = (value,)
        fields.append((key, tuple[kind, ...] if many else kind, flag(default, f"Of the run; {value!r} by default.")))
    return dataclasses.make_dataclass("Sweep", fields, frozen=True)()


def _program() -> str:
    module = sys.modules["__main__"]
    spec = getattr(module, "__spec__", None)
    return spec.name.rpartition(".")[2] if spec else pathlib.Path(getattr(module, "__file__", "run")).stem
