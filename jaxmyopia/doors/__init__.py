# SPDX-License-Identifier: Apache-2.0
"""Ways out: a run's table, curves and verdicts as other tools take them, and the line that says how to get them."""
