// SPDX-License-Identifier: Apache-2.0
// io_uring's system calls, which Glibc has no wrappers for.
#pragma once
#include <linux/io_uring.h>
#include <stdint.h>

/// io_uring_setup(2): the descriptor or the negated errno.
int clinux_ring_setup(uint32_t entries, struct io_uring_params *parameters);

/// io_uring_enter(2) without a signal mask: the count of submitted entries or the negated errno.
int clinux_ring_enter(int descriptor, uint32_t submit, uint32_t wait, uint32_t flags);
