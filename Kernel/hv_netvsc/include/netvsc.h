/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the C and the Swift of the network adapter's driver: integers of fixed width, opaque pointers, no header of the
 * kernel's. Bytes of the host's are looked at in Swift only; C has registration, skbs, NAPI and ethtool.
 */
#ifndef LIS_NETVSC_H
#define LIS_NETVSC_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/* An adapter, and one of its channels. */
struct nv_port;
struct nv_queue;

enum { NV_TABLE = 128, NV_KEY = 40, NV_SEND_TABLE = 16 };

/* Counted by Swift, and by C where it is C that knows. Each has one writer at a time. */
struct nv_counters {
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t tx_copied; /* into a section of the send buffer */
	uint64_t tx_joined; /* of those: into the section of the one before */
	uint64_t tx_ranges; /* sent from where they lie */
	uint64_t tx_segmented; /* cut by the host */
	uint64_t tx_failed; /* the host said no */
	uint64_t tx_too_big;
	uint64_t tx_no_memory;
	uint64_t tx_busy; /* given back to the stack */
	uint64_t stop_queue;
	uint64_t wake_queue;
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t rx_multicast;
	uint64_t rx_coalesced;
	uint64_t rx_no_memory;
	uint64_t rx_faults; /* packets and messages of the host's that contradict themselves */
	uint64_t signals;
	uint64_t polls;
};

/* What is known of an adapter as soon as it is ready. */
struct nv_facts {
	uint32_t version;
	uint32_t mtu;
	uint8_t address[6];
	uint8_t checksums; /* of what is sent */
	uint8_t receive_checksums;
	uint32_t large_send_ipv4; /* longest frame without its header; 0: none */
	uint32_t large_send_ipv6;
	uint8_t coalescing;
	uint8_t link_up;
	uint16_t sub_channels;
	uint16_t table_entries;
	uint32_t receive_sections;
	uint32_t receive_section_size;
	uint32_t send_sections;
	uint32_t send_section_size;
	uint64_t link_speed; /* bits per second */
	uint64_t faults;
};

struct nv_rings {
	void *out; /* header page; the data follow it */
	void *in;
	uint32_t out_bytes; /* of data */
	uint32_t in_bytes;
};

struct nv_start {
	struct nv_port *port;
	struct nv_queue *queue; /* the first channel */
	struct nv_rings rings;
	uint8_t *receive_buffer;
	uint8_t *send_buffer;
	uint32_t receive_bytes;
	uint32_t send_bytes;
	uint32_t receive_gpadl;
	uint32_t send_gpadl;
	uint32_t mtu;
	uint16_t sub_channels; /* wanted */
	uint8_t coalescing; /* wanted */
	uint8_t *page; /* for control messages */
	uint64_t page_frame;
	struct nv_facts *facts;
	const uint8_t *key;
	/* Out. */
	void *adapter;
	void *machine; /* of the first channel */
};

/* Physical pages in a row, from an offset in the first one on. */
struct nv_range {
	uint32_t bytes;
	uint32_t offset;
	uint64_t frame;
};

enum { NV_RANGES = 20 };

enum { NV_IPV6 = 1, NV_TCP = 2, NV_UDP = 4, NV_SEGMENTS = 8, NV_TAGGED = 16 };

/* A frame of the stack's. */
struct nv_send {
	void *skb;
	uint32_t bytes;
	uint16_t flags;
	uint16_t segment; /* bytes of payload in each */
	uint16_t transport; /* bytes in front of TCP or UDP */
	uint16_t tag;
	uint8_t more; /* others follow at once */
};

/* What became of a frame. */
enum { NV_COPIED, NV_KEPT, NV_BUSY, NV_TOO_BIG, NV_NO_MEMORY };

/* A frame for the stack. */
struct nv_received {
	void *skb;
	uint32_t bytes;
	uint32_t hash;
	uint16_t tag;
	uint8_t has_hash;
	uint8_t has_tag;
	uint8_t checksum_good;
	uint8_t coalesced;
};

/* What has happened. */
enum {
	NV_READY,
	NV_FAILED,
	NV_HALTED,
	NV_FILTER_SET,
	NV_SCALING_SET,
	NV_OFFLOADS_SET,
	NV_ADDRESS_SET,
	NV_ADDRESS_REFUSED,
	NV_LINK,
	NV_NETWORK,
	NV_SPEED,
	NV_RECEIVED, /* something of the host's that has no name: who waits looks again */
};

/* NV_BEGIN: what the client has to say after netvsc_start. */
enum { NV_BEGIN, NV_SET_FILTER, NV_SET_SCALING, NV_SET_COALESCING, NV_SET_ADDRESS, NV_HALT };

struct nv_ask {
	uint64_t value; /* filter, on or off, address */
	const uint32_t *table; /* NV_TABLE channels */
	const uint8_t *key;
};

/* Poll's result: frames and packets, and whether it has to wait for room in the other ring. */
enum { NV_POLL_BLOCKED = 1 << 16 };

/* C for Swift. */
struct nv_counters *nv_counters(struct nv_queue *queue);
void nv_signal(struct nv_queue *queue);
void nv_stop(struct nv_queue *queue);
void nv_wake(struct nv_queue *queue);
/* The queue's channel is of no use any more. Reported once. */
void nv_broken(struct nv_queue *queue, const uint8_t *text, size_t count);
void nv_note(struct nv_port *port, const uint8_t *text, size_t count, uint64_t value);
void nv_happened(struct nv_port *port, uint32_t event);
void nv_send_table(struct nv_port *port, uint32_t index, uint32_t channel);

int32_t nv_skb_copy(const void *skb, void *to, uint32_t count);
int32_t nv_skb_ranges(const void *skb, struct nv_range *ranges);
void nv_skb_sent(struct nv_queue *queue, void *skb);
void *nv_skb_make(struct nv_queue *queue, uint32_t count, void **data);
void nv_skb_store(void *skb, uint32_t at, const void *from, uint32_t count);
void nv_skb_free(void *skb);
void nv_skb_deliver(struct nv_queue *queue, const struct nv_received *received);

/* Swift for C, by swift_call only. 0 or a negative errno where nothing else is said. */
int32_t netvsc_start(struct nv_start *start);
void netvsc_end(void *adapter);
/* Ready: the first channel's share of the send buffer. */
int32_t netvsc_share(void *adapter, void *machine, uint32_t channels);
void *netvsc_add_queue(void *adapter, struct nv_queue *queue, const struct nv_rings *rings, uint32_t index);
/* What the host has is over; then the memory. */
void netvsc_remove_queue(void *machine);
int32_t netvsc_poll(void *machine, int32_t budget);
int32_t netvsc_send(void *machine, const struct nv_send *send);
/* What waited for more to come goes now. */
void netvsc_flush(void *machine);
int32_t netvsc_ask(void *adapter, uint32_t request, const struct nv_ask *ask);
int32_t netvsc_outstanding(void *machine);

#endif
