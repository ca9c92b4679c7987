# SPDX-License-Identifier: Apache-2.0
"""How much of what a model knows its feedback uses: comparisons against principles, bit for bit."""
