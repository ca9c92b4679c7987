# SPDX-License-Identifier: Apache-2.0
"""System 2: does an agent that sees its epoch, and is paid badly past one of them, run a few epochs and stop?"""
