# SPDX-License-Identifier: Apache-2.0
"""Turning points of curves, intervals, comparisons and the rules that make verdicts of them."""
