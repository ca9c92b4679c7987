# SPDX-License-Identifier: Apache-2.0
"""System 1: learning a low-rank matrix from its entries, and the S-curves of its loss."""
