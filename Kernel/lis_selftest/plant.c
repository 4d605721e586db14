// SPDX-License-Identifier: Apache-2.0
/*
 * Plants a trap in a loaded module, as it was built: the next call of a function of its own ends as a failed check of
 * Swift does, with the stack, the context and the locks that there are at that moment.
 *
 *	echo MODULE FUNCTION >/sys/module/lis_selftest/parameters/plant		empty: takes it back
 *	cat /sys/module/lis_selftest/parameters/plant				how many were met
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "plant.h"

static char place[160];
static unsigned long trap;
static atomic_t planted = ATOMIC_INIT(0), met = ATOMIC_INIT(0);
static DEFINE_MUTEX(gardening);

static int arrived(struct kprobe *probe, struct pt_regs *regs)
{
	if (atomic_dec_if_positive(&planted) < 0)
		return 0;
	atomic_inc(&met);
	/* At its first instruction the stack is as if this other function had been called. */
	regs->ip = trap;
	return 1;
}

/* That there is one keeps the probe from being made a jump, which would not let us change the way. */
static void passed(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe;
static bool registered;

static int address_of(const char *module, const char *function, unsigned long *address)
{
	struct kprobe look = { .symbol_name = place };
	int error;

	snprintf(place, sizeof(place), "%s:%s", module, function);
	error = register_kprobe(&look);
	if (error)
		return error;
	*address = (unsigned long)look.addr;
	unregister_kprobe(&look);
	return 0;
}

static int plant(const char *text, const struct kernel_param *parameter)
{
	char module[32] = "", function[120] = "";
	int error = 0;

	(void)sscanf(text, "%31s %119s", module, function);
	mutex_lock(&gardening);
	if (registered)
		unregister_kprobe(&probe);
	registered = false;
	atomic_set(&planted, 0);
	if (module[0] && function[0]) {
		error = address_of(module, "swift_kernel_trap", &trap);
		if (!error) {
			snprintf(place, sizeof(place), "%s:%s", module, function);
			probe = (struct kprobe){ .symbol_name = place, .pre_handler = arrived, .post_handler = passed };
			atomic_set(&planted, 1);
			error = register_kprobe(&probe);
			registered = !error;
		}
	} else if (module[0]) {
		error = -EINVAL;
	}
	mutex_unlock(&gardening);
	return error;
}

static int count_met(char *text, const struct kernel_param *parameter)
{
	return sysfs_emit(text, "%d\n", atomic_read(&met));
}

static const struct kernel_param_ops operations = { .set = plant, .get = count_met };

module_param_cb(plant, &operations, NULL, 0644);
MODULE_PARM_DESC(plant, "module and function whose next call is to trap");

void selftest_take_back(void)
{
	if (registered)
		unregister_kprobe(&probe);
}
