// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "KVM.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/ioctl.h>

long clinux_ioctl(int fd, unsigned long request, unsigned long argument) {
  long result = ioctl(fd, request, argument);
  return result < 0 ? -(long)errno : result;
}

// Initial-exec storage needs no allocation, so the handler may touch it.
static __thread struct kvm_run *kick_run __attribute__((tls_model("initial-exec")));

static void on_kick(int signal) {
  (void)signal;
  if (kick_run) __atomic_store_n(&kick_run->immediate_exit, 1, __ATOMIC_RELAXED);
}

int clinux_kick_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_kick;  // without SA_RESTART: KVM_RUN ends with EINTR
  return sigaction(SIGRTMIN, &action, NULL) < 0 ? -errno : 0;
}

void clinux_kick_target(struct kvm_run *run) { kick_run = run; }

void clinux_kick(unsigned long thread) { pthread_kill((pthread_t)thread, SIGRTMIN); }

void clinux_thread_enter(const char *name) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
  sigset_t blocked;
  sigfillset(&blocked);
  for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
  sigdelset(&blocked, SIGRTMIN);
  pthread_sigmask(SIG_SETMASK, &blocked, NULL);
  pthread_setname_np(pthread_self(), name);
}

void clinux_error_text(int code, char *buffer, size_t count) {
  // The GNU strerror_r may return a constant of its own.
  const char *text = strerror_r(code, buffer, count);
  if (count && text != buffer) {
    strncpy(buffer, text, count - 1);
    buffer[count - 1] = 0;
  }
}

struct clinux_cpuid clinux_native_cpuid(uint32_t leaf) {
  struct clinux_cpuid answer;
  __cpuid_count(leaf, 0, answer.eax, answer.ebx, answer.ecx, answer.edx);
  return answer;
}

long clinux_random(void *buffer, size_t count) { return getrandom(buffer, count, 0); }
