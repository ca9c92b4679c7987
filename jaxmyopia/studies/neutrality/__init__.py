# SPDX-License-Identifier: Apache-2.0
"""Shutdown neutrality on a grid with coins."""
