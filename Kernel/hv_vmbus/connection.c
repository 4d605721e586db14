// SPDX-License-Identifier: Apache-2.0
/* What drivers know of the connection: its version, and how a channel's host is signalled. */
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
