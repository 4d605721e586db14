// SPDX-License-Identifier: Apache-2.0

// diskclock NAME COMMAND...: runs a machine monitor whose guest does one piece of work after the other and says so on its
// console ("BEGIN job", "END job"). Prints a line of JSON for each: its time and what KVM counted meanwhile. Other lines
// that begin with "3;fio" (fio's own results) or "FIGURE" are passed on; with DISKCLOCK_VERBOSE set, the others, too. Ends
// with the guest's "GUEST-END".

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *names[] = {"exits", "io_exits", "mmio_exits", "halt_exits", "hypercalls", "irq_injections"};
#define NAMES (sizeof names / sizeof *names)

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

// KVM's counters for the only machine there is.
static void count(long *values) {
  for (unsigned i = 0; i < NAMES; i++) {
    char path[128];
    values[i] = 0;
    snprintf(path, sizeof path, "/sys/kernel/debug/kvm/%s", names[i]);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    if (fscanf(file, "%ld", &values[i]) != 1) values[i] = 0;
    fclose(file);
  }
}

int main(int words, char **arguments) {
  if (words < 3) return 64;
  int output[2];
  if (pipe2(output, O_CLOEXEC)) return 70;
  int process = fork();
  if (process == 0) {
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(output[1], 1);
    execv(arguments[2], arguments + 2);
    _exit(127);
  }
  close(output[1]);
  FILE *lines = fdopen(output[0], "r");
  char line[8192], last[8192] = "";
  double began = 0;
  long before[NAMES], after[NAMES];
  int ended = 0;
  alarm(900);
  while (lines && fgets(line, sizeof line, lines)) {
    char *begin = strstr(line, "BEGIN "), *end = strstr(line, "END "), job[64];
    if (begin && sscanf(begin, "BEGIN %63s", job) == 1) {
      count(before);
      began = now();
    } else if (strstr(line, "GUEST-END")) {
      ended = 1;
      break;
    } else if (end && sscanf(end, "END %63s", job) == 1) {
      double seconds = now() - began;
      count(after);
      printf("RESULT {\"machine\":\"%s\",\"job\":\"%s\",\"seconds\":%.4f", arguments[1], job, seconds);
      for (unsigned i = 0; i < NAMES; i++) printf(",\"%s\":%ld", names[i], after[i] - before[i]);
      printf("}\n");
    } else if (strstr(line, "3;fio")) {
      printf("FIO %s %s", arguments[1], strstr(line, "3;fio"));
    } else if (strstr(line, "FIGURE ")) {
      printf("FIGURE %s %s", arguments[1], strstr(line, "FIGURE ") + 7);
    } else if (getenv("DISKCLOCK_VERBOSE")) {
      printf("GUEST %s", line);
    }
    fflush(stdout);
    strcpy(last, line);
  }
  if (!ended) printf("RESULT {\"machine\":\"%s\",\"error\":\"the guest did not reach its end\"}\nLAST %s\n", arguments[1], last);
  fflush(stdout);
  kill(process, SIGTERM);
  for (int i = 0; i < 30 && waitpid(process, NULL, WNOHANG) == 0; i++) usleep(100000);
  kill(process, SIGKILL);
  waitpid(process, NULL, 0);
  return 0;
}
