// SPDX-License-Identifier: Apache-2.0
/* The kernel's side of KernelSupport. Each module links its own copy. */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include "kernel_support.h"
#include "kernel_support_locks.h"

/* Log. */

void ks_log(int32_t level, const uint8_t *text, size_t count)
{
	int n = (int)min_t(size_t, count, 512);

	if (level <= 3)
		pr_err("%s: %.*s\n", KBUILD_MODNAME, n, text);
	else if (level == 4)
		pr_warn("%s: %.*s\n", KBUILD_MODNAME, n, text);
	else if (level == 7)
		pr_debug("%s: %.*s\n", KBUILD_MODNAME, n, text);
	else
		pr_info("%s: %.*s\n", KBUILD_MODNAME, n, text);
}

static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);

void ks_log_limited(int32_t level, const uint8_t *text, size_t count)
{
	if (__ratelimit(&limit))
		ks_log(level, text, count);
}

/* Memory. */

static atomic64_t outstanding = ATOMIC64_INIT(0);

static void *counted(void *memory)
{
	if (memory)
		atomic64_inc(&outstanding);
	return memory;
}

static void uncounted(const void *memory)
{
	if (memory)
		atomic64_dec(&outstanding);
}

int64_t ks_outstanding(void)
{
	return atomic64_read(&outstanding);
}

void *ks_allocate(size_t count, bool atomic)
{
	return counted(kzalloc(count, atomic ? GFP_ATOMIC : GFP_KERNEL));
}

void ks_free(void *memory)
{
	uncounted(memory);
	kfree(memory);
}

void *ks_pages_allocate(uint32_t order, bool atomic)
{
	return counted((void *)__get_free_pages((atomic ? GFP_ATOMIC : GFP_KERNEL) | __GFP_ZERO, order));
}

void ks_pages_free(void *pages, uint32_t order)
{
	uncounted(pages);
	free_pages((unsigned long)pages, order);
}

void *ks_virtual_allocate(size_t count)
{
	return counted(vzalloc(count));
}

void ks_virtual_free(void *memory)
{
	uncounted(memory);
	vfree(memory);
}

uint64_t ks_physical(const void *memory)
{
	return virt_to_phys((void *)memory);
}

/*
 * Spin locks. Which ones Swift holds is noted per processor, so that the guard can give them back: who holds one stays
 * on its processor, and whoever interrupts it there gives its own back before.
 */

struct ks_lock {
	spinlock_t lock;
};

struct ks_held {
	unsigned int count;
	struct {
		struct ks_lock *lock;
		unsigned long flags;
	} locks[8];
};

static DEFINE_PER_CPU(struct ks_held, ks_held);

unsigned int ks_locks_held(void)
{
	return this_cpu_read(ks_held.count);
}

struct ks_lock *ks_lock_make(void)
{
	struct ks_lock *lock = ks_allocate(sizeof(*lock), false);

	if (lock)
		spin_lock_init(&lock->lock);
	return lock;
}

void ks_lock_free(struct ks_lock *lock)
{
	ks_free(lock);
}

void ks_lock_take(struct ks_lock *lock)
{
	unsigned long flags;
	struct ks_held *held;

	spin_lock_irqsave(&lock->lock, flags);
	held = this_cpu_ptr(&ks_held);
	BUG_ON(held->count >= ARRAY_SIZE(held->locks));
	held->locks[held->count].lock = lock;
	held->locks[held->count].flags = flags;
	held->count++;
}

void ks_lock_give(struct ks_lock *lock)
{
	struct ks_held *held = this_cpu_ptr(&ks_held);
	unsigned long flags;

	BUG_ON(!held->count || held->locks[held->count - 1].lock != lock);
	held->count--;
	flags = held->locks[held->count].flags;
	spin_unlock_irqrestore(&lock->lock, flags);
}

void ks_locks_drop(unsigned int down_to)
{
	struct ks_held *held;

	while (this_cpu_read(ks_held.count) > down_to) {
		held = this_cpu_ptr(&ks_held);
		ks_lock_give(held->locks[held->count - 1].lock);
	}
}

/* Time. */

uint64_t ks_nanoseconds(void)
{
	return ktime_get_ns();
}

uint64_t ks_real_nanoseconds(void)
{
	return ktime_get_real_ns();
}

uint64_t ks_jiffies(void)
{
	return get_jiffies_64();
}

uint32_t ks_jiffies_per_second(void)
{
	return HZ;
}

void ks_sleep(uint32_t milliseconds)
{
	msleep(milliseconds);
}

void ks_delay(uint32_t microseconds)
{
	udelay(microseconds);
}

uint32_t ks_processor(void)
{
	return raw_smp_processor_id();
}

bool ks_atomic(void)
{
	return in_atomic() || irqs_disabled();
}
