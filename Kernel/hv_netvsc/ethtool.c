// SPDX-License-Identifier: Apache-2.0
/* What ethtool(8) asks for and sets. */
#include <linux/ethtool.h>
#include <linux/version.h>
#include "port.h"

static const struct {
	const char *name;
	size_t offset;
} statistics[] = {
#define STATISTIC(name) { #name, offsetof(struct nv_counters, name) }
	STATISTIC(tx_copied),	 STATISTIC(tx_ranges),	   STATISTIC(tx_segmented), STATISTIC(tx_failed),
	STATISTIC(tx_too_big),	 STATISTIC(tx_no_memory),  STATISTIC(tx_busy),	    STATISTIC(stop_queue),
	STATISTIC(wake_queue),	 STATISTIC(rx_coalesced),  STATISTIC(rx_no_memory), STATISTIC(rx_faults),
	STATISTIC(signals),	 STATISTIC(polls),	   STATISTIC(tx_joined),
#undef STATISTIC
};

static const struct {
	const char *name;
	size_t offset;
} queue_statistics[] = {
	{ "tx_queue_%u_packets", offsetof(struct nv_counters, tx_packets) },
	{ "tx_queue_%u_bytes", offsetof(struct nv_counters, tx_bytes) },
	{ "rx_queue_%u_packets", offsetof(struct nv_counters, rx_packets) },
	{ "rx_queue_%u_bytes", offsetof(struct nv_counters, rx_bytes) },
};

static u64 counter(const struct nv_queue *queue, size_t offset)
{
	return READ_ONCE(*(const u64 *)((const u8 *)&queue->counters + offset));
}

static int statistics_count(struct net_device *dev, int set)
{
	struct nv_port *port = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return ARRAY_SIZE(statistics) + ARRAY_SIZE(queue_statistics) * port->channels;
}

static void statistics_names(struct net_device *dev, u32 set, u8 *names)
{
	struct nv_port *port = netdev_priv(dev);
	unsigned int index, queue;

	if (set != ETH_SS_STATS)
		return;
	for (index = 0; index < ARRAY_SIZE(statistics); index++)
		ethtool_sprintf(&names, "%s", statistics[index].name);
	for (queue = 0; queue < port->channels; queue++)
		for (index = 0; index < ARRAY_SIZE(queue_statistics); index++)
			ethtool_sprintf(&names, queue_statistics[index].name, queue);
}

static void statistics_values(struct net_device *dev, struct ethtool_stats *stats, u64 *values)
{
	struct nv_port *port = netdev_priv(dev);
	unsigned int index, queue;

	for (index = 0; index < ARRAY_SIZE(statistics); index++) {
		u64 sum = 0;

		for (queue = 0; queue < port->most_queues; queue++)
			sum += counter(&port->queues[queue], statistics[index].offset);
		*values++ = sum;
	}
	for (queue = 0; queue < port->channels; queue++)
		for (index = 0; index < ARRAY_SIZE(queue_statistics); index++)
			*values++ = counter(&port->queues[queue], queue_statistics[index].offset);
}

static void driver_info(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct nv_port *port = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	snprintf(info->fw_version, sizeof(info->fw_version), "NVSP %u.%u", port->facts.version >> 16,
		 port->facts.version & 0xFFFF);
}

static int link_settings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	struct nv_port *port = netdev_priv(dev);
	u64 speed = div_u64(port->facts.link_speed, 1000000);

	settings->base.speed = speed && speed <= INT_MAX ? (u32)speed : SPEED_UNKNOWN;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_OTHER;
	return 0;
}

static void channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct nv_port *port = netdev_priv(dev);

	channels->max_combined = port->most_queues;
	channels->combined_count = port->channels;
}

static int set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_settings settings = port->settings;

	if (!channels->combined_count || channels->rx_count || channels->tx_count || channels->other_count)
		return -EINVAL;
	settings.channels = channels->combined_count;
	return nv_restart(port, &settings);
}

static void rings(struct net_device *dev, struct ethtool_ringparam *rings, struct kernel_ethtool_ringparam *more,
		  struct netlink_ext_ack *answer)
{
	const struct nv_facts *facts = &((struct nv_port *)netdev_priv(dev))->facts;

	if (!facts->receive_section_size || !facts->send_section_size)
		return;
	rings->rx_pending = facts->receive_sections;
	rings->tx_pending = facts->send_sections;
	rings->rx_max_pending = NV_MOST_RECEIVE_BYTES / facts->receive_section_size;
	rings->tx_max_pending = NV_MOST_SEND_BYTES / facts->send_section_size;
}

static int set_rings(struct net_device *dev, struct ethtool_ringparam *rings, struct kernel_ethtool_ringparam *more,
		     struct netlink_ext_ack *answer)
{
	struct nv_port *port = netdev_priv(dev);
	struct nv_settings settings = port->settings;
	u32 receive = max_t(u32, rings->rx_pending, NV_LEAST_SECTIONS);
	u32 send = max_t(u32, rings->tx_pending, NV_LEAST_SECTIONS);

	if (rings->rx_mini_pending || rings->rx_jumbo_pending)
		return -EINVAL;
	if (receive == port->facts.receive_sections && send == port->facts.send_sections)
		return 0;
	settings.receive_bytes = min_t(u64, NV_MOST_RECEIVE_BYTES,
				       PAGE_ALIGN((u64)receive * port->facts.receive_section_size));
	settings.send_bytes = min_t(u64, NV_MOST_SEND_BYTES, PAGE_ALIGN((u64)send * port->facts.send_section_size));
	return nv_restart(port, &settings);
}

static int flow_rules(struct net_device *dev, struct ethtool_rxnfc *info, u32 *rules)
{
	struct nv_port *port = netdev_priv(dev);

	switch (info->cmd) {
	case ETHTOOL_GRXRINGS:
		info->data = port->channels;
		return 0;
	case ETHTOOL_GRXFH:
		info->data = RXH_IP_SRC | RXH_IP_DST;
		if (info->flow_type == TCP_V4_FLOW || info->flow_type == TCP_V6_FLOW)
			info->data |= RXH_L4_B_0_1 | RXH_L4_B_2_3;
		return 0;
	}
	return -EOPNOTSUPP;
}

static u32 table_size(struct net_device *dev)
{
	return NV_TABLE;
}

static u32 key_size(struct net_device *dev)
{
	return NV_KEY;
}

static void read_scaling(struct nv_port *port, u32 *table, u8 *key)
{
	if (table)
		memcpy(table, port->table, sizeof(port->table));
	if (key)
		memcpy(key, port->key, sizeof(port->key));
}

static int write_scaling(struct nv_port *port, const u32 *table, const u8 *key)
{
	unsigned int index;

	if (table) {
		for (index = 0; index < NV_TABLE; index++)
			if (table[index] >= port->channels)
				return -EINVAL;
		memcpy(port->table, table, sizeof(port->table));
	}
	if (key)
		memcpy(port->key, key, sizeof(port->key));
	return nv_set_scaling(port);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
static int scaling(struct net_device *dev, struct ethtool_rxfh_param *scaling)
{
	scaling->hfunc = ETH_RSS_HASH_TOP;
	read_scaling(netdev_priv(dev), scaling->indir, scaling->key);
	return 0;
}

static int set_scaling(struct net_device *dev, struct ethtool_rxfh_param *scaling, struct netlink_ext_ack *answer)
{
	if (scaling->hfunc != ETH_RSS_HASH_NO_CHANGE && scaling->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	return write_scaling(netdev_priv(dev), scaling->indir, scaling->key);
}
#else
static int scaling(struct net_device *dev, u32 *table, u8 *key, u8 *function)
{
	if (function)
		*function = ETH_RSS_HASH_TOP;
	read_scaling(netdev_priv(dev), table, key);
	return 0;
}

static int set_scaling(struct net_device *dev, const u32 *table, const u8 *key, const u8 function)
{
	if (function != ETH_RSS_HASH_NO_CHANGE && function != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	return write_scaling(netdev_priv(dev), table, key);
}
#endif

const struct ethtool_ops nv_ethtool_ops = {
	.get_drvinfo = driver_info,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = link_settings,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_sset_count = statistics_count,
	.get_strings = statistics_names,
	.get_ethtool_stats = statistics_values,
	.get_channels = channels,
	.set_channels = set_channels,
	.get_ringparam = rings,
	.set_ringparam = set_rings,
	.get_rxnfc = flow_rules,
	.get_rxfh_indir_size = table_size,
	.get_rxfh_key_size = key_size,
	.get_rxfh = scaling,
	.set_rxfh = set_scaling,
};
