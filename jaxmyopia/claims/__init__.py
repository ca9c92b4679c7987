# SPDX-License-Identifier: Apache-2.0
"""Claims: sentences with the evidence and the rules that judge them."""
