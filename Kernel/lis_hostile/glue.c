// SPDX-License-Identifier: Apache-2.0
/*
 * For tests: plays a hostile host against the storage driver that is loaded, whichever it is. The controller has to be
 * idle, since the real host writes into the same ring.
 *
 *     echo "HOST DEED" >/sys/module/lis_hostile/parameters/storage
 */
#include <linux/delay.h>
#include <linux/hyperv.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <scsi/scsi_host.h>

#include "guard.h"
#include "hostile.h"

static int channel_deed(struct vmbus_channel *channel, struct hostile_deed *deed)
{
	deed->ring = channel->inbound.ring_buffer;
	deed->byte_count = channel->inbound.ring_datasize;
	if (!deed->ring || channel->state != CHANNEL_OPENED_STATE)
		return -ENODEV;
	do {
		/* As the bus does on an interrupt. */
		if (swift_call_trapped(hostile_do, deed) || !deed->parts)
			return -EINVAL;
		channel->inbound.ring_buffer->interrupt_mask = 1;
		tasklet_schedule(&channel->callback_event);
		msleep(300);
	} while (++deed->part < deed->parts);
	return 0;
}

static int storage(const char *text, const struct kernel_param *unused)
{
	struct hostile_deed deed = {};
	struct Scsi_Host *host;
	unsigned int number;
	int result = -EINVAL;

	if (sscanf(text, "%u %u", &number, &deed.what) != 2)
		return -EINVAL;
	host = scsi_host_lookup(number);
	if (!host)
		return -ENODEV;
	if (host->dma_dev && host->dma_dev->bus && !strcmp(host->dma_dev->bus->name, "vmbus"))
		result = channel_deed(container_of(host->dma_dev, struct hv_device, device)->channel, &deed);
	scsi_host_put(host);
	return result;
}

static const struct kernel_param_ops storage_ops = { .set = storage };
module_param_cb(storage, &storage_ops, NULL, 0200);
MODULE_PARM_DESC(storage, "\"HOST DEED\": the number of a SCSI host, and of what is done to it");

static int __init begin(void)
{
	/* A driver of the bus has to be there for its structures to mean anything. */
	return vmbus_proto_version ? 0 : -ENODEV;
}

static void __exit finish(void)
{
}

module_init(begin);
module_exit(finish);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("swift-lis: a hostile host, for tests");
