/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One opened VMBus channel of a device, for the drivers of devices (storage, network, services).
 *
 * Swift imports this file without any kernel header; channel.c and the drivers' glue include it after the kernel's.
 * The rings themselves are Swift's business: see ChannelRings.swift.
 */
#ifndef LIS_KERNEL_CHANNEL_H
#define LIS_KERNEL_CHANNEL_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

struct lis_channel;

/* Where the rings are. Each header page is followed by its data area. */
struct lis_channel_place {
	void *inbound;
	void *outbound;
	uint32_t inbound_bytes; /* of data, the header page not counted */
	uint32_t outbound_bytes;
};

/* Why a channel is not used any more. */
enum lis_channel_failure {
	LIS_CHANNEL_SOUND = 0,
	LIS_CHANNEL_TRAPPED, /* Swift code ended in a trap */
	LIS_CHANNEL_CORRUPT, /* the host broke a ring */
	LIS_CHANNEL_PROTOCOL, /* the host broke the device's protocol beyond repair */
};

void lis_channel_place(const struct lis_channel *channel, struct lis_channel_place *place);

/* Neither failed, stopped nor rescinded. */
bool lis_channel_is_usable(const struct lis_channel *channel);

/* Marks the channel dead and says so, once. Any context, locks may be held; the owner's `failed` follows in a worker. */
void lis_channel_fail(struct lis_channel *channel, enum lis_channel_failure failure);

/* Tells the host to look at the rings: when a commit says so, after the lock was given back. */
void lis_channel_signal(struct lis_channel *channel);

/* Its place among the device's channels, 0 for the first; the processor it interrupts. */
uint32_t lis_channel_index(const struct lis_channel *channel);
uint32_t lis_channel_processor(const struct lis_channel *channel);

#ifdef __KERNEL__

struct vmbus_channel;

/* When `arrived` is called, and what it owes. */
enum lis_channel_mode {
	/* Softirq. The bus has masked the host's signals, opens them again and looks once more afterwards: read until
	 * empty, leave the mask alone. */
	LIS_CHANNEL_BATCHED,
	/* Softirq, once for each interrupt. Nothing is masked. */
	LIS_CHANNEL_DIRECT,
	/* Hard interrupt. Mask, have it read later, and unmask as RingReader says. */
	LIS_CHANNEL_INTERRUPT,
};

struct lis_channel_options {
	uint32_t send_bytes, receive_bytes; /* of the rings, header pages included; whole pages */
	enum lis_channel_mode mode;
	void (*arrived)(void *context); /* C, which enters Swift by lis_channel_run or lis_channel_run_locked */
	void (*failed)(void *context); /* may be NULL; in a worker, once: close, but don't free */
	void *context;
};

/*
 * Allocates and opens. An error pointer when that fails. Until lis_channel_ready, which comes after the owner has made
 * its ChannelRings, `arrived` is not called; then it is, once at least, whether something had arrived or not.
 */
struct lis_channel *lis_channel_open(struct vmbus_channel *vmbus, const struct lis_channel_options *options);
void lis_channel_ready(struct lis_channel *channel);

/* No more sends: whoever is inside lis_channel_run_locked has left. */
void lis_channel_stop(struct lis_channel *channel);
/* Of a device's first channel: closes it and its sub-channels, all of which were stopped. Afterwards no callback runs
 * and the host uses none of the guest's pages. Sleeps. */
void lis_channel_close(struct lis_channel *channel);
/* After its close, or that of the first channel. Waits for `failed`. NULL is fine. */
void lis_channel_free(struct lis_channel *channel);

/* Runs a Swift function under the trap guard. 0, or -ENODEV: the channel is not usable, or is not any more after this. */
int lis_channel_run(struct lis_channel *channel, void (*function)(void *), void *argument);
/* The same with the channel's lock held and interrupts off; a trap gives the lock back. */
int lis_channel_run_locked(struct lis_channel *channel, void (*function)(void *), void *argument);
/* For glue that has something to prepare under the lock, before lis_channel_run. */
unsigned long lis_channel_lock(struct lis_channel *channel);
void lis_channel_unlock(struct lis_channel *channel, unsigned long flags);

#endif
#endif
