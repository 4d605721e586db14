// SPDX-License-Identifier: Apache-2.0
/* An adapter's channels: interrupt and poll, opening and closing, the memory that is shared with the host. */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include "guard.h"
#include "port.h"

/* From the host: an interrupt, then the poll. */

static void interrupted(void *context)
{
	struct nv_queue *queue = context;

	if (napi_schedule_prep(&queue->napi)) {
		hv_begin_read(&queue->channel->inbound);
		__napi_schedule(&queue->napi);
	}
}

int nv_poll(struct napi_struct *napi, int budget)
{
	struct nv_queue *queue = container_of(napi, struct nv_queue, napi);
	void *machine = smp_load_acquire(&queue->machine);
	bool is_blocked = false;
	int done = 0;

	if (machine && !READ_ONCE(queue->port->is_broken)) {
		done = swift_call(-EFAULT, netvsc_poll, machine, budget);
		if (done < 0) {
			nv_give_up(queue->port);
			done = 0;
		}
		is_blocked = done & NV_POLL_BLOCKED;
		done &= ~NV_POLL_BLOCKED;
	}
	if (done >= budget || !napi_complete_done(napi, done))
		return done;
	/* A broken channel stays silent. */
	if (READ_ONCE(queue->port->is_broken))
		return done;
	if (hv_end_read(&queue->channel->inbound) && !is_blocked && napi_schedule_prep(napi)) {
		hv_begin_read(&queue->channel->inbound);
		__napi_schedule(napi);
	}
	return done;
}

/* Channels. */

static int open_channel(struct nv_queue *queue, struct vmbus_channel *channel)
{
	u32 bytes = VMBUS_RING_SIZE(nv_ring_pages * PAGE_SIZE);
	int error;

	queue->channel = channel;
	/* The poll masks and unmasks by itself. */
	set_channel_read_mode(channel, HV_CALL_ISR);
	napi_enable(&queue->napi);
	error = vmbus_open(channel, bytes, bytes, NULL, 0, interrupted, queue);
	if (error) {
		napi_disable(&queue->napi);
		return error;
	}
	queue->is_open = true;
	return 0;
}

static struct nv_rings rings_of(const struct vmbus_channel *channel)
{
	return (struct nv_rings){
		.out = channel->outbound.ring_buffer,
		.in = channel->inbound.ring_buffer,
		.out_bytes = channel->outbound.ring_datasize,
		.in_bytes = channel->inbound.ring_datasize,
	};
}

/* The host may have written before there was somebody to read. */
static void use_machine(struct nv_queue *queue, void *machine)
{
	smp_store_release(&queue->machine, machine);
	local_bh_disable();
	interrupted(queue);
	local_bh_enable();
}

static bool is_settled(struct nv_port *port)
{
	return test_bit(NV_READY, &port->events) || !READ_ONCE(port->accepts) || nv_is_over(port);
}

/* The host offers a channel that was asked for. */
static void sub_channel_offered(struct vmbus_channel *channel)
{
	struct nv_port *port = hv_get_drvdata(channel->primary_channel->device_obj);
	unsigned int index = channel->offermsg.offer.sub_channel_index, step;
	struct nv_queue *queue;
	struct nv_rings rings;
	void *machine;

	if (!port)
		return;
	mutex_lock(&port->opening);
	if (!port->accepts) {
		mutex_unlock(&port->opening);
		return;
	}
	port->offers++;
	mutex_unlock(&port->opening);

	/* The offer may be faster than the answer that announces it. */
	for (step = 0; step < 40 && !is_settled(port); step++)
		wait_event_timeout(port->wait, is_settled(port), HZ / 4);

	mutex_lock(&port->opening);
	if (!port->accepts || !test_bit(NV_READY, &port->events))
		goto out;
	if (!index || index >= port->most_queues || index > port->facts.sub_channels)
		goto out;
	queue = &port->queues[index];
	if (queue->is_open || open_channel(queue, channel))
		goto out;
	rings = rings_of(channel);
	machine = swift_call(0, netvsc_add_queue, port->adapter, queue, &rings, index);
	if (machine)
		use_machine(queue, machine);
	else
		netdev_warn(port->dev, "channel %u cannot be used\n", index);
out:
	port->offers--;
	wake_up_all(&port->wait);
	mutex_unlock(&port->opening);
}

/* How many channels there are, one behind the other. */
static unsigned int usable_channels(struct nv_port *port)
{
	unsigned int count = 0;

	while (count < port->most_queues && READ_ONCE(port->queues[count].machine))
		count++;
	return count;
}

static void free_buffers(struct nv_port *port)
{
	vfree(port->receive_buffer);
	vfree(port->send_buffer);
	free_page((unsigned long)port->page);
	port->receive_buffer = NULL;
	port->send_buffer = NULL;
	port->page = NULL;
}

static void revoke_buffers(struct nv_port *port)
{
	if (port->receive_gpadl.gpadl_handle)
		vmbus_teardown_gpadl(port->hv->channel, &port->receive_gpadl);
	if (port->send_gpadl.gpadl_handle)
		vmbus_teardown_gpadl(port->hv->channel, &port->send_gpadl);
	port->receive_gpadl.gpadl_handle = 0;
	port->send_gpadl.gpadl_handle = 0;
}

void nv_take_down(struct nv_port *port)
{
	bool is_old = vmbus_proto_version < VERSION_WIN10;
	unsigned int index, step;

	mutex_lock(&port->opening);
	WRITE_ONCE(port->accepts, false);
	mutex_unlock(&port->opening);
	wake_up_all(&port->wait);
	wait_event(port->wait, !READ_ONCE(port->offers));
	/* The last one has left, too. */
	mutex_lock(&port->opening);
	mutex_unlock(&port->opening);
	WRITE_ONCE(port->is_ready, false);

	for (index = 0; index < port->most_queues; index++) {
		struct nv_queue *queue = &port->queues[index];

		for (step = 0; step < 250 && queue->machine && !nv_is_over(port); step++) {
			if (swift_call(0, netvsc_outstanding, queue->machine) <= 0)
				break;
			msleep(2);
		}
	}
	clear_bit(NV_HALTED, &port->events);
	if (test_bit(NV_READY, &port->events) && !nv_is_over(port) && !nv_request(port, NV_HALT, NULL))
		nv_wait(port, BIT(NV_HALTED), 5);

	for (index = 0; index < port->most_queues; index++)
		if (port->queues[index].is_open)
			napi_disable(&port->queues[index].napi);
	if (is_old)
		revoke_buffers(port);
	/* The first channel's end is that of the others. */
	if (port->queues[0].is_open)
		vmbus_close(port->hv->channel);
	if (!is_old)
		revoke_buffers(port);

	for (index = 0; index < port->most_queues; index++) {
		struct nv_queue *queue = &port->queues[index];
		void *machine = queue->machine;

		queue->machine = NULL;
		queue->is_open = false;
		if (machine && swift_call_trapped(netvsc_remove_queue, machine))
			netdev_err(port->dev, "channel %u: memory is left behind\n", index);
	}
	if (port->adapter && swift_call_trapped(netvsc_end, port->adapter))
		netdev_err(port->dev, "memory is left behind\n");
	port->adapter = NULL;
	port->channels = 0;
	free_buffers(port);
}

static int share_buffers(struct nv_port *port)
{
	struct vmbus_channel *channel = port->hv->channel;
	int error;

	port->receive_buffer = vzalloc(port->settings.receive_bytes);
	port->send_buffer = vzalloc(port->settings.send_bytes);
	port->page = (void *)get_zeroed_page(GFP_KERNEL);
	if (!port->receive_buffer || !port->send_buffer || !port->page)
		return -ENOMEM;
	error = vmbus_establish_gpadl(channel, port->receive_buffer, port->settings.receive_bytes,
				      &port->receive_gpadl);
	if (error)
		return error;
	return vmbus_establish_gpadl(channel, port->send_buffer, port->settings.send_bytes, &port->send_gpadl);
}

static int start_machine(struct nv_port *port)
{
	struct nv_queue *queue = &port->queues[0];
	struct nv_start start = {
		.port = port,
		.queue = queue,
		.rings = rings_of(port->hv->channel),
		.receive_buffer = port->receive_buffer,
		.send_buffer = port->send_buffer,
		.receive_bytes = port->settings.receive_bytes,
		.send_bytes = port->settings.send_bytes,
		.receive_gpadl = port->receive_gpadl.gpadl_handle,
		.send_gpadl = port->send_gpadl.gpadl_handle,
		.mtu = port->settings.mtu,
		.sub_channels = port->settings.channels - 1,
		.coalescing = !!(port->dev->features & NETIF_F_LRO),
		.page = port->page,
		.page_frame = PHYS_PFN(virt_to_phys(port->page)),
		.facts = &port->facts,
		.key = port->key,
	};
	int error = swift_call(-EFAULT, netvsc_start, &start);

	if (error)
		return error;
	port->adapter = start.adapter;
	use_machine(queue, start.machine);
	return nv_request(port, NV_BEGIN, NULL);
}

int nv_bring_up(struct nv_port *port)
{
	unsigned int index, wanted;
	int error;

	port->events = 0;
	port->is_broken = false;
	memset(&port->facts, 0, sizeof(port->facts));
	port->accepts = true;
	/* Closing the channel takes it away. */
	vmbus_set_sc_create_callback(port->hv->channel, sub_channel_offered);
	error = open_channel(&port->queues[0], port->hv->channel);
	if (!error)
		error = share_buffers(port);
	if (!error)
		error = start_machine(port);
	if (!error)
		error = nv_wait(port, BIT(NV_READY), 60);
	if (error)
		goto failed;

	wanted = port->facts.sub_channels + 1;
	error = swift_call(-EFAULT, netvsc_share, port->adapter, port->queues[0].machine, wanted);
	if (error)
		goto failed;
	for (index = 0; index < 40 && usable_channels(port) < wanted && !nv_is_over(port); index++)
		wait_event_timeout(port->wait, usable_channels(port) >= wanted || nv_is_over(port), HZ / 4);
	mutex_lock(&port->opening);
	WRITE_ONCE(port->accepts, false);
	mutex_unlock(&port->opening);
	port->channels = usable_channels(port);
	if (port->channels < wanted)
		netdev_warn(port->dev, "%u of %u channels were opened\n", port->channels, wanted);

	/* The host says how it wants it after this, if it does. */
	for (index = 0; index < NV_SEND_TABLE; index++)
		if (port->send_table[index] >= port->channels || !port->send_table[index])
			WRITE_ONCE(port->send_table[index], index % port->channels);
	for (index = 0; index < NV_TABLE; index++)
		if (!netif_is_rxfh_configured(port->dev) || port->table[index] >= port->channels)
			port->table[index] = index % port->channels;
	error = nv_set_scaling(port);
	if (error)
		goto failed;
	WRITE_ONCE(port->is_ready, true);
	return 0;

failed:
	nv_take_down(port);
	return error;
}

int nv_set_scaling(struct nv_port *port)
{
	struct nv_ask ask = { .table = port->table, .key = port->key };
	int error;

	if (port->channels < 2)
		return 0;
	clear_bit(NV_SCALING_SET, &port->events);
	error = nv_request(port, NV_SET_SCALING, &ask);
	return error ?: nv_wait(port, BIT(NV_SCALING_SET), 10);
}
