# SPDX-License-Identifier: Apache-2.0
"""Superposition: features in fewer dimensions, and neurons that read them back."""
