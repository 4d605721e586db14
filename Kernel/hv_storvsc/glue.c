// SPDX-License-Identifier: Apache-2.0
/*
 * What of a storage driver needs the kernel's structures: the device on the bus, the SCSI host, its channels, and the
 * workers. What the host says is read in Swift; here it arrives as plain values.
 */
#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <scsi/scsi.h>
#include <scsi/scsi_devinfo.h>

#include "controller.h"
#include "guard.h"
#include "kernel_channel.h"
#include "kernel_support.h"

static uint storvsc_ringbuffer_size = 128 * 1024;
module_param(storvsc_ringbuffer_size, uint, 0444);
MODULE_PARM_DESC(storvsc_ringbuffer_size, "bytes of each ring, from 16384 to 4194304 (131072)");

static uint storvsc_max_hw_queues;
module_param(storvsc_max_hw_queues, uint, 0644);
MODULE_PARM_DESC(storvsc_max_hw_queues, "most queues of a controller; 0: one a processor (0)");

#define SETTLE_SECONDS 60 /* for the whole handshake */
#define CHANNEL_SECONDS 3 /* for the further channels that a host has promised */
#define MOST_CHORES 64

struct chore {
	struct work_struct work;
	struct controller *controller;
	u32 channel, id;
	u64 lun;
	u8 follow;
};

/*
 * Held while channels are opened, and when a controller is closed from then on: a sub-channel that comes late finds its
 * controller or none. Not held while channels are closed: the bus waits then until a sub-channel that the host took back has
 * been through the queue in which others, of any controller, wait for this one.
 */
static DEFINE_MUTEX(channels);
/* Workers of the bus that are inside further_channel: the module's code outlives them. */
static atomic_t offers_at_work = ATOMIC_INIT(0);

static const struct hv_vmbus_device_id ids[] = {
	{ HV_SCSI_GUID },
	{ HV_IDE_GUID },
	{ HV_SYNTHFC_GUID },
	{},
};
MODULE_DEVICE_TABLE(vmbus, ids);

/* Units. */

static void forget(struct controller *controller, struct chore *chore)
{
	atomic_dec(&controller->chores);
	ks_free(chore);
}

static void do_chore(struct work_struct *work)
{
	struct chore *chore = container_of(work, struct chore, work);
	struct controller *controller = chore->controller;
	struct scsi_device *unit;

	if (chore->follow == HVS_LOOK_AROUND) {
		scsi_scan_host(controller->host);
	} else {
		unit = scsi_device_lookup(controller->host, chore->channel, chore->id, chore->lun);
		if (unit) {
			if (chore->follow == HVS_UNIT_GONE)
				scsi_remove_device(unit);
			else
				scsi_rescan_device(unit);
			scsi_device_put(unit);
		}
	}
	forget(controller, chore);
}

/* Softirq. When there are many already, or no memory, the next answer of the kind asks again. */
void storage_follow(struct controller *controller, const struct scsi_device *unit, u8 follow)
{
	struct chore *chore;

	/* While it is only being looked for, it is not there yet. */
	if (READ_ONCE(controller->leaving))
		return;
	if (unit->sdev_state != SDEV_RUNNING && unit->sdev_state != SDEV_BLOCK && unit->sdev_state != SDEV_QUIESCE)
		return;
	if (atomic_inc_return(&controller->chores) > MOST_CHORES)
		goto drop;
	chore = ks_allocate(sizeof(*chore), true);
	if (!chore)
		goto drop;
	INIT_WORK(&chore->work, do_chore);
	chore->controller = controller;
	chore->channel = unit->channel;
	chore->id = unit->id;
	chore->lun = unit->lun;
	chore->follow = follow;
	if (!queue_work(controller->workers, &chore->work))
		forget(controller, chore);
	return;
drop:
	atomic_dec(&controller->chores);
}

/* The host says that units came, went or changed: those that are there answer what happened, those that came are found.
 * An IDE disk's controller has one for ever, whose size may change. */
static void scan(struct work_struct *work)
{
	struct controller *controller = container_of(work, struct controller, scan);
	struct scsi_device *unit;

	shost_for_each_device(unit, controller->host)
		scsi_test_unit_ready(unit, COMMAND_SECONDS * HZ, 1, NULL);
	if (!controller->is_ide)
		scsi_scan_host(controller->host);
}

static int unit_begins(struct scsi_device *unit)
{
	/* Numbers with gaps between them, and standards that the unit's version doesn't speak of. */
	unit->sdev_bflags = BLIST_REPORTLUN2 | BLIST_TRY_VPD_PAGES;
	return 0;
}

static int unit_found(struct scsi_device *unit)
{
	struct controller *controller = shost_priv(unit->host);
	struct hvs_unit look = { .vendor = unit->vendor, .version = controller->version };

	blk_queue_rq_timeout(unit->request_queue, COMMAND_SECONDS * HZ);
	unit->no_report_opcodes = 1;
	unit->no_write_same = 1;
	swift_call_trapped(hvs_unit_found, &look);
	if (look.is_virtual_disk && unit->scsi_level < SCSI_SPC_3)
		unit->scsi_level = SCSI_SPC_3;
	if (look.can_write_same)
		unit->no_write_same = 0;
	return 0;
}

static int geometry(struct scsi_device *unit, struct block_device *disk, sector_t sectors, int *place)
{
	/* As BIOSes pretend. */
	place[0] = 255;
	place[1] = 63;
	sector_div(sectors, 255 * 63);
	place[2] = (int)min_t(sector_t, sectors, INT_MAX);
	return 0;
}

static struct scsi_host_template template = {
	.module = THIS_MODULE,
	.name = "storvsc_host_t",
	.proc_name = "storvsc_host",
	.cmd_size = sizeof(struct errand),
	.queuecommand = storage_command,
	.eh_timed_out = storage_timed_out,
	.eh_host_reset_handler = storage_reset,
	.slave_alloc = unit_begins,
	.slave_configure = unit_found,
	.bios_param = geometry,
	.change_queue_depth = scsi_change_queue_depth,
	.this_id = -1,
	.cmd_per_lun = 2048, /* the host's own bound is lower */
	.virt_boundary_mask = 4095,
	.track_queue_depth = 1,
	.skip_settle_delay = 1, /* there is no bus of copper */
};

/* Channels. */

static void shut(struct controller *controller)
{
	unsigned int i;
	bool is_first;

	/* Who comes second waits until all is done. */
	mutex_lock(&controller->shutting);
	mutex_lock(&channels);
	is_first = !controller->closed;
	controller->closed = true;
	mutex_unlock(&channels);
	if (is_first) {
		for (i = 0; i < MOST_QUEUES; i++)
			if (controller->queues[i])
				lis_channel_stop(controller->queues[i]->channel);
		if (controller->first) {
			lis_channel_stop(controller->first->channel);
			lis_channel_close(controller->first->channel);
		}
		/* The host has let go of the pages. */
		if (controller->host->tag_set.tags)
			blk_mq_tagset_busy_iter(&controller->host->tag_set, storage_abandon, NULL);
		complete_all(&controller->settled);
		complete_all(&controller->opened);
		complete_all(&controller->reset_done);
	}
	mutex_unlock(&controller->shutting);
}

static void close_late(struct work_struct *work)
{
	shut(container_of(work, struct controller, closing));
}

static void failed(void *context)
{
	shut(((struct queue *)context)->controller);
}

static void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	lis_channel_free(queue->channel);
	ks_free(queue->lane);
	ks_free(queue->descriptor);
	ks_free(queue);
}

static struct queue *queue_open(struct controller *controller, struct vmbus_channel *vmbus)
{
	u32 bytes = PAGE_ALIGN(clamp_t(u32, storvsc_ringbuffer_size, 16 << 10, 4 << 20));
	struct queue *queue = ks_allocate(sizeof(*queue), false);
	struct lis_channel_options options = {
		.send_bytes = bytes,
		.receive_bytes = bytes,
		.mode = LIS_CHANNEL_BATCHED,
		.arrived = storage_arrived,
		.failed = failed,
		.context = queue,
	};
	struct hvs_lane_opening opening = { .client = controller->client, .slots = controller->sizes.slots };
	struct lis_channel *channel;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	queue->controller = controller;
	queue->lane = ks_allocate(controller->sizes.lane_bytes, false);
	queue->descriptor = ks_allocate(16 + (controller->sizes.largest_transfer / 4096 + 1) * 8, false);
	channel = ERR_PTR(-ENOMEM);
	if (queue->lane && queue->descriptor)
		channel = lis_channel_open(vmbus, &options);
	if (IS_ERR(channel)) {
		queue_free(queue);
		return ERR_CAST(channel);
	}
	queue->channel = channel;
	opening.lane = queue->lane;
	opening.descriptor = queue->descriptor;
	opening.channel = channel;
	lis_channel_run(channel, hvs_lane_open, &opening);
	/* When that failed, `failed` follows. */
	if (opening.done)
		lis_channel_ready(channel);
	return queue;
}

/* Each queue serves the processors that its interrupts go to, where that can be. */
static void place_queue(struct controller *controller, struct queue *queue)
{
	unsigned int slot = lis_channel_processor(queue->channel);

	if (slot >= controller->queue_count || controller->queues[slot])
		for (slot = 0; slot < controller->queue_count && controller->queues[slot]; slot++)
			;
	if (slot < controller->queue_count)
		smp_store_release(&controller->queues[slot], queue);
}

static void count_queues(struct controller *controller, const struct hvs_agreement *agreed)
{
	if (controller->queue_count)
		return;
	controller->queue_count = min_t(u32, agreed->further_channels + 1, MOST_QUEUES);
	place_queue(controller, controller->first);
}

static void agreement(struct controller *controller, struct hvs_agreement *agreement)
{
	agreement->lane = controller->first->lane;
	lis_channel_run_locked(controller->first->channel, hvs_agreed, agreement);
}

/* A sub-channel was offered: a worker of the bus. */
static void further_channel(struct vmbus_channel *vmbus)
{
	struct hvs_agreement agreed = { .channel_index = vmbus->offermsg.offer.sub_channel_index };
	struct controller *controller;
	struct Scsi_Host *host;
	struct queue *queue;

	atomic_inc(&offers_at_work);
	mutex_lock(&channels);
	host = hv_get_drvdata(vmbus->primary_channel->device_obj);
	controller = host ? shost_priv(host) : NULL;
	if (!controller || controller->closed || !controller->first)
		goto out;
	agreement(controller, &agreed);
	if (!agreed.wants_channel)
		goto out;
	/* The offer may come before the answer to the request for it. */
	count_queues(controller, &agreed);
	if (atomic_read(&controller->further) + 1 >= controller->queue_count)
		goto out;
	queue = queue_open(controller, vmbus);
	if (!IS_ERR(queue)) {
		place_queue(controller, queue);
		atomic_inc(&controller->further);
	}
	complete(&controller->opened);
out:
	mutex_unlock(&channels);
	atomic_dec(&offers_at_work);
}

/* Devices. */

static void controller_free(struct controller *controller)
{
	unsigned int i;

	cancel_work_sync(&controller->closing);
	for (i = 0; i < MOST_QUEUES; i++)
		if (controller->queues[i] != controller->first)
			queue_free(controller->queues[i]);
	queue_free(controller->first);
	if (controller->workers)
		destroy_workqueue(controller->workers);
	ks_free(controller->client);
}

static unsigned int wanted_queues(void)
{
	unsigned int most = READ_ONCE(storvsc_max_hw_queues), count = num_online_cpus();

	if (most)
		count = min(count, most);
	return min_t(unsigned int, count, MOST_QUEUES);
}

static int controller_begin(struct controller *controller, u32 *target)
{
	struct hvs_controller wish = {
		.wanted_channels = wanted_queues() - 1,
		.instance = (const u8 *)&controller->device->dev_instance,
		.is_ide = controller->is_ide,
	};
	/* Room for the smallest requests, a page each. */
	u32 slots = (clamp_t(u32, storvsc_ringbuffer_size, 16 << 10, 4 << 20) - 4096) / 128;

	mutex_init(&controller->shutting);
	init_completion(&controller->settled);
	init_completion(&controller->opened);
	init_completion(&controller->reset_done);
	INIT_WORK(&controller->scan, scan);
	INIT_WORK(&controller->closing, close_late);
	controller->sizes.slots = clamp_t(u32, slots, 32, 1024);
	if (swift_call_trapped(hvs_measure, &controller->sizes))
		return -EIO;
	controller->client = ks_allocate(controller->sizes.client_bytes, false);
	controller->workers = alloc_ordered_workqueue("hv_storvsc_%u", WQ_MEM_RECLAIM, controller->host->host_no);
	if (!controller->client || !controller->workers)
		return -ENOMEM;
	wish.client = controller->client;
	if (swift_call_trapped(hvs_controller_begin, &wish))
		return -EIO;
	*target = wish.target;
	return 0;
}

/* Opens the first channel, shakes hands, and waits for the further channels. */
static int controller_connect(struct controller *controller)
{
	struct vmbus_channel *vmbus = controller->device->channel;
	struct hvs_agreement agreed = {};
	struct hvs_control control = {};
	unsigned long end;
	struct queue *first;

	/* Whoever finds the channel broken waits until it is known here. */
	mutex_lock(&channels);
	first = queue_open(controller, vmbus);
	if (!IS_ERR(first))
		controller->first = first;
	mutex_unlock(&channels);
	if (IS_ERR(first))
		return PTR_ERR(first);
	if (!controller->is_ide)
		vmbus_set_sc_create_callback(vmbus, further_channel);
	control.lane = first->lane;
	if (lis_channel_run_locked(first->channel, hvs_handshake, &control) || !control.done)
		return -EIO;
	if (control.signal_needed)
		lis_channel_signal(first->channel);
	if (!wait_for_completion_timeout(&controller->settled, SETTLE_SECONDS * HZ)) {
		dev_err(&controller->device->device, "the host did not finish its handshake in %d s\n", SETTLE_SECONDS);
		return -ETIMEDOUT;
	}
	agreement(controller, &agreed);
	if (!agreed.ready) {
		dev_err(&controller->device->device, "the host and this driver could not agree\n");
		return -EPROTO;
	}
	controller->version = agreed.version;
	controller->sizes.largest_transfer = agreed.largest_transfer;
	mutex_lock(&channels);
	count_queues(controller, &agreed);
	mutex_unlock(&channels);

	end = jiffies + CHANNEL_SECONDS * HZ;
	while (atomic_read(&controller->further) + 1 < controller->queue_count && time_before(jiffies, end))
		wait_for_completion_timeout(&controller->opened, HZ / 4);
	return 0;
}

static int probe(struct hv_device *device, const struct hv_vmbus_device_id *id)
{
	bool is_ide = guid_equal((const guid_t *)&id->guid, &ids[1].guid);
	bool is_fibre = guid_equal((const guid_t *)&id->guid, &ids[2].guid);
	struct controller *controller;
	struct Scsi_Host *host;
	u32 target = 0;
	int error;

	host = scsi_host_alloc(&template, sizeof(*controller));
	if (!host)
		return -ENOMEM;
	controller = shost_priv(host);
	memset(controller, 0, sizeof(*controller));
	controller->host = host;
	controller->device = device;
	controller->is_ide = is_ide;
	error = controller_begin(controller, &target);
	if (error)
		goto fail;
	hv_set_drvdata(device, host);
	error = controller_connect(controller);
	if (error)
		goto close;

	host->max_channel = is_ide ? 0 : 7;
	host->max_id = is_ide ? 2 : is_fibre ? 128 : 2;
	host->max_lun = is_ide ? 1 : is_fibre ? 255 : 64;
	host->max_cmd_len = 16;
	host->can_queue = controller->sizes.slots;
	host->nr_hw_queues = controller->queue_count;
	host->sg_tablesize = controller->sizes.largest_transfer >> 12;
	host->max_sectors = controller->sizes.largest_transfer >> 9;
	error = scsi_add_host(host, &device->device);
	if (error)
		goto close;
	if (is_ide) {
		error = scsi_add_device(host, 0, target, 0);
		if (error) {
			scsi_remove_host(host);
			goto close;
		}
	} else {
		scsi_scan_host(host);
	}
	return 0;

close:
	shut(controller);
	mutex_lock(&channels);
	hv_set_drvdata(device, NULL);
	mutex_unlock(&channels);
fail:
	controller_free(controller);
	scsi_host_put(host);
	return error;
}

static void leave(struct hv_device *device)
{
	struct Scsi_Host *host = hv_get_drvdata(device);
	struct controller *controller = shost_priv(host);

	/* A device that was taken away answers nothing any more; otherwise caches are flushed first. */
	if (device->channel->rescind)
		shut(controller);
	WRITE_ONCE(controller->leaving, true);
	cancel_work_sync(&controller->scan);
	flush_workqueue(controller->workers);
	scsi_remove_host(host);
	shut(controller);
	mutex_lock(&channels);
	hv_set_drvdata(device, NULL);
	mutex_unlock(&channels);
	controller_free(controller);
	scsi_host_put(host);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
static void remove(struct hv_device *device)
{
	leave(device);
}
#else
static int remove(struct hv_device *device)
{
	leave(device);
	return 0;
}
#endif

static struct hv_driver driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.driver = { .probe_type = PROBE_PREFER_ASYNCHRONOUS },
};

static int __init begin(void)
{
	return vmbus_driver_register(&driver);
}

static void __exit finish(void)
{
	vmbus_driver_unregister(&driver);
	while (atomic_read(&offers_at_work))
		msleep(10);
	if (ks_outstanding())
		pr_err("%s: %lld allocations were not given back\n", KBUILD_MODNAME, ks_outstanding());
}

module_init(begin);
module_exit(finish);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Hyper-V storage, in Swift");
