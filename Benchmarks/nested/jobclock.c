// SPDX-License-Identifier: Apache-2.0

// jobclock NAME COMMAND...: runs a machine monitor whose guest does one piece of work after the other and says so on its
// console ("BEGIN job", "END job"). Prints a line of JSON for each: its time and what KVM counted meanwhile. Other lines
// that begin with "3;fio" (fio's own results) or "FIGURE" are passed on; with JOBCLOCK_VERBOSE set, the others, too. With
// JOBCLOCK_REASONS set there is a line "REASONS" for each job, of the processor's reasons for the exits. Ends with the
// guest's "GUEST-END".

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *names[] = {"exits", "io_exits", "mmio_exits", "halt_exits", "hypercalls", "irq_injections"};
#define NAMES (sizeof names / sizeof *names)
#define EXIT_EVENT "/sys/kernel/tracing/events/kvm/kvm_exit/"
// SVM's reasons go up to 0x403.
enum { REASONS = 1040 };

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

// Has the kernel count exits by reason; false where it cannot.
static int count_reasons(void) {
  static const char trigger[] = "hist:keys=exit_reason:size=4096";
  mount("trace", "/sys/kernel/tracing", "tracefs", 0, NULL);
  int file = open(EXIT_EVENT "trigger", O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return 0;
  int done = write(file, trigger, strlen(trigger)) > 0;
  close(file);
  return done;
}

static void reasons(long *values) {
  char line[256];
  unsigned reason;
  long hits;
  memset(values, 0, REASONS * sizeof *values);
  FILE *file = fopen(EXIT_EVENT "hist", "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "{ exit_reason: %u } hitcount: %ld", &reason, &hits) == 2 && reason < REASONS) values[reason] = hits;
  if (file) fclose(file);
}

static void print_reasons(const char *machine, const char *job, const long *before, const long *after) {
  printf("REASONS %s %s", machine, job);
  for (int i = 0; i < REASONS; i++)
    if (after[i] != before[i]) printf(" 0x%x:%ld", i, after[i] - before[i]);
  printf("\n");
}

int main(int words, char **arguments) {
  if (words < 3) return 64;
  int output[2];
  if (pipe2(output, O_CLOEXEC)) return 70;
  int by_reason = getenv("JOBCLOCK_REASONS") && count_reasons();
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
  long before[NAMES], after[NAMES], reasons_before[REASONS], reasons_after[REASONS];
  int ended = 0;
  alarm(900);
  while (lines && fgets(line, sizeof line, lines)) {
    char *begin = strstr(line, "BEGIN "), *end = strstr(line, "END "), job[64];
    if (begin && sscanf(begin, "BEGIN %63s", job) == 1) {
      if (by_reason) reasons(reasons_before);
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
      if (by_reason) {
        reasons(reasons_after);
        print_reasons(arguments[1], job, reasons_before, reasons_after);
      }
    } else if (strstr(line, "3;fio")) {
      printf("FIO %s %s", arguments[1], strstr(line, "3;fio"));
    } else if (strstr(line, "FIGURE ")) {
      printf("FIGURE %s %s", arguments[1], strstr(line, "FIGURE ") + 7);
    } else if (getenv("JOBCLOCK_VERBOSE")) {
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
