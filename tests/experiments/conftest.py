# SPDX-License-Identifier: Apache-2.0
"""A process runs one binary, but the tests import several, whose flags share names: the later definition counts."""

from absl import flags

_define = flags.FlagValues.__setitem__


def _define_again(self: flags.FlagValues, name: str, flag: flags.Flag) -> None:
    flag.allow_override = True
    _define(self, name, flag)


flags.FlagValues.__setitem__ = _define_again
