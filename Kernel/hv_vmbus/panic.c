// SPDX-License-Identifier: Apache-2.0
/* A panic: the host is told where, with the end of the log, and the connection is ended so that a next kernel has one. */
#include <linux/io.h>
#include <linux/kdebug.h>
#include <linux/kmsg_dump.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <asm/mshyperv.h>
#include "hv_vmbus.h"

/* Last of all: others may still want to show something through their device. */
static int unload_in_panic(struct notifier_block *block, unsigned long value, void *unused)
{
	vb_unload_in_crash();
	return NOTIFY_DONE;
}

static struct notifier_block unload_block = { .notifier_call = unload_in_panic, .priority = INT_MIN + 1 };

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)

/* Newer kernels do this themselves. Register 0x40000105 (control), bit 63: notify, bit 62: with text at P3, P4. */
#define CRASH_TEXT (1ULL << 62)
#define CRASH_NOTIFY (1ULL << 63)

static void *text_page;
static bool reports, reports_text;

static int report_panic(struct notifier_block *block, unsigned long value, void *unused)
{
	/* With the text comes a report of its own, from the dump of the log. */
	if (!reports_text)
		hyperv_report_panic(current_pt_regs(), value, false);
	return NOTIFY_DONE;
}

static int report_oops(struct notifier_block *block, unsigned long value, void *arguments)
{
	struct die_args *die = arguments;

	/* Others are traps of debuggers. */
	if (value == DIE_OOPS && !reports_text)
		hyperv_report_panic(die->regs, value, true);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = { .notifier_call = report_panic };
static struct notifier_block die_block = { .notifier_call = report_oops };

static void report_text(struct kmsg_dumper *dumper, enum kmsg_dump_reason reason)
{
	struct kmsg_dump_iter at;
	size_t bytes;

	if (reason != KMSG_DUMP_PANIC)
		return;
	kmsg_dump_rewind(&at);
	kmsg_dump_get_buffer(&at, false, text_page, PAGE_SIZE, &bytes);
	if (!bytes)
		return;
	wrmsrl(HV_X64_MSR_CRASH_P0, 0);
	wrmsrl(HV_X64_MSR_CRASH_P1, 0);
	wrmsrl(HV_X64_MSR_CRASH_P2, 0);
	wrmsrl(HV_X64_MSR_CRASH_P3, virt_to_phys(text_page));
	wrmsrl(HV_X64_MSR_CRASH_P4, bytes);
	wrmsrl(HV_X64_MSR_CRASH_CTL, CRASH_NOTIFY | CRASH_TEXT);
}

static struct kmsg_dumper dumper = { .dump = report_text };

static void register_reports(void)
{
	u64 control;

	if (!(ms_hyperv.misc_features & HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE))
		return;
	rdmsrl(HV_X64_MSR_CRASH_CTL, control);
	reports = true;
	if (control & CRASH_TEXT) {
		text_page = (void *)get_zeroed_page(GFP_KERNEL);
		reports_text = text_page && !kmsg_dump_register(&dumper);
	}
	register_die_notifier(&die_block);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
}

static void unregister_reports(void)
{
	if (!reports)
		return;
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	unregister_die_notifier(&die_block);
	if (reports_text)
		kmsg_dump_unregister(&dumper);
	free_page((unsigned long)text_page);
	text_page = NULL;
	reports = reports_text = false;
}

#else

static void register_reports(void) {}
static void unregister_reports(void) {}

#endif

void vb_panic_register(void)
{
	register_reports();
	atomic_notifier_chain_register(&panic_notifier_list, &unload_block);
}

void vb_panic_unregister(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &unload_block);
	unregister_reports();
}
