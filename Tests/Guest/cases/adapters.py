# SPDX-License-Identifier: Apache-2.0
"""Network adapters in depth: changes while the machine runs, hot plug under traffic, large frames, channels, scaling, a
VLAN-filtering bridge and a bad cable. With Debian's ethtool, iproute2 and iperf3 in the guests."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time

from cases.network import HOST, LEASE, can_make_taps, server, tap, up
from harness import traffic
from harness.machine import Machine
from harness.suite import case, expect, expect_equal
from harness.switch import captured, is_echo, private_switch

SKIPPED = "skipped: a TAP device can be made by root only, and where /dev/net/tun is"
SECOND_HOST, SECOND_GUEST = "10.78.0.1", "10.78.0.2"
# Busybox's shell prefers its own programs to those of these names.
IP, TC, BRIDGE, PING, IPERF = (f"/{traffic.FOLDER}/{name}" for name in ["ip", "tc", "bridge", "ping", "iperf3"])


def device(letter):
    return f"lt{letter}{os.getpid() % 100000}"


def carrier(vm, interface, wanted, seconds=15):
    vm.sh(f"for i in $(seq {seconds * 10}); do [ \"$(cat /sys/class/net/{interface}/carrier 2>/dev/null)\" = {wanted} ] "
          "&& exit 0; sleep 0.1; done; exit 1", timeout=seconds * 3 + 30)


def reaches(vm, address, tries=30):
    vm.sh(f"for i in $(seq {tries}); do ping -c 1 -W 1 {address} >/dev/null && exit 0; done; exit 1", timeout=tries * 3 + 30)


def silent(vm, address):
    vm.sh(f"! ping -c 2 -W 2 {address} >/dev/null", timeout=30)


def longest_gap(text, interval):
    """Seconds between two answers of a ping at most, by the numbers that came."""
    numbers = [int(number) for number in re.findall(r"seq=(\d+)", text)]
    expect(len(numbers) > 10, f"{len(numbers)} answers: {text[-300:]}")
    return max(second - first for first, second in zip(numbers, numbers[1:])) * interval, len(numbers)


@contextlib.contextmanager
def listener():
    """iperf3 on this host, for one client."""
    program, variables = traffic.host("iperf3")
    with subprocess.Popen([program, "-s", "-1", "-B", HOST], env={**os.environ, **variables},
                          stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(1)
            yield
            process.wait(30)
        finally:
            process.kill()


@case("adapters change while the machine runs 6.1-cloud", depth="full", guest="6.1-cloud")
@case("adapters change while the machine runs 6.12-cloud", depth="full", guest="6.12-cloud")
def control(suite, guest):
    if not can_make_taps():
        suite.note(SKIPPED)
        return
    with tap(device("a")) as first, tap(device("b"), SECOND_HOST) as second, \
            Machine(suite, guest, network=True, daemons=False,
                    options=["--nic", f"tap:{first},name=keep", "--nic", f"tap:{second},name=lan"]) as vm:
        def nic(*words):
            return vm.lis("vm", "nic", words[0], vm.name, *words[1:])

        def found():
            return {one["name"]: one for one in vm.json("vm", "nic", "list", vm.name)}

        def name_of(mac):
            return vm.sh(f"for i in $(seq 100); do for d in /sys/class/net/eth*; do [ \"$(cat $d/address)\" = {mac} ] && "
                         "basename $d && exit 0; done; sleep 0.1; done; exit 1", timeout=60).strip()
        up(vm)
        up(vm, SECOND_GUEST, "eth1")
        mac = found()["lan"]["mac"]
        with suite.check("the link goes down and up; what it leads to stays"):
            nic("link", "lan", "down")
            carrier(vm, "eth1", 0)
            silent(vm, SECOND_HOST)
            expect_equal((found()["lan"]["link"], found()["lan"]["connection"]), ("down", f"tap:{second}"), "adapter")
            nic("link", "lan", "up")
            carrier(vm, "eth1", 1)
            reaches(vm, SECOND_HOST)
        with suite.check("disconnected and connected again"):
            nic("disconnect", "lan")
            carrier(vm, "eth1", 0)
            expect_equal(found()["lan"]["connection"], "none", "connection")
            nic("connect", "lan", f"tap:{second}")
            carrier(vm, "eth1", 1)
            reaches(vm, SECOND_HOST)
        with suite.check("a VLAN that the host does not have, and back"):
            nic("vlan", "lan", "access", "5")
            silent(vm, SECOND_HOST)
            nic("vlan", "lan", "trunk", "1-10", "native", "5")
            silent(vm, SECOND_HOST)
            nic("vlan", "lan", "untagged")
            reaches(vm, SECOND_HOST)
        with suite.check("an address that the guest may take, and then may not"):
            nic("guard", "lan", "--spoofing", "yes", "--router-guard", "yes")
            expect_equal((found()["lan"]["spoofing"], found()["lan"]["routerGuard"]), (True, True), "guards")
            vm.sh("ip link set eth1 down && ip link set eth1 address 02:00:00:00:00:77 && ip link set eth1 up")
            carrier(vm, "eth1", 1)
            vm.sh(f"ip addr replace {SECOND_GUEST}/24 dev eth1")
            reaches(vm, SECOND_HOST)
            nic("guard", "lan", "--spoofing", "no")
            silent(vm, SECOND_HOST)
            expect(found()["lan"]["port"]["drops"].get("spoofed", 0) > 0, "nothing counted as spoofed")
            vm.sh("ip link set eth1 down; ip link set eth1 address 02:00:00:00:00:78 2>/dev/null && exit 1; true")
        with suite.check("removed, and added again with its old address"):
            nic("remove", "lan")
            vm.sh("for i in $(seq 100); do [ -e /sys/class/net/eth1 ] || exit 0; sleep 0.1; done; exit 1", timeout=60)
            expect("lan" not in found(), "still listed")
            added = vm.json("vm", "nic", "add", vm.name, f"tap:{second}", "--name", "lan")
            expect_equal(added["mac"], mac, "address")
            interface = name_of(mac)
            vm.sh(f"ip link set {interface} up && ip addr add {SECOND_GUEST}/24 dev {interface}")
            carrier(vm, interface, 1)
            reaches(vm, SECOND_HOST)
        with suite.check("what cannot be done changes nothing"):
            vm.refused(26, "vm", "nic", "add", vm.name, f"tap:{second}", "--name", "lan")
            vm.refused(26, "vm", "nic", "add", vm.name, "none", "--mac", mac)
            vm.refused(25, "vm", "nic", "remove", vm.name, "absent")
            for word in ["multicast", "zero"]:
                bad = "01:00:5e:00:00:01" if word == "multicast" else "00:00:00:00:00:00"
                vm.refused(64, "vm", "nic", "add", vm.name, "none", "--mac", bad)
            vm.refused(64, "vm", "nic", "vlan", vm.name, "lan", "access", "4095")
            code, _, text = vm.attempt("vm", "nic", "connect", vm.name, "lan", "tap:lis-absent")
            expect(code not in (0, 1), f"exit {code}: {text}")
            reaches(vm, SECOND_HOST)
        with suite.check("a TAP device that somebody else has is refused, and nothing is left"):
            with tap(device("c"), "10.79.0.1") as third:
                subprocess.run(["ip", "link", "del", third], check=True)
                subprocess.run(["ip", "tuntap", "add", third, "mode", "tap"], check=True)
                arguments = [suite.lis, "run", "--name", "busy", "--kernel", vm.arguments[vm.arguments.index("--kernel") + 1],
                             "--serial", "off", "--nic", f"tap:{third}"]
                holder = subprocess.Popen([*arguments[:3], "holder", *arguments[4:]], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
                try:
                    end = time.monotonic() + 90
                    while time.monotonic() < end and subprocess.run([suite.lis, "vm", "show", "holder"], check=False,
                                                                    capture_output=True).returncode:
                        time.sleep(0.5)
                    done = subprocess.run(arguments, capture_output=True, text=True, timeout=90, check=False)
                    expect(done.returncode in (22, 66, 69), f"exit {done.returncode}: {done.stderr}")
                    suite.note(done.stderr.strip()[:200])
                finally:
                    holder.kill()
                    holder.wait()


@case("adapters come and go, none to 8 6.1-cloud", depth="full", guest="6.1-cloud")
@case("adapters come and go, none to 8 6.12-cloud", depth="full", guest="6.12-cloud")
def hot_plug(suite, guest, rounds=10):
    if not can_make_taps():
        suite.note(SKIPPED)
        return
    # It is gone before the guest has a driver; the software machine has only the connections that it was started with.
    with tap(device("f")) as first, \
            Machine(suite, guest, network=True, daemons=False, options=["--nic", f"tap:{first},name=keep"]) as vm:
        def interfaces(count):
            vm.sh(f"for i in $(seq 300); do [ $(ls -d /sys/class/net/eth* 2>/dev/null | wc -l) = {count} ] && exit 0; "
                  "sleep 0.1; done; exit 1", timeout=120)

        def nics():
            return len(vm.json("vm", "nic", "list", vm.name))
        with suite.check("a machine without adapters gets one"):
            vm.lis("vm", "nic", "remove", vm.name, "keep")
            expect_equal(nics(), 0, "adapters")
            vm.sh("modprobe hv_netvsc; ls -d /sys/class/net/eth* 2>/dev/null && exit 1; true")
            vm.lis("vm", "nic", "add", vm.name, f"tap:{first}", "--name", "keep")
            interfaces(1)
            up(vm)
            reaches(vm, HOST)
        with suite.check(f"{rounds} rounds up to 8 and back at random, while it is pinged"):
            vm.sh(f"ping -i 0.2 -c 100000 -W 1 {HOST} >/tmp/pings 2>&1 &")
            began, order = time.monotonic(), random.Random(7)
            for _ in range(rounds):
                names = [f"x{index}" for index in range(7)]
                for name in names:
                    vm.lis("vm", "nic", "add", vm.name, "none", "--name", name)
                expect_equal(nics(), 8, "adapters")
                interfaces(8)
                order.shuffle(names)
                for name in names:
                    vm.lis("vm", "nic", "remove", vm.name, name)
                interfaces(1)
            seconds = time.monotonic() - began
            vm.sh("killall -INT ping; sleep 1; true")
            gap, answers = longest_gap(vm.sh("cat /tmp/pings"), 0.2)
            suite.note(f"{answers} answers in {seconds:.0f} s, at most {gap:.1f} s between two")
            expect(gap <= 2, f"{gap:.1f} s without an answer")
            expect(answers * 0.2 > seconds / 2, "the ping ended early")
        with suite.check("a ninth is refused"):
            for name in names:
                vm.lis("vm", "nic", "add", vm.name, "none", "--name", name)
            code, _, text = vm.attempt("vm", "nic", "add", vm.name, "none", "--name", "ninth")
            expect(code not in (0, 1), f"exit {code}: {text}")
            expect_equal(nics(), 8, "adapters")
            reaches(vm, HOST)


@case("an adapter in depth 6.1-cloud", depth="full", guest="6.1-cloud")
@case("an adapter in depth 6.12-cloud", depth="full", guest="6.12-cloud")
def in_depth(suite, guest, processors=4):
    if not can_make_taps():
        suite.note(SKIPPED)
        return
    with tap(device("d"), mtu=9000) as first, \
            Machine(suite, guest, network=True, daemons=False, processors=processors,
                    files=traffic.files(guest), options=["--nic", f"tap:{first},mtu=9000"]) as vm:
        def sh(command, timeout=60):
            return vm.sh(command, timeout=timeout)

        def queues(direction):
            text = sh("ethtool -S eth0")
            return [int(number) for number in re.findall(rf"{direction}_queue_\d+_packets: (\d+)", text)]

        up(vm)
        reaches(vm, HOST)
        with suite.check("ethtool has sensible answers"):
            expect("driver: hv_netvsc" in sh("ethtool -i eth0"), "ethtool -i")
            features = sh("ethtool -k eth0")
            for name in ["tx-checksumming", "scatter-gather", "tcp-segmentation-offload", "rx-checksumming"]:
                expect(f"{name}: on" in features, f"{name} is not on")
            expect_equal(re.findall(r"Combined:\s+(\d+)", sh("ethtool -l eth0")), [str(processors)] * 2, "channels")
            expect_equal(len(queues("tx")), processors, "queues")
            rings = [int(number) for number in re.findall(r"(?:RX|TX):\s+(\d+)", sh("ethtool -g eth0"))]
            expect(len(rings) == 4 and all(rings), f"rings {rings}")
            expect(f"with {processors} RX ring(s)" in sh("ethtool -x eth0"), "ethtool -x")
        with suite.check("MTU 9000: pings of 0 to 8972 bytes in steps of 97 that may not be cut, large send on and off"):
            sh("ip link set eth0 mtu 9000")
            reaches(vm, HOST)
            for state in ["on", "off"]:
                sh(f"ethtool -K eth0 tso {state}")
                lost = sh(f"for s in $(seq 0 97 8972); do {PING} -M do -c 1 -W 5 -s $s {HOST} >/dev/null || echo $s; done",
                          timeout=300).split()
                expect_equal(lost, [], f"lost with large send {state}")
            sh(f"! {PING} -M do -c 1 -W 2 -s 8973 {HOST} >/dev/null 2>&1; ethtool -K eth0 tso on")

        def receive(seconds):
            with listener():
                before = queues("tx"), queues("rx")
                sh(f"{IPERF} -c {HOST} -P 16 -t {seconds} --bidir >/tmp/iperf 2>&1 || cat /tmp/iperf", timeout=120)
                after = queues("tx"), queues("rx")
                return [[new - old for old, new in zip(*pair)] for pair in zip(before, after)]
        # Before the number of channels changes: with one channel Linux forgets the key of receive-side scaling, and all that it
        # receives goes to its first queue from then on (rdev->rss_key in rndis_filter.c of 6.1).
        with suite.check("every queue is used both ways"):
            sent, received = receive(8)
            suite.note(f"packets by queue: sent {sent}, received {received}")
            expect_equal(len(sent), 4, "queues")
            expect(all(sent) and all(received), "a queue was not used")
        with suite.check("channels from 1 to 4 and back while iperf3 runs"):
            with listener():
                sh(f"({IPERF} -c {HOST} -P 8 -t 45 >/tmp/iperf 2>&1; echo $? >/tmp/iperf.code) &")
                for count in [1, 2, 3, 4, 2, 4]:
                    time.sleep(3)
                    sh(f"ethtool -L eth0 combined {count}")
                    expect_equal(re.findall(r"Combined:\s+(\d+)", sh("ethtool -l eth0"))[1], str(count), "channels")
                sh("for i in $(seq 90); do [ -e /tmp/iperf.code ] && exit 0; sleep 1; done; exit 1", timeout=180)
                expect_equal(sh("cat /tmp/iperf.code").strip(), "0", f"iperf3: {sh('tail -3 /tmp/iperf')}")
                suite.note(sh("grep SUM /tmp/iperf | tail -2").strip())
        with suite.check("table and key of receive-side scaling are as they were set, and are followed"):
            key = ":".join(f"{(index * 7 + 3) & 0xff:02x}" for index in range(40))
            sh(f"ethtool -X eth0 hkey {key}")
            expect(key in sh("ethtool -x eth0"), "the key is another one")
            sh("ethtool -X eth0 equal 2")
            rows = re.findall(r"^\s*\d+:\s+([\d\s]+)$", sh("ethtool -x eth0"), re.M)
            expect_equal(set(" ".join(rows).split()), {"0", "1"}, "entries of the table")
            _, received = receive(5)
            suite.note(f"with two in the table: received {received}")
            expect(all(received[:2]) and max(received[2:]) <= max(received) // 50, "the table is not followed")
            sh("ethtool -X eth0 default")
        both_ways(suite, vm, HOST)


def both_ways(suite, vm, address, serves=None, mebibytes=256, piece=64 << 20):
    """Fetches and puts at once; `address`: the host's, as the guest sees it, `serves` as the host has it."""
    times = (mebibytes << 20) // piece
    whole = os.urandom(piece) * times
    wanted = hashlib.md5(whole).hexdigest()
    with suite.check(f"{mebibytes} MiB both ways at once arrive as they were"), \
            server(address if serves is None else serves, whole) as (port, kept):
        vm.sh(f"wget -q -O /tmp/p http://{address}:{port}/{piece}", timeout=600)
        vm.sh(f"(wget -q -O - http://{address}:{port}/ | md5sum >/tmp/sum) & "
              f"(printf 'POST /f HTTP/1.0\\r\\nContent-Length: {len(whole)}\\r\\n\\r\\n'; "
              f"for i in $(seq {times}); do cat /tmp/p; done; sleep 5) | nc -w 120 {address} {port} >/dev/null; wait",
              timeout=900)
        expect_equal(vm.sh("cat /tmp/sum").split()[0], wanted, "hash of what the guest got")
        expect_equal(kept.get("/f"), wanted, "hash of what the host got")


@case("256 MiB both ways over the user-mode network 6.1-cloud", depth="full", guest="6.1-cloud")
@case("256 MiB both ways over the user-mode network 6.12-cloud", depth="full", guest="6.12-cloud")
def much_in_user_mode(suite, guest):
    if shutil.which("passt") is None:
        suite.note("skipped: passt is not installed")
        return
    with Machine(suite, guest, network=True, daemons=False, files={"root/lease": LEASE}, options=["--nic", "user"]) as vm:
        vm.sh("modprobe hv_netvsc && ip link set eth0 up")
        vm.sh("chmod 755 /root/lease && udhcpc -i eth0 -n -q -t 10 -s /root/lease", timeout=60)
        both_ways(suite, vm, vm.sh(". /tmp/lease; echo $router").strip(), "")


def tags(path, echoes=False):
    """Of each frame of a pcapng file (`echoes`: of each ICMP echo and its answer): its VLAN, or None."""
    return [tag for tag, rest in captured(path) if not echoes or is_echo(rest)]


@contextlib.contextmanager
def watched(interface):
    """Of each frame at an interface of this host: its VLAN, or None. The kernel keeps tags beside the frames."""
    everything, packets, auxiliary = socket.htons(3), 263, 8
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything) as watcher:
        watcher.setsockopt(packets, auxiliary, 1)
        watcher.bind((interface, 3))
        found = []
        yield found
        watcher.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                data, beside, _, _ = watcher.recvmsg(2048, 256)
                tag = int.from_bytes(data[14:16], "big") & 0xfff if data[12:14] == b"\x81\x00" else None
                for level, kind, content in beside:
                    if (level, kind) == (packets, auxiliary) and content[0] & 0x10:
                        tag = int.from_bytes(content[16:18], "little") & 0xfff
                found.append(tag)


@case("a VLAN-filtering bridge and a bad cable 6.1-cloud", depth="full", guest="6.1-cloud")
@case("a VLAN-filtering bridge and a bad cable 6.12-cloud", depth="full", guest="6.12-cloud")
def bridge(suite, guest):
    """One machine behind another one, which is a Linux bridge to the host that spoils what passes."""
    if not can_make_taps():
        suite.note(SKIPPED)
        return
    with private_switch(suite) as (name, lis), tap(device("e")) as wire, \
            Machine(suite, guest, network=True, daemons=False, files=traffic.files(guest, ["bridge", "sch_netem"]),
                    options=["--nic", f"switch:{name},trunk=all,spoofing", "--nic", f"tap:{wire},trunk=all,spoofing"]
                    ) as middle, \
            Machine(suite, guest, network=True, daemons=False, files=traffic.files(guest),
                    options=["--nic", f"switch:{name},vlan=5,name=lan"]) as end:
        with suite.check("a bridge in one machine, the other one behind it in VLAN 5"):
            # Its own interfaces have nothing to say: what is captured is what the bridge forwards.
            middle.sh("for i in all default; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done 2>/dev/null; "
                      "modprobe hv_netvsc; " + traffic.START)
            middle.sh(f"{IP} link add br0 type bridge vlan_filtering 1 && for i in eth0 eth1; do {IP} link set $i up "
                      f"master br0 || exit 1; done; {IP} link set br0 up; {BRIDGE} vlan add vid 5 dev eth0 && "
                      f"{BRIDGE} vlan add vid 5 dev eth1 pvid untagged && {BRIDGE} vlan del vid 1 dev eth0")
            up(end)
            reaches(end, HOST, 60)
        port = f"{end.name}/lan"
        with suite.check("captures at each port show exactly the expected tags"):
            paths = {one: suite.work / f"{guest}-{one}.pcapng" for one in ["end", "middle"]}
            lis("capture", name, str(paths["end"]), "--port", port)
            lis("capture", name, str(paths["middle"]), "--port", f"{middle.name}/nic0")
            with watched(wire) as outside:
                end.sh(f"ping -c 5 -W 5 {HOST}")
            for path in paths.values():
                lis("capture", name, str(path), "--stop")
            for one, wanted in [("end", None), ("middle", 5)]:
                expect_equal(tags(paths[one], echoes=True), [wanted] * 10, f"tags of echoes at {one}")
                expect_equal(set(tags(paths[one])), {wanted}, f"tags at {one}")
            expect_equal(set(outside), {None}, "tags at the TAP device")
        with suite.check("a bridge without the VLAN, and a port in another one, let nothing pass"):
            middle.sh(f"{BRIDGE} vlan del vid 5 dev eth0")
            silent(end, HOST)
            middle.sh(f"{BRIDGE} vlan add vid 5 dev eth0")
            reaches(end, HOST)
            lis("vlan", name, port, "access", "6")
            silent(end, HOST)
            lis("vlan", name, port, "access", "5")
            reaches(end, HOST)
        data = os.urandom(2 << 20)
        with server(HOST, data) as (number, kept):
            for state in ["on", "off"]:
                with suite.check(f"what the cable spoils never arrives as good, offloads {state}"):
                    end.sh(f"ethtool -K eth0 tso {state} tx {state} rx {state}; true")
                    for interface in ["eth0", "eth1"]:
                        middle.sh(f"{TC} qdisc replace dev {interface} root netem corrupt 2%")
                    found = end.sh(f"wget -q -O /tmp/f http://{HOST}:{number}/ && md5sum /tmp/f", timeout=600).split()[0]
                    expect_equal(found, hashlib.md5(data).hexdigest(), "hash")
                    end.sh(f"(printf 'POST /{state} HTTP/1.0\\r\\nContent-Length: {len(data)}\\r\\n\\r\\n'; cat /tmp/f; "
                           f"sleep 10) | nc -w 120 {HOST} {number} >/dev/null", timeout=600)
                    expect_equal(kept.get(f"/{state}"), hashlib.md5(data).hexdigest(), "hash of what the host got")
                    for interface in ["eth0", "eth1"]:
                        middle.sh(f"{TC} qdisc del dev {interface} root")
            bad = end.sh("awk '/^Tcp:/ {n++; if (n == 1) {for (i = 1; i <= NF; i++) if ($i == \"InCsumErrors\") c = i} "
                         "else print $c}' /proc/net/snmp").strip()
            suite.note(f"{bad} segments with a bad checksum were refused by the guest")
            expect(int(bad) > 0, "nothing was spoiled")


@case("two machines at once 6.1-cloud", depth="full", guest="6.1-cloud")
@case("two machines at once 6.12-cloud", depth="full", guest="6.12-cloud")
def at_once(suite, guest):
    """256 MiB both ways at once between two machines, over a switch."""
    piece = 32 << 20
    with private_switch(suite) as (name, _), \
            Machine(suite, guest, network=True, daemons=False, memory="512M", options=["--nic", f"switch:{name}"]) as one, \
            Machine(suite, guest, network=True, daemons=False, memory="512M", options=["--nic", f"switch:{name}"]) as two:
        up(one, "10.5.0.1")
        up(two, "10.5.0.2")
        reaches(one, "10.5.0.2")
        with suite.check("256 MiB both ways at once arrive as they were"):
            sums = {}
            for vm in (one, two):
                sums[vm] = vm.sh(f"mkdir -p /w; dd if=/dev/urandom of=/w/f bs=1M count={piece >> 20} 2>/dev/null; "
                                 "httpd -h /w -p 80; md5sum /w/f", timeout=120).split()[0]
            found = {}

            def fetch(vm, address):
                found[vm] = vm.sh("for i in 1 2 3 4 5 6 7 8; do wget -q -O - http://%s/f | md5sum; done" % address,
                                  timeout=1200).split()[::2]
            threads = [threading.Thread(target=fetch, args=arguments)
                       for arguments in [(one, "10.5.0.2"), (two, "10.5.0.1")]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            expect_equal(found.get(one), [sums[two]] * 8, "hashes at the first one")
            expect_equal(found.get(two), [sums[one]] * 8, "hashes at the second one")
