# SPDX-License-Identifier: Apache-2.0
"""Takes any study through any number of seeds."""
