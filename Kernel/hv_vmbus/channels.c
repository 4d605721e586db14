// SPDX-License-Identifier: Apache-2.0
/* The channels that the host offered: made, given to devices or to their primary channel, and taken away again. */
#include <linux/kernel.h>
#include <linux/interrupt.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/cpu.h>
#include <linux/hyperv.h>
#include <asm/mshyperv.h>
#include <linux/sched/isolation.h>
#include "hv_vmbus.h"

/* In the order of enum vmbus_device_type; drivers look up their ring sizes here. */
const struct vmbus_device vmbus_devs[] = {
	{ .dev_type = HV_IDE, HV_IDE_GUID, .perf_device = true },
	{ .dev_type = HV_SCSI, HV_SCSI_GUID, .perf_device = true },
	{ .dev_type = HV_FC, HV_SYNTHFC_GUID, .perf_device = true },
	{ .dev_type = HV_NIC, HV_NIC_GUID, .perf_device = true, .allowed_in_isolated = true },
	{ .dev_type = HV_ND, HV_ND_GUID, .perf_device = true },
	{ .dev_type = HV_PCIE, HV_PCIE_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_FB, HV_SYNTHVID_GUID },
	{ .dev_type = HV_KBD, HV_KBD_GUID },
	{ .dev_type = HV_MOUSE, HV_MOUSE_GUID },
	{ .dev_type = HV_KVP, HV_KVP_GUID },
	{ .dev_type = HV_TS, HV_TS_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_HB, HV_HEART_BEAT_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_SHUTDOWN, HV_SHUTDOWN_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_FCOPY, HV_FCOPY_GUID, .pref_ring_size = 16384 },
	{ .dev_type = HV_BACKUP, HV_VSS_GUID },
	{ .dev_type = HV_DM, HV_DM_GUID },
	{ .dev_type = HV_UNKNOWN, .pref_ring_size = 17 * 4096 },
};
EXPORT_SYMBOL_GPL(vmbus_devs);

/* Kinds that only older systems had a driver for; nothing is said about them. */
static const struct hv_vmbus_device_id without_driver[] = {
	{ HV_AVMA1_GUID },
	{ HV_AVMA2_GUID },
	{ HV_RDV_GUID },
	{ HV_IMC_GUID },
};

static u16 kind_of(const struct vmbus_channel *channel)
{
	const guid_t *class = &channel->offermsg.offer.if_type;
	int i;

	if (is_hvsock_channel(channel))
		return HV_UNKNOWN;
	for (i = 0; i < HV_UNKNOWN; i++)
		if (guid_equal(class, &vmbus_devs[i].guid))
			return i;
	for (i = 0; i < ARRAY_SIZE(without_driver); i++)
		if (guid_equal(class, &without_driver[i].guid))
			return HV_UNKNOWN;
	pr_info("hv_vmbus: a device of a kind that is not known: %pUl\n", class);
	return HV_UNKNOWN;
}

bool vmbus_prep_negotiate_resp(struct icmsg_hdr *icmsghdrp, u8 *buf, u32 buflen, const int *fw_version, int fw_vercnt,
			       const int *srv_version, int srv_vercnt, int *nego_fw_version, int *nego_srv_version)
{
	u32 chosen[2] = {};
	struct vb_negotiation negotiation = {
		.bytes = &buf[ICMSG_HDR],
		.count = buflen > ICMSG_HDR ? buflen - ICMSG_HDR : 0,
		.chosen = chosen,
		.frameworks = fw_version,
		.framework_count = fw_vercnt,
		.services = srv_version,
		.service_count = srv_vercnt,
	};
	bool agreed;

	agreed = swift_call(0, negotiate_versions, &negotiation) == 1;
	/* Two versions behind the counts: what the answer holds. */
	icmsghdrp->icmsgsize = 16;
	if (nego_fw_version)
		*nego_fw_version = chosen[0];
	if (nego_srv_version)
		*nego_srv_version = chosen[1];
	return agreed;
}
EXPORT_SYMBOL_GPL(vmbus_prep_negotiate_resp);

/* The table. Read in interrupts under RCU, written under the bus's lock; lists under vb_channels_lock. */

static LIST_HEAD(primaries);
static struct vmbus_channel *table[VB_CHANNELS];

struct vmbus_channel *vb_channel_of(u32 relid)
{
	return relid < VB_CHANNELS ? READ_ONCE(table[relid]) : NULL;
}

/* Events. */

static void run_callbacks(unsigned long data)
{
	struct vmbus_channel *channel = (void *)data;
	void (*callback)(void *context);

	do {
		callback = READ_ONCE(channel->onchannel_callback);
		if (!callback)
			return;
		callback(channel->channel_callback_context);
		if (channel->callback_mode != HV_CALL_BATCHED || !READ_ONCE(channel->onchannel_callback))
			return;
		/* Interrupts on again; what came before that is ours still. A long stream must let others run. */
		if (!hv_end_read(&channel->inbound) || vb_of(channel)->broken)
			return;
		hv_begin_read(&channel->inbound);
	} while (!need_resched());
	tasklet_schedule(&channel->callback_event);
}

void vb_channel_signalled(uint32_t relid)
{
	struct vmbus_channel *channel;

	rcu_read_lock();
	channel = vb_channel_of(relid);
	if (channel && !READ_ONCE(channel->rescind)) {
		spin_lock(&channel->sched_lock);
		if (channel->onchannel_callback) {
			channel->interrupts++;
			if (channel->callback_mode == HV_CALL_ISR) {
				channel->onchannel_callback(channel->channel_callback_context);
			} else {
				if (channel->callback_mode == HV_CALL_BATCHED)
					hv_begin_read(&channel->inbound);
				tasklet_schedule(&channel->callback_event);
			}
		}
		spin_unlock(&channel->sched_lock);
	}
	rcu_read_unlock();
}

/*
 * Processors: the channels of busy devices go round, past processors that have a channel of the same device. All else
 * stays on one. Under vb_channels_lock.
 */

static bool sibling_on(struct vmbus_channel *channel, unsigned int cpu)
{
	struct vmbus_channel *primary = channel->primary_channel, *sub;

	if (!primary)
		return false;
	if (primary->target_cpu == cpu)
		return true;
	list_for_each_entry(sub, &primary->sc_list, sc_list)
		if (sub != channel && sub->target_cpu == cpu)
			return true;
	return false;
}

static unsigned int choose_processor(struct vmbus_channel *channel, int except)
{
	static unsigned int last = UINT_MAX;
	const struct cpumask *usable = housekeeping_cpumask(HK_TYPE_MANAGED_IRQ);
	unsigned int tries, cpu = last, best = nr_cpu_ids;

	if (!vmbus_devs[channel->device_id].perf_device)
		return VB_MESSAGE_CPU;
	for (tries = 0; tries < nr_cpu_ids; tries++) {
		cpu = cpu + 1 < nr_cpu_ids ? cpu + 1 : 0;
		if ((int)cpu == except || !cpu_online(cpu) || !cpumask_test_cpu(cpu, usable))
			continue;
		/* More channels than processors: the next one as well as any. */
		if (best == nr_cpu_ids)
			best = cpu;
		if (sibling_on(channel, cpu))
			continue;
		best = cpu;
		break;
	}
	if (best == nr_cpu_ids)
		return VB_MESSAGE_CPU;
	last = best;
	return best;
}

/* Under cpus_read_lock and vb_channels_lock, or on the way of a processor out of the system. */
int vb_retarget(struct vmbus_channel *channel, u32 cpu)
{
	u32 old = channel->target_cpu;
	int result;

	if (old == cpu)
		return 0;
	if (vmbus_proto_version < VERSION_WIN10_V4_1)
		return -EIO;
	if (channel->state == CHANNEL_OPENED_STATE) {
		result = vmbus_send_modifychannel(channel, hv_cpu_number_to_vp_number(cpu));
		if (result)
			return result;
	}
	channel->target_cpu = cpu;
	if (channel->change_target_cpu_callback)
		channel->change_target_cpu_callback(channel, old, cpu);
	return 0;
}

/* A processor goes: its channels go elsewhere, or it stays. */
int vb_leave_processor(unsigned int cpu)
{
	struct vmbus_channel *channel, *sub;
	int result = 0;

	mutex_lock(&vb_channels_lock);
	list_for_each_entry(channel, &primaries, listentry) {
		if (channel->target_cpu == cpu)
			result = vb_retarget(channel, choose_processor(channel, cpu));
		if (result)
			break;
		list_for_each_entry(sub, &channel->sc_list, sc_list) {
			if (sub->target_cpu == cpu)
				result = vb_retarget(sub, choose_processor(sub, cpu));
			if (result)
				break;
		}
		if (result)
			break;
	}
	mutex_unlock(&vb_channels_lock);
	return result ? -EBUSY : 0;
}

/* Coming. */

static void forget(struct vmbus_channel *channel)
{
	u32 relid = channel->offermsg.child_relid;

	if (channel->primary_channel)
		list_del(&channel->sc_list);
	else
		list_del(&channel->listentry);
	mutex_lock(&vb_lock);
	if (table[relid] == channel)
		WRITE_ONCE(table[relid], NULL);
	if (vb_bus && !vb_dead && swift_call(VB_TRAPPED, bus_release, vb_bus, relid) == VB_TRAPPED)
		vb_died();
	mutex_unlock(&vb_lock);
}

/*
 * A rescinded channel that nobody uses any more: its number goes back to the host, its memory to us. Without
 * vb_channels_lock: sysfs waits for whoever writes to a file of the channel's, and that may be somebody who waits for the
 * lock. The number comes last, since the next channel of that number has the same name there.
 */
void vb_channel_gone(struct vmbus_channel *channel)
{
	vb_channel_hide(channel);
	mutex_lock(&vb_channels_lock);
	forget(channel);
	mutex_unlock(&vb_channels_lock);
	tasklet_kill(&channel->callback_event);
	vb_channel_free(channel);
}

static struct vmbus_channel *primary_of(const struct vmbus_channel *channel)
{
	struct vmbus_channel *primary;

	list_for_each_entry(primary, &primaries, listentry)
		if (guid_equal(&primary->offermsg.offer.if_type, &channel->offermsg.offer.if_type) &&
		    guid_equal(&primary->offermsg.offer.if_instance, &channel->offermsg.offer.if_instance))
			return primary;
	return NULL;
}

/*
 * An offer goes through two queues: one that enters channels into the lists in the order in which they came, and then
 * one in which devices are made, which may take long; sub-channels have their own there, since a device may wait for
 * them.
 */
static void add_channel(struct work_struct *work)
{
	struct vb_channel *c = container_of(work, struct vb_channel, add);
	struct vmbus_channel *channel = &c->channel, *primary = channel->primary_channel;

	if (primary) {
		channel->device_obj = READ_ONCE(primary->device_obj);
		if (!channel->device_obj || vb_channel_show(channel->device_obj, channel))
			pr_err("hv_vmbus: no place for the sub-channel %u\n", channel->offermsg.child_relid);
		else if (primary->sc_creation_callback)
			primary->sc_creation_callback(channel);
	} else {
		struct hv_device *device = vb_device_make(channel);

		if (device) {
			WRITE_ONCE(channel->device_obj, device);
			if (vb_device_add(device)) {
				/* The channel stays with the host, unused, until it is rescinded. */
				WRITE_ONCE(channel->device_obj, NULL);
				device = NULL;
			}
		}
		if (!device)
			pr_err("hv_vmbus: no device for the channel %u\n", channel->offermsg.child_relid);
	}
	WRITE_ONCE(channel->probe_done, true);
}

static void enter_channel(struct work_struct *work)
{
	struct vb_channel *c = container_of(work, struct vb_channel, enter);
	struct vmbus_channel *channel = &c->channel, *primary;

	cpus_read_lock();
	mutex_lock(&vb_channels_lock);
	primary = primary_of(channel);
	if (!primary) {
		list_add_tail(&channel->listentry, &primaries);
	} else {
		channel->primary_channel = primary;
		list_add_tail(&channel->sc_list, &primary->sc_list);
	}
	channel->target_cpu = choose_processor(channel, -1);
	mutex_unlock(&vb_channels_lock);
	cpus_read_unlock();
	queue_work(primary ? vb_sub_channels : vb_devices, &c->add);
}

static void remove_channel(struct work_struct *work)
{
	struct vb_channel *c = container_of(work, struct vb_channel, remove);
	struct vmbus_channel *channel = &c->channel;
	bool is_unused;

	if (channel->chn_rescind_callback) {
		/* A socket: its user closes it, and comes to vmbus_hvsock_device_unregister. */
		channel->chn_rescind_callback(channel);
	} else if (channel->primary_channel) {
		mutex_lock(&vb_channels_lock);
		/* One in use is closed by its primary, which waits until we have been here. */
		is_unused = channel->state == CHANNEL_OPEN_STATE;
		if (!is_unused)
			complete(&channel->rescind_event);
		mutex_unlock(&vb_channels_lock);
		if (is_unused)
			vb_channel_gone(channel);
	} else if (channel->device_obj) {
		vmbus_device_unregister(channel->device_obj);
	} else {
		vb_channel_gone(channel);
	}
}

static void leave_channel(struct work_struct *work)
{
	struct vb_channel *c = container_of(work, struct vb_channel, leave);

	queue_work(c->channel.primary_channel ? vb_sub_channels : vb_devices, &c->remove);
}

void vb_offered(const struct vb_offer *offer)
{
	struct vb_channel *c = kzalloc(sizeof(*c), GFP_KERNEL);
	struct vmbus_channel *channel;
	struct vmbus_channel_offer_channel *message;

	if (!c) {
		pr_err("hv_vmbus: no memory for the channel %u\n", offer->relid);
		return;
	}
	channel = &c->channel;
	mutex_init(&c->requests);
	init_completion(&c->answered);
	INIT_WORK(&c->enter, enter_channel);
	INIT_WORK(&c->add, add_channel);
	INIT_WORK(&c->leave, leave_channel);
	INIT_WORK(&c->remove, remove_channel);

	spin_lock_init(&channel->sched_lock);
	init_completion(&channel->rescind_event);
	INIT_LIST_HEAD(&channel->sc_list);
	tasklet_init(&channel->callback_event, run_callbacks, (unsigned long)channel);
	mutex_init(&channel->inbound.ring_buffer_mutex);
	mutex_init(&channel->outbound.ring_buffer_mutex);
	spin_lock_init(&channel->inbound.ring_lock);
	spin_lock_init(&channel->outbound.ring_lock);
	channel->state = CHANNEL_OPEN_STATE;
	channel->callback_mode = HV_CALL_BATCHED;

	message = &channel->offermsg;
	message->header.msgtype = CHANNELMSG_OFFERCHANNEL;
	memcpy(&message->offer.if_type, offer->class_id, sizeof(guid_t));
	memcpy(&message->offer.if_instance, offer->instance_id, sizeof(guid_t));
	memcpy(&message->offer.u, offer->user_data, min(sizeof(message->offer.u), sizeof(offer->user_data)));
	message->offer.chn_flags = offer->flags;
	message->offer.mmio_megabytes = offer->mmio_megabytes;
	message->offer.sub_channel_index = offer->sub_channel;
	message->child_relid = offer->relid;
	message->connection_id = offer->connection;
	message->monitorid = offer->monitor_id;
	message->monitor_allocated = offer->monitor_allocated;
	message->is_dedicated_interrupt = offer->dedicated_interrupt;
	channel->is_dedicated_interrupt = offer->dedicated_interrupt;
	channel->sig_event = offer->connection;
	channel->monitor_grp = offer->monitor_id / 32;
	channel->monitor_bit = offer->monitor_id % 32;
	channel->device_id = kind_of(channel);

	WRITE_ONCE(table[offer->relid], channel);
	queue_work(vb_intake, &c->enter);
}

void vb_rescinded(uint32_t relid)
{
	struct vmbus_channel *channel = vb_channel_of(relid);

	if (!channel)
		return;
	WRITE_ONCE(channel->rescind, true);
	queue_work(vb_intake, &vb_of(channel)->leave);
}

/* Until every device that has come so far is made. (Their drivers may still be looking at them.) */
void vb_wait_for_devices(void)
{
	flush_workqueue(vb_intake);
	flush_workqueue(vb_devices);
	flush_workqueue(vb_sub_channels);
}

/* Whoever waits for the host is told that nothing will come. Under the bus's lock. */
void vb_channels_failed(void)
{
	int i;

	for (i = 0; i < VB_CHANNELS; i++) {
		if (!table[i] || !vb_of(table[i])->awaited)
			continue;
		vb_of(table[i])->status = ~0U;
		complete(&vb_of(table[i])->answered);
	}
}

/* After the unload: no driver has a device any more, and the host knows none of them. */
void vb_remove_all(void)
{
	struct vmbus_channel *channel, *next, *sub, *next_sub;
	LIST_HEAD(all);

	vb_wait_for_devices();
	mutex_lock(&vb_channels_lock);
	list_splice_init(&primaries, &all);
	mutex_unlock(&vb_channels_lock);
	/* Nobody else changes the lists any more. */
	list_for_each_entry_safe(channel, next, &all, listentry) {
		list_for_each_entry_safe(sub, next_sub, &channel->sc_list, sc_list)
			vb_channel_gone(sub);
		channel->rescind = true;
	}
	list_for_each_entry_safe(channel, next, &all, listentry) {
		if (channel->device_obj)
			vmbus_device_unregister(channel->device_obj);
		else
			vb_channel_gone(channel);
	}
}

void vmbus_hvsock_device_unregister(struct vmbus_channel *channel)
{
	/* The host rescinds every socket's channel, and the device is made before that. */
	while (!READ_ONCE(channel->probe_done) || !READ_ONCE(channel->rescind))
		msleep(2);
	vmbus_device_unregister(channel->device_obj);
}
EXPORT_SYMBOL_GPL(vmbus_hvsock_device_unregister);

void vmbus_set_sc_create_callback(struct vmbus_channel *primary_channel, void (*sc_cr_cb)(struct vmbus_channel *new_sc))
{
	primary_channel->sc_creation_callback = sc_cr_cb;
}
EXPORT_SYMBOL_GPL(vmbus_set_sc_create_callback);

void vmbus_set_chn_rescind_callback(struct vmbus_channel *channel, void (*chn_rescind_cb)(struct vmbus_channel *))
{
	channel->chn_rescind_callback = chn_rescind_cb;
}
EXPORT_SYMBOL_GPL(vmbus_set_chn_rescind_callback);
