# SPDX-License-Identifier: Apache-2.0
"""System 2: myopia by epoch and shutdown."""
