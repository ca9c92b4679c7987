# SPDX-License-Identifier: Apache-2.0
"""Estimates over seeds with their intervals, sequences of them, and what they hang on; the table they come from."""
