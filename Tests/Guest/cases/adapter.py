# SPDX-License-Identifier: Apache-2.0
"""What a user can set of a network adapter, and its driver coming and going. With hv_netvsc of the kernel or of ours."""

import contextlib
import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess

from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

from .network import GUEST, HOST, can_make_taps, post, server, tap, up

ETHTOOL = "ethtool"


def complaints(vm):
    """Lines of the kernel's that no test may leave behind."""
    return vm.sh("dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|Swift trap|general protection|left behind|not given back' || :").strip()


def reaches(vm, address=HOST, tries=30):
    vm.sh(f"for i in $(seq {tries}); do ping -c 1 -W 1 {address} >/dev/null && exit 0; done; exit 1", timeout=tries * 3)


def copies(vm, port, kept, data, path="/tmp/f"):
    """`data` from the host and a file to the host, compared."""
    found = vm.sh(f"wget -q -O - http://{HOST}:{port}/ | md5sum", timeout=180).split()[0]
    expect_equal(found, hashlib.md5(data).hexdigest(), "hash of what came from the host")
    sent = vm.sh(f"md5sum {path}").split()[0]
    post(vm, path, port, "f")
    expect_equal(kept.get("/f"), sent, "hash of what came from the guest")


def statistics(vm):
    text = vm.sh(f"{ETHTOOL} -S eth0")
    return {name: int(value) for name, value in re.findall(r"^\s+(\S+): (\d+)", text, re.M)}


def setting(vm, option, name):
    """The current value, which ethtool shows behind the largest one."""
    return re.findall(rf"^{name}:\s*(\S+)", vm.sh(f"{ETHTOOL} {option} eth0"), re.M | re.I)[-1]


@case("adapter settings 6.1-cloud, 4 processors", depth="full", guest="6.1-cloud", processors=4)
@case("adapter settings 6.12-cloud, 4 processors", depth="full", guest="6.12-cloud", processors=4)
def settings(suite, guest, processors):
    if not can_make_taps():
        suite.note("skipped: a TAP device can be made by root only, and where /dev/net/tun is")
        return
    data = os.urandom(2 << 20)
    options = ["spoofing=yes", "mtu=9000"]
    with tap(f"la{os.getpid() % 10000}", mtu=9000) as device, \
            Machine(suite, guest, processors=processors, network=True,
                    options=["--nic", ",".join([f"tap:{device}", *options])]) as vm, server(HOST, data) as (port, kept):
        with suite.check("the adapter tells about itself"):
            up(vm)
            vm.sh("dd if=/dev/urandom of=/tmp/f bs=1M count=2 2>/dev/null")
            text = vm.sh(f"{ETHTOOL} -i eth0; {ETHTOOL} eth0")
            expect("driver: hv_netvsc" in text and "Link detected: yes" in text and "Speed: 10" in text, text)
            reaches(vm)
        with suite.check("what is received is spread over the channels"):
            expect_equal(setting(vm, "-l", "Combined"), str(processors), "channels")
            vm.sh("for i in 1 2 3 4 5 6 7 8; do wget -q -O /dev/null http://%s:%d/ & done; wait" % (HOST, port),
                  timeout=180)
            counts = statistics(vm)
            busy = [i for i in range(processors) if counts.get(f"rx_queue_{i}_packets", 0) > 50]
            suite.note(" ".join(f"{counts.get(f'rx_queue_{i}_packets')}/{counts.get(f'tx_queue_{i}_packets')}"
                                for i in range(processors)))
            expect(len(busy) > 1, f"only {busy} received")
        with suite.check("the spreading is set"):
            table = vm.sh(f"{ETHTOOL} -X eth0 equal 2 && {ETHTOOL} -x eth0")
            entries = [int(one) for line in re.findall(r"^ +\d+:((?: +\d+)+)$", table, re.M) for one in line.split()]
            expect(len(entries) >= 128 and set(entries) == {0, 1}, table)
            before = statistics(vm)
            vm.sh("for i in 1 2 3 4; do wget -q -O /dev/null http://%s:%d/ & done; wait" % (HOST, port), timeout=180)
            after = statistics(vm)
            for index in range(2, processors):
                grown = after[f"rx_queue_{index}_packets"] - before[f"rx_queue_{index}_packets"]
                expect(grown < 20, f"channel {index} received {grown}")
            vm.sh(f"{ETHTOOL} -X eth0 default")
        with suite.check("other numbers of channels"):
            for count in [1, 2, processors]:
                vm.sh(f"{ETHTOOL} -L eth0 combined {count}", timeout=60)
                expect_equal(setting(vm, "-l", "Combined"), str(count), "channels")
                reaches(vm)
            copies(vm, port, kept, data)
        with suite.check("other sizes of the buffers"):
            vm.sh(f"{ETHTOOL} -G eth0 rx 1000 tx 64", timeout=60)
            suite.note(f"rx {setting(vm, '-g', 'RX')}, tx {setting(vm, '-g', 'TX')}")
            expect(950 <= int(setting(vm, "-g", "RX")) <= 1050, "not the receive buffer that was asked for")
            copies(vm, port, kept, data)
        with suite.check("with and without each offload"):
            for words in ["rx off", "tso off", "tx off", "gro off", "rx on tx on tso on gro on"]:
                vm.sh(f"{ETHTOOL} -K eth0 {words}")
                copies(vm, port, kept, data)
            counts = statistics(vm)
            if "tx_joined" in counts:
                # What the guest cuts itself comes in rows, and a row shares packets.
                suite.note(f"{counts['tx_joined']} of {counts['tx_copied']} copied frames joined the one before")
                expect(counts["tx_joined"] > 100, "frames that follow each other at once have packets of their own")
        with suite.check("jumbo frames"):
            vm.sh("ip link set eth0 mtu 9000")
            reaches(vm)
            vm.sh(f"ping -c 3 -W 3 -s 8972 {HOST}", timeout=30)
            copies(vm, port, kept, data)
            expect(vm.sh("ip link set eth0 mtu 65535 2>&1 || echo refused").strip().endswith("refused"), "65535 was taken")
        with suite.check("another address"):
            vm.sh("ip link set eth0 address 02:00:00:12:34:56")
            subprocess.run(["ip", "neigh", "flush", "dev", device], check=True)
            reaches(vm)
            neighbours = subprocess.run(["ip", "neigh", "show", GUEST], capture_output=True, text=True, check=True).stdout
            expect("02:00:00:12:34:56" in neighbours, neighbours)
        with suite.check("promiscuous, all groups, and back"):
            for word in ["promisc", "allmulti", "-promisc", "-allmulti"]:
                vm.sh(f"ifconfig eth0 {word}")
                reaches(vm)
        with suite.check("the link goes down and up ten times"):
            for state in ["down", "up"] * 10:
                vm.lis("vm", "nic", "link", vm.name, "nic0", state)
            reaches(vm)
            vm.lis("vm", "nic", "link", vm.name, "nic0", "down")
            vm.sh("for i in $(seq 100); do [ $(cat /sys/class/net/eth0/carrier) = 0 ] && exit 0; sleep 0.1; done; exit 1")
            vm.lis("vm", "nic", "link", vm.name, "nic0", "up")
            reaches(vm)
        with suite.check("nothing was lost and nothing complained"):
            counts = statistics(vm)
            suite.note(" ".join(f"{name} {value}" for name, value in counts.items() if value and "queue_" not in name))
            expect_equal(counts.get("tx_too_big", 0) + counts.get("rx_faults", 0), 0, "frames that were too big, faults")
            expect_equal(complaints(vm), "", "complaints")


def ours_for(suite, guest):
    """Whether there is a driver of ours to test; otherwise says so."""
    if suite.ours and "hv_netvsc" in suite.ours.files(image.release(guest)):
        return True
    suite.note(f"not run: needs --modules FOLDER with hv_netvsc for {image.release(guest)}")
    return False


@case("hv_netvsc of ours, 6.1-cloud", depth="normal", guest="6.1-cloud")
def works(suite, guest):
    """In short what the others do at length."""
    if not ours_for(suite, guest):
        return
    if not can_make_taps():
        suite.note("skipped: a TAP device can be made by root only, and where /dev/net/tun is")
        return
    data = os.urandom(2 << 20)
    with tap(f"lo{os.getpid() % 10000}") as device, \
            Machine(suite, guest, processors=2, network=True, daemons=False,
                    options=["--nic", f"tap:{device}"]) as vm, server(HOST, data) as (port, kept):
        with suite.check("ours is loaded, with the device's alias"):
            up(vm)
            vm.check_modules(["hv_netvsc"])
            expect_equal(vm.sh("modinfo hv_netvsc | grep '^alias:'").split()[-1],
                         "vmbus:635161f83edfc546913ff2d2f965ed0e", "alias")
            expect_equal(setting(vm, "-l", "Combined"), "2", "channels")
        with suite.check("2 MiB each way, with two channels and with one, and two again"):
            reaches(vm)
            vm.sh("dd if=/dev/urandom of=/tmp/f bs=1M count=2 2>/dev/null")
            copies(vm, port, kept, data)
            vm.sh(f"{ETHTOOL} -L eth0 combined 1", timeout=60)
            copies(vm, port, kept, data)
            vm.sh(f"{ETHTOOL} -L eth0 combined 2", timeout=60)
            expect_equal(setting(vm, "-l", "Combined"), "2", "channels")
            reaches(vm)
        with suite.check("the adapter is taken away and another one comes, and the driver leaves nothing behind"):
            vm.sh(f"ping -c 1000 -i 0.01 {HOST} >/dev/null 2>&1 &")
            vm.lis("vm", "nic", "remove", vm.name, "nic0")
            vm.sh("for i in $(seq 100); do [ -e /sys/class/net/eth0 ] || exit 0; sleep 0.1; done; exit 1")
            vm.lis("vm", "nic", "add", vm.name, "none", "--name", "other")
            vm.sh("for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && exit 0; sleep 0.1; done; exit 1")
            vm.sh("ip link set eth0 up; rmmod hv_netvsc", timeout=60)
            expect_equal(complaints(vm), "", "complaints")


@case("adapter driver comes and goes 6.1-cloud", depth="full", guest="6.1-cloud", processors=2, rounds=100)
@case("adapter driver comes and goes 6.12-cloud", depth="full", guest="6.12-cloud", processors=2, rounds=20)
def reload(suite, guest, processors, rounds):
    if not can_make_taps():
        suite.note("skipped: a TAP device can be made by root only, and where /dev/net/tun is")
        return
    with tap(f"lr{os.getpid() % 10000}") as device, \
            Machine(suite, guest, processors=processors, network=True, options=["--nic", f"tap:{device}"]) as vm:
        def once():
            vm.sh(f"modprobe hv_netvsc && ip link set eth0 up && ip addr add {GUEST}/24 dev eth0", timeout=60)
            reaches(vm)
            vm.sh("rmmod hv_netvsc", timeout=60)

        def figures():
            vm.sh("sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1; echo 3 >/proc/sys/vm/drop_caches")
            objects = {line.split()[0]: int(line.split()[1]) for line in
                       vm.sh("grep -E '^(kmalloc|skbuff|task)' /proc/slabinfo").splitlines()}
            memory = dict(re.findall(r"^(\w+):\s+(\d+)", vm.sh("cat /proc/meminfo"), re.M))
            return objects, int(memory["VmallocUsed"]), int(memory["MemAvailable"])

        with suite.check(f"{rounds} rounds of loading, a ping, unloading"):
            for _ in range(3):
                once()
            before = figures()
            for _ in range(rounds):
                once()
        with suite.check("no memory is left behind"):
            after = figures()
            grown = {name: count - before[0].get(name, 0) for name, count in after[0].items()
                     if count - before[0].get(name, 0) >= rounds // 2 + 32}
            suite.note(f"vmalloc {before[1]} -> {after[1]} KiB, available {before[2]} -> {after[2]} KiB, grown {grown}")
            expect(after[1] - before[1] < 4 * rounds, "vmalloc'ed memory is left behind")
            expect(before[2] - after[2] < 64 * rounds, "memory is left behind")
            expect_equal(complaints(vm), "", "complaints")


# Deeds of Kernel/lis_hostile that leave the ring whole: what is in it is dropped.
NONSENSE = {1: "completions for unknown requests", 2: "answers shorter than the structure", 3: "notices that are none",
            4: "packets of other types", 9: "places outside the receive buffer", 10: "places with nothing in them"}
# Those that break it: the channel is given up.
BREAKS = {20: "a write index outside the ring", 21: "a write index that is not aligned", 22: "a packet of length 0",
          23: "a packet longer than what there is", 24: "a payload behind its packet"}


@case("adapter and a hostile host 6.1-cloud", depth="full", guest="6.1-cloud")
@case("adapter and a hostile host 6.12-cloud", depth="full", guest="6.12-cloud")
def hostile_host(suite, guest):
    """The worst of a hostile host against our loaded module: an error, never an oops, and the module still unloads."""
    if not ours_for(suite, guest):
        return
    release = image.release(guest)
    hostile = suite.ours.file("lis_hostile", release)
    if not hostile or not can_make_taps():
        suite.note(f"not run: needs lis_hostile.ko for {release} in the folder of --modules, and a TAP device")
        return
    with tap(f"lh{os.getpid() % 10000}") as device, \
            Machine(suite, guest, processors=2, network=True, daemons=False,
                    files={"root/hostile.ko": hostile}, options=["--nic", f"tap:{device}"]) as vm:
        up(vm)
        vm.check_modules(["hv_netvsc"])
        reaches(vm)
        vm.sh("modprobe scsi_mod; insmod /root/hostile.ko")

        def do(deed):
            # Without a link the real host has nothing to write.
            vm.lis("vm", "nic", "link", vm.name, "nic0", "down")
            vm.sh("for i in $(seq 100); do [ $(cat /sys/class/net/eth0/carrier) = 0 ] && exit 0; sleep 0.1; done; exit 1")
            vm.sh(f"sleep 1; echo $(basename $(readlink /sys/class/net/eth0/device)) {deed} "
                  ">/sys/module/lis_hostile/parameters/device")

        for deed, name in NONSENSE.items():
            with suite.check(f"{name}: dropped, and work goes on"):
                do(deed)
                vm.lis("vm", "nic", "link", vm.name, "nic0", "up")
                reaches(vm)
                expect(statistics(vm)["rx_faults"] > 0, "nothing was counted")
        for deed, name in BREAKS.items():
            with suite.check(f"{name}: the channel ends, and a reload repairs it"):
                do(deed)
                vm.sh("for i in $(seq 50); do dmesg | grep -q 'broke the ring' && exit 0; sleep 0.1; done; exit 1")
                vm.sh("dmesg -c >/tmp/said; rmmod hv_netvsc", timeout=60)
                vm.lis("vm", "nic", "link", vm.name, "nic0", "up")
                up(vm)
                reaches(vm)
        with suite.check("no oops, no trap"):
            expect_equal(complaints(vm) + vm.sh("grep -E 'BUG|Oops|Call Trace|Swift trap' /tmp/said || :").strip(), "",
                         "complaints")


@contextlib.contextmanager
def measured(port):
    """iperf3's other end, on this host."""
    process = subprocess.Popen(["iperf3", "-s", "-B", HOST, "-p", str(port)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


LOADS = [("one connection to the host", ""), ("one connection from the host", "-R"), ("four to the host", "-P 4"),
         ("four from the host", "-P 4 -R")]


@case("hv_netvsc of ours and the kernel's in turn, 6.1-cloud", depth="full", guest="6.1-cloud", rounds=4)
@case("hv_netvsc of ours and the kernel's in turn, 6.12-cloud", depth="full", guest="6.12-cloud", rounds=4)
def speed(suite, guest, rounds):
    """iperf3 with our driver and the kernel's own in turn, in the same guest, over the same adapter."""
    if not ours_for(suite, guest):
        return
    tools = image.GUESTS / "network-tools"
    program = tools / "usr/bin/iperf3"
    if not can_make_taps() or shutil.which("iperf3") is None or not program.exists():
        suite.note("skipped: needs TAP devices, and iperf3 on this host and in network-tools (fetch-guests --refresh)")
        return
    release = image.release(guest)
    place, found = image.module_files(guest, ["hv_netvsc"])
    own, = [place / path for path in found if image.module_name(path) == "hv_netvsc"]
    own = own.read_bytes()
    files = {"root/own.ko": lzma.decompress(own) if own[:4] != b"\x7fELF" else own,
             "root/ours.ko": suite.ours.files(release)["hv_netvsc"], "root/iperf3": program.read_bytes()}
    for name, path in image.libraries(program, tools / "usr/lib/x86_64-linux-gnu").items():
        if "libc.so" not in name and "ld-linux" not in name:
            with open(path, "rb") as file:
                files[name.strip("/")] = file.read()
    port = 20000 + os.getpid() % 20000
    with tap(f"lq{os.getpid() % 10000}") as device, measured(port), \
            Machine(suite, guest, processors=2, network=True, daemons=False, memory="512M", files=files,
                    options=["--nic", f"tap:{device}"]) as vm:
        vm.sh("chmod 755 /root/iperf3")
        rates = {}
        with suite.check(f"both drivers in turn, {rounds} times"):
            for number in range(rounds + 1):
                for driver in ["own", "ours"] if number % 2 else ["ours", "own"]:
                    vm.sh(f"rmmod hv_netvsc 2>/dev/null; insmod /root/{driver}.ko && ip link set eth0 up && "
                          f"ip addr add {GUEST}/24 dev eth0")
                    reaches(vm)
                    for name, words in LOADS:
                        said = json.loads(vm.sh(f"/root/iperf3 -c {HOST} -p {port} -t 3 -J {words}", timeout=60))
                        # The first round warms up.
                        if number:
                            rates.setdefault(name, {}).setdefault(driver, []).append(
                                said["end"]["sum_received"]["bits_per_second"] / 1e6)
        for name, found in rates.items():
            with suite.check(f"{name}: as fast as the kernel's own"):
                ratios = sorted(one / other for one, other in zip(found["ours"], found["own"]))
                middle = {driver: sorted(values)[len(values) // 2] for driver, values in found.items()}
                suite.note(f"{name}: ours {middle['ours']:.0f}, own {middle['own']:.0f} Mbit/s; median of the ratios "
                           f"{ratios[len(ratios) // 2]:.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}")
                expect(ratios[len(ratios) // 2] >= 0.95, f"{ratios}")
