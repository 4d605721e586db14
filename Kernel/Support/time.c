// SPDX-License-Identifier: Apache-2.0
/* Clocks, waiting, and where a thread is. */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>
#include "kernel_support.h"

uint64_t ks_nanoseconds(void)
{
	return ktime_get_ns();
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
