/* SPDX-License-Identifier: Apache-2.0 */
/* Between glue.c, which knows the kernel's SCSI layer, and Swift, which knows the protocol. Structures of plain values. */
#ifndef LIS_HV_STORVSC_H
#define LIS_HV_STORVSC_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

struct lis_channel;

/* How big things are: asked once, before anything is made. */
struct hvs_sizes {
	uint32_t slots; /* in: requests that one queue can have out */
	uint32_t client_bytes;
	uint32_t lane_bytes; /* of one queue, its table included */
	uint32_t largest_transfer; /* bytes of the longest request */
};
void hvs_measure(void *sizes);

/* A new controller. */
struct hvs_controller {
	void *client; /* client_bytes, zeroed */
	uint32_t wanted_channels; /* besides the first */
	const uint8_t *instance; /* GUID of the device */
	bool is_ide;
	uint32_t target; /* out: of an IDE disk's unit */
};
void hvs_controller_begin(void *controller);

/* A queue, when its channel is open and not yet ready. */
struct hvs_lane_opening {
	void *lane; /* lane_bytes, zeroed */
	void *client;
	struct lis_channel *channel;
	uint64_t *descriptor; /* room for the descriptor of the longest request; the page numbers begin at [2] */
	uint32_t slots;
	bool done; /* out */
};
void hvs_lane_open(void *opening);

/* First packet of the handshake; a reset. Under the lock of the first channel. */
struct hvs_control {
	void *lane;
	bool done;
	bool signal_needed;
};
void hvs_handshake(void *control);
void hvs_reset(void *control);

/* What was agreed on, and whether a further channel is one that was asked for. Under the lock of the first channel. */
struct hvs_agreement {
	void *lane;
	uint32_t channel_index; /* in */
	bool wants_channel;
	bool settled; /* the handshake is over */
	bool ready; /* and the controller can be used */
	uint16_t version;
	uint32_t largest_transfer;
	uint32_t further_channels;
};
void hvs_agreed(void *agreement);

/* How a unit is treated that has just been found. */
struct hvs_unit {
	const char *vendor; /* 8 bytes */
	uint16_t version;
	bool is_virtual_disk;
	bool can_write_same;
};
void hvs_unit_found(void *unit);

/* A command on its way down. */
enum hvs_outcome {
	HVS_UNTRIED = 0, /* Swift was not reached */
	HVS_TRIED, /* and trapped */
	HVS_SENT,
	HVS_BUSY, /* again after a completion */
	HVS_REFUSED, /* the command cannot be expressed */
};
struct hvs_command {
	void *lane;
	uint64_t context;
	uint64_t block[2]; /* 16 bytes of command */
	uint32_t byte_count;
	uint32_t first_offset; /* of the data in its first page */
	uint32_t frame_count;
	uint8_t block_bytes;
	uint8_t direction; /* 0 to the device, 1 from it, 2 no data */
	uint8_t path, target, unit;
	uint8_t outcome;
	bool signal_needed;
};
void hvs_send(void *command);

/* A command that ended. */
enum hvs_how {
	HVS_GOOD = 0,
	HVS_STATUS, /* the device said `status` */
	HVS_NO_UNIT,
	HVS_ERROR, /* worth another try */
};
enum hvs_follow {
	HVS_NOTHING = 0,
	HVS_LOOK_AGAIN, /* at the unit: it has changed */
	HVS_LOOK_AROUND, /* for units that came or went */
	HVS_UNIT_GONE,
};
struct hvs_end {
	uint64_t context;
	uint64_t sense[3]; /* 20 bytes, of which sense_bytes count */
	uint32_t byte_count;
	uint8_t sense_bytes;
	uint8_t status;
	uint8_t how;
	uint8_t follow;
};

#define HVS_BATCH 16
/* What one look into a ring brought. */
struct hvs_batch {
	void *lane;
	struct hvs_end *ends; /* HVS_BATCH of them */
	uint32_t count;
	bool more; /* there may be more in the ring */
	bool signal_needed;
	bool settled; /* the handshake came to its end */
	bool reset_done;
	bool units_changed;
};
void hvs_drain(void *batch);

#endif
