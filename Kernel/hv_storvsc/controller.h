/* SPDX-License-Identifier: Apache-2.0 */
/* What the C files of the driver share: a controller and its queues as the kernel sees them. */
#ifndef LIS_STORVSC_CONTROLLER_H
#define LIS_STORVSC_CONTROLLER_H

#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/mutex.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>
#include "storage.h"

#define MOST_QUEUES 64
#define COMMAND_SECONDS 180 /* a host may be slow */

struct queue {
	struct controller *controller;
	struct lis_channel *channel;
	void *lane; /* Swift's */
	u64 *descriptor;
	struct hvs_batch batch;
	struct hvs_end ends[HVS_BATCH];
};

struct controller {
	struct Scsi_Host *host;
	struct hv_device *device;
	void *client; /* Swift's */
	struct hvs_sizes sizes;
	struct queue *first;
	struct queue *queues[MOST_QUEUES]; /* by hardware queue; NULL: the first one serves it */
	unsigned int queue_count;
	u16 version;
	bool is_ide;
	struct mutex shutting;
	bool closed; /* under `channels` */
	bool leaving; /* no new work */
	atomic_t further; /* channels that were opened */
	struct completion settled;
	struct completion opened;
	struct completion reset_done;
	struct workqueue_struct *workers;
	struct work_struct scan, closing;
	atomic_t chores;
};

/* What belongs to a command while the host has it. */
struct errand {
	unsigned long out; /* bit 0: sent, and nobody has ended it yet */
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
typedef enum scsi_timeout_action storage_timeout;
#define WAIT_ON SCSI_EH_RESET_TIMER
#else
typedef enum blk_eh_timer_return storage_timeout;
#define WAIT_ON BLK_EH_RESET_TIMER
#endif

/* commands.c */

void storage_arrived(void *queue);
int storage_command(struct Scsi_Host *host, struct scsi_cmnd *command);
storage_timeout storage_timed_out(struct scsi_cmnd *command);
int storage_reset(struct scsi_cmnd *command);
/* Ends a command that the host has, for blk_mq_tagset_busy_iter. Its channel is closed. */
bool storage_abandon(struct request *request, void *unused);

/* glue.c */

/* Has a worker do what an answer asks for. */
void storage_follow(struct controller *controller, const struct scsi_device *unit, u8 follow);

#endif
