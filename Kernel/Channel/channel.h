/* SPDX-License-Identifier: Apache-2.0 */
/* A channel, as the C files of this folder share it. */
#ifndef LIS_CHANNEL_H
#define LIS_CHANNEL_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "kernel_channel.h"

struct lis_channel {
	struct vmbus_channel *vmbus;
	struct lis_channel_options options;
	spinlock_t lock;
	bool ready;
	bool stopped;
	atomic_t failure;
	struct work_struct reporting;
	/* Copies, good after the bus has let go of its own structure. */
	u32 number, index;
};

#endif
