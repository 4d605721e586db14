// SPDX-License-Identifier: Apache-2.0
/* For drivers whose channels are used by several threads at once: Swift under the channel's lock, and a channel's place. */
#include <linux/errno.h>
#include <linux/hyperv.h>

#include "channel.h"
#include "guard.h"

int lis_channel_run(struct lis_channel *channel, void (*function)(void *), void *argument)
{
	if (!lis_channel_is_usable(channel))
		return -ENODEV;
	if (!swift_call_trapped(function, argument))
		return 0;
	lis_channel_fail(channel, LIS_CHANNEL_TRAPPED);
	return -ENODEV;
}

unsigned long lis_channel_lock(struct lis_channel *channel)
{
	unsigned long flags;

	spin_lock_irqsave(&channel->lock, flags);
	return flags;
}

void lis_channel_unlock(struct lis_channel *channel, unsigned long flags)
{
	spin_unlock_irqrestore(&channel->lock, flags);
}

int lis_channel_run_locked(struct lis_channel *channel, void (*function)(void *), void *argument)
{
	unsigned long flags = lis_channel_lock(channel);
	int result = lis_channel_run(channel, function, argument);

	lis_channel_unlock(channel, flags);
	return result;
}

uint32_t lis_channel_index(const struct lis_channel *channel)
{
	return channel->index;
}

uint32_t lis_channel_processor(const struct lis_channel *channel)
{
	return READ_ONCE(channel->vmbus->target_cpu);
}
