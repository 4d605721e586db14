// SPDX-License-Identifier: Apache-2.0

// bootclock NAME GUEST-MIB COMMAND...: runs a machine monitor and prints one line of JSON about it: the time from its start to
// the first line of the guest's init on its standard output, KVM's exits until then, its memory beyond the guest's, and
// exits per second of the idle guest. With BOOTCLOCK_TRACE set it measures only the time to the first guest
// instruction, from KVM's trace point, since tracing would slow the rest.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/debug/tracing/"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

// The first number in a file; -1 when there is none.
static long number(const char *path) {
  FILE *file = fopen(path, "r");
  long value = -1;
  if (!file) return -1;
  if (fscanf(file, "%ld", &value) != 1) value = -1;
  fclose(file);
  return value;
}

static void put(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  if (file < 0) return;
  if (write(file, text, strlen(text)) < 0) perror(path);
  close(file);
}

// One of KVM's counters for the only machine there is.
static long counter(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "/sys/kernel/debug/kvm/%s", name);
  return number(path);
}

// Resident kB of the process, without mappings as large as the guest's memory; `anonymous`: the part that is not pages
// of files.
static long resident(int process, long guest_kb, long *anonymous) {
  char path[64], line[512];
  long sum = 0, size = 0, value;
  snprintf(path, sizeof path, "/proc/%d/smaps", process);
  FILE *file = fopen(path, "r");
  *anonymous = 0;
  if (!file) return -1;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "Size: %ld", &value) == 1) size = value;
    if (size >= guest_kb - 16384) continue;
    if (sscanf(line, "Rss: %ld", &value) == 1) sum += value;
    if (sscanf(line, "Anonymous: %ld", &value) == 1) *anonymous += value;
  }
  fclose(file);
  return sum;
}

// Whether KVM has a machine: a folder of its own for each.
static int has_machine(void) {
  DIR *folder = opendir("/sys/kernel/debug/kvm");
  struct dirent *entry;
  int found = 0;
  while (folder && (entry = readdir(folder))) found |= entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
  if (folder) closedir(folder);
  return found;
}

// Seconds of the first entry into the guest, on CLOCK_MONOTONIC; 0 without one.
static double first_entry(void) {
  char line[512];
  FILE *file = fopen(TRACING "trace", "r");
  double at = 0;
  while (file && fgets(line, sizeof line, file)) {
    char *event = strstr(line, ": kvm_entry:");
    if (!event) continue;
    *event = 0;
    char *stamp = strrchr(line, ' ');
    if (stamp) at = atof(stamp);
    break;
  }
  if (file) fclose(file);
  return at;
}

int main(int count, char **arguments) {
  if (count < 4) return 64;
  long guest_kb = atol(arguments[2]) * 1024;
  int trace = getenv("BOOTCLOCK_TRACE") != NULL;
  int output[2];
  if (pipe2(output, O_CLOEXEC)) return 70;
  if (trace) {
    put(TRACING "trace_clock", "mono");
    put(TRACING "trace", "\n");
    put(TRACING "events/kvm/kvm_entry/enable", "1");
  }
  double start = now();
  int process = fork();
  if (process == 0) {
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(output[1], 1);
    execv(arguments[3], arguments + 3);
    _exit(127);
  }
  close(output[1]);
  char text[65536];
  size_t length = 0;
  int turn = 0;
  double limit = start + 60, end = 0, created = 0;
  while (now() < limit) {
    struct pollfd ready = {.fd = output[0], .events = POLLIN};
    if (trace && created == 0 && has_machine()) created = now();
    // Reading the trace stops it for a moment, so not too often.
    if (trace && ++turn % 20 == 0 && first_entry() > 0) break;
    if (poll(&ready, 1, trace ? 10 : 1000) <= 0) continue;
    ssize_t got = read(output[0], text + length, sizeof text - 1 - length);
    if (got <= 0) break;
    length += got;
    text[length] = 0;
    if (strstr(text, "GUEST-INIT")) {
      end = now();
      break;
    }
    if (length > sizeof text / 2) {
      memmove(text, text + length - 64, 64);
      length = 64;
    }
  }
  if (trace) {
    double entry = first_entry();
    put(TRACING "events/kvm/kvm_entry/enable", "0");
    printf(
      "RESULT {\"machine\":\"%s\",\"created\":%.4f,\"firstEntry\":%.4f}\n", arguments[1], created - start,
      entry > 0 ? entry - start : -1);
  } else if (end == 0) {
    fprintf(stderr, "%s did not reach its init; it said: %.*s\n", arguments[1], (int)length, text);
    printf("RESULT {\"machine\":\"%s\",\"error\":\"no init\"}\n", arguments[1]);
  } else {
    long exits = counter("exits"), io = counter("io_exits"), mmio = counter("mmio_exits");
    // What the guest's kernel still does after its init has started settles first.
    sleep(4);
    long before = counter("exits"), anonymous, memory = resident(process, guest_kb, &anonymous);
    if (getenv("BOOTCLOCK_MAPS")) {
      char command[64];
      snprintf(command, sizeof command, "cat /proc/%d/smaps", process);
      system(command);
    }
    double from = now();
    sleep(5);
    double idle = (counter("exits") - before) / (now() - from);
    printf(
      "RESULT {\"machine\":\"%s\",\"start\":%.3f,\"exits\":%ld,\"ioExits\":%ld,\"mmioExits\":%ld,\"memoryKiB\":%ld,"
      "\"anonymousKiB\":%ld,"
      "\"idleExits\":%.2f}\n",
      arguments[1], end - start, exits, io, mmio, memory, anonymous, idle);
  }
  fflush(stdout);
  kill(process, SIGTERM);
  for (int i = 0; i < 30 && waitpid(process, NULL, WNOHANG) == 0; i++) usleep(100000);
  kill(process, SIGKILL);
  waitpid(process, NULL, 0);
  return 0;
}
