# SPDX-License-Identifier: Apache-2.0
"""Tables of the feedback page: what formulas say without a run."""

from experiments.pages.markdown import table
from jaxmyopia.studies.feedback.calculations import rows


def calculation_tables() -> str:
    """All calculations, a Markdown table each."""
    return "\n\n".join(f"*{what[0].upper()}{what[1:]}.*\n\n{table(lines)}" for what, lines in rows().items())
