# SPDX-License-Identifier: Apache-2.0
"""Measures: one number a trial, from its curves."""
