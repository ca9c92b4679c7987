# SPDX-License-Identifier: Apache-2.0
"""What the kit of evidence is given by users, refused in one line where it cannot be what was meant."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmyopia.checks import ArgumentError, require
from jaxmyopia.stats.table import Trials, require_trials
from jaxmyopia.values import brief


def require_function(name: str, value: object) -> None:
    """Refuses an argument that is neither None nor a function.

    Raises:
      ArgumentError: naming the argument.
    """
    require(value is None or callable(value), name, brief(value), "must be a function of numbers (rows,)")


def of_numbers(name: str, function: Callable[..., Any], *numbers: np.ndarray, **how: Any) -> np.ndarray:
    """What a user's function gives of numbers.

    Args:
      name: the argument that it came as.
      function: the function.
      *numbers: what it takes, an array a side.
      **how: keyword arguments besides.

    Returns:
      An array.

    Raises:
      ArgumentError: if it raises an error; in Python that is shown as its cause.
    """
    require_function(name, function)
    try:
        return np.asarray(function(*numbers, **how))
    except ArgumentError:
        raise
    except Exception as error:
        said = f"must take {len(numbers)} arrays of numbers, but raises {type(error).__name__}: {error}"
        raise ArgumentError(name, brief(function), said.replace("1 arrays", "an array")) from error


def settings_named(name: str, value: object, *sides: Trials) -> tuple[str, ...]:
    """Names of settings, each a column of one of the sides at least.

    Raises:
      ArgumentError: naming the argument.
    """
    fine = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    require(fine, name, brief(value), "must be a list of names of settings")
    names: tuple[str, ...] = tuple(value)  # type: ignore[arg-type]  # just found to be one
    for side in sides:
        require_trials(side)
    for each in names:
        there = any(each in side.columns for side in sides)
        known = ", ".join(dict.fromkeys(setting for side in sides for setting in side.settings))
        require(there, name, each, f"must be settings of the trials, such as {known}")
    return names
