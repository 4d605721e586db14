# SPDX-License-Identifier: Apache-2.0
"""Our hv_vmbus, with --modules, on a host that is not ours: QEMU's VMBus."""

from harness import image, modules
from harness.bridge import Bridge
from harness.suite import case, expect, expect_equal

# Newest first; QEMU 7.2 answers no to those above 4.0.
VERSIONS = {"5.3": 0x50003, "5.2": 0x50002, "5.1": 0x50001, "5.0": 0x50000, "4.1": 0x40001, "4.0": 0x40000,
            "3.0": 0x30000, "2.4": 0x20004}


def bridge(suite, guest, rounds, processors=2):
    if modules.missing(suite, guest, "hv_vmbus"):
        return
    files = {"root/theirs.ko": modules.own_file(guest, "hv_vmbus")}
    with Bridge(suite, guest, processors=processors, files=files) as vm:
        def connected():
            """The version that the driver says it has, and none of the log before."""
            return vm.sh("dmesg -c | tee -a /run/said | sed -n 's/.*Vmbus version:\\([0-9.]*\\).*/\\1/p'")

        with suite.check("the host is QEMU, and our hv_vmbus is connected"):
            vm.sh("dmesg | grep 'Hypervisor detected: Microsoft'")
            vm.sh("grep -q QEMU /sys/class/dmi/id/sys_vendor")
            expect_equal(modules.loaded_note(vm, "hv_vmbus"), modules.build_note(
                suite.ours.files(image.release(guest))["hv_vmbus"]), "build")
            offered = connected()
            expect(offered in VERSIONS, f"version {offered!r}")
            suite.note(f"QEMU's newest version is {offered}")
        vm.sh("rmmod hv_utils")
        with suite.check("asked for each version, it connects at that or the host's newest, and unloads"):
            for name, number in VERSIONS.items():
                vm.sh(f"rmmod hv_vmbus && modprobe hv_vmbus max_version={number}")
                expect_equal(connected(), min(name, offered), f"version when {name} is asked for")
        with suite.check("below the oldest that ours speaks there is no connection, and it is not loaded"):
            vm.sh("rmmod hv_vmbus; ! modprobe hv_vmbus max_version=0x10001 2>/dev/null && ! grep -q ^hv_vmbus /proc/modules")
            expect_equal(connected(), "", "version")
        with suite.check("the kernel's own hv_vmbus connects behind it, and ours behind that"):
            for _ in range(3):
                vm.sh("insmod /root/theirs.ko")
                expect_equal(connected(), offered, "the kernel's own")
                expect_equal(vm.sh("cat /sys/module/hv_vmbus/taint"), "", "taint")
                vm.sh("rmmod hv_vmbus && modprobe hv_vmbus")
                expect_equal(connected(), offered, "ours")
                expect("O" in vm.sh("cat /sys/module/hv_vmbus/taint"), "not ours")
                vm.sh("rmmod hv_vmbus")
        with suite.check(f"{rounds} rounds, and the kernel holds no more memory"):
            go = "for i in $(seq {}); do modprobe hv_vmbus && rmmod hv_vmbus || exit 1; done"
            vm.sh(go.format(3))
            before = modules.kernel_memory(vm)
            vm.sh(go.format(rounds), 30 + 6 * rounds)
            after = modules.kernel_memory(vm)
            suite.note(f"{before} KiB before, {after} KiB after")
            expect(after - before < 192 + 2 * rounds, f"{before} KiB became {after} KiB")
        with suite.check("nothing to complain about"):
            vm.sh("modprobe hv_vmbus; dmesg >>/run/said")
            expect_equal(modules.complaints(vm, "/run/said"), "", "dmesg")


case("our hv_vmbus on QEMU's bus, 6.1-cloud", depth="normal", guest="6.1-cloud", rounds=5)(bridge)
case("our hv_vmbus on QEMU's bus, 6.12-cloud", depth="full", guest="6.12-cloud", rounds=30)(bridge)
