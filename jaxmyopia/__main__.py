# SPDX-License-Identifier: Apache-2.0
"""python -m jaxmyopia: lists the experiments; run NAME, merge, curves, verify, replay, calibrate."""

import sys
from collections.abc import Sequence

from jaxmyopia import cli
from jaxmyopia.checks import require_one_of
from jaxmyopia.commands import COMMANDS
from jaxmyopia.engine.session import show
from jaxmyopia.launch import finish
from jaxmyopia.studies.registry import EXPERIMENTS

PROGRAM = "python -m jaxmyopia"


def listing() -> str:
    """The experiments and the other subcommands, one line each."""
    lines = ["Experiments (python -m jaxmyopia run NAME; --help lists its flags):"]
    lines += [f"  {name:<18}{make().summary}" for name, make in EXPERIMENTS.items()]
    lines += ["Subcommands:"]
    lines += [f"  {name:<18}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    """Does what was typed.

    Args:
      argv: without the program.

    Raises:
      ArgumentError: if there is no such subcommand or experiment.
    """
    if not argv or argv[0] in ("list", "help", "-h", "--help", "--helpshort", "--helpfull"):
        show(listing())
        return
    name, *rest = argv
    require_one_of("subcommand", name, ("list", "run", *COMMANDS))
    if name != "run":
        COMMANDS[name].launch([f"{PROGRAM} {name}", *rest])
    if not rest or rest[0] in ("--help", "--helpshort", "--helpfull"):
        show(listing())
        return
    require_one_of("experiment", rest[0], EXPERIMENTS)
    cli.binary(EXPERIMENTS[rest[0]]()).launch([f"{PROGRAM} run {rest[0]}", *rest[1:]])


if __name__ == "__main__":
    sys.exit(finish(lambda: main(sys.argv[1:])))
