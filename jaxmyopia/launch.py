# SPDX-License-Identifier: Apache-2.0
"""How a program begins and ends: its flags, what is printed when something is wrong, and its exit code."""

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from jaxmyopia import flags
from jaxmyopia.checks import ArgumentError, RunError, require
from jaxmyopia.engine.mesh import CACHE, require_jax, use_compilation_cache, use_cpu_devices
from jaxmyopia.engine.processes import meet
from jaxmyopia.engine.session import say, show
from jaxmyopia.engine.signals import Stopped
from jaxmyopia.flag_help import help_of
from jaxmyopia.flags import FlagValues, flag

CONSOLE = "jaxmyopia"  # the program that is installed with the package


@dataclasses.dataclass(frozen=True)
class Machine:
    """Flags of everything that computes."""

    cpu_devices: int | None = flag(None, "Devices that the CPU is taken for; by default its cores.")
    compilation_cache: str = flag(CACHE, "Folder of compiled programs; empty for none.")


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
    """An instance of a dataclass from its parsed flags; ArgumentError if one of them cannot act."""
    given = flags.given(values, settings)
    made = settings(**given)
    flags.refuse_idle(made, given)
    return made


def command(argv: Sequence[str] | None = None) -> str:
    """The command that was typed, as it may be typed again; `argv` without the program."""
    module, typed = sys.modules["__main__"].__spec__, sys.argv[0]
    program = ["python", "-m", module.name.removesuffix(".__main__")] if module else ["python", typed]
    if not module and pathlib.Path(typed).stem == CONSOLE:
        program = [CONSOLE]
    return shlex.join([*program, *(sys.argv[1:] if argv is None else argv)])


def in_kernel() -> bool:
    """Whether `sys.argv` is that of a notebook's kernel, `... -f connection.json`, and not of a program."""
    return len(sys.argv) >= 3 and sys.argv[-2] == "-f" and sys.argv[-1].endswith(".json")


class _Help(absl_flags.BooleanFlag):
    """A flag that prints help and ends with exit code 0."""

    def __init__(self, name: str, short_name: str | None, show: Callable[[], str]):
        super().__init__(name, False, "Print this help.", short_name=short_name)
        self._show = show

    def parse(self, argument: str | bool | None) -> None:
        if self._parse(True if argument is None else argument):
            show(self._show())
            sys.exit(0)


def _complete(values: FlagValues, about: str) -> None:
    """Adds help, and absl's own flags (`--verbosity` and the like) where no flag has their name."""
    if "help" in values:
        return
    short = functools.partial(help_of, values, list(values.flags_by_module_dict()), about)
    for name, short_name in (("help", "?"), ("helpshort", None)):
        values[name] = _Help(name, short_name, lambda: f"{short()}\n\n--helpfull lists absl's and JAX's flags too.")
    values["helpfull"] = _Help("helpfull", None, lambda: f"{short()}\n{absl_flags.FLAGS.get_help()}")
    app.define_help_flags()
    for name in absl_flags.FLAGS:
        shared = absl_flags.FLAGS[name]
        if not {shared.name, shared.short_name} & set(values):
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


def finish(main: Callable[[], object], values: FlagValues | None = None) -> int:
    """Runs a program: what is wrong takes one line, a stop a word on how to resume.

    Args:
      main: the program.
      values: its flags, once they are parsed.

    Returns:
      The exit code: 0, 1 if the disk, a file or another process failed, 2 for a bad argument, 128 and the number of
      the signal if one stopped it, or if nobody reads what it prints.
    """
    values = FlagValues() if values is None else values
    try:
        main()
    except BrokenPipeError:  # such as `| head`
        _print_no_more()
        return 128 + signal.SIGPIPE
    except ArgumentError as error:
        say(f"error: {'--' if error.name in values else ''}{error}")
        return 2
    except RunError as error:
        _print_no_more()
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt as stop:
        signum = stop.signum if isinstance(stop, Stopped) else signal.SIGINT
        what = "Interrupted" if signum == signal.SIGINT else "Terminated"
        kept = f" What is completed is kept in {values.out}; to resume:\n{command()}" if "out" in values else ""
        say(f"\n{what}.{kept}")
        return 128 + signum
    return 0


def _print_no_more() -> None:
    """What standard output could not take would be tried once more, and fail, as the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):  # no file, such as a test's
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        rest: list[str] = []
        code = finish(lambda: rest.extend(parse(values, argv, about=about, arguments=arguments)))
        if code:
            sys.exit(code)
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
    if "cpu_devices" in values:
        require_jax()
