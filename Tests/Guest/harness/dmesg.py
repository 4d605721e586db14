# SPDX-License-Identifier: Apache-2.0
"""What a kernel's log may say, and what it may not."""

import re

# What stock kernels say at level "warning" on any machine of this shape, Hyper-V itself included.
HARMLESS = [
    # No PCI bus and no firmware tables beyond ACPI, by design (a generation 2 machine has none either).
    r"PCI: .*no config space",
    r"PCI: Fatal: No config space access function found",
    r"PCI: System does not support PCI",
    r"DMI not present or invalid",
    # The nested processor's own properties, told by every kernel without its mitigations' microcode.
    r"Spectre V2 : .*",
    r"(MDS|TAA|MMIO Stale Data|RETBleed|SRBDS|ITS|TSA|VMSCAPE|Spectre|Transient Scheduler).*(CPU|[Vv]ulnerable|buffer|SMT).*",
    r"See https://www\.kernel\.org/doc/html/.*",
    r"#\d+ *#?.*",
    # More processors than the host has: one of them may be off duty in the middle of an interrupt.
    r"hrtimer: interrupt took \d+ ns",
    # 6.12 on any AMD processor whose firmware has no performance control, as in virtual machines.
    r"amd_pstate: the _CPC object is not present in SBIOS or ACPI disabled",
    # What the loader has to say to our modules, with --modules.
    r"hv_(vmbus|utils|storvsc|netvsc): loading out-of-tree module taints kernel\.",
    # Said whenever an initramfs has no init system.
    r"process '/bin/busybox' started with executable stack",
]


def suspicious(log):
    """Lines of `dmesg -r` at level warning or worse, and anything with a trace in it."""
    found = []
    for line in log.splitlines():
        match = re.match(r"<(\d+)>\[ *[\d.]+\] ?(.*)", line)
        if not match:
            continue
        level, text = int(match[1]) & 7, match[2]
        if level <= 4 and not any(re.match(pattern, text) for pattern in HARMLESS):
            found.append(line)
        elif re.search(r"Call Trace|WARNING:|BUG:|RIP:", text):
            found.append(line)
    return found
