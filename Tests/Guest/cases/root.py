# SPDX-License-Identifier: Apache-2.0
"""A whole Debian, made by debootstrap, whose root file system is on a disk of ours."""

import hashlib
import os
import re
import shutil
import subprocess

from cases.network import server
from harness import image, modules
from harness.console import Console
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

PARTITION_OFFSET = 1 << 20
PROMPT = rb"root@lis-debian:~# "


def lis(suite, *arguments):
    done = subprocess.run([suite.lis, *map(str, arguments)], capture_output=True, text=True)
    expect(done.returncode == 0, f"lis {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


def log_in(vm, since, timeout=240):
    """Logs in as root; returns the place of the login prompt."""
    prompt = vm.console.wait(rb"lis-debian login: ", since, timeout)
    vm.console.send(b"root\n")
    vm.console.wait(PROMPT, prompt.end, 60)


def typed(vm, command, timeout=60):
    """What a command prints in the shell that is logged in."""
    since = vm.console.mark()
    # The quotes keep the echo of what is typed apart from the answer.
    vm.console.send(f"echo '<''['; {command}; echo ']''>'\n".encode())
    match = vm.console.wait(rb"(?s)<\[\r?\n(.*?)\]>\r?\n", since, timeout)
    vm.console.wait(PROMPT, match.end, timeout)
    return match.groups[0].decode().replace("\r", "").strip()


def driver(vm, name, directory):
    """The device below `directory` in sysfs is the driver's, and the driver ours if there is one of ours."""
    expect_equal(typed(vm, f"basename $(readlink -f {directory})"), name, "driver")
    wanted = modules.build_note(vm.modules[name]).hex() if name in vm.modules else None
    if wanted:
        loaded = typed(vm, f"od -An -v -tx1 /sys/module/{name}/notes/.note.gnu.build-id | tr -d ' \\n'")
        expect_equal(loaded, wanted, f"build of {name}")


def leave(vm, verb):
    """Asks for a restart or a stop; a whole Debian takes its time."""
    vm.wait_for("shutdown service", lambda now: any(
        one["name"] == "shutdown" and one["state"] == "ready" for one in now["services"]), 60)
    vm.lis("vm", verb, vm.name, "--timeout", str(120 * Console.patience), timeout=150 * Console.patience)


def network(suite, vm):
    """An address by DHCP from systemd-networkd, and what a server of the host has, as it was."""
    data = os.urandom(4 << 20)
    with suite.check("the adapter's driver is loaded, and DHCP gives an address"):
        typed(vm, r"printf '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n' >/etc/systemd/network/eth0.network")
        typed(vm, "systemctl start systemd-networkd systemd-networkd-wait-online", 120)
        driver(vm, "hv_netvsc", "/sys/class/net/eth0/device/driver")
    # The default route's gateway, as the kernel prints it.
    gateway = typed(vm, "while read i to via rest; do [ $to = 00000000 ] && echo $via; done </proc/net/route")
    expect(re.fullmatch("[0-9A-F]{8}", gateway), f"no gateway: {gateway}")
    router = ".".join(str(byte) for byte in reversed(bytes.fromhex(gateway)))
    with suite.check("4 MiB of a server of the host arrive as they were"), server("", data) as (port, _):
        # A Debian this small has no program that gets a file.
        found = typed(vm, f"(exec 3<>/dev/tcp/{router}/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; "
                      "sed '1,/^\\r$/d' <&3 | sha256sum)", 180)
        expect_equal(found.split()[0], hashlib.sha256(data).hexdigest(), "hash")


def boots(suite, guest, kind):
    place = suite.work / f"root-{guest}-{kind}"
    place.mkdir(parents=True)
    disk = place / "root.vhdx"
    source = image.debian_root()
    if kind == "differencing":
        lis(suite, "disk", "convert", source, place / "base.vhdx")
        lis(suite, "disk", "create", disk, "--parent", place / "base.vhdx")
    else:
        lis(suite, "disk", "convert", source, disk, "--kind", kind)
    words = "rdinit=/sbin/boot-from-disk systemd.show_status=0"
    options = [f"--disk={disk}"]
    has_network = shutil.which("passt") is not None
    if has_network:
        options += ["--nic", "user"]
    else:
        suite.note("without a network: passt is not installed")
    with Machine(suite, guest, processors=2, disks=True, network=True, options=options, command_line=words, daemons=False,
                 greeting=rb"lis-debian login: ") as vm:
        suite.note(f"{guest}, {kind}: login prompt after {vm.boot_seconds:.0f} s")
        with suite.check("boots to its login prompt, and root logs in"):
            log_in(vm, 0)
            typed(vm, "stty -echo")
        with suite.check("the root file system is on the VHDX"):
            expect_equal(typed(vm, "findmnt -no SOURCE,FSTYPE /").split(), ["/dev/sda1", "ext4"], "root")
            driver(vm, "hv_storvsc", "/sys/block/sda/device/../../../driver")
            expect_equal(typed(vm, "cat /etc/debian_version").split(".")[0], "12", "Debian")
        with suite.check("no unit failed"):
            state = typed(vm, "systemctl is-system-running --wait", 120)
            expect(state == "running", state + "\n" + typed(vm, "systemctl --failed --no-legend --plain"))
        if has_network:
            network(suite, vm)
        with suite.check("a reboot asked for by the host comes back to the prompt, with what was written"):
            hashes = typed(vm, "dd if=/dev/urandom of=/root/data bs=1M count=24 2>/dev/null; sha256sum </root/data", 120)
            since = vm.console.mark()
            leave(vm, "restart")
            log_in(vm, since)
            expect_equal(typed(vm, "sha256sum </root/data"), hashes, "hash")
            if has_network:
                expect_equal(typed(vm, "systemctl start systemd-networkd-wait-online && cat /sys/class/net/eth0/operstate",
                                   120), "up", "network after the restart")
        with suite.check("the host asks for a clean shutdown"):
            leave(vm, "stop")
            expect_equal(vm.ended(90), 0, "exit code of lis run")
    with suite.check("image and file system are sound, and hold what the guest wrote"):
        suite.note(lis(suite, "disk", "check", disk).strip().splitlines()[-1])
        raw = place / "after.raw"
        lis(suite, "disk", "convert", disk, raw)
        partition = f"{raw}?offset={PARTITION_OFFSET}"
        done = subprocess.run(["e2fsck", "-fn", partition], capture_output=True, text=True)
        expect(done.returncode == 0, done.stdout + done.stderr)
        listed = subprocess.run(["debugfs", "-R", "stat /root/data", partition], capture_output=True, text=True).stdout
        expect(re.search(r"Size: 25165824\b", listed), listed)
        if kind == "dynamic":
            done = subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "vhdx", raw, disk], capture_output=True,
                                  text=True)
            expect(done.returncode == 0, done.stdout + done.stderr)
        raw.unlink()
    for path in place.glob("*.vhdx"):
        path.unlink()


case("disks: Debian boots from a VHDX, 6.1-cloud", depth="full", guest="6.1-cloud", kind="dynamic")(boots)
case("disks: Debian boots from a VHDX, 6.12-cloud", depth="full", guest="6.12-cloud", kind="dynamic")(boots)
case("disks: Debian boots from a differencing VHDX, 6.1-standard", depth="full", guest="6.1-standard",
     kind="differencing")(boots)
