// SPDX-License-Identifier: Apache-2.0
/* What sysfs shows of devices and their channels. */
#include "bus_types.h"
#include "hv_vmbus.h"

static u32 monitor(const struct vmbus_channel *channel, const void *page, u32 what)
{
	return page ? swift_call(0, monitor_value, page, channel->offermsg.monitorid, what) : 0;
}

/* Attributes of a device: NAME and the text for "channel" and "hv". */
#define DEVICE_TEXT(attribute, format, ...)                                                                           \
	static ssize_t attribute##_show(struct device *d, struct device_attribute *a, char *buf)                      \
	{                                                                                                             \
		struct hv_device *hv = device_to_hv_device(d);                                                        \
		struct vmbus_channel *channel __maybe_unused = hv->channel;                                           \
                                                                                                                      \
		return channel ? sysfs_emit(buf, format "\n", __VA_ARGS__) : -ENODEV;                                 \
	}                                                                                                             \
	static DEVICE_ATTR_RO(attribute)

#define RING_TEXT(attribute, ring, field)                                                                             \
	static ssize_t attribute##_show(struct device *d, struct device_attribute *a, char *buf)                      \
	{                                                                                                             \
		struct hv_ring_buffer_debug_info info;                                                                \
		int result = hv_ringbuffer_get_debuginfo(&device_to_hv_device(d)->channel->ring, &info);              \
                                                                                                                      \
		return result ?: sysfs_emit(buf, "%d\n", info.field);                                                 \
	}                                                                                                             \
	static DEVICE_ATTR_RO(attribute)

DEVICE_TEXT(id, "%d", channel->offermsg.child_relid);
DEVICE_TEXT(state, "%d", channel->state);
DEVICE_TEXT(monitor_id, "%d", channel->offermsg.monitorid);
DEVICE_TEXT(class_id, "{%pUl}", &channel->offermsg.offer.if_type);
DEVICE_TEXT(device_id, "{%pUl}", &channel->offermsg.offer.if_instance);
DEVICE_TEXT(modalias, "vmbus:%*phN", UUID_SIZE, &hv->dev_type);
DEVICE_TEXT(numa_node, "%d", cpu_to_node(channel->target_cpu));
DEVICE_TEXT(server_monitor_pending, "%d", monitor(channel, vb_shared.to_guest_monitor, VB_MONITOR_PENDING));
DEVICE_TEXT(client_monitor_pending, "%d", monitor(channel, vb_shared.to_host_monitor, VB_MONITOR_PENDING));
DEVICE_TEXT(server_monitor_latency, "%d", monitor(channel, vb_shared.to_guest_monitor, VB_MONITOR_LATENCY));
DEVICE_TEXT(client_monitor_latency, "%d", monitor(channel, vb_shared.to_host_monitor, VB_MONITOR_LATENCY));
DEVICE_TEXT(server_monitor_conn_id, "%d", monitor(channel, vb_shared.to_guest_monitor, VB_MONITOR_CONNECTION));
DEVICE_TEXT(client_monitor_conn_id, "%d", monitor(channel, vb_shared.to_host_monitor, VB_MONITOR_CONNECTION));
RING_TEXT(out_intr_mask, outbound, current_interrupt_mask);
RING_TEXT(out_read_index, outbound, current_read_index);
RING_TEXT(out_write_index, outbound, current_write_index);
RING_TEXT(out_read_bytes_avail, outbound, bytes_avail_toread);
RING_TEXT(out_write_bytes_avail, outbound, bytes_avail_towrite);
RING_TEXT(in_intr_mask, inbound, current_interrupt_mask);
RING_TEXT(in_read_index, inbound, current_read_index);
RING_TEXT(in_write_index, inbound, current_write_index);
RING_TEXT(in_read_bytes_avail, inbound, bytes_avail_toread);
RING_TEXT(in_write_bytes_avail, inbound, bytes_avail_towrite);
DEVICE_TEXT(vendor, "0x%x", hv->vendor_id);
DEVICE_TEXT(device, "0x%x", hv->device_id);

/* One line a channel: its number and its processor. */
static ssize_t channel_vp_mapping_show(struct device *d, struct device_attribute *a, char *buf)
{
	struct vmbus_channel *channel = device_to_hv_device(d)->channel, *sub;
	ssize_t length;

	if (!channel)
		return -ENODEV;
	mutex_lock(&vb_channels_lock);
	length = sysfs_emit(buf, "%u:%u\n", channel->offermsg.child_relid, channel->target_cpu);
	list_for_each_entry(sub, &channel->sc_list, sc_list)
		length += sysfs_emit_at(buf, length, "%u:%u\n", sub->offermsg.child_relid, sub->target_cpu);
	mutex_unlock(&vb_channels_lock);
	return length;
}
static DEVICE_ATTR_RO(channel_vp_mapping);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static ssize_t driver_override_show(struct device *d, struct device_attribute *a, char *buf)
{
	ssize_t length;

	device_lock(d);
	length = sysfs_emit(buf, "%s\n", device_to_hv_device(d)->driver_override);
	device_unlock(d);
	return length;
}

static ssize_t driver_override_store(struct device *d, struct device_attribute *a, const char *buf, size_t count)
{
	return driver_set_override(d, &device_to_hv_device(d)->driver_override, buf, count) ?: count;
}
static DEVICE_ATTR_RW(driver_override);
#endif

/* The first seven are shown of devices that are signalled through the monitor pages. */
#define MONITOR_ATTRIBUTES 7
static struct attribute *device_attributes[] = {
	&dev_attr_monitor_id.attr,
	&dev_attr_server_monitor_pending.attr,
	&dev_attr_client_monitor_pending.attr,
	&dev_attr_server_monitor_latency.attr,
	&dev_attr_client_monitor_latency.attr,
	&dev_attr_server_monitor_conn_id.attr,
	&dev_attr_client_monitor_conn_id.attr,
	&dev_attr_id.attr,
	&dev_attr_state.attr,
	&dev_attr_class_id.attr,
	&dev_attr_device_id.attr,
	&dev_attr_modalias.attr,
#ifdef CONFIG_NUMA
	&dev_attr_numa_node.attr,
#endif
	&dev_attr_out_intr_mask.attr,
	&dev_attr_out_read_index.attr,
	&dev_attr_out_write_index.attr,
	&dev_attr_out_read_bytes_avail.attr,
	&dev_attr_out_write_bytes_avail.attr,
	&dev_attr_in_intr_mask.attr,
	&dev_attr_in_read_index.attr,
	&dev_attr_in_write_index.attr,
	&dev_attr_in_read_bytes_avail.attr,
	&dev_attr_in_write_bytes_avail.attr,
	&dev_attr_channel_vp_mapping.attr,
	&dev_attr_vendor.attr,
	&dev_attr_device.attr,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	&dev_attr_driver_override.attr,
#endif
	NULL,
};

static umode_t device_attribute_mode(struct kobject *kobject, struct attribute *attribute, int index)
{
	struct hv_device *hv = device_to_hv_device(kobj_to_dev(kobject));

	return index < MONITOR_ATTRIBUTES && !hv->channel->offermsg.monitor_allocated ? 0 : attribute->mode;
}

static const struct attribute_group device_group = {
	.attrs = device_attributes,
	.is_visible = device_attribute_mode,
};
const struct attribute_group *vb_device_groups[] = { &device_group, NULL };

/* Channels: a folder each, below their device's "channels". */

struct channel_attribute {
	struct attribute attribute;
	ssize_t (*show)(struct vmbus_channel *channel, char *buf);
	ssize_t (*store)(struct vmbus_channel *channel, const char *buf, size_t count);
};

#define CHANNEL_TEXT(name_, format, value)                                                                            \
	static ssize_t channel_##name_##_show(struct vmbus_channel *channel, char *buf)                               \
	{                                                                                                             \
		return sysfs_emit(buf, format "\n", value);                                                           \
	}                                                                                                             \
	static struct channel_attribute channel_##name_ = { { .name = #name_, .mode = 0444 }, channel_##name_##_show }

#define CHANNEL_RING_TEXT(name_, ring, value)                                                                         \
	static ssize_t channel_##name_##_show(struct vmbus_channel *channel, char *buf)                               \
	{                                                                                                             \
		struct hv_ring_buffer_debug_info info;                                                                \
                                                                                                                      \
		return hv_ringbuffer_get_debuginfo(&channel->ring, &info) ?: sysfs_emit(buf, "%u\n", info.value);      \
	}                                                                                                             \
	static struct channel_attribute channel_##name_ = { { .name = #name_, .mode = 0444 }, channel_##name_##_show }

CHANNEL_RING_TEXT(out_mask, outbound, current_interrupt_mask);
CHANNEL_RING_TEXT(in_mask, inbound, current_interrupt_mask);
CHANNEL_RING_TEXT(read_avail, inbound, bytes_avail_toread);
CHANNEL_RING_TEXT(write_avail, outbound, bytes_avail_towrite);
CHANNEL_TEXT(interrupts, "%llu", channel->interrupts);
CHANNEL_TEXT(events, "%llu", channel->sig_events);
CHANNEL_TEXT(intr_in_full, "%llu", channel->intr_in_full);
CHANNEL_TEXT(intr_out_empty, "%llu", channel->intr_out_empty);
CHANNEL_TEXT(out_full_first, "%llu", channel->out_full_first);
CHANNEL_TEXT(out_full_total, "%llu", channel->out_full_total);
CHANNEL_TEXT(subchannel_id, "%u", channel->offermsg.offer.sub_channel_index);
CHANNEL_TEXT(monitor_id, "%u", channel->offermsg.monitorid);
CHANNEL_TEXT(pending, "%d", monitor(channel, vb_shared.to_host_monitor, VB_MONITOR_PENDING));
CHANNEL_TEXT(latency, "%d", monitor(channel, vb_shared.to_host_monitor, VB_MONITOR_LATENCY));
CHANNEL_TEXT(cpu, "%u", channel->target_cpu);

static ssize_t channel_cpu_store(struct vmbus_channel *channel, const char *buf, size_t count)
{
	unsigned int cpu;
	int result = kstrtouint(buf, 10, &cpu);

	if (result)
		return result;
	cpus_read_lock();
	if (cpu >= nr_cpu_ids || !cpu_online(cpu) || !cpumask_test_cpu(cpu, housekeeping_cpumask(HK_TYPE_MANAGED_IRQ))) {
		cpus_read_unlock();
		return -EINVAL;
	}
	mutex_lock(&vb_channels_lock);
	result = vb_retarget(channel, cpu);
	mutex_unlock(&vb_channels_lock);
	cpus_read_unlock();
	return result ?: count;
}

static struct attribute *channel_attributes[] = {
	&channel_pending.attribute,
	&channel_latency.attribute,
	&channel_monitor_id.attribute,
	&channel_out_mask.attribute,
	&channel_in_mask.attribute,
	&channel_read_avail.attribute,
	&channel_write_avail.attribute,
	&channel_cpu.attribute,
	&channel_interrupts.attribute,
	&channel_events.attribute,
	&channel_intr_in_full.attribute,
	&channel_intr_out_empty.attribute,
	&channel_out_full_first.attribute,
	&channel_out_full_total.attribute,
	&channel_subchannel_id.attribute,
	NULL,
};

static umode_t channel_attribute_mode(struct kobject *kobject, struct attribute *attribute, int index)
{
	struct vmbus_channel *channel = container_of(kobject, struct vmbus_channel, kobj);

	if (index < 3 && !channel->offermsg.monitor_allocated)
		return 0;
	return attribute == &channel_cpu.attribute ? 0644 : attribute->mode;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
/* The rings, for drivers in user space; shown by hv_create_ring_sysfs. */
static int map_rings(struct file *file, struct kobject *kobject, struct bin_attribute *attribute,
		     struct vm_area_struct *area)
{
	struct vmbus_channel *channel = container_of(kobject, struct vmbus_channel, kobj);

	return channel->mmap_ring_buffer(channel, area);
}

static struct bin_attribute channel_ring = { .attr = { .name = "ring", .mode = 0600 }, .mmap = map_rings };
static struct bin_attribute *channel_files[] = { &channel_ring, NULL };

static umode_t channel_file_mode(struct kobject *kobject, struct bin_attribute *attribute, int index)
{
	struct vmbus_channel *channel = container_of(kobject, struct vmbus_channel, kobj);

	if (!channel->ring_sysfs_visible)
		return 0;
	attribute->size = channel->ringbuffer_pagecount << PAGE_SHIFT;
	return attribute->attr.mode;
}
#endif

static const struct attribute_group channel_group = {
	.attrs = channel_attributes,
	.is_visible = channel_attribute_mode,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	.bin_attrs = channel_files,
	.is_bin_visible = channel_file_mode,
#endif
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
int hv_create_ring_sysfs(struct vmbus_channel *channel,
			 int (*hv_mmap_ring_buffer)(struct vmbus_channel *channel, struct vm_area_struct *vma))
{
	channel->mmap_ring_buffer = hv_mmap_ring_buffer;
	channel->ring_sysfs_visible = true;
	return sysfs_update_group(&channel->kobj, &channel_group);
}
EXPORT_SYMBOL_GPL(hv_create_ring_sysfs);

int hv_remove_ring_sysfs(struct vmbus_channel *channel)
{
	int result;

	channel->ring_sysfs_visible = false;
	result = sysfs_update_group(&channel->kobj, &channel_group);
	channel->mmap_ring_buffer = NULL;
	return result;
}
EXPORT_SYMBOL_GPL(hv_remove_ring_sysfs);
#endif

static ssize_t channel_show(struct kobject *kobject, struct attribute *attribute, char *buf)
{
	struct channel_attribute *a = container_of(attribute, struct channel_attribute, attribute);

	return a->show(container_of(kobject, struct vmbus_channel, kobj), buf);
}

static ssize_t channel_store(struct kobject *kobject, struct attribute *attribute, const char *buf, size_t count)
{
	if (attribute != &channel_cpu.attribute)
		return -EIO;
	return channel_cpu_store(container_of(kobject, struct vmbus_channel, kobj), buf, count);
}

static const struct sysfs_ops channel_operations = { .show = channel_show, .store = channel_store };

static void free_channel(struct rcu_head *head)
{
	kfree(vb_of(container_of(head, struct vmbus_channel, rcu)));
}

static void release_channel(struct kobject *kobject)
{
	struct vmbus_channel *channel = container_of(kobject, struct vmbus_channel, kobj);

	/* An interrupt may be looking at it. */
	call_rcu(&channel->rcu, free_channel);
}

static struct kobj_type channel_type = { .sysfs_ops = &channel_operations, .release = release_channel };

int vb_channel_show(struct hv_device *device, struct vmbus_channel *channel)
{
	int result;

	channel->kobj.kset = device->channels_kset;
	result = kobject_init_and_add(&channel->kobj, &channel_type, NULL, "%u", channel->offermsg.child_relid);
	if (!result)
		result = sysfs_create_group(&channel->kobj, &channel_group);
	if (!result)
		kobject_uevent(&channel->kobj, KOBJ_ADD);
	return result;
}

void vb_channel_hide(struct vmbus_channel *channel)
{
	if (channel->kobj.state_in_sysfs)
		kobject_del(&channel->kobj);
}

void vb_channel_free(struct vmbus_channel *channel)
{
	if (channel->kobj.state_initialized)
		kobject_put(&channel->kobj);
	else
		call_rcu(&channel->rcu, free_channel);
}
