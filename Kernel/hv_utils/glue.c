// SPDX-License-Identifier: Apache-2.0
/* The devices of the bus, and what their services want of the kernel. No byte of the host's is looked at here. */
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <asm/mshyperv.h>
#include <clocksource/hyperv_timer.h>

#include "kernel_support.h"
#include "service.h"

/* As IntegrationService numbers them. */
enum { HEARTBEAT, SHUTDOWN, TIME, KEY_VALUE, SNAPSHOT, FILE_COPY, KINDS };

static const char *const daemons[KINDS] = {
	[KEY_VALUE] = "vmbus/hv_kvp",
	[SNAPSHOT] = "vmbus/hv_vss",
	[FILE_COPY] = "vmbus/hv_fcopy",
};

static bool timesync_implicit;
module_param(timesync_implicit, bool, 0644);
MODULE_PARM_DESC(timesync_implicit, "set the clock by samples too when it is five seconds behind");

/* There is one of each: a device that comes back waits until its predecessor is gone, and none behind it. */
static unsigned long bound, awaited;
static DECLARE_WAIT_QUEUE_HEAD(unbound);

static bool bind(u32 kind)
{
	long left;

	if (test_and_set_bit(kind, &awaited))
		return false;
	left = wait_event_timeout(unbound, !test_and_set_bit(kind, &bound), 10 * HZ);
	clear_bit(kind, &awaited);
	return left;
}

int utils_run(struct utils_service *service, void *function, long a, long b)
{
	int result;

	if (!service->state || service->failed)
		return -ENODEV;
	result = swift_guard_run(function, UTILS_TRAPPED, (long)service->state, a, b, 0, NULL);
	if (result == UTILS_TRAPPED) {
		WRITE_ONCE(service->failed, true);
		wake_up_all(&service->readers);
		if (service->channel)
			lis_channel_fail(service->channel, LIS_CHANNEL_TRAPPED);
	}
	return result;
}

static void release(struct kref *references)
{
	kfree(container_of(references, struct utils_service, references));
}

void utils_put(struct utils_service *service)
{
	kref_put(&service->references, release);
}

/* Threads of a service. */

static void arrived(void *context)
{
	struct utils_service *service = context;

	queue_work(system_highpri_wq, &service->serving);
}

static void serve(struct work_struct *work)
{
	struct utils_service *service = container_of(work, struct utils_service, serving);

	mutex_lock(&service->lock);
	if (service->channel && lis_channel_is_usable(service->channel))
		(void)utils_call(service, utils_swift_serve);
	mutex_unlock(&service->lock);
}

static void too_slow(struct work_struct *work)
{
	struct utils_service *service = container_of(to_delayed_work(work), struct utils_service, deadline);

	mutex_lock(&service->lock);
	(void)utils_call(service, utils_swift_timeout);
	mutex_unlock(&service->lock);
}

/* What Swift asks for. */

void utils_serve_again(struct utils_service *service)
{
	arrived(service);
}

void utils_deadline(struct utils_service *service, uint32_t seconds)
{
	if (seconds)
		mod_delayed_work(system_wq, &service->deadline, seconds * HZ);
	else
		cancel_delayed_work(&service->deadline);
}

uint64_t utils_reference_time(void)
{
	return hv_read_reference_counter();
}

void utils_set_clock(int64_t time)
{
	struct timespec64 set = ns_to_timespec64(time);

	(void)do_settimeofday64(&set);
}

bool utils_sets_when_behind(void)
{
	return READ_ONCE(timesync_implicit);
}

bool utils_hibernates(void)
{
	return hv_is_hibernation_supported();
}

void utils_act(struct utils_service *service, enum utils_action action)
{
	char *hibernate[] = { "EVENT=hibernate", NULL };

	switch (action) {
	case UTILS_POWER_OFF:
		pr_info(KBUILD_MODNAME ": the host asks for a shutdown\n");
		orderly_poweroff(true);
		break;
	case UTILS_RESTART:
		pr_info(KBUILD_MODNAME ": the host asks for a restart\n");
		orderly_reboot();
		break;
	case UTILS_HIBERNATE:
		pr_info(KBUILD_MODNAME ": the host asks for hibernation\n");
		kobject_uevent_env(&service->device->device.kobj, KOBJ_CHANGE, hibernate);
		break;
	}
}

/* Channels. */

static int open_channel(struct utils_service *service)
{
	const struct lis_channel_options options = {
		.send_bytes = VMBUS_RING_SIZE(3 * HV_HYP_PAGE_SIZE),
		.receive_bytes = VMBUS_RING_SIZE(3 * HV_HYP_PAGE_SIZE),
		.mode = LIS_CHANNEL_DIRECT,
		.arrived = arrived,
		.context = service,
	};
	struct lis_channel *channel = lis_channel_open(service->device->channel, &options);
	int error;

	if (IS_ERR(channel))
		return PTR_ERR(channel);
	mutex_lock(&service->lock);
	service->channel = channel;
	error = utils_call(service, utils_swift_opened, channel);
	mutex_unlock(&service->lock);
	if (error)
		return error;
	lis_channel_ready(channel);
	return 0;
}

static void close_channel(struct utils_service *service)
{
	struct lis_channel *channel;

	mutex_lock(&service->lock);
	(void)utils_call(service, utils_swift_closing);
	channel = service->channel;
	service->channel = NULL;
	mutex_unlock(&service->lock);
	if (!channel)
		return;
	lis_channel_stop(channel);
	lis_channel_close(channel);
	lis_channel_free(channel);
}

/* Devices. */

static void unbind(struct utils_service *service)
{
	void *state;

	close_channel(service);
	mutex_lock(&service->lock);
	state = service->state;
	WRITE_ONCE(service->state, NULL);
	wake_up_all(&service->readers);
	mutex_unlock(&service->lock);
	/* Nobody asks for them any more. */
	cancel_work_sync(&service->serving);
	cancel_delayed_work_sync(&service->deadline);
	if (state)
		(void)swift_call_trapped(utils_swift_end, state);
	clear_bit(service->kind, &bound);
	wake_up_all(&unbound);
	utils_put(service);
}

static int utils_probe(struct hv_device *device, const struct hv_vmbus_device_id *id)
{
	struct utils_service *service;
	int error;

	if (id->driver_data == TIME && !hv_read_reference_counter)
		return -ENODEV;
	if (id->driver_data == SNAPSHOT && vmbus_proto_version < VERSION_WIN8_1)
		return -ENODEV;
	service = kzalloc(sizeof(*service), GFP_KERNEL);
	if (!service)
		return -ENOMEM;
	kref_init(&service->references);
	service->kind = id->driver_data;
	service->device = device;
	mutex_init(&service->lock);
	init_waitqueue_head(&service->readers);
	INIT_WORK(&service->serving, serve);
	INIT_DELAYED_WORK(&service->deadline, too_slow);
	if (!bind(service->kind)) {
		dev_err_ratelimited(&device->device, "there is a device of this class already\n");
		kfree(service);
		return -EEXIST;
	}
	hv_set_drvdata(device, service);

	error = -ENOMEM;
	service->state = swift_call(NULL, utils_swift_make, service, service->kind);
	if (!service->state)
		goto failed;
	error = open_channel(service);
	if (error)
		goto failed;
	if (daemons[service->kind]) {
		error = utils_daemon_register(service, daemons[service->kind]);
		if (error)
			goto failed;
	}
	if (service->kind == TIME)
		utils_clock_register(service);
	return 0;

failed:
	unbind(service);
	return error;
}

static void remove_service(struct hv_device *device)
{
	struct utils_service *service = hv_get_drvdata(device);

	utils_daemon_unregister(service);
	utils_clock_unregister(service);
	unbind(service);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define utils_remove remove_service
#else
static int utils_remove(struct hv_device *device)
{
	remove_service(device);
	return 0;
}
#endif

static int utils_suspend(struct hv_device *device)
{
	close_channel(hv_get_drvdata(device));
	return 0;
}

static int utils_resume(struct hv_device *device)
{
	return open_channel(hv_get_drvdata(device));
}

static const struct hv_vmbus_device_id devices[] = {
	{ HV_SHUTDOWN_GUID, .driver_data = SHUTDOWN },
	{ HV_TS_GUID, .driver_data = TIME },
	{ HV_HEART_BEAT_GUID, .driver_data = HEARTBEAT },
	{ HV_KVP_GUID, .driver_data = KEY_VALUE },
	{ HV_VSS_GUID, .driver_data = SNAPSHOT },
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	/* Later kernels leave it to uio_hv_generic. */
	{ HV_FCOPY_GUID, .driver_data = FILE_COPY },
#endif
	{ },
};
MODULE_DEVICE_TABLE(vmbus, devices);

static struct hv_driver driver = {
	.name = "hv_utils",
	.id_table = devices,
	.probe = utils_probe,
	.remove = utils_remove,
	.suspend = utils_suspend,
	.resume = utils_resume,
	.driver = {
		.probe_type = PROBE_PREFER_ASYNCHRONOUS,
	},
};

static int __init utils_init(void)
{
	return vmbus_driver_register(&driver);
}

static void __exit utils_exit(void)
{
	s64 left;

	vmbus_driver_unregister(&driver);
	left = ks_outstanding();
	if (left)
		pr_warn(KBUILD_MODNAME ": %lld allocations were not given back\n", left);
}

module_init(utils_init);
module_exit(utils_exit);
MODULE_DESCRIPTION("Hyper-V integration services (swift-lis)");
MODULE_LICENSE("GPL");
