/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Swift sees of the kernel: integers of fixed width, opaque pointers, no header of the kernel's. support.c includes
 * this file behind the kernel's own, so that the compiler checks both sides. Swift uses it through KernelSupport's types;
 * a module's own shim follows the same pattern.
 */
#ifndef LIS_KERNEL_SUPPORT_H
#define LIS_KERNEL_SUPPORT_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

struct ks_lock;
struct ks_completion;
struct ks_work;

/* Log. Levels as in the kernel: 3 error, 4 warning, 6 information. The limited one drops lines of a storm. */
void ks_log(int32_t level, const uint8_t *text, size_t count);
void ks_log_limited(int32_t level, const uint8_t *text, size_t count);

/* Memory: zeroed. "atomic" where sleeping is not allowed. NULL when there is none. */
void *ks_allocate(size_t count, bool atomic);
void ks_free(void *memory);
/* 2^order pages that follow each other, as the host needs them. */
void *ks_pages_allocate(uint32_t order, bool atomic);
void ks_pages_free(void *pages, uint32_t order);
/* Memory that only the processor sees in one piece. Sleeps. */
void *ks_virtual_allocate(size_t count);
void ks_virtual_free(void *memory);
/* Of memory from the first four. */
uint64_t ks_physical(const void *memory);
/* Allocations of this module that were not given back. */
int64_t ks_outstanding(void);

/* Spin locks, with interrupts off while they are held. In the order of a stack: the last taken goes first. */
struct ks_lock *ks_lock_make(void);
void ks_lock_free(struct ks_lock *lock);
void ks_lock_take(struct ks_lock *lock);
void ks_lock_give(struct ks_lock *lock);

/* Completions. Waiting sleeps; 0 milliseconds only looks. */
struct ks_completion *ks_completion_make(void);
void ks_completion_free(struct ks_completion *completion);
void ks_completion_reset(struct ks_completion *completion);
void ks_completion_signal(struct ks_completion *completion);
void ks_completion_signal_all(struct ks_completion *completion);
void ks_completion_wait(struct ks_completion *completion);
bool ks_completion_wait_for(struct ks_completion *completion, uint32_t milliseconds);

/*
 * Work for a thread, later. run is called guarded; when it trapped, trapped is called (guarded too) unless it is NULL.
 * Never twice at once for one piece of work.
 */
struct ks_work *ks_work_make(void (*run)(void *context), void (*trapped)(void *context), void *context);
/* Waits until it does not run any more. */
void ks_work_free(struct ks_work *work);
/* False: it was waiting to run already. */
bool ks_work_schedule(struct ks_work *work, uint32_t milliseconds);
/* Moves the time of one that is waiting. */
void ks_work_reschedule(struct ks_work *work, uint32_t milliseconds);
void ks_work_cancel(struct ks_work *work);
void ks_work_flush(struct ks_work *work);

/* Time. */
uint64_t ks_nanoseconds(void);
uint64_t ks_real_nanoseconds(void);
uint64_t ks_jiffies(void);
uint32_t ks_jiffies_per_second(void);
void ks_sleep(uint32_t milliseconds);
void ks_delay(uint32_t microseconds);

uint32_t ks_processor(void);
/* True where sleeping is not allowed as far as the kernel can tell. */
bool ks_atomic(void);

#endif
