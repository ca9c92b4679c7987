# SPDX-License-Identifier: Apache-2.0
"""One absl binary a question."""
