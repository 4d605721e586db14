// SPDX-License-Identifier: Apache-2.0
/*
 * The network adapter's driver as the kernel knows it: registration and the device's operations.
 * What the host says is read by Swift (Adapter, Receiver, Transmitter), which is entered through the guard.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/version.h>
#include "guard.h"
#include "kernel_support.h"
#include "port.h"

#define NV_FEATURES_ALWAYS (NETIF_F_SG | NETIF_F_HIGHDMA | NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX)

unsigned int nv_ring_pages = 128;
module_param_named(ring_size, nv_ring_pages, uint, 0444);
MODULE_PARM_DESC(ring_size, "Pages of each of a channel's two rings");

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
	send.more = netdev_xmit_more();
	if (unlikely(!nv_describe(port, skb, &send))) {
		queue->counters.tx_no_memory++;
		/* Those before it waited for this one. */
		if (!send.more && swift_call_trapped(netvsc_flush, queue->machine))
			nv_give_up(port);
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
		nv_give_up(port);
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
	nv_take_down(port);
	port->settings = *settings;
	error = nv_bring_up(port);
	if (!error && port->facts.mtu < settings->mtu) {
		nv_take_down(port);
		error = -EINVAL;
	}
	if (error) {
		port->settings = old;
		if (nv_bring_up(port)) {
			netdev_err(dev, "the adapter does not come back\n");
			nv_give_up(port);
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
		netif_napi_add(dev, &port->queues[index].napi, nv_poll);
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
	INIT_WORK(&port->announce, nv_announce);
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
	error = nv_bring_up(port);
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
	nv_take_down(port);
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
	nv_take_down(port);
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
	if (nv_ring_pages < 8 || nv_ring_pages > 4096) {
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
