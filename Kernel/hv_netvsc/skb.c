// SPDX-License-Identifier: Apache-2.0
/* Frames as the kernel holds them. Nothing in here comes from the host but lengths that Swift has checked. */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/ip6_checksum.h>
#include "port.h"

/* Frames up to this are received in one piece of memory. */
#define NV_LINEAR 4096
#define NV_HEADERS 256
/* Hosts of NVSP 5.0 take over UDP's checksum too. */
#define NV_UDP_SINCE 0x50000

/* The host wants headers of frames that it cuts without lengths, and the sum over addresses and protocol only. */
static bool prepare_segments(struct sk_buff *skb, struct nv_send *send)
{
	struct tcphdr *tcp;

	if (skb_cow_head(skb, 0))
		return false;
	tcp = tcp_hdr(skb);
	if (skb_is_gso_v6(skb)) {
		struct ipv6hdr *ip = ipv6_hdr(skb);

		ip->payload_len = 0;
		tcp->check = ~csum_ipv6_magic(&ip->saddr, &ip->daddr, 0, IPPROTO_TCP, 0);
		send->flags |= NV_IPV6;
	} else {
		struct iphdr *ip = ip_hdr(skb);

		ip->tot_len = 0;
		ip->check = 0;
		tcp->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, 0, IPPROTO_TCP, 0);
	}
	send->flags |= NV_SEGMENTS | NV_TCP;
	send->segment = skb_shinfo(skb)->gso_size;
	send->transport = skb_transport_offset(skb);
	return true;
}

static bool prepare_checksum(const struct nv_port *port, struct sk_buff *skb, struct nv_send *send)
{
	u8 protocol = 0;

	switch (vlan_get_protocol(skb)) {
	case htons(ETH_P_IP):
		protocol = ip_hdr(skb)->protocol;
		break;
	case htons(ETH_P_IPV6):
		protocol = ipv6_hdr(skb)->nexthdr;
		send->flags |= NV_IPV6;
		break;
	}
	if (protocol == IPPROTO_TCP)
		send->flags |= NV_TCP;
	else if (protocol == IPPROTO_UDP && port->facts.version >= NV_UDP_SINCE)
		send->flags |= NV_UDP;
	else
		return !skb_checksum_help(skb);
	send->transport = skb_checksum_start_offset(skb);
	return true;
}

bool nv_describe(const struct nv_port *port, struct sk_buff *skb, struct nv_send *send)
{
	if (skb_has_frag_list(skb) && skb_linearize(skb))
		return false;
	send->skb = skb;
	if (skb_vlan_tag_present(skb)) {
		send->flags |= NV_TAGGED;
		send->tag = skb_vlan_tag_get(skb);
	}
	if (skb_is_gso(skb)) {
		if (!prepare_segments(skb, send))
			return false;
	} else if (skb->ip_summed == CHECKSUM_PARTIAL) {
		if (!prepare_checksum(port, skb, send))
			return false;
	}
	send->bytes = skb->len;
	return true;
}

int32_t nv_skb_copy(const void *skb, void *to, uint32_t count)
{
	return skb_copy_bits(skb, 0, to, count);
}

/* How many; 0: it cannot be said by pages. */
int32_t nv_skb_ranges(const void *memory, struct nv_range *ranges)
{
	const struct sk_buff *skb = memory;
	int count = 0, index;

	if (skb_shinfo(skb)->nr_frags + 1 > NV_RANGES)
		return 0;
	if (skb_headlen(skb)) {
		if (!virt_addr_valid(skb->data))
			return 0;
		ranges[count].bytes = skb_headlen(skb);
		ranges[count].offset = offset_in_page(skb->data);
		ranges[count].frame = PHYS_PFN(virt_to_phys(skb->data));
		count++;
	}
	for (index = 0; index < skb_shinfo(skb)->nr_frags; index++) {
		const skb_frag_t *part = &skb_shinfo(skb)->frags[index];
		unsigned int offset = skb_frag_off(part);

		ranges[count].bytes = skb_frag_size(part);
		ranges[count].offset = offset_in_page(offset);
		ranges[count].frame = page_to_pfn(skb_frag_page(part)) + (offset >> PAGE_SHIFT);
		count++;
	}
	return count;
}

void nv_skb_sent(struct nv_queue *queue, void *skb)
{
	dev_consume_skb_any(skb);
}

void *nv_skb_make(struct nv_queue *queue, uint32_t count, void **data)
{
	struct sk_buff *skb;
	int error;

	*data = NULL;
	if (count <= NV_LINEAR) {
		skb = napi_alloc_skb(&queue->napi, count);
		if (skb)
			*data = skb_put(skb, count);
		return skb;
	}
	skb = alloc_skb_with_frags(NV_HEADERS, count - NV_HEADERS, PAGE_ALLOC_COSTLY_ORDER, &error, GFP_ATOMIC);
	if (skb) {
		skb_put(skb, NV_HEADERS);
		skb->data_len = count - NV_HEADERS;
		skb->len += skb->data_len;
	}
	return skb;
}

void nv_skb_store(void *skb, uint32_t at, const void *from, uint32_t count)
{
	skb_store_bits(skb, at, from, count);
}

void nv_skb_deliver(struct nv_queue *queue, const struct nv_received *received)
{
	struct net_device *dev = queue->port->dev;
	struct sk_buff *skb = received->skb;

	skb->dev = dev;
	skb->protocol = eth_type_trans(skb, dev);
	if (skb->pkt_type == PACKET_MULTICAST)
		queue->counters.rx_multicast++;
	if (received->coalesced)
		queue->counters.rx_coalesced++;
	skb_checksum_none_assert(skb);
	if (received->checksum_good && (dev->features & NETIF_F_RXCSUM))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (received->has_hash && (dev->features & NETIF_F_RXHASH))
		skb_set_hash(skb, received->hash, PKT_HASH_TYPE_L4);
	if (received->has_tag)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), received->tag);
	skb_record_rx_queue(skb, queue->index);
	napi_gro_receive(&queue->napi, skb);
}
