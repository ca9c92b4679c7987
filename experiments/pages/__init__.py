# SPDX-License-Identifier: Apache-2.0
"""What pages of docs/results and the README say of finished runs."""
