/* SPDX-License-Identifier: Apache-2.0 */
/* One service, as the C files of hv_utils share it. */
#ifndef LIS_UTILS_SERVICE_H
#define LIS_UTILS_SERVICE_H

#include <linux/hyperv.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "guard.h"
#include "kernel_channel.h"
#include "utils.h"

/* What utils_call ends with when Swift trapped. No function of Swift has it as its own result. */
#define UTILS_TRAPPED (-ENOTRECOVERABLE)

struct utils_service {
	struct kref references; /* the bus's and one of each open file */
	u32 kind;
	struct hv_device *device;
	struct mutex lock; /* around every call of Swift, and for what follows */
	void *state; /* Swift's; NULL once the device is gone */
	bool failed; /* Swift has trapped: it is not called any more */
	struct lis_channel *channel;
	struct work_struct serving;
	struct delayed_work deadline;

	struct miscdevice daemon;
	bool has_daemon;
	size_t waiting; /* bytes for the daemon to read */
	wait_queue_head_t readers;

	struct ptp_clock_info clock_info;
	struct ptp_clock *clock;
};

/* Calls Swift with the service's state, its lock held: -ENODEV when the device is gone or Swift has failed. */
#define utils_call(service, function, ...)                                                                            \
	((void)sizeof(function((service)->state, ##__VA_ARGS__)),                                                     \
	 utils_run(service, (void *)(function), UTILS_TWO(__VA_ARGS__)))
#define UTILS_TWO(...) UTILS_PICK(0, ##__VA_ARGS__, 0, 0)
#define UTILS_PICK(zero, a, b, ...) (long)(a), (long)(b)

int utils_run(struct utils_service *service, void *function, long a, long b);
void utils_put(struct utils_service *service);

int utils_daemon_register(struct utils_service *service, const char *name);
void utils_daemon_unregister(struct utils_service *service);

void utils_clock_register(struct utils_service *service);
void utils_clock_unregister(struct utils_service *service);

#endif
