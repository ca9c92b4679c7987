# SPDX-License-Identifier: Apache-2.0
"""Measurements of the package against others, and of what it survives."""
