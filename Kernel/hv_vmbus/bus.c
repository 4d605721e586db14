// SPDX-License-Identifier: Apache-2.0
/* The bus in the kernel's device model: devices, drivers, what sysfs shows of them, and windows for their memory. */
#include <linux/version.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/device.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <linux/platform_device.h>
#endif
#include <linux/interrupt.h>
#include <linux/sysctl.h>
#include <linux/slab.h>
#include <linux/acpi.h>
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/kernel_stat.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <linux/of_address.h>
#endif
#include <linux/clockchips.h>
#include <linux/cpu.h>
#include <linux/sched/isolation.h>
#include <linux/sched/task_stack.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <linux/smpboot.h>
#endif
#include <linux/delay.h>
#include <linux/panic_notifier.h>
#include <linux/ptrace.h>
#include <linux/screen_info.h>
#include <linux/efi.h>
#include <linux/random.h>
#include <linux/kernel.h>
#include <linux/syscore_ops.h>
#include <linux/dma-map-ops.h>
#include <linux/pci.h>
#include <clocksource/hyperv_timer.h>
#include <asm/mshyperv.h>
#include "hv_vmbus.h"

/* What changed its type between the kernels. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define VB_CONST const
#else
#define VB_CONST
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define VB_BUS_CONST const
#else
#define VB_BUS_CONST
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define VB_DRIVER_CONST const
#else
#define VB_DRIVER_CONST
#endif

static struct device *parent_device;

/* Monitor pages: pending bits of group n at byte 8 + 8 n, u16 latencies from 0x240, 8-byte parameters from 0x440. */

static u32 monitor_pending(const void *page, u8 id)
{
	return page ? READ_ONCE(((const u32 *)page)[2 + 2 * (id / 32 & 3)]) : 0;
}

static u32 monitor_latency(const void *page, u8 id)
{
	return page ? READ_ONCE(((const u16 *)(page + 0x240))[id & 127]) : 0;
}

static u32 monitor_connection(const void *page, u8 id)
{
	return page ? READ_ONCE(*(const u32 *)(page + 0x440 + 8 * (id & 127))) & 0xFFFFFF : 0;
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
DEVICE_TEXT(server_monitor_pending, "%d", monitor_pending(vb_shared.to_guest_monitor, channel->offermsg.monitorid));
DEVICE_TEXT(client_monitor_pending, "%d", monitor_pending(vb_shared.to_host_monitor, channel->offermsg.monitorid));
DEVICE_TEXT(server_monitor_latency, "%d", monitor_latency(vb_shared.to_guest_monitor, channel->offermsg.monitorid));
DEVICE_TEXT(client_monitor_latency, "%d", monitor_latency(vb_shared.to_host_monitor, channel->offermsg.monitorid));
DEVICE_TEXT(server_monitor_conn_id, "%d",
	    monitor_connection(vb_shared.to_guest_monitor, channel->offermsg.monitorid));
DEVICE_TEXT(client_monitor_conn_id, "%d", monitor_connection(vb_shared.to_host_monitor, channel->offermsg.monitorid));
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

static int override_matches(struct hv_device *hv, const struct device_driver *driver)
{
	return hv->driver_override ? !strcmp(hv->driver_override, driver->name) : -1;
}
#else
static int override_matches(struct hv_device *hv, const struct device_driver *driver)
{
	return device_match_driver_override(&hv->device, driver);
}
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
static const struct attribute_group *device_groups[] = { &device_group, NULL };

static ssize_t hibernation_show(VB_BUS_CONST struct bus_type *bus, char *buf)
{
	return sysfs_emit(buf, "%d\n", hv_is_hibernation_supported());
}
static BUS_ATTR_RO(hibernation);

static struct attribute *bus_attributes[] = { &bus_attr_hibernation.attr, NULL };
static const struct attribute_group bus_group = { .attrs = bus_attributes };
static const struct attribute_group *bus_groups[] = { &bus_group, NULL };

/* Kinds of device that a driver was told to take by writing to its new_id. */

struct dynamic_id {
	struct list_head node;
	struct hv_vmbus_device_id id;
};

static ssize_t new_id_store(struct device_driver *driver, const char *buf, size_t count)
{
	struct hv_driver *drv = drv_to_hv_drv(driver);
	struct dynamic_id *dynamic;
	int result;

	dynamic = kzalloc(sizeof(*dynamic), GFP_KERNEL);
	if (!dynamic)
		return -ENOMEM;
	result = guid_parse(buf, &dynamic->id.guid);
	if (result) {
		kfree(dynamic);
		return result;
	}
	spin_lock(&drv->dynids.lock);
	list_add_tail(&dynamic->node, &drv->dynids.list);
	spin_unlock(&drv->dynids.lock);
	return driver_attach(driver) ?: count;
}
static DRIVER_ATTR_WO(new_id);

static ssize_t remove_id_store(struct device_driver *driver, const char *buf, size_t count)
{
	struct hv_driver *drv = drv_to_hv_drv(driver);
	struct dynamic_id *dynamic, *next;
	ssize_t result = -ENODEV;
	guid_t guid;

	if (guid_parse(buf, &guid))
		return -EINVAL;
	spin_lock(&drv->dynids.lock);
	list_for_each_entry_safe(dynamic, next, &drv->dynids.list, node) {
		if (!guid_equal(&dynamic->id.guid, &guid))
			continue;
		list_del(&dynamic->node);
		kfree(dynamic);
		result = count;
		break;
	}
	spin_unlock(&drv->dynids.lock);
	return result;
}
static DRIVER_ATTR_WO(remove_id);

static struct attribute *driver_attributes[] = { &driver_attr_new_id.attr, &driver_attr_remove_id.attr, NULL };
static const struct attribute_group driver_group = { .attrs = driver_attributes };
static const struct attribute_group *driver_groups[] = { &driver_group, NULL };

static const struct hv_vmbus_device_id any_id;

static const struct hv_vmbus_device_id *id_for(const struct hv_driver *drv, struct hv_device *hv)
{
	int override = override_matches(hv, &drv->driver);
	const struct hv_vmbus_device_id *id, *result = NULL;
	struct dynamic_id *dynamic;

	if (override == 0)
		return NULL;
	spin_lock((spinlock_t *)&drv->dynids.lock);
	list_for_each_entry(dynamic, &drv->dynids.list, node)
		if (guid_equal(&dynamic->id.guid, &hv->dev_type))
			result = &dynamic->id;
	spin_unlock((spinlock_t *)&drv->dynids.lock);
	for (id = drv->id_table; !result && id && !guid_is_null(&id->guid); id++)
		if (guid_equal(&id->guid, &hv->dev_type))
			result = id;
	return result || override < 0 ? result : &any_id;
}

static int bus_match(struct device *d, VB_DRIVER_CONST struct device_driver *driver)
{
	const struct hv_driver *drv = drv_to_hv_drv(driver);
	struct hv_device *hv = device_to_hv_device(d);

	/* Sockets are one driver's, whatever their kind is called. */
	if (is_hvsock_channel(hv->channel))
		return drv->hvsock;
	return id_for(drv, hv) != NULL;
}

static int bus_uevent(VB_CONST struct device *d, struct kobj_uevent_env *env)
{
	VB_CONST struct hv_device *hv = device_to_hv_device(d);

	return add_uevent_var(env, "MODALIAS=vmbus:%*phN", UUID_SIZE, &hv->dev_type);
}

static int bus_probe(struct device *d)
{
	struct hv_driver *drv = drv_to_hv_drv(d->driver);
	struct hv_device *hv = device_to_hv_device(d);

	return drv->probe ? drv->probe(hv, id_for(drv, hv)) : -ENODEV;
}

static void bus_remove(struct device *d)
{
	struct hv_driver *drv;

	if (!d->driver)
		return;
	drv = drv_to_hv_drv(d->driver);
	if (drv->remove)
		drv->remove(device_to_hv_device(d));
}

static void bus_shutdown(struct device *d)
{
	struct hv_driver *drv;

	if (!d->driver)
		return;
	drv = drv_to_hv_drv(d->driver);
	if (drv->shutdown)
		drv->shutdown(device_to_hv_device(d));
}

static int bus_dma(struct device *d)
{
	/* Devices see memory as the processor does. */
	hv_setup_dma_ops(d, true);
	return 0;
}

static struct bus_type bus = {
	.name = "vmbus",
	.match = bus_match,
	.uevent = bus_uevent,
	.probe = bus_probe,
	.remove = bus_remove,
	.shutdown = bus_shutdown,
	.dma_configure = bus_dma,
	.dev_groups = device_groups,
	.drv_groups = driver_groups,
	.bus_groups = bus_groups,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	.driver_override = true,
#endif
};

int vb_bus_register(struct device *parent)
{
	parent_device = parent;
	return bus_register(&bus);
}

void vb_bus_unregister(void)
{
	bus_unregister(&bus);
}

int __vmbus_driver_register(struct hv_driver *hv_driver, struct module *owner, const char *mod_name)
{
	if (!parent_device || hv_root_partition)
		return -ENODEV;
	spin_lock_init(&hv_driver->dynids.lock);
	INIT_LIST_HEAD(&hv_driver->dynids.list);
	hv_driver->driver.name = hv_driver->name;
	hv_driver->driver.owner = owner;
	hv_driver->driver.mod_name = mod_name;
	hv_driver->driver.bus = &bus;
	return driver_register(&hv_driver->driver);
}
EXPORT_SYMBOL_GPL(__vmbus_driver_register);

void vmbus_driver_unregister(struct hv_driver *hv_driver)
{
	struct dynamic_id *dynamic, *next;

	if (!parent_device)
		return;
	driver_unregister(&hv_driver->driver);
	list_for_each_entry_safe(dynamic, next, &hv_driver->dynids.list, node)
		kfree(dynamic);
}
EXPORT_SYMBOL_GPL(vmbus_driver_unregister);

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
CHANNEL_TEXT(pending, "%d", monitor_pending(vb_shared.to_host_monitor, channel->offermsg.monitorid));
CHANNEL_TEXT(latency, "%d", monitor_latency(vb_shared.to_host_monitor, channel->offermsg.monitorid));
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
		sysfs_remove_group(&channel->kobj, &channel_group);
}

void vb_channel_free(struct vmbus_channel *channel)
{
	if (channel->kobj.state_initialized)
		kobject_put(&channel->kobj);
	else
		call_rcu(&channel->rcu, free_channel);
}

/* Devices. */

static void release_device(struct device *d)
{
	struct hv_device *hv = device_to_hv_device(d);

	if (hv->channel) {
		mutex_lock(&vb_channels_lock);
		vb_channel_gone(hv->channel);
		mutex_unlock(&vb_channels_lock);
	}
	kfree(hv);
}

struct hv_device *vb_device_make(struct vmbus_channel *channel)
{
	struct hv_device *hv = kzalloc(sizeof(*hv), GFP_KERNEL);

	if (!hv)
		return NULL;
	hv->channel = channel;
	guid_copy(&hv->dev_type, &channel->offermsg.offer.if_type);
	guid_copy(&hv->dev_instance, &channel->offermsg.offer.if_instance);
	hv->vendor_id = PCI_VENDOR_ID_MICROSOFT;
	hv->device_id = channel->device_id;
	return hv;
}

/* Frees the device when it fails, and leaves its channel alone. */
int vb_device_add(struct hv_device *hv)
{
	struct vmbus_channel *channel = hv->channel;
	struct device *d = &hv->device;
	int result;

	dev_set_name(d, "%pUl", &hv->dev_instance);
	d->bus = &bus;
	d->parent = parent_device;
	d->release = release_device;
	d->dma_parms = &hv->dma_parms;
	d->dma_mask = &hv->dma_mask;
	dma_set_mask(d, DMA_BIT_MASK(64));
	result = device_register(d);
	if (result) {
		hv->channel = NULL;
		put_device(d);
		return result;
	}
	hv->channels_kset = kset_create_and_add("channels", NULL, &d->kobj);
	if (!hv->channels_kset || vb_channel_show(hv, channel))
		pr_err("hv_vmbus: sysfs does not show all of %s\n", dev_name(d));
	return 0;
}

void vmbus_device_unregister(struct hv_device *device_obj)
{
	/* Nobody goes in through sysfs any more; then the driver leaves, and the last user frees all. */
	if (device_obj->channels_kset)
		kset_unregister(device_obj->channels_kset);
	device_unregister(&device_obj->device);
}
EXPORT_SYMBOL_GPL(vmbus_device_unregister);

/* Windows for devices with memory of their own. What is given out of them lies in iomem_resource as well. */

static struct resource windows[8];
static int window_count;
static DEFINE_MUTEX(windows_lock);

static acpi_status note_window(struct acpi_resource *resource, void *unused)
{
	struct resource_win found = {};
	u64 start, end;

	if (!acpi_dev_resource_address_space(resource, &found) && !acpi_dev_resource_ext_address_space(resource, &found))
		return AE_OK;
	if (!(found.res.flags & IORESOURCE_MEM) || found.res.flags & IORESOURCE_DISABLED)
		return AE_OK;
	start = found.res.start;
	end = found.res.end;
	/* The machine's security chip lies at a fixed place in some. */
	if (start < 0xFED40000 && end >= 0xFED40000)
		end = 0xFED40000 - 1;
	if (end < 0x100000 || end <= start || window_count == ARRAY_SIZE(windows))
		return AE_OK;
	windows[window_count++] = (struct resource){
		.name = "hyperv mmio", .start = start, .end = end, .flags = IORESOURCE_MEM,
	};
	return AE_OK;
}

/* The device's own, or those of the next above it that has any. */
int vb_windows_find(struct acpi_device *device)
{
	acpi_handle handle = device->handle;

	while (!window_count) {
		acpi_walk_resources(handle, METHOD_NAME__CRS, note_window, NULL);
		if (ACPI_FAILURE(acpi_get_parent(handle, &handle)))
			break;
	}
	return 0;
}

void vb_windows_forget(void)
{
	window_count = 0;
	memset(windows, 0, sizeof(windows));
}

int vmbus_allocate_mmio(struct resource **new, struct hv_device *device_obj, resource_size_t min, resource_size_t max,
			resource_size_t size, resource_size_t align, bool fb_overlap_ok)
{
	resource_size_t start, from, to;
	struct resource *held;
	int i, result = -ENXIO;

	mutex_lock(&windows_lock);
	for (i = 0; i < window_count && result; i++) {
		from = max(windows[i].start, min);
		to = min(windows[i].end, max);
		for (start = ALIGN(from, align); start >= from && start + size - 1 <= to; start += align) {
			held = __request_region(&windows[i], start, size, dev_name(&device_obj->device), 0);
			if (!held)
				continue;
			*new = request_mem_region_exclusive(start, size, dev_name(&device_obj->device));
			if (*new) {
				result = 0;
				break;
			}
			__release_region(&windows[i], start, size);
		}
	}
	mutex_unlock(&windows_lock);
	return result;
}
EXPORT_SYMBOL_GPL(vmbus_allocate_mmio);

void vmbus_free_mmio(resource_size_t start, resource_size_t size)
{
	int i;

	mutex_lock(&windows_lock);
	for (i = 0; i < window_count; i++)
		if (start >= windows[i].start && start + size - 1 <= windows[i].end)
			__release_region(&windows[i], start, size);
	release_mem_region(start, size);
	mutex_unlock(&windows_lock);
}
EXPORT_SYMBOL_GPL(vmbus_free_mmio);
