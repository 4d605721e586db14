// SPDX-License-Identifier: Apache-2.0
/*
 * The net under Swift. A guard lies on the stack of the guarded call, so there is no list and no lock: the trap
 * function walks up its own stack and finds the newest one. It is recognized by a mark that is made of its own address
 * and of a number chosen when the module was loaded, and that is taken back when the call is over.
 */
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "guard.h"
#include "kernel_support_locks.h"

struct swift_guard {
	unsigned long stack; /* guard_entry.S knows that this is the first word */
	unsigned long mark;
	struct task_struct *task;
	unsigned long flags;
	int preemption;
	unsigned int locks;
	void *trap;
};

/* 0 and the function's result in *result, or 1 when the trap function came back. function NULL: come back. */
long swift_guard_switch(struct swift_guard *guard, void *function, long a, long b, long c, long d);
__noreturn void swift_kernel_trap(void);

static unsigned long secret __read_mostly;
static unsigned int traps;
module_param(traps, uint, 0444);
MODULE_PARM_DESC(traps, "failed checks of Swift code that were contained (read only)");

unsigned int swift_traps(void)
{
	return READ_ONCE(traps);
}

static int context_of(int count)
{
	return count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET);
}

static unsigned long mark_of(const void *guard)
{
	/* Set by the first call, before which nobody can trap; two first calls at once may both set it. */
	if (unlikely(!READ_ONCE(secret)))
		cmpxchg(&secret, 0, get_random_long() | 1);
	return READ_ONCE(secret) ^ (unsigned long)guard;
}

long swift_guard_run(void *function, long on_trap, long a, long b, long c, long d, bool *trapped)
{
	struct swift_guard guard = {
		.task = current,
		.preemption = preempt_count(),
		.locks = ks_locks_held(),
	};
	long result;

	local_save_flags(guard.flags);
	WRITE_ONCE(guard.mark, mark_of(&guard));
	barrier();
	result = swift_guard_switch(&guard, function, a, b, c, d);
	barrier();
	WRITE_ONCE(guard.mark, 0);
	if (likely(!READ_ONCE(guard.trap)))
		return result;

	ks_locks_drop(guard.locks);
	if (preempt_count() != guard.preemption) {
		pr_err("%s: a trap left the preemption count at %x instead of %x\n", KBUILD_MODNAME, preempt_count(),
		       guard.preemption);
		preempt_count_add(guard.preemption - preempt_count());
	}
	local_irq_restore(guard.flags);
	if (trapped)
		*trapped = true;
	return on_trap;
}

static struct swift_guard *newest_guard(unsigned long from)
{
	unsigned long place = ALIGN(from, sizeof(long)), word;
	unsigned int words = THREAD_SIZE / sizeof(long);

	/* The end of an interrupt's stack is not ours to know: the page behind it is not mapped. */
	for (; words; words--, place += sizeof(long)) {
		struct swift_guard *guard = (void *)(place - offsetof(struct swift_guard, mark));

		if (copy_from_kernel_nofault(&word, (void *)place, sizeof(word)))
			break;
		if (word == mark_of(guard))
			return guard;
	}
	return NULL;
}

__noreturn void swift_kernel_trap(void)
{
	struct swift_guard *guard = newest_guard((unsigned long)__builtin_frame_address(0));

	pr_err("%s: Swift trap at %pS (%s)\n", KBUILD_MODNAME, __builtin_return_address(0), current->comm);
	if (guard && guard->task == current && context_of(guard->preemption) == context_of(preempt_count())) {
		WRITE_ONCE(traps, READ_ONCE(traps) + 1);
		guard->trap = __builtin_return_address(0);
		swift_guard_switch(guard, NULL, 0, 0, 0, 0);
	}
	BUG();
}
