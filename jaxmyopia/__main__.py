# SPDX-License-Identifier: Apache-2.0
"""python -m jaxmyopia: lists the experiments; run NAME, merge, curves, verify, replay, calibrate."""

import sys
from collections.abc import Sequence

from jaxmyopia import __version__, cli
from jaxmyopia.checks import require, require_one_of
from jaxmyopia.commands import COMMANDS
from jaxmyopia.engine.session import show
from jaxmyopia.launch import finish
from jaxmyopia.studies.registry import EXPERIMENTS
from jaxmyopia.terminal import lines_of

PROGRAM = "python -m jaxmyopia"
_HELP = ("list", "help", "-h", "--help", "--helpshort", "--helpfull")


def listing() -> str:
    """The experiments and the other subcommands, each with a sentence."""
    lines = [f"Experiments ({PROGRAM} run NAME; with --help it lists its flags):"]
    lines += [line for name, make in EXPERIMENTS.items() for line in _entry(name, make().summary)]
    lines += ["", f"Subcommands ({PROGRAM} NAME; with --help likewise):"]
    lines += [line for name, command in COMMANDS.items() for line in _entry(name, command.summary)]
    return "\n".join(lines)


def _entry(name: str, summary: str) -> list[str]:
    return lines_of(summary, initial_indent=f"  {name:<18}", subsequent_indent=" " * 20)


def main(argv: Sequence[str]) -> None:
    """Does what was typed.

    Args:
      argv: without the program.

    Raises:
      ArgumentError: if there is no such subcommand or experiment.
    """
    if not argv or argv[0] in (*_HELP, "--version"):
        require(not argv[1:], "arguments", " ".join(argv[1:]), f"there are none after {' '.join(argv[:1])}")
        show(__version__ if argv == ["--version"] else listing())
        return
    name, *rest = argv
    require_one_of("subcommand", name, ("list", "run", *COMMANDS))
    if name != "run":
        COMMANDS[name].launch([f"{PROGRAM} {name}", *rest])
    if not rest or rest[0] in _HELP:
        show(listing())
        return
    require_one_of("experiment", rest[0], EXPERIMENTS)
    cli.binary(EXPERIMENTS[rest[0]]()).launch([f"{PROGRAM} run {rest[0]}", *rest[1:]])


def program() -> int:
    """The console script `jaxmyopia`, and this module as a program; returns the exit code, see docs/cli.md."""
    return finish(lambda: main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(program())
