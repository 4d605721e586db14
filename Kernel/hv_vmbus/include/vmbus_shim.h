/* SPDX-License-Identifier: Apache-2.0 */
/* Between the Swift of hv_vmbus and its C: what Swift calls, and what is passed. See kernel_support.h for the pattern. */
#ifndef LIS_VMBUS_SHIM_H
#define LIS_VMBUS_SHIM_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/* Pages of the connection, whose owner is the bus. */
struct vb_pages {
	void *interrupt;
	void *to_guest_monitor;
	void *to_host_monitor;
};

/* An offer, checked. GUIDs in wire order. */
struct vb_offer {
	uint8_t class_id[16];
	uint8_t instance_id[16];
	uint8_t user_data[120];
	uint32_t relid;
	uint32_t connection;
	uint16_t flags;
	uint16_t mmio_megabytes;
	uint16_t optional_mmio_megabytes;
	uint16_t sub_channel;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint8_t dedicated_interrupt;
};

struct vb_opening {
	uint32_t relid;
	uint32_t gpadl;
	uint32_t to_guest_page;
	uint32_t target_vp;
	uint8_t user_data[120];
};

/* Whole pages, one after the other for the processor. */
struct vb_span {
	const void *base;
	uint32_t pages;
};

/* Where the two rings of a channel lie: header pages, data, bytes of data. */
struct vb_rings {
	void *to_host_page;
	void *to_host_data;
	uint32_t to_host_bytes;
	uint32_t to_guest_bytes;
	void *to_guest_page;
	void *to_guest_data;
};

struct vb_packet {
	uint64_t transaction;
	const void *descriptor; /* behind the fixed 16 bytes */
	const void *payload;
	uint32_t descriptor_bytes;
	uint32_t payload_bytes;
	uint16_t type;
	uint16_t completion_requested;
};

struct vb_received {
	uint64_t transaction;
	uint32_t payload_offset;
	uint32_t bytes;
};

/* A negotiation of an integration service, from its version counts on. */
struct vb_negotiation {
	void *bytes;
	uint32_t *chosen;
	const int32_t *frameworks;
	const int32_t *services;
	uint32_t count;
	uint32_t framework_count;
	uint32_t service_count;
};

/* The hypercall's status. Input: 256 bytes in one page. */
uint16_t vb_post(const void *input);
/* Frame of the page with this address: kmalloc's or vmalloc's. */
uint64_t vb_frame(const void *address);
void vb_write_end_of_message(void);

/* What monitor_value tells. */
#define VB_MONITOR_PENDING 1
#define VB_MONITOR_LATENCY 2
#define VB_MONITOR_CONNECTION 3

/* What the host did. Called with the bus locked; they only note and wake. */
void vb_connected(uint32_t version);
void vb_connect_failed(int32_t error);
void vb_offered(const struct vb_offer *offer);
void vb_offers_delivered(void);
/* The end of a request of a channel: which, and an NT status. */
#define VB_OPENED 1
#define VB_GPADL_CREATED 2
#define VB_GPADL_TORN_DOWN 3
#define VB_MODIFIED 4
void vb_answered(uint32_t relid, uint32_t what, uint32_t status);
void vb_rescinded(uint32_t relid);
void vb_unloaded(void);

/* In interrupts. */
bool vb_keep_message(const void *payload, uint32_t bytes);
void vb_channel_signalled(uint32_t relid);
void vb_timer_expired(void);

#endif
