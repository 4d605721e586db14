// SPDX-License-Identifier: Apache-2.0
/* The bus in the kernel's device model: devices and drivers. */
#include "bus_types.h"
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
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
	.dev_groups = vb_device_groups,
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

/* Devices. */

static void release_device(struct device *d)
{
	struct hv_device *hv = device_to_hv_device(d);

	if (hv->channel)
		vb_channel_gone(hv->channel);
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
