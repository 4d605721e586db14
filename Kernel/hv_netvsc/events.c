// SPDX-License-Identifier: Apache-2.0
/* What Swift asks of the kernel and tells it, and who waits for that. */
#include <linux/rtnetlink.h>
#include "guard.h"
#include "port.h"

struct nv_counters *nv_counters(struct nv_queue *queue)
{
	return &queue->counters;
}

void nv_signal(struct nv_queue *queue)
{
	vmbus_setevent(queue->channel);
}

void nv_stop(struct nv_queue *queue)
{
	netif_tx_stop_queue(netdev_get_tx_queue(queue->port->dev, queue->index));
}

void nv_wake(struct nv_queue *queue)
{
	netif_tx_wake_queue(netdev_get_tx_queue(queue->port->dev, queue->index));
}

void nv_give_up(struct nv_port *port)
{
	WRITE_ONCE(port->is_broken, true);
	netif_carrier_off(port->dev);
	wake_up_all(&port->wait);
}

void nv_broken(struct nv_queue *queue, const uint8_t *text, size_t count)
{
	netdev_err(queue->port->dev, "channel %u: %.*s\n", queue->index, (int)count, text);
	nv_give_up(queue->port);
}

void nv_note(struct nv_port *port, const uint8_t *text, size_t count, uint64_t value)
{
	netdev_warn(port->dev, "%.*s (%llu)\n", (int)count, text, value);
}

void nv_send_table(struct nv_port *port, uint32_t index, uint32_t channel)
{
	if (index < NV_SEND_TABLE)
		WRITE_ONCE(port->send_table[index], channel);
}

void nv_happened(struct nv_port *port, uint32_t event)
{
	switch (event) {
	case NV_LINK:
		if (!READ_ONCE(port->is_ready))
			return;
		if (port->facts.link_up)
			netif_carrier_on(port->dev);
		else
			netif_carrier_off(port->dev);
		return;
	case NV_NETWORK:
		if (READ_ONCE(port->is_ready))
			schedule_work(&port->announce);
		return;
	case NV_SPEED:
		return;
	}
	set_bit(event, &port->events);
	wake_up_all(&port->wait);
}

/* The machine is on another network now: the stack renews what it knows. */
void nv_announce(struct work_struct *work)
{
	struct nv_port *port = container_of(work, struct nv_port, announce);

	rtnl_lock();
	if (READ_ONCE(port->is_ready) && netif_running(port->dev) && port->facts.link_up && !port->is_broken) {
		netif_carrier_off(port->dev);
		netif_carrier_on(port->dev);
		netdev_notify_peers(port->dev);
	}
	rtnl_unlock();
}

bool nv_is_over(struct nv_port *port)
{
	return READ_ONCE(port->is_broken) || READ_ONCE(port->hv->channel->rescind) ||
	       test_bit(NV_FAILED, &port->events);
}

int nv_wait(struct nv_port *port, unsigned long events, unsigned int seconds)
{
	unsigned int step;

	/* Nobody wakes us when the adapter is taken away. */
	for (step = 0; step < seconds * 4; step++) {
		wait_event_timeout(port->wait, (READ_ONCE(port->events) & events) || nv_is_over(port), HZ / 4);
		if (READ_ONCE(port->events) & events)
			return 0;
		if (nv_is_over(port))
			return -EIO;
	}
	return -ETIMEDOUT;
}

int nv_request(struct nv_port *port, u32 request, const struct nv_ask *ask)
{
	static const struct nv_ask nothing;
	int result;

	if (!port->adapter || READ_ONCE(port->is_broken))
		return -EIO;
	local_bh_disable();
	result = swift_call(-EFAULT, netvsc_ask, port->adapter, request, ask ?: &nothing);
	local_bh_enable();
	if (result == -EFAULT)
		nv_give_up(port);
	return result;
}
