// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Files.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

static int space(int descriptor, int mode, uint64_t offset, uint64_t count) {
  int result;
  do result = fallocate(descriptor, mode, (off_t)offset, (off_t)count);
  while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

int clinux_sealed_memory(const char *name, uint64_t size) {
  int memory = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0) return -errno;
  if (ftruncate(memory, (off_t)size) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    return memory;
  int error = errno;
  close(memory);
  return -error;
}

int clinux_punch_hole(int descriptor, uint64_t offset, uint64_t count) {
  return space(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int clinux_zero_range(int descriptor, uint64_t offset, uint64_t count, int allocate) {
  int mode = allocate ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;
  return space(descriptor, mode | FALLOC_FL_KEEP_SIZE, offset, count);
}

int clinux_allocate(int descriptor, uint64_t offset, uint64_t count) { return space(descriptor, 0, offset, count); }

void clinux_start_writeback(int descriptor) { sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE); }

int clinux_lock_range(int descriptor, int exclusive, uint64_t offset, uint64_t count) {
  struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK,
                       .l_whence = SEEK_SET,
                       .l_start = (off_t)offset,
                       .l_len = (off_t)count};
  return fcntl(descriptor, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int clinux_range_locked(int descriptor, uint64_t offset, uint64_t count) {
  struct flock lock = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)count};
  if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0) return -errno;
  return lock.l_type != F_UNLCK;
}

int clinux_file_in_memory(int descriptor) {
  struct statfs status;
  int result;
  do result = fstatfs(descriptor, &status);
  while (result < 0 && errno == EINTR);
  if (result < 0) return -errno;
  return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

int64_t clinux_next_data(int descriptor, uint64_t offset) {
  off_t found = lseek(descriptor, (off_t)offset, SEEK_DATA);
  if (found >= 0) return found;
  if (errno != ENXIO) return -errno;
  found = lseek(descriptor, 0, SEEK_END);
  return found < 0 ? -errno : found;
}

int64_t clinux_next_hole(int descriptor, uint64_t offset) {
  off_t found = lseek(descriptor, (off_t)offset, SEEK_HOLE);
  return found < 0 ? -errno : found;
}

static uint32_t crc32c_portable(uint32_t crc, const unsigned char *bytes, size_t count) {
  for (; count > 0; count--) {
    crc ^= *bytes++;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & -(crc & 1));
  }
  return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t crc, const unsigned char *bytes,
                                                                     size_t count) {
  uint64_t wide = crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = (uint32_t)wide;
  for (; count > 0; count--) crc = _mm_crc32_u8(crc, *bytes++);
  return crc;
}
#endif

uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~crc32c_instruction(~crc, bytes, count);
#endif
  return ~crc32c_portable(~crc, bytes, count);
}
