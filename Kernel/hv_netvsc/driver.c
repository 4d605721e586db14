// SPDX-License-Identifier: Apache-2.0
/*
 * The network adapter's driver as the kernel knows it: registration, the device's operations, channels and their memory.
 * What the host says is read by Swift (Adapter, Receiver, Transmitter), which is entered through the guard.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include "guard.h"
#include "kernel_support.h"
#include "port.h"

#define NV_FEATURES_ALWAYS (NETIF_F_SG | NETIF_F_HIGHDMA | NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX)

static unsigned int ring_size = 128;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "Pages of each of a channel's two rings");

/* What Swift asks for. */

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

static void give_up(struct nv_port *port)
{
	WRITE_ONCE(port->is_broken, true);
	netif_carrier_off(port->dev);
	wake_up_all(&port->wait);
}

void nv_broken(struct nv_queue *queue, const uint8_t *text, size_t count)
{
	netdev_err(queue->port->dev, "channel %u: %.*s\n", queue->index, (int)count, text);
	give_up(queue->port);
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
static void announce(struct work_struct *work)
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

static bool is_over(struct nv_port *port)
{
	return READ_ONCE(port->is_broken) || READ_ONCE(port->hv->channel->rescind) ||
	       test_bit(NV_FAILED, &port->events);
}

int nv_wait(struct nv_port *port, unsigned long events, unsigned int seconds)
{
	unsigned int step;

	/* Nobody wakes us when the adapter is taken away. */
	for (step = 0; step < seconds * 4; step++) {
		wait_event_timeout(port->wait, (READ_ONCE(port->events) & events) || is_over(port), HZ / 4);
		if (READ_ONCE(port->events) & events)
			return 0;
		if (is_over(port))
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
		give_up(port);
	return result;
}

/* From the host: an interrupt, then the poll. */

static void interrupted(void *context)
{
	struct nv_queue *queue = context;

	if (napi_schedule_prep(&queue->napi)) {
		hv_begin_read(&queue->channel->inbound);
		__napi_schedule(&queue->napi);
	}
}

static int poll_queue(struct napi_struct *napi, int budget)
{
	struct nv_queue *queue = container_of(napi, struct nv_queue, napi);
	void *machine = smp_load_acquire(&queue->machine);
	bool is_blocked = false;
	int done = 0;

	if (machine && !READ_ONCE(queue->port->is_broken)) {
		done = swift_call(-EFAULT, netvsc_poll, machine, budget);
		if (done < 0) {
			give_up(queue->port);
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
	u32 bytes = VMBUS_RING_SIZE(ring_size * PAGE_SIZE);
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
	return test_bit(NV_READY, &port->events) || !READ_ONCE(port->accepts) || is_over(port);
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

/* Everything that bring_up() made; also what it made of it before it failed. Nobody sends any more. */
static void take_down(struct nv_port *port)
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

		for (step = 0; step < 250 && queue->machine && !is_over(port); step++) {
			if (swift_call(0, netvsc_outstanding, queue->machine) <= 0)
				break;
			msleep(2);
		}
	}
	clear_bit(NV_HALTED, &port->events);
	if (test_bit(NV_READY, &port->events) && !is_over(port) && !nv_request(port, NV_HALT, NULL))
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

/* Opens the adapter as port->settings say, up to all of its channels. */
static int bring_up(struct nv_port *port)
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
	for (index = 0; index < 40 && usable_channels(port) < wanted && !is_over(port); index++)
		wait_event_timeout(port->wait, usable_channels(port) >= wanted || is_over(port), HZ / 4);
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
	take_down(port);
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

/* The device's operations. */

static void set_filter(struct nv_port *port)
{
	struct net_device *dev = port->dev;
	struct nv_ask ask = { .value = 0 };

	if (netif_running(dev)) {
		ask.value = 1; /* directed */
		if (dev->flags & IFF_PROMISC)
			ask.value = 0x20;
		else if ((dev->flags & IFF_ALLMULTI) || !netdev_mc_empty(dev))
			ask.value |= 4;
		if (dev->flags & IFF_BROADCAST)
			ask.value |= 8;
	}
	nv_request(port, NV_SET_FILTER, &ask);
}

static void begin(struct nv_port *port)
{
	set_filter(port);
	if (port->facts.link_up)
		netif_carrier_on(port->dev);
	else
		netif_carrier_off(port->dev);
}

static int on_open(struct net_device *dev)
{
	struct nv_port *port = netdev_priv(dev);

	if (!port->is_ready || port->is_broken)
		return -ENODEV;
	begin(port);
	netif_tx_start_all_queues(dev);
	return 0;
}

static int on_stop(struct net_device *dev)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_ask nothing = { .value = 0 };

	netif_tx_disable(dev);
	nv_request(port, NV_SET_FILTER, &nothing);
	return 0;
}

static void on_rx_mode(struct net_device *dev)
{
	set_filter(netdev_priv(dev));
}

static u16 on_select_queue(struct net_device *dev, struct sk_buff *skb, struct net_device *below)
{
	struct nv_port *port = netdev_priv(dev);

	return READ_ONCE(port->send_table[skb_get_hash(skb) % NV_SEND_TABLE]) % dev->real_num_tx_queues;
}

static netdev_tx_t on_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_queue *queue = &port->queues[skb_get_queue_mapping(skb)];
	struct nv_send send = {};

	if (unlikely(!queue->machine || READ_ONCE(port->is_broken)))
		goto drop;
	if (unlikely(!nv_describe(port, skb, &send))) {
		queue->counters.tx_no_memory++;
		goto drop;
	}
	switch (swift_call(-EFAULT, netvsc_send, queue->machine, &send)) {
	case NV_COPIED:
		dev_consume_skb_any(skb);
		return NETDEV_TX_OK;
	case NV_KEPT:
		return NETDEV_TX_OK;
	case NV_BUSY:
		return NETDEV_TX_BUSY;
	case NV_NO_MEMORY:
		queue->counters.tx_no_memory++;
		break;
	case NV_TOO_BIG:
		queue->counters.tx_too_big++;
		break;
	default:
		give_up(port);
	}
drop:
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

static void on_tx_timeout(struct net_device *dev, unsigned int index)
{
	netdev_warn(dev, "the host is slow: channel %u has been waiting\n", index);
	netif_trans_update(dev);
}

static void on_stats(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct nv_port *port = netdev_priv(dev);
	unsigned int index;

	for (index = 0; index < port->most_queues; index++) {
		const struct nv_counters *counters = &port->queues[index].counters;

		stats->tx_packets += counters->tx_packets;
		stats->tx_bytes += counters->tx_bytes;
		stats->tx_errors += counters->tx_failed + counters->tx_too_big;
		stats->tx_dropped += counters->tx_too_big + counters->tx_no_memory;
		stats->rx_packets += counters->rx_packets;
		stats->rx_bytes += counters->rx_bytes;
		stats->rx_errors += counters->rx_faults;
		stats->rx_dropped += counters->rx_no_memory;
		stats->multicast += counters->rx_multicast;
	}
}

static int on_address(struct net_device *dev, void *wanted)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_ask ask = {};
	struct sockaddr *address = wanted;
	int error = eth_prepare_mac_addr_change(dev, wanted);

	if (error)
		return error;
	ask.value = ether_addr_to_u64(address->sa_data);
	clear_bit(NV_ADDRESS_SET, &port->events);
	clear_bit(NV_ADDRESS_REFUSED, &port->events);
	error = nv_request(port, NV_SET_ADDRESS, &ask);
	if (!error)
		error = nv_wait(port, BIT(NV_ADDRESS_SET) | BIT(NV_ADDRESS_REFUSED), 10);
	if (!error && test_bit(NV_ADDRESS_REFUSED, &port->events))
		error = -EPERM;
	if (!error)
		eth_commit_mac_addr_change(dev, wanted);
	return error;
}

static void use_channels(struct nv_port *port)
{
	netif_set_real_num_tx_queues(port->dev, port->channels);
	netif_set_real_num_rx_queues(port->dev, port->channels);
}

int nv_restart(struct nv_port *port, const struct nv_settings *settings)
{
	struct nv_settings old = port->settings;
	struct net_device *dev = port->dev;
	u64 address = ether_addr_to_u64(dev->dev_addr);
	int error;

	if (!port->is_ready || READ_ONCE(port->hv->channel->rescind))
		return -ENODEV;
	netif_device_detach(dev);
	netif_tx_disable(dev);
	take_down(port);
	port->settings = *settings;
	error = bring_up(port);
	if (!error && port->facts.mtu < settings->mtu) {
		take_down(port);
		error = -EINVAL;
	}
	if (error) {
		port->settings = old;
		if (bring_up(port)) {
			netdev_err(dev, "the adapter does not come back\n");
			give_up(port);
			return error;
		}
	}
	use_channels(port);
	if (address != ether_addr_to_u64(port->facts.address)) {
		struct nv_ask ask = { .value = address };

		nv_request(port, NV_SET_ADDRESS, &ask);
	}
	begin(port);
	netif_device_attach(dev);
	return error;
}

static int on_mtu(struct net_device *dev, int mtu)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_settings settings = port->settings;
	int error;

	settings.mtu = mtu;
	error = nv_restart(port, &settings);
	if (!error)
		dev->mtu = mtu;
	return error;
}

static int on_features(struct net_device *dev, netdev_features_t features)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_ask ask = { .value = !!(features & NETIF_F_LRO) };

	if (!((features ^ dev->features) & NETIF_F_LRO) || !port->is_ready)
		return 0;
	clear_bit(NV_OFFLOADS_SET, &port->events);
	return nv_request(port, NV_SET_COALESCING, &ask) ?: nv_wait(port, BIT(NV_OFFLOADS_SET), 10);
}

static const struct net_device_ops nv_device_ops = {
	.ndo_open = on_open,
	.ndo_stop = on_stop,
	.ndo_start_xmit = on_xmit,
	.ndo_select_queue = on_select_queue,
	.ndo_tx_timeout = on_tx_timeout,
	.ndo_get_stats64 = on_stats,
	.ndo_set_rx_mode = on_rx_mode,
	.ndo_set_mac_address = on_address,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_change_mtu = on_mtu,
	.ndo_set_features = on_features,
};

static void set_features(struct nv_port *port)
{
	struct net_device *dev = port->dev;
	const struct nv_facts *facts = &port->facts;

	dev->hw_features = NETIF_F_SG | NETIF_F_RXHASH;
	if (facts->receive_checksums)
		dev->hw_features |= NETIF_F_RXCSUM;
	if (facts->checksums) {
		dev->hw_features |= NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM;
		if (facts->large_send_ipv4)
			dev->hw_features |= NETIF_F_TSO;
		if (facts->large_send_ipv6)
			dev->hw_features |= NETIF_F_TSO6;
	}
	if (facts->coalescing)
		dev->hw_features |= NETIF_F_LRO;
	dev->features = dev->hw_features | NV_FEATURES_ALWAYS;
	dev->vlan_features = dev->features & ~(NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX);
	if (facts->large_send_ipv4 || facts->large_send_ipv6)
		netif_set_tso_max_size(dev, min_not_zero(facts->large_send_ipv4, facts->large_send_ipv6));
}

/* Registration. */

static void free_port(struct nv_port *port)
{
	unsigned int index;

	for (index = 0; index < port->most_queues; index++)
		netif_napi_del(&port->queues[index].napi);
	kvfree(port->queues);
	free_netdev(port->dev);
}

static struct nv_port *make_port(struct hv_device *hv)
{
	unsigned int queues = min_t(unsigned int, num_possible_cpus(), NV_MOST_QUEUES), index;
	struct net_device *dev = alloc_etherdev_mq(sizeof(struct nv_port), queues);
	struct nv_port *port;

	if (!dev)
		return NULL;
	port = netdev_priv(dev);
	port->dev = dev;
	port->hv = hv;
	port->queues = kvcalloc(queues, sizeof(*port->queues), GFP_KERNEL);
	if (!port->queues) {
		free_netdev(dev);
		return NULL;
	}
	port->most_queues = queues;
	for (index = 0; index < queues; index++) {
		port->queues[index].port = port;
		port->queues[index].index = index;
		netif_napi_add(dev, &port->queues[index].napi, poll_queue);
	}
	port->settings = (struct nv_settings){
		.mtu = ETH_DATA_LEN,
		.channels = min(queues, num_online_cpus()),
		.receive_bytes = NV_RECEIVE_BYTES,
	};
	port->settings.send_bytes = clamp(port->settings.channels * NV_SEND_BYTES, NV_LEAST_SEND_BYTES,
					  NV_MOST_SEND_BYTES);
	init_waitqueue_head(&port->wait);
	mutex_init(&port->opening);
	INIT_WORK(&port->announce, announce);
	netdev_rss_key_fill(port->key, NV_KEY);
	SET_NETDEV_DEV(dev, &hv->device);
	dev->netdev_ops = &nv_device_ops;
	dev->ethtool_ops = &nv_ethtool_ops;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = 65535 - ETH_HLEN;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	/* Asked for from the start; whether the host has it is known later. */
	dev->features = NETIF_F_LRO;
	netif_carrier_off(dev);
	return port;
}

static int adapter_found(struct hv_device *hv, const struct hv_vmbus_device_id *id)
{
	struct nv_port *port = make_port(hv);
	int error;

	if (!port)
		return -ENOMEM;
	hv_set_drvdata(hv, port);
	error = bring_up(port);
	if (error) {
		dev_err(&hv->device, "the adapter cannot be opened: %d\n", error);
		goto failed;
	}
	eth_hw_addr_set(port->dev, port->facts.address);
	port->dev->mtu = port->facts.mtu;
	port->settings.mtu = port->facts.mtu;
	set_features(port);
	use_channels(port);
	error = register_netdev(port->dev);
	if (!error)
		return 0;
	take_down(port);
failed:
	vmbus_set_sc_create_callback(hv->channel, NULL);
	hv_set_drvdata(hv, NULL);
	free_port(port);
	return error;
}

static void remove_adapter(struct hv_device *hv)
{
	struct nv_port *port = hv_get_drvdata(hv);

	unregister_netdev(port->dev);
	take_down(port);
	vmbus_set_sc_create_callback(hv->channel, NULL);
	cancel_work_sync(&port->announce);
	hv_set_drvdata(hv, NULL);
	free_port(port);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define adapter_gone remove_adapter
#else
static int adapter_gone(struct hv_device *hv)
{
	remove_adapter(hv);
	return 0;
}
#endif

static const struct hv_vmbus_device_id nv_ids[] = {
	{ HV_NIC_GUID },
	{},
};
MODULE_DEVICE_TABLE(vmbus, nv_ids);

static struct hv_driver nv_driver = {
	.name = KBUILD_MODNAME,
	.id_table = nv_ids,
	.probe = adapter_found,
	.remove = adapter_gone,
	.driver = {
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static int __init nv_load(void)
{
	if (ring_size < 8 || ring_size > 4096) {
		pr_err("hv_netvsc: ring_size is a number of pages from 8 to 4096\n");
		return -EINVAL;
	}
	return vmbus_driver_register(&nv_driver);
}

static void __exit nv_unload(void)
{
	vmbus_driver_unregister(&nv_driver);
	if (ks_outstanding())
		pr_err("hv_netvsc: %lld allocations were not given back\n", ks_outstanding());
}

module_init(nv_load);
module_exit(nv_unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Hyper-V network adapters, in Swift");
