# SPDX-License-Identifier: Apache-2.0
"""Reboots, kexec, panics, crash kernels, spinning processors, and refusals: the machine stays usable."""

import json
import time

from harness.machine import Background, Machine
from harness.spin import spinning_module
from harness.suite import case, expect, expect_equal


def steady(before, after):
    """Host figures must not grow: nothing is left over from a guest that is gone."""
    # One connection of ours more or less may be on its way out when the figures are taken.
    expect(after["descriptors"] <= before["descriptors"] + 1, f"descriptors {before} -> {after}")
    expect(after["threads"] <= before["threads"], f"threads {before} -> {after}")
    # KiB; the guest's memory is in it in full from the start. The allocator may keep an arena more.
    expect(after["data"] <= before["data"] + 1024, f"memory {before} -> {after}")


def check_steady(suite, vm, before):
    with suite.check("host memory, threads and descriptors are constant"):
        after = vm.host_figures()
        suite.note(f"before: {before}, after: {after}")
        steady(before, after)


def kernel_place(vm):
    return vm.sh("sed -n 's/ T _text$//p' /proc/kallsyms")


def reboots(suite, guest, rounds):
    with Machine(suite, guest, memory="256M") as vm:
        vm.services_ready()
        figures = []
        places = {kernel_place(vm)}
        with suite.check(f"{rounds} reboots in place, all services return each time"):
            for number in range(rounds):
                since = vm.console.mark()
                # By the host and by the guest in turn.
                if number % 2 == 0:
                    vm.lis("vm", "restart", vm.name)
                else:
                    vm.console.send(b"0 /sbin/reboot\n")
                vm.rebooted(since)
                vm.services_ready()
                figures.append(vm.host_figures())
                places.add(kernel_place(vm))
        with suite.check("the kernel is at a random address each time"):
            suite.note(", ".join(sorted(places)))
            expect(len(places) > 1, "all at the same")
        with suite.check("the host counted them"):
            expect_equal(vm.show()["resets"], rounds, "resets")
        with suite.check("host memory, threads and descriptors are constant"):
            suite.note(f"after the first: {figures[0]}, after the last: {figures[-1]}")
            steady(figures[0], figures[-1])


case("reboot in place, 6.1-cloud", depth="normal", guest="6.1-cloud", rounds=3)(reboots)
case("reboot in place 20 times, 6.1-cloud", depth="full", guest="6.1-cloud", rounds=20)(reboots)
case("reboot in place 20 times, 6.12-cloud", depth="full", guest="6.12-cloud", rounds=20)(reboots)


def kexec(suite, guest):
    with Machine(suite, guest, memory="512M", kexec=True) as vm:
        vm.services_ready()
        before = vm.host_figures()
        with suite.check("kexec into the same kernel, all services return"):
            vm.sh("kexec -l /boot/vmlinuz --initrd=/boot/initramfs --command-line=\"$(cat /proc/cmdline)\"", 120)
            since = vm.console.mark()
            vm.console.send(b"0 kexec -e\n")
            vm.rebooted(since)
            vm.services_ready()
        check_steady(suite, vm, before)
        with suite.check("the machine was not reset for it"):
            expect_equal(vm.show()["resets"], 0, "resets")


case("kexec 6.1-cloud", depth="normal", guest="6.1-cloud")(kexec)
case("kexec 6.12-cloud", depth="full", guest="6.12-cloud")(kexec)


@case("panic without a crash kernel, 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("panic without a crash kernel, 6.12-cloud", depth="full", guest="6.12-cloud")
def panic(suite, guest):
    with Machine(suite, guest, memory="256M") as vm:
        vm.services_ready()
        before = vm.host_figures()
        events = Background(vm, "events", vm.name, "--format", "json")
        time.sleep(1)
        since = vm.console.mark()
        with suite.check("sysrq-c panics, the guest restarts and all services return"):
            vm.sh("echo 1 >/proc/sys/kernel/sysrq")
            vm.console.send(b"0 echo c >/proc/sysrq-trigger\n")
            vm.rebooted(since)
            vm.services_ready()
        with suite.check("the host has the crash parameters and the guest's panic text"):
            crash = vm.show().get("crash")
            expect(crash, "no crash report")
            expect_equal(len(crash["parameters"]), 5, "crash parameters")
            expect("sysrq triggered crash" in (crash.get("message") or ""), f"message: {crash.get('message')!r}")
        with suite.check("the event stream told it"):
            lines = [json.loads(line) for line in events.stop() if line.strip()]
            expect(any(event["kind"] == "panic" for event in lines), f"events: {[one['kind'] for one in lines]}")
        check_steady(suite, vm, before)


def crash_kernel(suite, guest):
    with Machine(suite, guest, memory="768M", kexec=True, command_line="crashkernel=256M") as vm:
        vm.services_ready()
        before = vm.host_figures()
        with suite.check("sysrq-c starts the crash kernel, all services return in it"):
            vm.sh("kexec -p /boot/vmlinuz --initrd=/boot/initramfs "
                  "--command-line='console=ttyS0 quiet panic=-1 lis.daemons nr_cpus=1'", 120)
            vm.sh("echo 1 >/proc/sys/kernel/sysrq")
            since = vm.console.mark()
            vm.console.send(b"0 echo c >/proc/sysrq-trigger\n")
            vm.rebooted(since, 120)
            vm.sh("test -e /proc/vmcore")
            vm.services_ready()
        with suite.check("a reboot leads back to the first kernel"):
            since = vm.console.mark()
            vm.console.send(b"0 /sbin/reboot\n")
            vm.rebooted(since)
            vm.sh("! test -e /proc/vmcore")
            vm.services_ready()
        check_steady(suite, vm, before)


case("crash kernel, 6.1-cloud", depth="normal", guest="6.1-cloud")(crash_kernel)
case("crash kernel, 6.12-cloud", depth="full", guest="6.12-cloud")(crash_kernel)


@case("spinning processors, 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("spinning processors, 6.12-cloud", depth="full", guest="6.12-cloud")
def spinning(suite, guest):
    with Machine(suite, guest, memory="256M", files={"root/spin.ko": spinning_module(guest)}) as vm:
        vm.services_ready()
        vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")
        vm.console.send(b"0 insmod /root/spin.ko\n")
        start = time.monotonic()
        with suite.check("the heartbeat is lost within 60 s"):
            vm.wait_for("heartbeat lost", lambda description: description["heartbeat"]["state"] == "lost", 60)
            suite.note(f"lost after {time.monotonic() - start:.0f} s")
        with suite.check("a polite stop is refused or times out, and says why"):
            code, _, errors = vm.attempt("vm", "stop", vm.name, "--timeout", "5")
            expect(code in (22, 23, 24) and errors.strip(), f"ended with {code}: {errors}")
        with suite.check("a reset brings guest and heartbeat back"):
            since = vm.console.mark()
            vm.lis("vm", "restart", vm.name, "--reset")
            vm.rebooted(since)
            vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")
            vm.services_ready()


@case("life cycle, 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("life cycle, 6.12-cloud", depth="full", guest="6.12-cloud")
def life_cycle(suite, guest):
    with Machine(suite, guest, memory="256M") as vm:
        vm.services_ready()
        with suite.check("`lis vm list` shows the machine"):
            names = [one["name"] for one in vm.json("vm", "list")]
            expect(vm.name in names, f"listed: {names}")
        with suite.check("a second machine of the same name is refused"):
            vm.refused(21, *vm.arguments)
        with suite.check("pause stops the guest, resume lets it go on"):
            vm.lis("vm", "pause", vm.name)
            vm.refused(22, "vm", "pause", vm.name)
            since = vm.console.mark()
            vm.console.send(b"77 echo alive\n")
            time.sleep(2)
            expect_equal(vm.console.mark(), since, "console output while paused")
            vm.lis("vm", "resume", vm.name)
            vm.console.wait(rb":lis 77 0", since, 30)
        with suite.check("an NMI arrives"):
            before = int(vm.sh("awk '/NMI:/{print $2}' /proc/interrupts"))
            vm.lis("vm", "nmi", vm.name)
            vm.wait_for("the NMI is counted", lambda _: int(vm.sh("awk '/NMI:/{print $2}' /proc/interrupts")) > before)
        with suite.check("a shutdown is refused politely while its service is off"):
            vm.lis("service", "disable", vm.name, "shutdown")
            message = vm.refused(23, "vm", "stop", vm.name)
            expect("shutdown" in message.lower(), message)
            vm.lis("service", "enable", vm.name, "shutdown")
            vm.services_ready(["shutdown"])
        with suite.check("a forced stop ends the machine at once, with its own exit code"):
            vm.lis("vm", "stop", vm.name, "--force")
            expect_equal(vm.ended(15), 12, "exit code of `lis run`")
        with suite.check("nothing is left of it"):
            vm.refused(20, "vm", "show", vm.name)


@case("guest switches itself off", depth="normal", guest="6.12-cloud")
def power_off(suite, guest):
    with Machine(suite, guest, memory="256M") as vm:
        with suite.check("poweroff in the guest ends `lis run` with 0"):
            vm.console.send(b"0 /sbin/poweroff\n")
            expect_equal(vm.ended(), 0, "exit code of `lis run`")
