// SPDX-License-Identifier: Apache-2.0
/* What drivers know of the connection: its version, how a channel's host is signalled, and what one driver maps. */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/hyperv.h>
#include <linux/export.h>
#include <linux/stringify.h>
#include <linux/io.h>
#include <linux/set_memory.h>
#include <asm/mshyperv.h>
#include <asm/sync_bitops.h>
#include "hv_vmbus.h"

__u32 vmbus_proto_version;
EXPORT_SYMBOL_GPL(vmbus_proto_version);

void vmbus_set_event(struct vmbus_channel *channel)
{
	/* Old hosts look for the channel in the second half of a page, where each has a bit. */
	if (!channel->is_dedicated_interrupt && vb_shared.interrupt)
		sync_set_bit(channel->offermsg.child_relid, vb_shared.interrupt + PAGE_SIZE / 2);
	channel->sig_events++;
	hv_do_fast_hypercall8(HVCALL_SIGNAL_EVENT, channel->sig_event);
}
EXPORT_SYMBOL_GPL(vmbus_set_event);

struct vb_outside vmbus_connection = { .channels = __MUTEX_INITIALIZER(vmbus_connection.channels) };
static_assert(offsetof(struct vb_outside, interrupt_page) == 0x30);
static_assert(offsetof(struct vb_outside, to_host_monitor) == 0x50);
static_assert(offsetof(struct vb_outside, channels) == 0x80);

void vb_show_pages(void)
{
	vmbus_connection.interrupt_page = vb_shared.interrupt;
	vmbus_connection.to_host_monitor = vb_shared.to_host_monitor;
}

#ifdef VB_CONNECTION_VERSION
/*
 * EXPORT_SYMBOL_GPL would take the symbol version from our structure. This one is the kernel's, and the build knows that
 * the places are those above in a kernel that has it.
 */
asm("	.pushsection \"__ksymtab_strings\", \"aMS\", %progbits, 1\n"
    "vb_connection_name:\n"
    "	.asciz \"vmbus_connection\"\n"
    "	.popsection\n"
    "	.pushsection \"___ksymtab_gpl+vmbus_connection\", \"a\"\n"
    "	.balign 4\n"
    "	.long vmbus_connection - ., vb_connection_name - ., 0\n"
    "	.popsection\n"
    "	.pushsection \"___kcrctab_gpl+vmbus_connection\", \"a\"\n"
    "	.balign 4\n"
    "__crc_vmbus_connection:\n"
    "	.long " __stringify(VB_CONNECTION_VERSION) "\n"
    "	.popsection\n");
#endif
