// SPDX-License-Identifier: Apache-2.0
/*
 * For tests: plays a hostile host against a driver that is loaded, whichever it is. The device has to be idle, since the
 * real host writes into the same ring.
 *
 *     echo "HOST DEED" >/sys/module/lis_hostile/parameters/storage
 *     echo "INSTANCE DEED" >/sys/module/lis_hostile/parameters/device
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
		if (swift_call_trapped(hostile_do, deed) || !deed->parts)
			return -EINVAL;
		/* As the bus does on an interrupt. */
		if (channel->callback_mode == HV_CALL_BATCHED)
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

/* A driver of no device, for the bus that it is put on. */
static const struct hv_vmbus_device_id nobody[] = { {} };
static struct hv_driver driver = { .name = "lis_hostile", .id_table = nobody };

static int device(const char *text, const struct kernel_param *unused)
{
	struct hostile_deed deed = {};
	struct device *found;
	char name[40];
	int result;

	if (sscanf(text, "%39s %u", name, &deed.what) != 2 || !driver.driver.bus)
		return -EINVAL;
	found = bus_find_device_by_name(driver.driver.bus, NULL, name);
	if (!found)
		return -ENODEV;
	result = channel_deed(container_of(found, struct hv_device, device)->channel, &deed);
	put_device(found);
	return result;
}

static const struct kernel_param_ops device_ops = { .set = device };
module_param_cb(device, &device_ops, NULL, 0200);
MODULE_PARM_DESC(device, "\"INSTANCE DEED\": the name of a device on the bus, and the number of what is done to it");

static int __init begin(void)
{
	return vmbus_driver_register(&driver);
}

static void __exit finish(void)
{
	vmbus_driver_unregister(&driver);
}

module_init(begin);
module_exit(finish);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("swift-lis: a hostile host, for tests");
