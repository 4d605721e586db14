// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/// Calls of malloc and its relatives, by anybody in this process.
uint64_t allocation_count(void);
