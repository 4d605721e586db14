// SPDX-License-Identifier: Apache-2.0
// Process and module calls that Swift cannot reach: variadic functions, system calls without a wrapper, and what a
// child may do between fork and exec (async-signal-safe calls only, which Swift code cannot promise).
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Starts `path` with its descriptors 0…count-1 taken from `descriptors`, everything else closed, default signal
/// dispositions and an empty signal mask. The child gets SIGKILL when the calling *thread* ends. Returns the child's
/// process id, or the negated errno of the step that failed (exec included).
pid_t clinux_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count);

/// finit_module(2): 0 or the negated errno.
int clinux_load_module(int descriptor, const char *parameters, int flags);

/// The processor's time stamp counter.
uint64_t clinux_time_stamp(void);

/// pidfd_open(2): a descriptor or the negated errno.
int clinux_process_descriptor(pid_t process);

/// Adds `count` bytes of seed to the kernel's random pool and credits them (RNDADDENTROPY), at most 256 of them.
int clinux_add_entropy(int descriptor, const void *bytes, int count);

/// From now on SIGINT, SIGTERM and SIGHUP write their number as one byte to `descriptor`; SIGPIPE is ignored. Of
/// several descriptors (at most 8) the newest gets them. Calls come one at a time. A handler, not a blocked mask and
/// signalfd: threads of libraries neither block these signals nor inherit a mask, and would take them away.
void clinux_catch_signals(int descriptor);

/// Ends that: the one before it gets the signals again; after the last one the dispositions from before the first are back.
void clinux_restore_signals(int descriptor);
