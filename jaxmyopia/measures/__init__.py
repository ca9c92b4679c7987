# SPDX-License-Identifier: Apache-2.0
"""Measures: one number a trial, from its curves, with the grid of its thresholds or definitions."""

from jaxmyopia.measures.curves import bumps, descents, final_ratio, oscillation, plateaus, time_to, upticks
from jaxmyopia.measures.measure import Derived, Measure, summarise

__all__ = ["Derived", "Measure", "bumps", "descents", "final_ratio", "oscillation", "plateaus", "summarise"]
__all__ += ["time_to", "upticks"]
