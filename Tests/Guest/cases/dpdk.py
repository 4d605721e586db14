# SPDX-License-Identifier: Apache-2.0
"""A client of the adapter that is not Linux's driver: DPDK's netvsc driver, over uio_hv_generic, signals by monitor page."""

import re
import time

from cases.adapters import IP, IPERF, PING
from cases.network import up
from harness import traffic
from harness.machine import Machine
from harness.suite import case, expect, expect_equal
from harness.switch import private_switch
from harness.testpmd import Testpmd, bind, files as pmd_files

NEAR, FAR, BACK, OTHER = "10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.77"


@case("DPDK's testpmd forwards 6.1-cloud", depth="full", guest="6.1-cloud")
@case("DPDK's testpmd forwards 6.12-cloud", depth="full", guest="6.12-cloud")
@case("DPDK's testpmd forwards 6.1-standard, 2 queues", depth="full", guest="6.1-standard", queues=2)
def testpmd(suite, guest, queues=1):
    """Two switches, and testpmd between them: what the kernel's driver sends into the one comes out of the other, to a
    second adapter of the kernel's in a network of its own. All are monitored: DPDK 22.11 finds no adapter when it sees one
    without a monitor."""
    with private_switch(suite, "-near") as (near, _), private_switch(suite, "-far") as (far, _):
        options = [word for side, name in [("near", near), ("far", far)] for word in
                   ["--nic", f"switch:{name},name={side},monitored", "--nic", f"switch:{name},name=pmd-{side},monitored,spoofing"]]
        with Machine(suite, guest, processors=2, memory="1G", network=True, daemons=False, options=options,
                     files={**traffic.files(guest), **pmd_files()}) as vm:
            forward(suite, vm, queues)


def frames(vm):
    """Of each adapter the frames that the guest received and sent, as the host counts them."""
    return {one["name"]: (one["counters"]["receivedFrames"], one["counters"]["sentFrames"])
            for one in vm.json("vm", "nic", "list", vm.name)}


def forward(suite, vm, queues):
    with suite.check("the bus offers the adapters with monitors, and uio_hv_generic takes two"):
        devices = bind(vm, [1, 3])
        expect_equal(sorted(vm.sh("cat /sys/bus/vmbus/devices/*/monitor_id").split()), ["0", "1", "2", "3"], "monitors")
        # From 6.10 on it takes the file copy service, too.
        maps = " ".join(f"/sys/bus/vmbus/devices/{one}/uio/uio*/maps/map2/name" for one in devices)
        expect_equal(vm.sh(f"cat {maps}").split(), ["monitor_page"] * 2, "maps")
        expect_equal([one["monitored"] for one in vm.json("vm", "nic", "list", vm.name)], [True] * 4, "monitored")
    with suite.check("the kernel's own driver has the other two"):
        up(vm, NEAR)
        vm.sh(f"{IP} netns add far && {IP} link set eth1 netns far && {IP} netns exec far {IP} addr add {FAR}/24 dev eth1 && "
              f"{IP} netns exec far {IP} link set eth1 up")
        vm.sh(f"! ping -c 1 -W 2 {FAR}")
    with Testpmd(vm, queues=queues, words="--forward-mode=io") as pmd:
        pmd.do("show port info all", "start")
        with suite.check("pings of 0 to 1472 bytes pass from port to port"):
            vm.sh(f"for i in $(seq 30); do ping -c 1 -W 1 {FAR} >/dev/null && exit 0; done; exit 1", timeout=90)
            vm.sh(f"for s in $(seq 0 184 1472); do ping -c 1 -W 5 -s $s {FAR} >/dev/null || exit 1; done", timeout=60)
        with suite.check("200 pings, one after the other: none is lost, and all went through testpmd's ports"):
            before = frames(vm)
            text = vm.sh(f"{PING} -A -q -c 200 -s 1000 -W 5 {FAR}", timeout=90)
            expect("200 received" in text and "wrong data" not in text, text)
            suite.note(text.splitlines()[-1])
            moved = {name: [after - earlier for after, earlier in zip(counts, before[name])] for name, counts in
                     frames(vm).items() if "pmd" in name}
            suite.note(f"frames that testpmd received and sent: {moved}")
            expect(len(moved) == 2 and all(count >= 200 for counts in moved.values() for count in counts), str(moved))
        with suite.check("TCP both ways"):
            vm.sh(f"{IP} netns exec far {IPERF} -s -D >/dev/null")
            for way in ["", "-R"]:
                text = vm.sh(f"{IPERF} -c {FAR} -n 2M {way}", timeout=90)
                suite.note(re.findall(r".*receiver", text)[-1].strip())
        with suite.check("testpmd answers pings itself"):
            pmd.do("stop", "set fwd icmpecho", "start")
            text = vm.sh(f"{PING} -A -q -c 50 -s 1400 -W 5 {OTHER}", timeout=60)
            expect("50 received" in text, text)
            suite.note(text.splitlines()[-1])
        # It hears of the link while it reads packets. The state that DPDK 22.11 shows stays what it was.
        for link in ["down", "up"]:
            vm.lis("vm", "nic", "link", vm.name, "pmd-near", link)
            time.sleep(3)
    with suite.check("testpmd had both ports, with their addresses, queues and links, and heard of a link that went and came"):
        text = pmd.output
        expect_equal(re.findall(r"Driver name: (\S+)", text), ["net_netvsc"] * 2, "drivers")
        expect_equal({one.lower() for one in re.findall(r"MAC address: (\S+)", text)},
                     {one["mac"] for one in vm.json("vm", "nic", "list", vm.name) if "pmd" in one["name"]}, "addresses")
        expect_equal(re.findall(r"Current number of RX queues: (\d+)", text), [str(queues)] * 2, "queues")
        expect_equal(re.findall(r"Link status: (\S+)", text), ["up"] * 2, "links")
        expect_equal(len(re.findall(r"link state change event", text)), 2, "events of links")
    with suite.check("it starts once more"):
        with Testpmd(vm, queues=queues, words="--forward-mode=io") as pmd:
            pmd.do("start")
            vm.sh(f"for i in $(seq 30); do ping -c 1 -W 1 {FAR} >/dev/null && exit 0; done; exit 1", timeout=90)
    with suite.check("the kernel's own driver takes the adapters back"):
        for one in devices:
            vm.sh(f"echo {one} >/sys/bus/vmbus/drivers/uio_hv_generic/unbind; echo >/sys/bus/vmbus/devices/{one}/driver_override; "
                  f"echo {one} >/sys/bus/vmbus/drivers/hv_netvsc/bind")
        mac = next(one["mac"] for one in vm.json("vm", "nic", "list", vm.name) if one["name"] == "pmd-near")
        vm.sh(f"i=$(grep -l {mac} /sys/class/net/*/address | cut -d/ -f5); {IP} netns add back && {IP} link set $i netns back "
              f"name back && {IP} netns exec back {IP} addr add {BACK}/24 dev back && {IP} netns exec back {IP} link set back up")
        vm.sh(f"for i in $(seq 30); do ping -c 1 -W 1 {BACK} >/dev/null && exit 0; done; exit 1", timeout=120)
        text = vm.sh(f"{PING} -A -q -c 50 -s 1400 -W 5 {BACK}", timeout=120)
        expect("50 received" in text, text)
        suite.note(text.splitlines()[-1])
    with suite.check("nothing to complain about"):
        show = vm.show()
        expect_equal({name: count for name, count in show["statistics"].items() if "refused" in name and count}, {}, "refusals")
        vm.sh("dmesg | grep -iE 'uio_hv|hv_vmbus|hv_netvsc' | grep -iE 'error|fail|invalid' && exit 1; true")
