# SPDX-License-Identifier: Apache-2.0
"""Loss curves from elsewhere: read from a table or a file, checked run by run, measured and judged."""

from jaxmyopia.elsewhere.trials import CurveTrials, curves

__all__ = ["CurveTrials", "curves"]
