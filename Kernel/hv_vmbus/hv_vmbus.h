/* SPDX-License-Identifier: Apache-2.0 */
/* What the C files of hv_vmbus share. Protocol and rings are Swift's (bus_*, rings_*); here are the kernel's objects. */
#ifndef LIS_HV_VMBUS_H
#define LIS_HV_VMBUS_H

#include <linux/hyperv.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/version.h>
#include <linux/workqueue.h>
/* Not used: but the kernel's own module knows its types, and symbol versions tell who knows what. */
#include <linux/tracepoint.h>
#include "guard.h"
#include "kernel_support.h"
#include "vmbus_shim.h"

/* Channel numbers are event flags: 1 to 2047. */
#define VB_CHANNELS 2048
/* The processor that takes the host's messages; it stays online. */
#define VB_MESSAGE_CPU 0
#define VB_SINT 2
/* How long an answer of the host may take. */
#define VB_ANSWER_TIME (90 * HZ)

/* A channel as the drivers see it, and what only we know of it. */
struct vb_channel {
	struct vmbus_channel channel;
	/* One request at a time, and the answer it waits for; "awaited" is guarded by the bus's lock. */
	struct mutex requests;
	struct completion answered;
	u32 awaited;
	u32 status;
	/* Swift's end of the rings, between connecting and freeing them. */
	void *rings;
	bool packet_held;
	bool broken;

	/* Coming and going: into the lists, then as a device. */
	struct work_struct enter, add, leave, remove;
};

static inline struct vb_channel *vb_of(struct vmbus_channel *channel)
{
	return container_of(channel, struct vb_channel, channel);
}

/* Swift. */
void *bus_make(uint32_t newest, uint32_t target_vp, struct vb_pages *pages);
void bus_end(void *bus);
int32_t bus_connect(void *bus);
int32_t bus_contact_timed_out(void *bus);
int32_t bus_request_offers(void *bus);
int32_t bus_unload(void *bus);
void bus_abandon(void *bus);
void bus_receive(void *bus, const void *bytes, uint32_t count);
int32_t bus_gpadl_create(void *bus, uint32_t relid, const struct vb_span *span, uint32_t *gpadl);
int32_t bus_gpadl_tear_down(void *bus, uint32_t gpadl);
int32_t bus_open(void *bus, const struct vb_opening *opening);
int32_t bus_close(void *bus, uint32_t relid);
int32_t bus_modify(void *bus, uint32_t relid, uint32_t target_vp);
int32_t bus_release(void *bus, uint32_t relid);
int32_t bus_connect_socket(void *bus, const void *endpoint, const void *service);
void bus_interrupt(void *message_page, void *event_page);
void bus_take_message(void *message_page);
int32_t bus_crash_unload(void *bus, void *page, void *message_page);
void *rings_make(const struct vb_rings *layout);
void rings_end(void *rings);
int32_t rings_write(void *rings, const struct vb_packet *packet);
int32_t rings_read(void *rings, void *buffer, uint32_t count, struct vb_received *received);
int32_t rings_commit(void *rings, uint32_t hold);
uint32_t monitor_value(const void *page, uint32_t monitor, uint32_t what);
int32_t negotiate_versions(struct vb_negotiation *negotiation);

/* core.c: the connection. */
extern struct mutex vb_lock; /* around every bus_* that is not an interrupt's */
extern void *vb_bus;
extern bool vb_dead; /* Swift trapped: nothing more is asked of the host */
extern struct vb_pages vb_shared;
extern struct workqueue_struct *vb_intake, *vb_devices, *vb_sub_channels;

/* A request to the bus under its lock; a trap is the end of the connection. */
#define vb_request(function, ...)                                                                                     \
	({                                                                                                            \
		int result_ = -EIO;                                                                                   \
		mutex_lock(&vb_lock);                                                                                 \
		if (vb_bus && !vb_dead) {                                                                             \
			result_ = swift_call(VB_TRAPPED, function, vb_bus, ##__VA_ARGS__);                            \
			if (result_ == VB_TRAPPED)                                                                    \
				result_ = vb_died();                                                                  \
		}                                                                                                     \
		mutex_unlock(&vb_lock);                                                                               \
		result_;                                                                                              \
	})
#define VB_TRAPPED (-4096)
int vb_died(void);

/*
 * connection.c: what uio_hv_generic takes out of the object that the in-tree bus keeps its state in, at the places where
 * it takes it: two pages to map, and the lock around the list of a device's sub-channels.
 */
struct vb_outside {
	u64 unused1[6];
	void *interrupt_page;
	u64 unused2[3];
	void *to_host_monitor;
	u64 unused3[5];
	struct mutex channels;
};
extern struct vb_outside vmbus_connection;
void vb_show_pages(void);

/* channels.c: channels by their number. */
#define vb_channels_lock (vmbus_connection.channels) /* lists of channels and sub-channels */
struct vmbus_channel *vb_channel_of(u32 relid);
void vb_channels_failed(void);
void vb_remove_all(void);
void vb_channel_gone(struct vmbus_channel *channel);
int vb_retarget(struct vmbus_channel *channel, u32 cpu);
int vb_leave_processor(unsigned int cpu);
void vb_wait_for_devices(void);
void vb_stop_callbacks(struct vmbus_channel *channel);

/* bus.c: the kernel's device model. */
void vmbus_device_unregister(struct hv_device *device_obj);
int vb_bus_register(struct device *parent);
void vb_bus_unregister(void);
struct hv_device *vb_device_make(struct vmbus_channel *channel);
int vb_device_add(struct hv_device *device);

/* sysfs.c: what is shown. */
extern const struct attribute_group *vb_device_groups[];
int vb_channel_show(struct hv_device *device, struct vmbus_channel *channel);
void vb_channel_hide(struct vmbus_channel *channel);
void vb_channel_free(struct vmbus_channel *channel);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
int hv_create_ring_sysfs(struct vmbus_channel *channel,
			 int (*hv_mmap_ring_buffer)(struct vmbus_channel *channel, struct vm_area_struct *vma));
int hv_remove_ring_sysfs(struct vmbus_channel *channel);
#endif

/* windows.c */
int vb_windows_find(struct acpi_device *device);
void vb_windows_forget(void);

/* panic.c */
void vb_panic_register(void);
void vb_panic_unregister(void);
void vb_unload_in_crash(void);

#endif
