// SPDX-License-Identifier: Apache-2.0
/* The kernel's side of KernelSupport, the part that all modules have. Each links its own copy. */
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "kernel_support.h"
#include "kernel_support_memory.h"

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

void *ks_counted(void *memory)
{
	if (memory)
		atomic64_inc(&outstanding);
	return memory;
}

void ks_uncounted(const void *memory)
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
	return ks_counted(kzalloc(count, atomic ? GFP_ATOMIC : GFP_KERNEL));
}

void ks_free(void *memory)
{
	ks_uncounted(memory);
	kfree(memory);
}

/* Time. */

uint64_t ks_real_nanoseconds(void)
{
	return ktime_get_real_ns();
}
