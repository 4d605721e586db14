// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "Processes.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { maximum_descriptors = 64 };

static void run_child(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count,
                      int report, pid_t parent) {
  int moved[maximum_descriptors];
  // Out of the way first: a target number may still be the source of another one.
  for (int i = 0; i < count; i++)
    if ((moved[i] = fcntl(descriptors[i], F_DUPFD, count)) < 0) goto failed;
  int kept = fcntl(report, F_DUPFD_CLOEXEC, count);
  if (kept < 0) goto failed;
  report = kept;
  for (int i = 0; i < count; i++)
    if (dup2(moved[i], i) < 0) goto failed;
  if (report != count) {
    if (dup3(report, count, O_CLOEXEC) < 0) goto failed;
    report = count;
  }
  syscall(SYS_close_range, (unsigned)count + 1, ~0u, 0u);
  for (int s = 1; s < 65; s++) signal(s, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();  // a Ctrl-C on the terminal is for us; we tell the child what to do
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) goto failed;
  if (getppid() != parent) _exit(127);  // the parent died before prctl took effect
  execve(path, argv, envp);
failed:;
  int error = errno;
  ssize_t ignored = write(report, &error, sizeof error);
  (void)ignored;
  _exit(127);
}

pid_t clinux_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count) {
  if (count > maximum_descriptors) return -EINVAL;
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return -errno;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) run_child(path, argv, envp, descriptors, count, report[1], parent);
  int error = child < 0 ? errno : 0;
  close(report[1]);
  if (child > 0) {
    ssize_t got;
    do got = read(report[0], &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof error) waitpid(child, NULL, 0);
    else error = 0;
  }
  close(report[0]);
  return error ? -error : child;
}

int clinux_load_module(int descriptor, const char *parameters, int flags) {
  return syscall(SYS_finit_module, descriptor, parameters, flags) < 0 ? -errno : 0;
}

uint64_t clinux_time_stamp(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

int clinux_process_descriptor(pid_t process) {
  long descriptor = syscall(SYS_pidfd_open, process, 0);
  return descriptor < 0 ? -errno : (int)descriptor;
}

int clinux_add_entropy(int descriptor, const void *bytes, int count) {
  if (count < 0 || count > 256) return -EINVAL;
  // struct rand_pool_info with room for its open array.
  struct { int entropy_count, buf_size; char bytes[256]; } pool = {count * 8, count, {0}};
  memcpy(pool.bytes, bytes, (size_t)count);
  return ioctl(descriptor, RNDADDENTROPY, &pool) < 0 ? -errno : 0;
}

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
static struct sigaction before[4];
// Those that take signals, the newest last; the handler looks only at `signal_descriptor`.
static int takers[8];
static int taker_count;
static volatile int signal_descriptor = -1;

static void report_signal(int number) {
  int saved = errno;
  unsigned char byte = (unsigned char)number;
  ssize_t ignored = write(signal_descriptor, &byte, 1);
  (void)ignored;
  errno = saved;
}

void clinux_catch_signals(int descriptor) {
  int first = taker_count == 0;
  if (taker_count < (int)(sizeof takers / sizeof *takers)) takers[taker_count++] = descriptor;
  signal_descriptor = descriptor;
  if (!first) return;
  for (int i = 0; i < 4; i++) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = caught[i] == SIGPIPE ? SIG_IGN : report_signal;
    action.sa_flags = SA_RESTART;
    sigaction(caught[i], &action, &before[i]);
  }
}

void clinux_restore_signals(int descriptor) {
  int kept = 0;
  for (int i = 0; i < taker_count; i++)
    if (takers[i] != descriptor) takers[kept++] = takers[i];
  if (kept == taker_count) return;
  taker_count = kept;
  if (kept > 0) {
    signal_descriptor = takers[kept - 1];
    return;
  }
  for (int i = 0; i < 4; i++) sigaction(caught[i], &before[i], NULL);
  signal_descriptor = -1;
}
