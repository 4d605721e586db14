// SPDX-License-Identifier: Apache-2.0
/* The kernel's side of KernelSupport's completions and work items: linked into the modules that have some. */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/workqueue.h>
#include "guard.h"
#include "kernel_support.h"

/* Completions. */

struct ks_completion {
	struct completion completion;
};

struct ks_completion *ks_completion_make(void)
{
	struct ks_completion *completion = ks_allocate(sizeof(*completion), false);

	if (completion)
		init_completion(&completion->completion);
	return completion;
}

void ks_completion_free(struct ks_completion *completion)
{
	ks_free(completion);
}

void ks_completion_reset(struct ks_completion *completion)
{
	reinit_completion(&completion->completion);
}

void ks_completion_signal(struct ks_completion *completion)
{
	complete(&completion->completion);
}

void ks_completion_signal_all(struct ks_completion *completion)
{
	complete_all(&completion->completion);
}

void ks_completion_wait(struct ks_completion *completion)
{
	wait_for_completion(&completion->completion);
}

bool ks_completion_wait_for(struct ks_completion *completion, uint32_t milliseconds)
{
	if (!milliseconds)
		return try_wait_for_completion(&completion->completion);
	return wait_for_completion_timeout(&completion->completion, msecs_to_jiffies(milliseconds)) != 0;
}

/* Work. */

struct ks_work {
	struct delayed_work work;
	void (*run)(void *context);
	void (*trapped)(void *context);
	void *context;
};

static void run_work(struct work_struct *item)
{
	struct ks_work *work = container_of(to_delayed_work(item), struct ks_work, work);

	if (swift_call_trapped(work->run, work->context) && work->trapped)
		(void)swift_call_trapped(work->trapped, work->context);
}

struct ks_work *ks_work_make(void (*run)(void *context), void (*trapped)(void *context), void *context)
{
	struct ks_work *work = ks_allocate(sizeof(*work), false);

	if (!work)
		return NULL;
	INIT_DELAYED_WORK(&work->work, run_work);
	work->run = run;
	work->trapped = trapped;
	work->context = context;
	return work;
}

void ks_work_free(struct ks_work *work)
{
	if (work)
		cancel_delayed_work_sync(&work->work);
	ks_free(work);
}

bool ks_work_schedule(struct ks_work *work, uint32_t milliseconds)
{
	return queue_delayed_work(system_wq, &work->work, msecs_to_jiffies(milliseconds));
}

void ks_work_reschedule(struct ks_work *work, uint32_t milliseconds)
{
	mod_delayed_work(system_wq, &work->work, msecs_to_jiffies(milliseconds));
}

void ks_work_cancel(struct ks_work *work)
{
	cancel_delayed_work_sync(&work->work);
}

void ks_work_flush(struct ks_work *work)
{
	flush_delayed_work(&work->work);
}
