# SPDX-License-Identifier: Apache-2.0
"""A prisoner's dilemma against one's own past."""
