# SPDX-License-Identifier: Apache-2.0
"""Faults at every file operation of a small run."""
