# SPDX-License-Identifier: Apache-2.0
"""Notebooks for Colab, kept as scripts."""
