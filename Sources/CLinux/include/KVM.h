// SPDX-License-Identifier: Apache-2.0
// KVM for Swift: ioctl numbers as constants, and the little that must be C: a variadic call, a signal handler.
#pragma once
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// ioctl(2) with one word as argument. Returns the result, or -errno.
long clinux_ioctl(int fd, unsigned long request, unsigned long argument);

/// Names the calling thread (at most 15 bytes) and leaves it only those signals that report its own faults, plus the
/// kick signal: everything else belongs to the main thread.
void clinux_thread_enter(const char *name);

/// Installs the process-wide handler of the kick signal. Returns 0 or -errno. May be called again.
int clinux_kick_install(void);
/// Says which run area the kick signal marks when it reaches the calling thread; NULL ends it.
void clinux_kick_target(struct kvm_run *run);
/// Makes `thread` leave KVM_RUN, or not enter it the next time. The thread must not have been joined.
void clinux_kick(unsigned long thread);

/// What CPUID answers on this processor.
struct clinux_cpuid {
  uint32_t eax, ebx, ecx, edx;
};
struct clinux_cpuid clinux_native_cpuid(uint32_t leaf);
/// strerror(3) of `code` in `buffer`, always terminated.
void clinux_error_text(int code, char *buffer, size_t count);
/// getrandom(2): how many bytes of `buffer` it filled, or -1.
long clinux_random(void *buffer, size_t count);

static const unsigned long CLINUX_KVM_GET_API_VERSION = KVM_GET_API_VERSION;
static const unsigned long CLINUX_KVM_CREATE_VM = KVM_CREATE_VM;
static const unsigned long CLINUX_KVM_CHECK_EXTENSION = KVM_CHECK_EXTENSION;
static const unsigned long CLINUX_KVM_GET_VCPU_MMAP_SIZE = KVM_GET_VCPU_MMAP_SIZE;
static const unsigned long CLINUX_KVM_GET_SUPPORTED_CPUID = KVM_GET_SUPPORTED_CPUID;
static const unsigned long CLINUX_KVM_GET_MSR_INDEX_LIST = KVM_GET_MSR_INDEX_LIST;
static const unsigned long CLINUX_KVM_SET_USER_MEMORY_REGION = KVM_SET_USER_MEMORY_REGION;
static const unsigned long CLINUX_KVM_SET_TSS_ADDR = KVM_SET_TSS_ADDR;
static const unsigned long CLINUX_KVM_SET_IDENTITY_MAP_ADDR = KVM_SET_IDENTITY_MAP_ADDR;
static const unsigned long CLINUX_KVM_CREATE_IRQCHIP = KVM_CREATE_IRQCHIP;
static const unsigned long CLINUX_KVM_GET_IRQCHIP = KVM_GET_IRQCHIP;
static const unsigned long CLINUX_KVM_SET_IRQCHIP = KVM_SET_IRQCHIP;
static const unsigned long CLINUX_KVM_IRQ_LINE = KVM_IRQ_LINE;
static const unsigned long CLINUX_KVM_IRQFD = KVM_IRQFD;
static const unsigned long CLINUX_KVM_SET_GSI_ROUTING = KVM_SET_GSI_ROUTING;
static const unsigned long CLINUX_KVM_HYPERV_EVENTFD = KVM_HYPERV_EVENTFD;
static const unsigned long CLINUX_KVM_GET_CLOCK = KVM_GET_CLOCK;
static const unsigned long CLINUX_KVM_SET_CLOCK = KVM_SET_CLOCK;
static const unsigned long CLINUX_KVM_ENABLE_CAP = KVM_ENABLE_CAP;
static const unsigned long CLINUX_KVM_X86_SET_MSR_FILTER = KVM_X86_SET_MSR_FILTER;
static const unsigned long CLINUX_KVM_CREATE_VCPU = KVM_CREATE_VCPU;
static const unsigned long CLINUX_KVM_RUN = KVM_RUN;
static const unsigned long CLINUX_KVM_SET_CPUID2 = KVM_SET_CPUID2;
static const unsigned long CLINUX_KVM_GET_REGS = KVM_GET_REGS;
static const unsigned long CLINUX_KVM_SET_REGS = KVM_SET_REGS;
static const unsigned long CLINUX_KVM_GET_SREGS = KVM_GET_SREGS;
static const unsigned long CLINUX_KVM_SET_SREGS = KVM_SET_SREGS;
static const unsigned long CLINUX_KVM_GET_MSRS = KVM_GET_MSRS;
static const unsigned long CLINUX_KVM_SET_MSRS = KVM_SET_MSRS;
static const unsigned long CLINUX_KVM_GET_LAPIC = KVM_GET_LAPIC;
static const unsigned long CLINUX_KVM_SET_LAPIC = KVM_SET_LAPIC;
static const unsigned long CLINUX_KVM_GET_MP_STATE = KVM_GET_MP_STATE;
static const unsigned long CLINUX_KVM_SET_MP_STATE = KVM_SET_MP_STATE;
static const unsigned long CLINUX_KVM_GET_VCPU_EVENTS = KVM_GET_VCPU_EVENTS;
static const unsigned long CLINUX_KVM_SET_VCPU_EVENTS = KVM_SET_VCPU_EVENTS;
static const unsigned long CLINUX_KVM_GET_DEBUGREGS = KVM_GET_DEBUGREGS;
static const unsigned long CLINUX_KVM_SET_DEBUGREGS = KVM_SET_DEBUGREGS;
static const unsigned long CLINUX_KVM_GET_XSAVE = KVM_GET_XSAVE;
static const unsigned long CLINUX_KVM_SET_XSAVE = KVM_SET_XSAVE;
static const unsigned long CLINUX_KVM_GET_XCRS = KVM_GET_XCRS;
static const unsigned long CLINUX_KVM_SET_XCRS = KVM_SET_XCRS;
static const unsigned long CLINUX_KVM_REGISTER_COALESCED_MMIO = KVM_REGISTER_COALESCED_MMIO;
static const unsigned long CLINUX_KVM_UNREGISTER_COALESCED_MMIO = KVM_UNREGISTER_COALESCED_MMIO;
static const unsigned long CLINUX_KVM_SIGNAL_MSI = KVM_SIGNAL_MSI;
static const unsigned long CLINUX_KVM_GET_STATS_FD = KVM_GET_STATS_FD;
static const unsigned long CLINUX_KVM_GET_TSC_KHZ = KVM_GET_TSC_KHZ;
