// SPDX-License-Identifier: Apache-2.0
/* Commands of the kernel's SCSI layer: how they begin, with their scatter lists, and how they end. */
#include <linux/jiffies.h>
#include <linux/scatterlist.h>
#include <scsi/scsi.h>
#include <scsi/scsi_dbg.h>
#include <scsi/scsi_eh.h>
#include <scsi/scsi_tcq.h>

#include "controller.h"
#include "guard.h"
#include "kernel_channel.h"
#include "kernel_support.h"

#define RESET_SECONDS 60

/* Commands that end. */

static void end_command(struct scsi_cmnd *command, u32 result)
{
	scsi_dma_unmap(command);
	command->result = result;
	scsi_done(command);
}

static void end(struct controller *controller, const struct hvs_end *end)
{
	struct scsi_cmnd *command = (void *)(unsigned long)end->context;
	struct errand *errand = scsi_cmd_priv(command);
	u32 result = 0;

	/* Who takes the bit ends the command: this, or `abandon`. */
	if (!test_and_clear_bit(0, &errand->out))
		return;
	switch (end->how) {
	case HVS_GOOD:
		break;
	case HVS_STATUS:
		result = end->status;
		memcpy(command->sense_buffer, end->sense, min_t(size_t, end->sense_bytes, 20));
		break;
	case HVS_NO_UNIT:
		result = DID_NO_CONNECT << 16;
		break;
	default:
		result = DID_ERROR << 16;
	}
	scsi_set_resid(command, scsi_bufflen(command) - min(end->byte_count, scsi_bufflen(command)));
	if (end->follow != HVS_NOTHING)
		storage_follow(controller, command->device, end->follow);
	end_command(command, result);
}

bool storage_abandon(struct request *request, void *unused)
{
	struct scsi_cmnd *command = blk_mq_rq_to_pdu(request);
	struct errand *errand = scsi_cmd_priv(command);

	if (test_and_clear_bit(0, &errand->out)) {
		scsi_set_resid(command, scsi_bufflen(command));
		end_command(command, DID_NO_CONNECT << 16);
	}
	return true;
}

/* The host's packets. */

void storage_arrived(void *context)
{
	struct queue *queue = context;
	struct controller *controller = queue->controller;
	struct hvs_batch *batch = &queue->batch;
	int rounds = 16, result;
	u32 i;

	/* When there is more, the bus finds the ring not empty and calls again. */
	do {
		*batch = (struct hvs_batch){ .lane = queue->lane, .ends = queue->ends };
		result = lis_channel_run_locked(queue->channel, hvs_drain, batch);
		if (batch->signal_needed)
			lis_channel_signal(queue->channel);
		for (i = 0; i < min_t(u32, batch->count, HVS_BATCH); i++)
			end(controller, &queue->ends[i]);
		if (batch->settled)
			complete_all(&controller->settled);
		if (batch->reset_done)
			complete_all(&controller->reset_done);
		if (batch->units_changed && !READ_ONCE(controller->leaving))
			queue_work(controller->workers, &controller->scan);
	} while (!result && batch->more && --rounds);
}

/* Commands that begin. */

/*
 * The numbers of the data's pages. The block layer keeps gaps between the pieces out: all but the first begin, and all
 * but the last end, with a page. 0: there is a gap, or more than there is room for.
 */
static u32 frames(struct scsi_cmnd *command, int count, u64 *frame, u32 room, u32 *first_offset)
{
	struct scatterlist *piece;
	u32 used = 0;
	int i;

	scsi_for_each_sg(command, piece, count, i) {
		u64 address = sg_dma_address(piece), last = address + sg_dma_len(piece) - 1;

		if (i == 0)
			*first_offset = address & 4095;
		else if (address & 4095)
			return 0;
		if (i < count - 1 && (last & 4095) != 4095)
			return 0;
		for (; address <= last; address = (address | 4095) + 1) {
			if (used == room)
				return 0;
			frame[used++] = address >> 12;
		}
	}
	return used;
}

static struct queue *queue_for(struct controller *controller, struct scsi_cmnd *command)
{
	u32 index = blk_mq_unique_tag_to_hwq(blk_mq_unique_tag(scsi_cmd_to_rq(command)));
	struct queue *queue = index < MOST_QUEUES ? READ_ONCE(controller->queues[index]) : NULL;

	return queue ? queue : controller->first;
}

int storage_command(struct Scsi_Host *host, struct scsi_cmnd *command)
{
	struct controller *controller = shost_priv(host);
	struct queue *queue = queue_for(controller, command);
	struct errand *errand = scsi_cmd_priv(command);
	struct hvs_command wish = {
		.lane = queue->lane,
		.context = (unsigned long)command,
		.byte_count = scsi_bufflen(command),
		.block_bytes = command->cmd_len,
		.path = command->device->channel,
		.target = command->device->id,
		.unit = command->device->lun,
	};
	unsigned long flags;
	int count;

	memcpy(wish.block, command->cmnd, sizeof(wish.block));
	switch (command->sc_data_direction) {
	case DMA_TO_DEVICE:
		wish.direction = 0;
		break;
	case DMA_FROM_DEVICE:
		wish.direction = 1;
		break;
	case DMA_NONE:
		wish.direction = 2;
		break;
	default:
		goto refuse;
	}
	if (command->cmd_len > 16 || wish.byte_count > controller->sizes.largest_transfer)
		goto refuse;
	count = scsi_dma_map(command);
	if (count < 0)
		return SCSI_MLQUEUE_HOST_BUSY;

	flags = lis_channel_lock(queue->channel);
	if (count) {
		wish.frame_count = frames(command, count, queue->descriptor + 2,
					  controller->sizes.largest_transfer / 4096 + 1, &wish.first_offset);
		wish.outcome = wish.frame_count ? HVS_UNTRIED : HVS_REFUSED;
	}
	if (wish.outcome != HVS_REFUSED) {
		set_bit(0, &errand->out);
		lis_channel_run(queue->channel, hvs_send, &wish);
		/* Trapped: whether the host has it, nobody knows. It ends when the channel was closed. */
		if (wish.outcome != HVS_SENT && wish.outcome != HVS_TRIED)
			clear_bit(0, &errand->out);
	}
	lis_channel_unlock(queue->channel, flags);

	switch (wish.outcome) {
	case HVS_SENT:
		if (wish.signal_needed)
			lis_channel_signal(queue->channel);
		return 0;
	case HVS_TRIED:
		return 0;
	case HVS_BUSY:
		scsi_dma_unmap(command);
		return SCSI_MLQUEUE_HOST_BUSY;
	case HVS_UNTRIED:
		end_command(command, DID_NO_CONNECT << 16);
		return 0;
	}
	scsi_dma_unmap(command);
refuse:
	command->result = DID_BAD_TARGET << 16;
	scsi_done(command);
	return 0;
}

/* A host that is slow still owns the data's pages: its answer is waited for, or the end of its channel. */
storage_timeout storage_timed_out(struct scsi_cmnd *command)
{
	struct controller *controller = shost_priv(command->device->host);

	scmd_printk(KERN_WARNING, command, "no answer for %d s\n", COMMAND_SECONDS);
	if (!lis_channel_is_usable(controller->first->channel))
		schedule_work(&controller->closing);
	return WAIT_ON;
}

int storage_reset(struct scsi_cmnd *command)
{
	struct controller *controller = shost_priv(command->device->host);
	struct hvs_control control = { .lane = controller->first->lane };

	reinit_completion(&controller->reset_done);
	if (lis_channel_run_locked(controller->first->channel, hvs_reset, &control) || !control.done)
		return FAILED;
	if (control.signal_needed)
		lis_channel_signal(controller->first->channel);
	return wait_for_completion_timeout(&controller->reset_done, RESET_SECONDS * HZ) ? SUCCESS : FAILED;
}
