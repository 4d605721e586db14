// SPDX-License-Identifier: Apache-2.0
/* The connection's life: the synthetic interrupt controller of every processor, the host's messages, contact and unload. */
#include <linux/acpi.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#include <clocksource/hyperv_timer.h>
#include <asm/mshyperv.h>
#include "hv_vmbus.h"

static unsigned int max_version = VERSION_WIN10_V5_3;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version, "newest VMBus version to ask the host for (default 0x50003)");

DEFINE_MUTEX(vb_lock);
void *vb_bus;
bool vb_dead;
struct vb_pages vb_shared;
struct workqueue_struct *vb_intake, *vb_devices, *vb_sub_channels;

/* Processors. */

struct processor {
	void *messages;
	void *events;
};

static DEFINE_PER_CPU(struct processor, processors);
static int hotplug_state;

static void page_register(u32 number, const void *page, bool on)
{
	u64 value;

	rdmsrl(number, value);
	value &= 0xFFE;
	if (on)
		value |= virt_to_phys((void *)page) | 1;
	wrmsrl(number, value);
}

/* On the processor itself. */
static void enable_synic(unsigned int cpu)
{
	struct processor *p = per_cpu_ptr(&processors, cpu);
	u64 interrupt = HYPERVISOR_CALLBACK_VECTOR, control;

	page_register(HV_X64_MSR_SIMP, p->messages, true);
	page_register(HV_X64_MSR_SIEFP, p->events, true);
	if (!(ms_hyperv.hints & HV_DEPRECATING_AEOI_RECOMMENDED))
		interrupt |= 1 << 17;
	wrmsrl(HV_X64_MSR_SINT0 + VB_SINT, interrupt);
	rdmsrl(HV_X64_MSR_SCONTROL, control);
	wrmsrl(HV_X64_MSR_SCONTROL, control | 1);
}

static void disable_synic(void)
{
	u64 control;

	wrmsrl(HV_X64_MSR_SINT0 + VB_SINT, HYPERVISOR_CALLBACK_VECTOR | 1 << 16);
	page_register(HV_X64_MSR_SIMP, NULL, false);
	page_register(HV_X64_MSR_SIEFP, NULL, false);
	rdmsrl(HV_X64_MSR_SCONTROL, control);
	wrmsrl(HV_X64_MSR_SCONTROL, control & ~1ULL);
}

static int processor_comes(unsigned int cpu)
{
	enable_synic(cpu);
	hv_stimer_legacy_init(cpu, VB_SINT);
	return 0;
}

static bool connected;

static int processor_goes(unsigned int cpu)
{
	struct processor *p = per_cpu_ptr(&processors, cpu);
	int result, i;

	if (connected) {
		/* The host sends its messages there. */
		if (cpu == VB_MESSAGE_CPU)
			return -EBUSY;
		result = vb_leave_processor(cpu);
		if (result)
			return result;
		/* What the host signalled before it knew: the interrupt takes it, as long as this processor has one. */
		for (i = 0; i < 50 && memchr_inv(p->events + VB_SINT * 256, 0, 256); i++)
			msleep(10);
	}
	hv_stimer_legacy_cleanup(cpu);
	disable_synic();
	return 0;
}

static void free_processors(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct processor *p = per_cpu_ptr(&processors, cpu);

		free_page((unsigned long)p->messages);
		free_page((unsigned long)p->events);
		p->messages = p->events = NULL;
	}
}

static int make_processors(void)
{
	unsigned int cpu;

	for_each_present_cpu(cpu) {
		struct processor *p = per_cpu_ptr(&processors, cpu);

		p->messages = (void *)get_zeroed_page(GFP_KERNEL);
		p->events = (void *)get_zeroed_page(GFP_KERNEL);
		if (!p->messages || !p->events) {
			free_processors();
			return -ENOMEM;
		}
	}
	return 0;
}

/*
 * Messages: the interrupt puts them into a ring, a thread gives them to the bus. When the ring is full the next message
 * stays in its slot, and the host waits.
 */

struct message {
	u32 bytes;
	u8 payload[240];
};

#define RING 256
static struct message *ring;
static unsigned int ring_head, ring_tail;
static bool slot_waits;
static DEFINE_RAW_SPINLOCK(ring_lock);
static struct workqueue_struct *message_queue;

static void look_at_slot(void *unused)
{
	void *messages = this_cpu_read(processors.messages);

	if (messages)
		(void)swift_call_trapped(bus_take_message, messages);
}

static void take_messages(struct work_struct *unused)
{
	struct message message;
	bool more;

	do {
		raw_spin_lock_irq(&ring_lock);
		more = ring_tail != ring_head;
		if (more) {
			message = ring[ring_tail % RING];
			ring_tail++;
		}
		raw_spin_unlock_irq(&ring_lock);
		if (more) {
			mutex_lock(&vb_lock);
			if (vb_bus && !vb_dead &&
			    swift_call_trapped(bus_receive, vb_bus, message.payload, message.bytes))
				vb_died();
			mutex_unlock(&vb_lock);
		} else if (READ_ONCE(slot_waits)) {
			WRITE_ONCE(slot_waits, false);
			smp_call_function_single(VB_MESSAGE_CPU, look_at_slot, NULL, true);
			more = true;
		}
	} while (more);
}

static DECLARE_WORK(message_work, take_messages);

bool vb_keep_message(const void *payload, uint32_t bytes)
{
	unsigned long flags;
	bool kept = false;

	raw_spin_lock_irqsave(&ring_lock, flags);
	if (ring_head - ring_tail < RING) {
		struct message *m = &ring[ring_head % RING];

		m->bytes = min_t(u32, bytes, sizeof(m->payload));
		memcpy(m->payload, payload, m->bytes);
		ring_head++;
		kept = true;
	} else {
		slot_waits = true;
	}
	raw_spin_unlock_irqrestore(&ring_lock, flags);
	queue_work(message_queue, &message_work);
	return kept;
}

void vb_timer_expired(void)
{
	hv_stimer0_isr();
}

void vb_write_end_of_message(void)
{
	wrmsrl(HV_X64_MSR_EOM, 0);
}

/* What a trap had taken and not passed on is lost: every channel looks at its ring, and somebody at the slot. */
static void look_everywhere(void)
{
	u32 relid;

	for (relid = 0; relid < VB_CHANNELS; relid++)
		vb_channel_signalled(relid);
	WRITE_ONCE(slot_waits, true);
	queue_work(message_queue, &message_work);
}

static void interrupt_handler(void)
{
	struct processor *p = this_cpu_ptr(&processors);

	if (p->messages && swift_call_trapped(bus_interrupt, p->messages, p->events))
		look_everywhere();
}

uint16_t vb_post(const void *input)
{
	unsigned long flags;
	u64 status;

	local_irq_save(flags);
	status = hv_do_hypercall(HVCALL_POST_MESSAGE, (void *)input, NULL);
	local_irq_restore(flags);
	return status & HV_HYPERCALL_RESULT_MASK;
}

uint64_t vb_frame(const void *address)
{
	return is_vmalloc_addr(address) ? vmalloc_to_pfn(address) : virt_to_phys((void *)address) >> PAGE_SHIFT;
}

/* The bus's machine is broken: what waits is told, and nothing more is asked. Under vb_lock. */
int vb_died(void)
{
	vb_dead = true;
	pr_err("hv_vmbus: the connection is given up after a trap\n");
	vb_channels_failed();
	return -EIO;
}

/* Contact. */

static DECLARE_COMPLETION(contacted);
static DECLARE_COMPLETION(delivered);
static DECLARE_COMPLETION(unloaded);
static int contact_error;

void vb_connected(uint32_t version)
{
	vmbus_proto_version = version;
	contact_error = 0;
	complete(&contacted);
}

void vb_connect_failed(int32_t error)
{
	contact_error = error;
	complete(&contacted);
}

void vb_offers_delivered(void)
{
	complete(&delivered);
}

void vb_unloaded(void)
{
	complete(&unloaded);
}

static int contact(void)
{
	int result = vb_request(bus_connect), tries = 0;

	/* A host that does not answer one version may know an older one. */
	while (!result && !wait_for_completion_timeout(&contacted, 30 * HZ)) {
		if (++tries > 8)
			return -ETIMEDOUT;
		result = vb_request(bus_contact_timed_out);
	}
	return result ?: contact_error;
}

static void unload(void)
{
	connected = false;
	if (!vb_request(bus_unload) && wait_for_completion_timeout(&unloaded, 100 * HZ))
		return;
	pr_err("hv_vmbus: the host does not answer the unload; what it may still use stays allocated\n");
	mutex_lock(&vb_lock);
	if (vb_bus)
		(void)swift_call_trapped(bus_abandon, vb_bus);
	vb_bus = NULL;
	mutex_unlock(&vb_lock);
}

/* The kernel jumps to another one: an orderly end, everything still runs. */
static void before_kexec(void)
{
	hv_stimer_global_cleanup();
	if (connected)
		unload();
	cpuhp_remove_state(hotplug_state);
}

/* The kernel has crashed, and a last one starts: on this processor only, without locks. */
static void *crash_page;

void vb_unload_in_crash(void)
{
	static atomic_t once = ATOMIC_INIT(0);
	void *messages = per_cpu_ptr(&processors, VB_MESSAGE_CPU)->messages;

	if (!connected || !vb_bus || atomic_xchg(&once, 1))
		return;
	connected = false;
	if (swift_call(-EIO, bus_crash_unload, vb_bus, crash_page, messages))
		pr_err("hv_vmbus: going on although the host has not answered the unload\n");
}

static void in_crash(struct pt_regs *regs)
{
	vb_unload_in_crash();
	hv_stimer_cleanup(smp_processor_id());
	disable_synic();
}

/* Sleep leaves the first processor, with interrupts off. (The functions take a pointer in newer kernels.) */
#ifdef VB_SYSCORE_HAS_DATA
#define VB_SYSCORE_ARGUMENT void *unused
#else
#define VB_SYSCORE_ARGUMENT void
#endif

static int synic_suspend(VB_SYSCORE_ARGUMENT)
{
	disable_synic();
	return 0;
}

static void synic_resume(VB_SYSCORE_ARGUMENT)
{
	enable_synic(VB_MESSAGE_CPU);
}

#ifdef VB_SYSCORE_HAS_DATA
static const struct syscore_ops syscore_operations = { .suspend = synic_suspend, .resume = synic_resume };
static struct syscore syscore = { .ops = &syscore_operations };
#else
static struct syscore_ops syscore = { .suspend = synic_suspend, .resume = synic_resume };
#define register_syscore register_syscore_ops
#define unregister_syscore unregister_syscore_ops
#endif

static void forget_bus(void)
{
	void *bus;

	mutex_lock(&vb_lock);
	bus = vb_bus;
	vb_bus = NULL;
	mutex_unlock(&vb_lock);
	if (bus)
		(void)swift_call_trapped(bus_end, bus);
	memset(&vb_shared, 0, sizeof(vb_shared));
	vb_show_pages();
}

static void free_queues(void)
{
	if (message_queue)
		destroy_workqueue(message_queue);
	if (vb_intake)
		destroy_workqueue(vb_intake);
	if (vb_devices)
		destroy_workqueue(vb_devices);
	if (vb_sub_channels)
		destroy_workqueue(vb_sub_channels);
	free_page((unsigned long)crash_page);
	kvfree(ring);
}

static int start(struct device *parent)
{
	int result = -ENOMEM;

	ring = kvcalloc(RING, sizeof(*ring), GFP_KERNEL);
	crash_page = (void *)get_zeroed_page(GFP_KERNEL);
	message_queue = alloc_ordered_workqueue("vmbus_messages", WQ_MEM_RECLAIM);
	vb_intake = alloc_ordered_workqueue("vmbus_intake", 0);
	vb_devices = alloc_ordered_workqueue("vmbus_devices", 0);
	vb_sub_channels = alloc_ordered_workqueue("vmbus_subchannels", 0);
	if (!ring || !crash_page || !message_queue || !vb_intake || !vb_devices || !vb_sub_channels)
		goto no_queues;
	result = make_processors();
	if (result)
		goto no_queues;
	vb_bus = swift_call(NULL, bus_make, max_version, hv_cpu_number_to_vp_number(VB_MESSAGE_CPU), &vb_shared);
	result = -ENOMEM;
	if (!vb_bus)
		goto no_bus;
	vb_show_pages();
	result = vb_bus_register(parent);
	if (result)
		goto no_type;
	hv_setup_vmbus_handler(interrupt_handler);
	result = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "hyperv/vmbus:online", processor_comes, processor_goes);
	if (result < 0)
		goto no_processors;
	hotplug_state = result;
	result = contact();
	if (result) {
		pr_err("hv_vmbus: no connection to the host (%d)\n", result);
		goto no_contact;
	}
	connected = true;
	pr_info("hv_vmbus: Vmbus version:%d.%d\n", vmbus_proto_version >> 16, vmbus_proto_version & 0xFFFF);
	vb_panic_register();
	hv_setup_kexec_handler(before_kexec);
	hv_setup_crash_handler(in_crash);
	register_syscore(&syscore);
	result = vb_request(bus_request_offers);
	if (result)
		pr_err("hv_vmbus: the host was not asked for its devices (%d)\n", result);
	else if (!wait_for_completion_timeout(&delivered, 60 * HZ))
		pr_warn("hv_vmbus: the host has not told all its devices yet\n");
	/* So that an initramfs that loaded us finds its disks. */
	vb_wait_for_devices();
	return 0;

no_contact:
	cpuhp_remove_state(hotplug_state);
no_processors:
	hv_remove_vmbus_handler();
	synchronize_rcu();
	vb_bus_unregister();
no_type:
	forget_bus();
no_bus:
	free_processors();
no_queues:
	free_queues();
	return result;
}

static void stop(void)
{
	unregister_syscore(&syscore);
	hv_remove_kexec_handler();
	hv_remove_crash_handler();
	vb_panic_unregister();
	/* Timers that need no messages go on without us; the others end with their processor's part. */
	unload();
	vb_remove_all();
	cpuhp_remove_state(hotplug_state);
	hv_remove_vmbus_handler();
	/* Handlers that were running have left. */
	synchronize_rcu();
	flush_workqueue(message_queue);
	vb_bus_unregister();
	forget_bus();
	free_processors();
	free_queues();
	/* Channels are freed after a grace period. */
	rcu_barrier();
}

/* Where we are in the machine's description. */

static struct device *found;

static int describe(struct acpi_device *companion)
{
	int result;

	if (!companion)
		return -ENODEV;
	result = vb_windows_find(companion);
	if (result)
		return result;
	/* The bus's devices are below it, in all kernels. */
	found = &companion->dev;
	return 0;
}

static const struct acpi_device_id ids[] = {
	{ "VMBUS", 0 },
	{ "VMBus", 0 },
	{ "", 0 },
};
MODULE_DEVICE_TABLE(acpi, ids);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)

static int probe(struct platform_device *device)
{
	return describe(ACPI_COMPANION(&device->dev));
}

static struct platform_driver driver = {
	.probe = probe,
	.driver = {
		.name = "vmbus",
		.acpi_match_table = ids,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

#define register_driver() platform_driver_register(&driver)
#define unregister_driver() platform_driver_unregister(&driver)

#else

static int probe(struct acpi_device *device)
{
	return describe(device);
}

static struct acpi_driver driver = {
	.name = "vmbus",
	.ids = ids,
	.ops = { .add = probe },
	.drv.probe_type = PROBE_FORCE_SYNCHRONOUS,
};

#define register_driver() acpi_bus_register_driver(&driver)
#define unregister_driver() acpi_bus_unregister_driver(&driver)

#endif

static int __init vmbus_start(void)
{
	int result;

	if (!hv_is_hyperv_initialized()) {
		pr_err("hv_vmbus: this machine does not run on Hyper-V or a host like it\n");
		return -ENODEV;
	}
	if (hv_root_partition)
		return 0;
	if (hv_is_isolation_supported()) {
		pr_err("hv_vmbus: machines whose memory is hidden from their host need the kernel's own module\n");
		return -EOPNOTSUPP;
	}
	result = register_driver();
	if (result)
		return result;
	if (found)
		result = start(found);
	else
		result = -ENODEV;
	if (result) {
		if (!found)
			pr_err("hv_vmbus: the firmware describes no VMBus\n");
		vb_windows_forget();
		unregister_driver();
	}
	return result;
}

static void __exit vmbus_stop(void)
{
	if (hv_root_partition)
		return;
	stop();
	vb_windows_forget();
	unregister_driver();
	if (ks_outstanding())
		pr_warn("hv_vmbus: %lld allocations were not given back\n", ks_outstanding());
}

subsys_initcall(vmbus_start);
module_exit(vmbus_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("swift-lis: the VMBus in Swift");
