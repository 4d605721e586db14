// SPDX-License-Identifier: Apache-2.0
/* Calls Swift that traps: in a thread, with interrupts off, in softirq and in hard interrupt context, with a lock held. */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/smp.h>
#include "guard.h"
#include "kernel_support.h"
#include "plant.h"

uint32_t selftest_element(long index);
uint32_t selftest_sum(uint32_t a, uint32_t b, uint32_t c, uint32_t d);
uint32_t selftest_locked(long index);
int32_t selftest_start(void);
int32_t selftest_work(void);
void selftest_stop(void);

static int failures;

static void expect(const char *what, bool right)
{
	pr_info("lis_selftest: %s: %s\n", what, right ? "ok" : "FAILED");
	failures += !right;
}

static bool contained(void)
{
	return swift_call(99, selftest_element, 2L) == 7 && swift_call(99, selftest_element, 4L) == 99 &&
	       swift_call(99, selftest_locked, 1L) == 7 && swift_call(99, selftest_locked, -1L) == 99;
}

static bool seen_hard, seen_soft, hard_right, soft_right;

static void in_tasklet(struct tasklet_struct *unused)
{
	seen_soft = in_serving_softirq();
	soft_right = contained();
}

static DECLARE_TASKLET(tasklet, in_tasklet);

static enum hrtimer_restart in_timer(struct hrtimer *unused)
{
	seen_hard = in_hardirq();
	hard_right = contained();
	return HRTIMER_NORESTART;
}

static void on_processor(void *counter)
{
	if (in_hardirq() && irqs_disabled() && contained() && irqs_disabled())
		atomic_inc(counter);
}

static struct hrtimer timer;

static int __init selftest_init(void)
{
	atomic_t processors = ATOMIC_INIT(0);
	u64 guarded, plain, from;
	int i;

	expect("support", swift_call(-1, selftest_start) == 0);
	expect("four arguments", swift_call(9, selftest_sum, 1, 2, 3, 4) == 10);
	expect("overflow", swift_call(9, selftest_sum, 1, 2, 3, 0xFFFFFFFF) == 9);
	expect("thread", contained() && !in_atomic() && !irqs_disabled());

	local_irq_disable();
	expect("interrupts off", contained() && irqs_disabled());
	local_irq_enable();

	tasklet_schedule(&tasklet);
	msleep(50);
	tasklet_kill(&tasklet);
	expect("softirq", seen_soft && soft_right);

	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	timer.function = in_timer;
	hrtimer_start(&timer, ms_to_ktime(5), HRTIMER_MODE_REL_HARD);
	msleep(50);
	hrtimer_cancel(&timer);
	expect("hard interrupt", seen_hard && hard_right);

	smp_call_function(on_processor, &processors, true);
	expect("other processors", atomic_read(&processors) == num_online_cpus() - 1);

	expect("work", swift_call(-1, selftest_work) == 0);
	expect("count", swift_traps() >= 10);

	from = ktime_get_ns();
	for (i = 0; i < 100000; i++)
		swift_call(99, selftest_element, 2L);
	guarded = ktime_get_ns() - from;
	from = ktime_get_ns();
	for (i = 0; i < 100000; i++)
		selftest_element(2);
	plain = ktime_get_ns() - from;
	pr_info("lis_selftest: a guarded call takes %llu ns, a plain one %llu ns\n", guarded / 100000, plain / 100000);

	(void)swift_call_trapped(selftest_stop);
	expect("nothing left", ks_outstanding() == 0);
	pr_info("lis_selftest: %d failed\n", failures);
	return failures ? -EINVAL : 0;
}

static void __exit selftest_exit(void)
{
	selftest_take_back();
	pr_info("lis_selftest: gone\n");
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("swift-lis: traps of Swift code are contained");
