// SPDX-License-Identifier: Apache-2.0
/*
 * Spin locks. Which ones Swift holds is noted per processor, so that the guard can give them back: who holds one stays
 * on its processor, and whoever interrupts it there gives its own back before.
 */
#include <linux/bug.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include "kernel_support.h"
#include "kernel_support_locks.h"

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
