// SPDX-License-Identifier: Apache-2.0
// load DISK DEPTH BYTES COUNT r|w: COUNT direct requests of BYTES at random places of the first 96 MiB, DEPTH of them
// outstanding; prints the nanoseconds that one took.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static aio_context_t context;
static long places, bytes;

static int submit(struct iocb *request) {
  static uint64_t random = 12345;
  random = random * 6364136223846793005u + 1442695040888963407u;
  request->aio_offset = (long)((random >> 20) % (uint64_t)places) * bytes;
  return syscall(SYS_io_submit, context, 1, &request) == 1;
}

int main(int count, char **words) {
  if (count != 6) return 2;
  int depth = atoi(words[2]), wanted = atoi(words[4]), sent = 0, done = 0;
  int disk = open(words[1], O_RDWR | O_DIRECT);
  bytes = atol(words[3]);
  places = (96L << 20) / bytes;
  struct iocb *requests = calloc((size_t)depth, sizeof *requests);
  struct io_event events[64];
  struct timespec start, end;
  if (disk < 0 || requests == NULL || syscall(SYS_io_setup, depth, &context) != 0) return perror(words[1]), 1;
  for (int i = 0; i < depth; i++) {
    void *memory;
    if (posix_memalign(&memory, 4096, (size_t)bytes) != 0) return 1;
    memset(memory, i, (size_t)bytes);
    requests[i].aio_buf = (uintptr_t)memory;
    requests[i].aio_fildes = (uint32_t)disk;
    requests[i].aio_nbytes = (uint64_t)bytes;
    requests[i].aio_lio_opcode = words[5][0] == 'w' ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    requests[i].aio_data = (uint64_t)i;
  }
  clock_gettime(CLOCK_MONOTONIC, &start);
  while (sent < depth && sent < wanted)
    if (!submit(&requests[sent++])) return perror("io_submit"), 1;
  while (done < sent) {
    long n = syscall(SYS_io_getevents, context, 1, 64, events, NULL);
    if (n < 0) return perror("io_getevents"), 1;
    for (long i = 0; i < n; i++, done++) {
      if (events[i].res != bytes) return fprintf(stderr, "a request ended with %lld\n", (long long)events[i].res), 1;
      if (sent < wanted && ++sent && !submit(&requests[events[i].data])) return perror("io_submit"), 1;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%ld\n", ((end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec) / done);
  return 0;
}
