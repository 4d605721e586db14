// SPDX-License-Identifier: Apache-2.0
// netload serve: takes and gives what the others ask for.
// netload frames ADDRESS BYTES COUNT: nanoseconds for each of COUNT datagrams that were sent one after the other.
// netload send|receive ADDRESS MEBIBYTES: nanoseconds for each 64 KiB of one TCP connection.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SINK = 5001, SOURCE = 5002, FRAMES = 5003 };
static char buffer[1 << 16];

static int open_socket(const char *address, int kind, int port, int bound) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  int one = 1, file = socket(AF_INET, kind, 0);
  inet_pton(AF_INET, address, &place.sin_addr);
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bound ? bind(file, (void *)&place, sizeof place) : connect(file, (void *)&place, sizeof place)) {
    perror(address);
    exit(1);
  }
  if (bound && kind == SOCK_STREAM) listen(file, 4);
  return file;
}

static void move(int file, long bytes, int sends) {
  while (bytes > 0) {
    size_t most = bytes < (long)sizeof buffer ? (size_t)bytes : sizeof buffer;
    ssize_t n = sends ? send(file, buffer, most, 0) : recv(file, buffer, most, 0);
    if (n <= 0) exit(1);
    bytes -= n;
  }
}

static void serve(int port) {
  int listening = open_socket("0.0.0.0", SOCK_STREAM, port, 1);
  for (;;) {
    int file = accept(listening, NULL, NULL);
    long bytes;
    if (fork() == 0) {
      if (recv(file, &bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) exit(1);
      move(file, bytes, port == SOURCE);
      move(file, 1, 1);
      exit(0);
    }
    close(file);
  }
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main(int count, char **words) {
  signal(SIGCHLD, SIG_IGN);
  if (count == 2 && strcmp(words[1], "serve") == 0) {
    // Datagrams that nobody reads: without a socket each would be answered.
    open_socket("0.0.0.0", SOCK_DGRAM, FRAMES, 1);
    if (fork() == 0) serve(SINK);
    serve(SOURCE);
  }
  if (count == 5 && strcmp(words[1], "frames") == 0) {
    int file = open_socket(words[2], SOCK_DGRAM, FRAMES, 0), wanted = atoi(words[4]);
    long start = now();
    for (int i = 0; i < wanted; i++)
      if (send(file, buffer, (size_t)atoi(words[3]), 0) < 0) return perror("send"), 1;
    return printf("%ld\n", (now() - start) / wanted), 0;
  }
  if (count != 4) return 2;
  int sends = strcmp(words[1], "send") == 0;
  long bytes = atol(words[3]) << 20;
  int file = open_socket(words[2], SOCK_STREAM, sends ? SINK : SOURCE, 0);
  long start = now();
  if (send(file, &bytes, sizeof bytes, 0) != sizeof bytes) return 1;
  move(file, bytes, sends);
  move(file, 1, 0);
  return printf("%ld\n", (now() - start) / (bytes >> 16)), 0;
}
