// SPDX-License-Identifier: Apache-2.0

// traffic serve: the other end of the rest.
// traffic sent ADDRESS COUNT: sends COUNT datagrams in frames of 64 bytes as fast as it can; how many of them a second the
// other end got.
// traffic received ADDRESS COUNT: the same the other way.
// traffic answers ADDRESS COUNT: one byte there and one back over a TCP connection, COUNT times; how many a second.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ORDERS = 5001, DATAGRAMS = 5002 };
// With the headers of UDP, IP and Ethernet and the check sum behind it a frame of 64 bytes.
enum { PAYLOAD = 18 };

// What the guest asks for over TCP. 'a': answer each byte. 's': it is going to send that many datagrams; the answer is what
// came. 'r': send that many.
struct order {
  char kind;
  long count;
};
struct result {
  long count, nanoseconds;
};

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int open_socket(const char *address, int kind, int port, int bound) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  int one = 1, file = socket(AF_INET, kind, 0), room = 4 << 20;
  inet_pton(AF_INET, address, &place.sin_addr);
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (kind == SOCK_DGRAM) setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bound ? bind(file, (void *)&place, sizeof place) : connect(file, (void *)&place, sizeof place)) {
    perror(address);
    exit(1);
  }
  if (kind == SOCK_STREAM) setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bound && kind == SOCK_STREAM) listen(file, 4);
  return file;
}

// Datagrams until there are `count`, or none for a second. The time is that of the last, from the first on.
static struct result count_datagrams(int file, long count) {
  char bytes[64];
  struct result result = {0, 0};
  long first = 0, last = 0;
  struct pollfd wait = {.fd = file, .events = POLLIN};
  while (result.count < count && poll(&wait, 1, result.count ? 1000 : 10000) == 1)
    while (recv(file, bytes, sizeof bytes, MSG_DONTWAIT) >= 0) {
      last = now();
      if (!result.count++) first = last;
    }
  result.nanoseconds = last - first;
  return result;
}

static void send_datagrams(int file, long count) {
  char bytes[PAYLOAD] = {0};
  // A full queue says so, and is waited for.
  for (long i = 0; i < count;)
    if (send(file, bytes, sizeof bytes, 0) >= 0) i++;
    else usleep(100);
}

static void serve(void) {
  int listening = open_socket("0.0.0.0", SOCK_STREAM, ORDERS, 1), datagrams = open_socket("0.0.0.0", SOCK_DGRAM, DATAGRAMS, 1);
  for (;;) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int file = accept(listening, (void *)&peer, &size), one = 1;
    struct order order;
    struct result result;
    char byte = 0;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (recv(file, &order, sizeof order, MSG_WAITALL) == sizeof order) {
      if (order.kind == 'a')
        while (order.count-- > 0 && recv(file, &byte, 1, 0) == 1) send(file, &byte, 1, MSG_NOSIGNAL);
      if (order.kind == 's') {
        while (recv(datagrams, &byte, 1, MSG_DONTWAIT) >= 0) {}
        send(file, &byte, 1, MSG_NOSIGNAL);
        result = count_datagrams(datagrams, order.count);
        send(file, &result, sizeof result, MSG_NOSIGNAL);
      }
      if (order.kind == 'r') {
        char address[32];
        inet_ntop(AF_INET, &peer.sin_addr, address, sizeof address);
        int out = open_socket(address, SOCK_DGRAM, DATAGRAMS, 0);
        send_datagrams(out, order.count);
        close(out);
      }
    }
    close(file);
  }
}

int main(int count, char **words) {
  signal(SIGPIPE, SIG_IGN);
  if (count == 2 && strcmp(words[1], "serve") == 0) serve();
  if (count != 4) return 2;
  struct order order = {words[1][0], atol(words[3])};
  struct result result = {order.count, 0};
  char byte = 0;
  int datagrams = order.kind == 's' ? open_socket(words[2], SOCK_DGRAM, DATAGRAMS, 0)
                                    : open_socket("0.0.0.0", SOCK_DGRAM, DATAGRAMS, 1);
  int file = open_socket(words[2], SOCK_STREAM, ORDERS, 0);
  if (send(file, &order, sizeof order, 0) != sizeof order) return 1;
  if (order.kind == 'a') {
    long start = now();
    for (long i = 0; i < order.count; i++)
      if (send(file, &byte, 1, 0) != 1 || recv(file, &byte, 1, 0) != 1) return 1;
    result.nanoseconds = now() - start;
  } else if (order.kind == 's') {
    if (recv(file, &byte, 1, 0) != 1) return 1;
    send_datagrams(datagrams, order.count);
    if (recv(file, &result, sizeof result, MSG_WAITALL) != sizeof result) return 1;
  } else {
    result = count_datagrams(datagrams, order.count);
  }
  if (!result.nanoseconds) return 1;
  return printf("%.0f\n", result.count * 1e9 / (double)result.nanoseconds), 0;
}
