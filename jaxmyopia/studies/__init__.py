# SPDX-License-Identifier: Apache-2.0
"""The systems under study: the same rooms in each."""
