# SPDX-License-Identifier: Apache-2.0
"""What the guest tests share: images, the agent on the guest's console, the command `lis`, cases and their totals."""
