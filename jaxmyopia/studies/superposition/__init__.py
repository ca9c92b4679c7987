# SPDX-License-Identifier: Apache-2.0
"""Superposition: more features than dimensions, and how much of what is learned can be understood."""
