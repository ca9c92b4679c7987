# SPDX-License-Identifier: Apache-2.0
"""All experiments by name; each is imported when it is asked for."""

from collections.abc import Callable

from jaxmyopia.experiment import Experiment


def _plateaus() -> Experiment:
    from jaxmyopia.studies.lowrank.sweep import PLATEAUS

    return PLATEAUS


def _adam_bumps() -> Experiment:
    from jaxmyopia.studies.lowrank.adam_bumps import ADAM_BUMPS

    return ADAM_BUMPS


def _myopia() -> Experiment:
    from jaxmyopia.studies.myopia import MYOPIA

    return MYOPIA


def _interpretability() -> Experiment:
    from jaxmyopia.studies.interpretability import INTERPRETABILITY

    return INTERPRETABILITY


def _feedback() -> Experiment:
    from jaxmyopia.studies.feedback.experiment import FEEDBACK

    return FEEDBACK


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "plateaus": _plateaus,
    "adam_bumps": _adam_bumps,
    "myopia": _myopia,
    "interpretability": _interpretability,
    "feedback": _feedback,
}
