// SPDX-License-Identifier: Apache-2.0
// Writes numbered blocks to a file or disk, each made durable before its number is told.
//
//     acknowledge PATH BLOCKS FIRST NAME
//
// Block n (from FIRST on) goes to place n * 7919 % BLOCKS; each of its 512 words of 8 bytes is n * 2^16 + the word's
// place in the block. After each fdatasync the line "NAME ack n" goes to standard output. Runs until it is killed; ends with
// the line "NAME end n: reason" when a write of block n fails.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096

int main(int count, char **words) {
  if (count != 5) return 2;
  uint64_t blocks = strtoull(words[2], NULL, 10), n = strtoull(words[3], NULL, 10);
  int file = open(words[1], O_WRONLY | O_CREAT, 0644);
  static uint64_t block[BLOCK / 8];
  for (;; n++) {
    for (uint64_t word = 0; word < BLOCK / 8; word++) block[word] = n << 16 | word;
    if (pwrite(file, block, BLOCK, (off_t)(n * 7919 % blocks * BLOCK)) != BLOCK || fdatasync(file) != 0) break;
    printf("%s ack %" PRIu64 "\n", words[4], n);
    fflush(stdout);
  }
  printf("%s end %" PRIu64 ": %s\n", words[4], n, strerror(errno));
  return 1;
}
