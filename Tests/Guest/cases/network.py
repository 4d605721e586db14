# SPDX-License-Identifier: Apache-2.0
"""Network adapters: stock hv_netvsc against a TAP device of the host and user-mode NAT."""

import contextlib
import hashlib
import http.server
import os
import pathlib
import shutil
import subprocess
import threading

from harness.machine import Machine
from harness.suite import Failed, case, expect, expect_equal

# What udhcpc calls.
LEASE = b"""#!/bin/sh
[ -n "$ip" ] || exit 0
ip addr add $ip/${mask:-24} dev $interface
ip route add default via $router dev $interface
echo "ip=$ip" >/tmp/lease; echo "router=$router" >>/tmp/lease; echo "dns='$dns'" >>/tmp/lease
"""
HOST, GUEST = "10.77.0.1", "10.77.0.2"


class Files(http.server.BaseHTTPRequestHandler):
    """Gives `data` to whoever asks, or its first bytes: `/4096`. Of what is put it keeps the hash."""

    data = b""
    kept = {}

    def do_GET(self):
        count = self.path.strip("/")
        data = memoryview(self.data)[:int(count) if count.isdigit() else None]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        length, digest = int(self.headers["Content-Length"]), hashlib.md5()
        # Debian 12's passt resets a connection of the guest's on which the server has said nothing for 24 seconds.
        self.send_response_only(100)
        self.end_headers()
        while length:
            piece = self.rfile.read(min(length, 1 << 16))
            if not piece:
                break
            digest.update(piece)
            length -= len(piece)
        self.kept[self.path] = digest.hexdigest()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def server(address, data):
    handler = type("Handler", (Files,), {"data": data, "kept": {}})
    with http.server.ThreadingHTTPServer((address, 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        try:
            yield serving.server_address[1], handler.kept
        finally:
            serving.shutdown()


@contextlib.contextmanager
def tap(name, address=HOST, mtu=1500):
    """A TAP device of this host, with an address. Needs the right to make one."""
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    try:
        ip("tuntap", "add", name, "mode", "tap", "multi_queue")
    except subprocess.CalledProcessError as error:
        raise Failed(f"no TAP device can be made here: {error.stderr.strip()}") from None
    try:
        ip("link", "set", name, "mtu", str(mtu), "up")
        ip("addr", "add", f"{address}/24", "dev", name)
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=False)


def can_make_taps():
    return os.geteuid() == 0 and pathlib.Path("/dev/net/tun").exists() and shutil.which("ip") is not None


def up(vm, address=GUEST, interface="eth0"):
    vm.sh("modprobe hv_netvsc")
    vm.sh(f"ip link set {interface} up && ip addr add {address}/24 dev {interface}")
    # A driver that looks for its link by itself, as tulip does, takes some seconds.
    vm.sh(f"for i in $(seq 150); do [ \"$(cat /sys/class/net/{interface}/carrier)\" = 1 ] && break; sleep 0.1; done")


def post(vm, path, port, to, address=HOST):
    """busybox has no program that puts a file: the request is written by hand."""
    vm.sh(f"(printf 'POST /{to} HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n' $(stat -c %s {path}); cat {path}; sleep 5) "
          f"| nc -w 60 {address} {port} >/dev/null", timeout=180)


@case("network over a TAP device 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("network over a TAP device 6.12-cloud", depth="full", guest="6.12-cloud")
@case("network over a TAP device 6.1-cloud, 4 processors", depth="full", guest="6.1-cloud", processors=4)
def over_tap(suite, guest, processors=1, mebibytes=8):
    if not can_make_taps():
        suite.note("skipped: a TAP device can be made by root only, and where /dev/net/tun is")
        return
    data = os.urandom(mebibytes << 20)
    with tap(f"lt{os.getpid() % 10000}") as device, \
            Machine(suite, guest, processors=processors, network=True, options=["--nic", f"tap:{device}"]) as vm:
        with suite.check("the driver finds the adapter"):
            up(vm)
            expect_equal(vm.sh("readlink /sys/class/net/eth0/device/driver").strip().rpartition("/")[2], "hv_netvsc",
                         "driver")
            vm.sh("dmesg | grep -v verification | grep -iE 'hv_netvsc.*(error|invalid|fail)' && exit 1; true")
        with suite.check("pings of 0 to 1472 bytes in steps of 97 pass"):
            vm.sh(f"for s in $(seq 0 97 1472); do ping -c 1 -W 5 -s $s {HOST} >/dev/null || exit 1; done", timeout=120)
        with server(HOST, data) as (port, kept):
            with suite.check(f"{mebibytes} MiB from the host arrive as they were"):
                found = vm.sh(f"wget -q -O - http://{HOST}:{port}/ | md5sum", timeout=180).split()[0]
                expect_equal(found, hashlib.md5(data).hexdigest(), "hash")
            with suite.check(f"{mebibytes} MiB from the guest arrive as they were"):
                sent = vm.sh(f"dd if=/dev/urandom of=/tmp/f bs=1M count={mebibytes} 2>/dev/null; md5sum /tmp/f").split()[0]
                post(vm, "/tmp/f", port, "f")
                expect_equal(kept.get("/f"), sent, "hash")
        with suite.check("the interface goes down and up, and other MTUs"):
            for mtu in [1400, 1500]:
                vm.sh(f"ip link set eth0 mtu {mtu} && ip link set eth0 down && ip link set eth0 up")
                vm.sh(f"for i in $(seq 100); do ping -c 1 -W 1 {HOST} >/dev/null && exit 0; done; exit 1", timeout=120)
        with suite.check("after a reboot it is there again"):
            since = vm.console.mark()
            vm.console.send(b"0 /sbin/reboot\n")
            vm.rebooted(since)
            up(vm)
            vm.sh(f"ping -c 3 -W 5 {HOST}")
        suite.note(f"{processors} processors, {len(data) >> 20} MiB each way")


@case("user-mode network 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("user-mode network 6.12-cloud", depth="full", guest="6.12-cloud")
def user_mode(suite, guest):
    if shutil.which("passt") is None:
        suite.note("skipped: passt is not installed")
        return
    data = os.urandom(4 << 20)
    forwarded = 20000 + os.getpid() % 20000
    with Machine(suite, guest, network=True, files={"root/lease": LEASE},
                 options=["--nic", f"user,forward=tcp:127.0.0.1:{forwarded}:80"]) as vm:
        with suite.check("the guest gets its address by DHCP"):
            vm.sh("modprobe hv_netvsc && ip link set eth0 up")
            vm.sh("chmod 755 /root/lease && udhcpc -i eth0 -n -q -t 10 -s /root/lease", timeout=60)
            suite.note(vm.sh("grep -E '^(ip|router|dns)=' /tmp/lease").replace("\n", " "))
        with suite.check("the guest reaches a server of the host"):
            router = vm.sh(". /tmp/lease; echo $router").strip()
            with server("", data) as (port, _):
                found = vm.sh(f"wget -q -O - http://{router}:{port}/ | md5sum", timeout=120).split()[0]
                expect_equal(found, hashlib.md5(data).hexdigest(), "hash")
        with suite.check("a forwarded port of the host reaches the guest"):
            vm.sh("mkdir -p /w && dd if=/dev/urandom of=/w/f bs=1M count=2 2>/dev/null && httpd -h /w -p 80")
            expected = vm.sh("md5sum /w/f").split()[0]
            found = subprocess.run(["python3", "-c", "import urllib.request, hashlib, sys; print(hashlib.md5("
                                    f"urllib.request.urlopen('http://127.0.0.1:{forwarded}/f', timeout=60).read()).hexdigest())"],
                                   capture_output=True, text=True, timeout=120, check=False)
            expect_equal(found.stdout.strip(), expected, f"hash ({found.stderr[-200:]})")
        expect(vm.process.poll() is None, "the machine ended")


@case("legacy adapter 6.1-standard", depth="normal", guest="6.1-standard", mebibytes=1)
@case("legacy adapter 6.1-standard, 16 MiB", depth="full", guest="6.1-standard")
@case("legacy adapter 6.12-standard, 16 MiB", depth="full", guest="6.12-standard")
@case("legacy adapter 6.1-standard, 16 MiB in user mode", depth="full", guest="6.1-standard", may_tap=False)
@case("legacy adapter 6.12-standard, 16 MiB in user mode", depth="full", guest="6.12-standard", may_tap=False)
def legacy(suite, guest, mebibytes=16, may_tap=True):
    """The emulated DEC 21140 under stock tulip."""
    if shutil.which("passt") is None:
        suite.note("skipped: passt is not installed")
        return
    data = os.urandom(mebibytes << 20)
    with contextlib.ExitStack() as stack:
        device = stack.enter_context(tap(f"lt{os.getpid() % 10000}")) if may_tap and can_make_taps() else None
        options = ["--legacy-nic", "user"] + (["--legacy-nic", f"tap:{device}"] if device else [])
        vm = stack.enter_context(
            Machine(suite, guest, network=True, files={"root/lease": LEASE}, daemons=False, options=options))
        with suite.check("tulip finds the adapter, its address and its plugs"):
            vm.sh("modprobe tulip && ip link set eth0 up", timeout=60)
            expect_equal(vm.sh("readlink /sys/class/net/eth0/device/driver").strip().rpartition("/")[2], "tulip",
                         "driver")
            nics = vm.json("vm", "nic", "list", vm.name)
            expect_equal((nics[0]["name"], nics[0]["kind"], nics[0]["mac"]),
                         ("legacy0", "legacy", vm.sh("cat /sys/class/net/eth0/address").strip()), "adapter")
        with suite.check("DHCP"):
            vm.sh("chmod 755 /root/lease && udhcpc -i eth0 -n -q -t 10 -s /root/lease", timeout=60)
        if device:
            with suite.check("pings of 0 to 1472 bytes over a TAP device"):
                up(vm, interface="eth1")
                vm.sh(f"for i in $(seq 20); do ping -c 1 -W 1 {HOST} >/dev/null && exit 0; done; exit 1", timeout=90)
                vm.sh(f"for s in $(seq 0 184 1472); do ping -c 1 -W 5 -s $s {HOST} >/dev/null || exit 1; done", timeout=120)
        with server("", data) as (port, kept):
            # Without a TAP device over the user-mode network, which sends more at once than the driver has buffers.
            host = HOST if device else vm.sh(". /tmp/lease; echo $router").strip()
            with suite.check(f"{mebibytes} MiB from the host arrive as they were"):
                found = vm.sh(f"wget -q -O /tmp/f http://{host}:{port}/ && md5sum /tmp/f", timeout=300).split()[0]
                expect_equal(found, hashlib.md5(data).hexdigest(), "hash")
            with suite.check(f"{mebibytes} MiB from the guest arrive as they were"):
                post(vm, "/tmp/f", port, "f", host)
                expect_equal(kept.get("/f"), hashlib.md5(data).hexdigest(), "hash")
        with suite.check("the link goes down and up"):
            for link in ["down", "up"]:
                vm.lis("vm", "nic", "link", vm.name, "legacy0", link)
                wanted = 1 if link == "up" else 0
                vm.sh(f"for i in $(seq 200); do [ \"$(cat /sys/class/net/eth0/carrier)\" = {wanted} ] && exit 0; "
                      "sleep 0.1; done; exit 1", timeout=60)
            vm.sh("udhcpc -i eth0 -n -q -t 10 -s /root/lease", timeout=90)
        if mebibytes < 16:
            return
        with suite.check("after a reboot it is there again"):
            since = vm.console.mark()
            vm.console.send(b"0 /sbin/reboot\n")
            vm.rebooted(since)
            vm.sh("modprobe tulip && ip link set eth0 up && chmod 755 /root/lease && "
                  "udhcpc -i eth0 -n -q -t 10 -s /root/lease", timeout=90)
            vm.sh("dmesg | grep -iE 'tulip.*(error|timed out|timeout)|eth0.*timed out' && exit 1; true")


@case("two machines on a switch 6.1-cloud", depth="normal", guest="6.1-cloud")
@case("two machines on a switch 6.12-cloud", depth="full", guest="6.12-cloud")
def shared_switch(suite, guest):
    """A private switch with VLANs: same id, other id, a trunk; and what is left when it is gone."""
    name = f"guest-test-{os.getpid()}"

    def lis(*words, check=True):
        return subprocess.run([suite.lis, "switch", *words], check=check, capture_output=True, text=True, timeout=60)

    with suite.check("a private switch is made and listed"):
        lis("create", name, "--kind", "private")
        expect(name in lis("list").stdout, "not listed")
    try:
        with Machine(suite, guest, network=True, options=["--nic", f"switch:{name},vlan=5"]) as one, \
                Machine(suite, guest, network=True, options=["--nic", f"switch:{name},trunk=5+6"]) as two:
            with suite.check("a trunk's 802.1Q interface reaches the access port, another VLAN's does not"):
                up(one, "10.5.0.1")
                two.sh("modprobe hv_netvsc && modprobe 8021q && ip link set eth0 up")
                for vlan in [5, 6]:
                    two.sh(f"ip link add link eth0 name eth0.{vlan} type vlan id {vlan} && ip link set eth0.{vlan} up")
                two.sh("ip addr add 10.5.0.2/24 dev eth0.5")
                two.sh("for i in $(seq 50); do ping -c 1 -W 1 10.5.0.1 >/dev/null && exit 0; done; exit 1", timeout=90)
                two.sh("ip addr del 10.5.0.2/24 dev eth0.5 && ip addr add 10.5.0.2/24 dev eth0.6")
                two.sh("! ping -c 2 -W 2 10.5.0.1 >/dev/null", timeout=30)
                two.sh("ip addr del 10.5.0.2/24 dev eth0.6 && ip addr add 10.5.0.2/24 dev eth0")
                two.sh("! ping -c 2 -W 2 10.5.0.1 >/dev/null", timeout=30)
            with suite.check("4 MiB from one machine to the other arrive as they were"):
                two.sh("ip addr del 10.5.0.2/24 dev eth0 && ip addr add 10.5.0.2/24 dev eth0.5")
                one.sh("mkdir -p /w && dd if=/dev/urandom of=/w/f bs=1M count=4 2>/dev/null && httpd -h /w -p 80")
                wanted = one.sh("md5sum /w/f").split()[0]
                expect_equal(two.sh("wget -q -O - http://10.5.0.1/f | md5sum", timeout=120).split()[0], wanted, "hash")
            with suite.check("a switch in use is not removed"):
                expect(lis("remove", name, check=False).returncode != 0, "it was removed")
                suite.note(lis("show", name).stdout.strip().replace("\n", " | ")[:400])
    finally:
        with suite.check("it is removed when nobody uses it"):
            lis("remove", name)
            expect(name not in lis("list").stdout, "still listed")
