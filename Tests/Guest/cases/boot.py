# SPDX-License-Identifier: Apache-2.0
"""Stock kernels find Hyper-V, the VMBus and all six services, and go off cleanly when the host asks."""

from harness.dmesg import suspicious
from harness.machine import SERVICES, Machine
from harness.suite import case, expect, expect_equal

VERSIONS = ["4.0", "4.1", "5.0", "5.1", "5.2", "5.3"]


def check_both_ends(suite, vm, processors, version):
    with suite.check("the kernel detects Hyper-V"):
        vm.sh("dmesg | grep -F 'Hypervisor detected: Microsoft Hyper-V'")
    with suite.check("the clock source is the reference TSC page"):
        expect_equal(vm.sh("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"),
                     "hyperv_clocksource_tsc_page")
    with suite.check(f"all {processors} processors are online"):
        expect_equal(vm.sh("grep -c ^processor /proc/cpuinfo"), str(processors))
    with suite.check(f"VMBus version {version} on both ends"):
        expect_equal(vm.sh("dmesg | sed -n 's/.*Vmbus version://p'"), version, "the guest's version")
        expect_equal(vm.show()["bus"]["version"], version, "the host's version")


def check_services(suite, vm):
    with suite.check("all six services are negotiated"):
        description = vm.services_ready()
        for service in description["services"]:
            expect(service.get("version"), f"{service['name']} is ready without a version")
    with suite.check("the host hears the heartbeat"):
        vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")
    with suite.check("both clocks agree within 1 s"):
        difference, uncertainty = vm.clock_difference()
        expect(abs(difference) <= 1 + uncertainty, f"{difference:+.3f} s (± {uncertainty:.3f})")


def check_log(suite, vm):
    with suite.check("dmesg has no warning and no trace"):
        found = suspicious(vm.sh("dmesg -r"))
        expect(not found, "\n".join(found))


def check_shutdown(suite, vm):
    with suite.check("the host asks for a clean shutdown"):
        vm.lis("vm", "stop", vm.name)
        expect_equal(vm.ended(), 0, "exit code of `lis run`")


def boots(suite, guest, processors):
    with Machine(suite, guest, processors) as vm:
        suite.note(f"guest's init {vm.boot_seconds:.1f} s after the start of `lis run`")
        check_both_ends(suite, vm, processors, "5.3")
        check_services(suite, vm)
        check_log(suite, vm)
        check_shutdown(suite, vm)


case("boot 6.1-cloud, 1 processor", depth="quick", guest="6.1-cloud", processors=1)(boots)
case("boot 6.12-cloud, 2 processors", depth="normal", guest="6.12-cloud", processors=2)(boots)
case("boot 6.1-standard, 4 processors", depth="normal", guest="6.1-standard", processors=4)(boots)
for guest in ["6.1-cloud", "6.1-standard", "6.12-cloud", "6.12-standard"]:
    for processors in [1, 2, 4, 8]:
        if (guest, processors) not in [("6.1-cloud", 1), ("6.12-cloud", 2), ("6.1-standard", 4)]:
            case("boot {guest}, {processors} processors", depth="full", guest=guest, processors=processors)(boots)


def capped(suite, guest, version):
    with Machine(suite, guest, options=["--vmbus-version", version]) as vm:
        check_both_ends(suite, vm, 1, version)
        check_services(suite, vm)
        check_log(suite, vm)
        check_shutdown(suite, vm)


case("VMBus capped at 4.0, 6.1-cloud", depth="normal", guest="6.1-cloud", version="4.0")(capped)
for guest in ["6.1-cloud", "6.12-cloud"]:
    for version in VERSIONS[:-1]:
        if (guest, version) != ("6.1-cloud", "4.0"):
            case("VMBus capped at {version}, {guest}", depth="full", guest=guest, version=version)(capped)


@case("kernel unpacked by its own code, 6.1-cloud", depth="full", guest="6.1-cloud")
@case("kernel unpacked by its own code, 6.12-cloud", depth="normal", guest="6.12-cloud")
def unpacked_by_the_guest(suite, guest):
    with Machine(suite, guest, options=["--unpack-kernel", "guest"]) as vm:
        check_log(suite, vm)
        check_shutdown(suite, vm)


@case("memory past the 32-bit hole, 6.1-cloud", depth="full", guest="6.1-cloud")
@case("memory past the 32-bit hole, 6.12-cloud", depth="full", guest="6.12-cloud")
def large_memory(suite, guest):
    with Machine(suite, guest, memory="5G") as vm:
        with suite.check("the guest has all of it"):
            kibibytes = int(vm.sh("awk '/MemTotal/{print $2}' /proc/meminfo"))
            expect(kibibytes > 4.7 * 1024 * 1024, f"{kibibytes} KiB")
        check_log(suite, vm)


@case("smallest memory, 6.1-cloud", depth="full", guest="6.1-cloud")
@case("smallest memory, 6.12-cloud", depth="full", guest="6.12-cloud")
def small_memory(suite, guest):
    with Machine(suite, guest, memory="128M") as vm:
        check_services(suite, vm)
        check_shutdown(suite, vm)


@case("services switched off and on, 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("services switched off and on, 6.12-cloud", depth="full", guest="6.12-cloud")
def switching(suite, guest):
    rounds = 20 if suite.at_least("full") else 2
    with Machine(suite, guest) as vm:
        vm.services_ready()
        for service in SERVICES:
            with suite.check(f"{rounds} rounds of disabling and enabling {service}"):
                for _ in range(rounds):
                    before = int(vm.sh("ls /sys/bus/vmbus/devices | wc -l"))
                    vm.lis("service", "disable", vm.name, service)
                    expect_equal(vm.service(service)["state"], "disabled", "state")
                    vm.wait_for("the guest drops the device", lambda _: int(
                        vm.sh("ls /sys/bus/vmbus/devices | wc -l")) == before - 1)
                    if service == "copy":
                        # The uio daemon does not end without its device: a distribution's unit is bound to that.
                        vm.sh("daemons stop fcopy")
                    vm.lis("service", "enable", vm.name, service)
                    # A daemon whose device went away ends; a distribution's udev starts it again.
                    if service in ("kvp", "copy", "snapshot"):
                        vm.sh("daemons start")
                    vm.services_ready([service])
        with suite.check("all six services are ready after that"):
            vm.services_ready()
        with suite.check("no trace in dmesg after that"):
            found = [line for line in suspicious(vm.sh("dmesg -r")) if "hv_utils" not in line]
            expect(not found, "\n".join(found))
        check_shutdown(suite, vm)
