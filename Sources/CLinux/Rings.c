// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Rings.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_ring_setup(uint32_t entries, struct io_uring_params *parameters) {
  long result = syscall(SYS_io_uring_setup, entries, parameters);
  return result < 0 ? -errno : (int)result;
}

int clinux_ring_enter(int descriptor, uint32_t submit, uint32_t wait, uint32_t flags) {
  long result = syscall(SYS_io_uring_enter, descriptor, submit, wait, flags, NULL, 0);
  return result < 0 ? -errno : (int)result;
}
