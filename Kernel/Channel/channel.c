// SPDX-License-Identifier: Apache-2.0
/*
 * What of a channel needs the kernel's structures: opening, closing, the callback, the signal. No byte that the host wrote
 * is looked at here.
 */
#include <linux/err.h>
#include <linux/hyperv.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/printk.h>

#include "channel.h"
#include "kernel_support.h"

static enum hv_callback_mode bus_mode(enum lis_channel_mode mode)
{
	switch (mode) {
	case LIS_CHANNEL_DIRECT:
		return HV_CALL_DIRECT;
	case LIS_CHANNEL_INTERRUPT:
		return HV_CALL_ISR;
	default:
		return HV_CALL_BATCHED;
	}
}

static void arrived(void *context)
{
	struct lis_channel *channel = context;

	if (!smp_load_acquire(&channel->ready) || atomic_read(&channel->failure))
		return;
	channel->options.arrived(channel->options.context);
}

static void report(struct work_struct *work)
{
	struct lis_channel *channel = container_of(work, struct lis_channel, reporting);

	channel->options.failed(channel->options.context);
}

struct lis_channel *lis_channel_open(struct vmbus_channel *vmbus, const struct lis_channel_options *options)
{
	struct lis_channel *channel = ks_allocate(sizeof(*channel), false);
	int error;

	if (!channel)
		return ERR_PTR(-ENOMEM);
	channel->vmbus = vmbus;
	channel->options = *options;
	channel->number = vmbus->offermsg.child_relid;
	channel->index = vmbus->offermsg.offer.sub_channel_index;
	spin_lock_init(&channel->lock);
	INIT_WORK(&channel->reporting, report);
	/* The bus keeps a buffer of that size for readers of its own; there are none. */
	vmbus->max_pkt_size = 64;
	/* In the other modes the bus would call, or leave the host masked, for as long as nobody reads. */
	vmbus->callback_mode = HV_CALL_DIRECT;
	error = vmbus_open(vmbus, options->send_bytes, options->receive_bytes, NULL, 0, arrived, channel);
	if (error) {
		ks_free(channel);
		return ERR_PTR(error);
	}
	return channel;
}

void lis_channel_ready(struct lis_channel *channel)
{
	unsigned long flags;

	channel->vmbus->callback_mode = bus_mode(channel->options.mode);
	smp_store_release(&channel->ready, true);
	/* What arrived before now had nobody to read it. */
	if (channel->options.mode == LIS_CHANNEL_INTERRUPT) {
		local_irq_save(flags);
		arrived(channel);
		local_irq_restore(flags);
	} else {
		tasklet_schedule(&channel->vmbus->callback_event);
	}
}

void lis_channel_stop(struct lis_channel *channel)
{
	unsigned long flags;

	spin_lock_irqsave(&channel->lock, flags);
	channel->stopped = true;
	spin_unlock_irqrestore(&channel->lock, flags);
}

void lis_channel_close(struct lis_channel *channel)
{
	vmbus_close(channel->vmbus);
}

void lis_channel_free(struct lis_channel *channel)
{
	if (!channel)
		return;
	cancel_work_sync(&channel->reporting);
	ks_free(channel);
}

void lis_channel_place(const struct lis_channel *channel, struct lis_channel_place *place)
{
	const struct vmbus_channel *vmbus = channel->vmbus;

	place->inbound = vmbus->inbound.ring_buffer;
	place->outbound = vmbus->outbound.ring_buffer;
	place->inbound_bytes = vmbus->inbound.ring_datasize;
	place->outbound_bytes = vmbus->outbound.ring_datasize;
}

bool lis_channel_is_usable(const struct lis_channel *channel)
{
	/* The order matters: the bus's structure may be gone once the channel was stopped. */
	return !READ_ONCE(channel->stopped) && !atomic_read(&channel->failure) && !READ_ONCE(channel->vmbus->rescind);
}

void lis_channel_fail(struct lis_channel *channel, enum lis_channel_failure failure)
{
	static const char *const reasons[] = {
		[LIS_CHANNEL_SOUND] = "nothing",
		[LIS_CHANNEL_TRAPPED] = "a check failed in the driver",
		[LIS_CHANNEL_CORRUPT] = "the host broke its ring",
		[LIS_CHANNEL_PROTOCOL] = "the host broke the protocol",
	};

	if (atomic_cmpxchg(&channel->failure, LIS_CHANNEL_SOUND, failure) != LIS_CHANNEL_SOUND)
		return;
	/* Otherwise the bus would find the ring not empty and call again, for ever. */
	channel->vmbus->callback_mode = HV_CALL_DIRECT;
	pr_err("%s: channel %u is out of use: %s\n", KBUILD_MODNAME, channel->number, reasons[failure]);
	if (channel->options.failed)
		schedule_work(&channel->reporting);
}

void lis_channel_signal(struct lis_channel *channel)
{
	if (!lis_channel_is_usable(channel))
		return;
	channel->vmbus->intr_out_empty++;
	vmbus_setevent(channel->vmbus);
}
