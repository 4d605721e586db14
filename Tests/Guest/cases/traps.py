# SPDX-License-Identifier: Apache-2.0
"""Traps planted in our loaded modules, by lis_selftest: reported, the channel is given up, the machine lives."""

from cases.disks import attached, create, drivers, folder
from harness import image, modules
from harness.machine import Machine
from harness.suite import case, expect_equal

# On kernels from 6.10 file copy is no module of ours.
SERVICES = ["heartbeat", "shutdown", "time", "kvp", "snapshot"]


def planter(suite, guest, *names):
    """lis_selftest for this kernel, and ours of these names; None when something is missing, which is said."""
    if modules.missing(suite, guest, *names):
        return None
    found = suite.ours.file("lis_selftest", image.release(guest))
    if not found:
        suite.note("not run: no lis_selftest.ko in the folder of --modules")
    return found


class Garden:
    """Plants traps, one after the other, and looks at what the kernel says of them."""

    def __init__(self, vm):
        self.vm = vm
        self.met = 0
        vm.sh("insmod /root/lis_selftest.ko && dmesg -c >/run/said")

    def plant(self, module, function):
        self.vm.sh("dmesg -c >>/run/said")
        self.traps = self.count(module)
        self.module = module
        self.vm.sh(f"echo '{module} {function}' >/sys/module/lis_selftest/parameters/plant")

    def count(self, module):
        return int(self.vm.sh(f"cat /sys/module/{module}/parameters/traps"))

    def harvest(self, said):
        """The one trap that was planted was met, counted and reported, and nothing worse was."""
        self.met += 1
        self.vm.sh(f"n=0; until dmesg | grep -q '{said}'; do n=$((n+1)); [ $n -lt 100 ] || exit 1; usleep 100000; done", 30)
        self.vm.sh("echo >/sys/module/lis_selftest/parameters/plant")
        expect_equal(int(self.vm.sh("cat /sys/module/lis_selftest/parameters/plant")), self.met, "traps met")
        expect_equal(self.count(self.module), self.traps + 1, "traps counted")
        log = self.vm.sh("dmesg")
        expect_equal(log.count(f"{self.module}: Swift trap at "), 1, "reports of a trap in " + log)
        self.sound()

    def sound(self):
        noise = self.vm.sh("dmesg | cat /run/said - | grep -E 'Oops|BUG:|WARNING:|Call Trace|not given back|left behind|"
                           "preemption count'; true")
        expect_equal(noise, "", "dmesg")


def disk(suite, guest):
    selftest = planter(suite, guest, "hv_storvsc")
    if not selftest:
        return
    place = folder(suite, f"traps-{guest}")
    options = [f"--disk={create(suite, place / 'disk.vhdx', '64M')}"]
    with Machine(suite, guest, processors=2, disks=True, daemons=False, options=options,
                 files={"root/lis_selftest.ko": selftest}) as vm:
        drivers(vm)
        disk = attached(vm, 1)[(0, 0)]
        vm.check_modules(["hv_storvsc"])
        vm.sh(f"dd if=/dev/urandom of=/root/data bs=64k count=64 2>/dev/null; dd if=/root/data of=/dev/{disk} bs=64k "
              "conv=fsync 2>/dev/null")
        wanted = vm.sh("md5sum </root/data")
        garden = Garden(vm)
        for what, function in [("a request is sent", "hvs_send"), ("an answer is read", "hvs_drain")]:
            with suite.check(f"hv_storvsc, where {what}: reported, and its requests end with errors"):
                garden.plant("hv_storvsc", function)
                vm.sh(f"echo 3 >/proc/sys/vm/drop_caches; ! dd if=/dev/{disk} of=/dev/null bs=64k count=64 2>/dev/null", 90)
                garden.harvest("out of use: a check failed in the driver")
                vm.sh(f"! dd if=/dev/{disk} of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null", 90)
            with suite.check("unloaded and loaded it works again, and the disk is as it was"):
                vm.sh("rmmod hv_storvsc && modprobe hv_storvsc", 120)
                disk = attached(vm, 1)[(0, 0)]
                vm.sh("echo 3 >/proc/sys/vm/drop_caches")
                expect_equal(vm.sh(f"dd if=/dev/{disk} bs=64k count=64 2>/dev/null | md5sum"), wanted, "hash")
                garden.sound()
        with suite.check("hv_storvsc, where it shakes hands: the probe fails, another one works"):
            vm.sh("rmmod hv_storvsc && dmesg -c >>/run/said && modprobe hv_storvsc")
            attached(vm, 1)
            name = vm.sh("basename $(ls -d /sys/bus/vmbus/drivers/hv_storvsc/*-*)")
            vm.sh(f"echo {name} >/sys/bus/vmbus/drivers/hv_storvsc/unbind", 60)
            garden.plant("hv_storvsc", "hvs_handshake")
            vm.sh(f"! echo {name} 2>/dev/null >/sys/bus/vmbus/drivers/hv_storvsc/bind", 120)
            garden.harvest("out of use: a check failed in the driver")
            vm.sh(f"echo {name} >/sys/bus/vmbus/drivers/hv_storvsc/bind", 60)
            disk = attached(vm, 1)[(0, 0)]
            expect_equal(vm.sh(f"dd if=/dev/{disk} bs=64k count=64 2>/dev/null | md5sum"), wanted, "hash")
        with suite.check("it unloads with nothing left behind"):
            vm.sh("rmmod hv_storvsc")
            garden.sound()
    for path in place.iterdir():
        path.unlink()


def adapter(suite, guest):
    selftest = planter(suite, guest, "hv_netvsc")
    if not selftest:
        return
    with Machine(suite, guest, processors=2, network=True, daemons=False, options=["--nic", "user"],
                 files={"root/lis_selftest.ko": selftest}) as vm:
        # Frames go out whether somebody answers or not; the host's end of the wire answers for its own address.
        up = "modprobe hv_netvsc && ip link set eth0 up && udhcpc -i eth0 -n -q -t 10 -s /bin/true"
        vm.sh(up, 60)
        vm.check_modules(["hv_netvsc"])
        garden = Garden(vm)
        for what, function in [("a frame is sent", "nv_skb_copy"), ("a frame is received", "nv_skb_make"),
                               ("a message is answered", "nv_happened")]:
            with suite.check(f"hv_netvsc, where {what}: reported, and the carrier is lost"):
                garden.plant("hv_netvsc", function)
                if function == "nv_happened":
                    # A message to the host whose answer is news.
                    vm.sh("ip link set eth0 promisc on")
                vm.sh("udhcpc -i eth0 -n -q -t 3 -T 1 -s /bin/true >/dev/null 2>&1; true", 60)
                vm.sh("n=0; until [ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]; do n=$((n+1)); [ $n -lt 100 ] || exit 1; "
                      "usleep 100000; done", 60)
                garden.harvest("Swift trap")
            with suite.check("unloaded and loaded it works again"):
                vm.sh("rmmod hv_netvsc", 60)
                vm.sh(up, 60)
                garden.sound()
        with suite.check("it unloads with nothing left behind"):
            vm.sh("rmmod hv_netvsc", 60)
            garden.sound()


def services(suite, guest):
    selftest = planter(suite, guest, "hv_utils")
    if not selftest:
        return
    with Machine(suite, guest, processors=2, disks=True, files={"root/lis_selftest.ko": selftest}) as vm:
        vm.services_ready(SERVICES)
        vm.check_modules(["hv_utils"])
        vm.sh("modprobe scsi_mod")
        garden = Garden(vm)
        for what, function in [("a request goes to its daemon", "utils_message_waits"),
                               ("a packet is read", "utils_swift_serve")]:
            with suite.check(f"hv_utils, where {what}: reported, the service ends, the others go on"):
                # By whatever comes first.
                vm.sh("daemons kill; daemons start kvp vss; daemons wait kvp vss") if garden.met else None
                garden.plant("hv_utils", function)
                vm.attempt("kvp", "get", vm.name, "OSName", "--pool", "auto")
                garden.harvest("out of use: a check failed in the driver")
                vm.wait_for("heartbeat ok or lost", lambda description: description["heartbeat"]["state"] in ("ok", "lost"))
            with suite.check("unloaded and loaded all services are there again"):
                vm.sh("daemons kill; rmmod hv_utils && modprobe hv_utils && daemons start kvp vss", 120)
                vm.services_ready(SERVICES)
                expect_equal(vm.lis("kvp", "get", vm.name, "OSName", "--pool", "auto").strip(),
                             vm.sh(". /etc/os-release; echo \"$NAME\""), "OSName")
                garden.sound()


def bus(suite, guest):
    selftest = planter(suite, guest, "hv_vmbus")
    if not selftest:
        return
    with Machine(suite, guest, processors=2, files={"root/lis_selftest.ko": selftest}) as vm:
        vm.services_ready(SERVICES)
        vm.check_modules(["hv_vmbus"])
        garden = Garden(vm)
        with suite.check("hv_vmbus, where a message is read: reported, the connection ends, the machine lives"):
            garden.plant("hv_vmbus", "bus_receive")
            vm.attempt("service", "disable", vm.name, "snapshot")
            garden.harvest("the connection is given up after a trap")
            vm.sh("sleep 1; for i in $(seq 20); do cat /proc/interrupts; done >/dev/null")
        with suite.check("a reboot brings all back"):
            vm.attempt("service", "enable", vm.name, "snapshot")
            since = vm.console.mark()
            vm.console.send(b"0 /sbin/reboot -f\n")
            vm.rebooted(since)
            vm.services_ready(SERVICES)
        garden = Garden(vm)
        with suite.check("hv_vmbus, in its interrupt: reported, and the services go on"):
            garden.plant("hv_vmbus", "vb_channel_signalled")
            vm.attempt("kvp", "get", vm.name, "OSName", "--pool", "auto")
            garden.harvest("Swift trap")
            for _ in range(3):
                expect_equal(vm.lis("kvp", "get", vm.name, "OSName", "--pool", "auto").strip(),
                             vm.sh(". /etc/os-release; echo \"$NAME\""), "OSName")


for guest in ["6.1-cloud", "6.12-cloud"]:
    for module, body in [("hv_vmbus", bus), ("hv_utils", services), ("hv_storvsc", disk), ("hv_netvsc", adapter)]:
        case(f"traps planted in {module}, {{guest}}", depth="full", guest=guest)(body)
