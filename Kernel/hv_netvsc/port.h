/* SPDX-License-Identifier: Apache-2.0 */
/* What the C files of the driver share: the adapter and its channels as the kernel sees them. */
#ifndef LIS_NETVSC_PORT_H
#define LIS_NETVSC_PORT_H

#include <linux/ethtool.h>
#include <linux/hyperv.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "netvsc.h"

enum {
	NV_MOST_QUEUES = 64,
	NV_LEAST_SECTIONS = 10,
};

#define NV_RECEIVE_BYTES (16u << 20)
#define NV_MOST_RECEIVE_BYTES (31u << 20)
/* Of each channel; of all together a megabyte at least. */
#define NV_SEND_BYTES (512u << 10)
#define NV_LEAST_SEND_BYTES (1u << 20)
#define NV_MOST_SEND_BYTES (15u << 20)

struct nv_queue {
	struct nv_port *port;
	struct vmbus_channel *channel;
	void *machine; /* Swift's; set when the channel is open */
	unsigned int index;
	bool is_open;
	struct napi_struct napi;
	struct nv_counters counters;
};

/* What a user can set, and what comes to force when the channel is opened (again). */
struct nv_settings {
	u32 mtu;
	u32 channels;
	u32 receive_bytes;
	u32 send_bytes;
};

struct nv_port {
	struct net_device *dev;
	struct hv_device *hv;
	struct nv_settings settings;
	struct nv_facts facts;
	void *adapter; /* Swift's */
	bool is_broken;
	bool is_ready;
	unsigned long events;
	wait_queue_head_t wait;
	struct mutex opening; /* sub-channels, against the end of it all */
	bool accepts;
	unsigned int offers; /* at work */
	unsigned int channels; /* in use */
	void *receive_buffer;
	void *send_buffer;
	void *page;
	struct vmbus_gpadl receive_gpadl;
	struct vmbus_gpadl send_gpadl;
	u32 send_table[NV_SEND_TABLE];
	u32 table[NV_TABLE];
	u8 key[NV_KEY];
	struct work_struct announce;
	unsigned int most_queues;
	struct nv_queue *queues;
};

extern const struct ethtool_ops nv_ethtool_ops;
extern unsigned int nv_ring_pages; /* of each of a channel's two rings */

/* Opens the adapter as port->settings say, up to all of its channels. */
int nv_bring_up(struct nv_port *port);
/* Everything that nv_bring_up() made; also what it made of it before it failed. Nobody sends any more. */
void nv_take_down(struct nv_port *port);
int nv_poll(struct napi_struct *napi, int budget);

/* The adapter is of no use any more, until it is opened again. */
void nv_give_up(struct nv_port *port);
/* It is of no use, or the host has taken it away. */
bool nv_is_over(struct nv_port *port);
void nv_announce(struct work_struct *work);

/* With the RTNL. */
int nv_restart(struct nv_port *port, const struct nv_settings *settings);
int nv_set_scaling(struct nv_port *port);

int nv_request(struct nv_port *port, u32 request, const struct nv_ask *ask);
/* One of these events; bits of them. 0, or a negative errno. */
int nv_wait(struct nv_port *port, unsigned long events, unsigned int seconds);

/* A frame's description for Swift. False: it cannot be sent. */
bool nv_describe(const struct nv_port *port, struct sk_buff *skb, struct nv_send *send);

#endif
