// SPDX-License-Identifier: Apache-2.0
// What Glibc keeps behind _GNU_SOURCE: space and locks of a disk image's file.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Memory as a file of exactly `size` bytes that nobody can shrink or grow: a descriptor or the negated errno.
int clinux_sealed_memory(const char *name, uint64_t size);

/// Punches a hole (the file's size stays): 0 or the negated errno.
int clinux_punch_hole(int descriptor, uint64_t offset, uint64_t count);

/// Makes the range read as zeroes, keeping its space when `allocate`: 0 or the negated errno.
int clinux_zero_range(int descriptor, uint64_t offset, uint64_t count, int allocate);

/// Reserves space (the file grows with it): 0 or the negated errno.
int clinux_allocate(int descriptor, uint64_t offset, uint64_t count);

/// Lets the kernel begin to write what is in memory of the file, without waiting for it, so that a later flush has less
/// to do.
void clinux_start_writeback(int descriptor);

/// A lock of this open file description on a byte range, without waiting: 0 or the negated errno.
int clinux_lock_range(int descriptor, int exclusive, uint64_t offset, uint64_t count);

/// 1 when another open file description holds a lock on the range that an exclusive one would meet, 0 when not, or the
/// negated errno.
int clinux_range_locked(int descriptor, uint64_t offset, uint64_t count);

/// 1 when the file lies on tmpfs or ramfs, 0 when not, or the negated errno.
int clinux_file_in_memory(int descriptor);

/// The next byte at or after `offset` that is data (not a hole), the file's size when there is none, or the negated errno.
int64_t clinux_next_data(int descriptor, uint64_t offset);

/// The next hole at or after `offset` (the file's end counts as one), or the negated errno.
int64_t clinux_next_hole(int descriptor, uint64_t offset);

/// CRC-32C (Castagnoli, reflected) over `count` bytes, by the processor's instruction where there is one.
uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count);
