# SPDX-License-Identifier: Apache-2.0
"""A whole Debian, made by debootstrap, whose root file system is on a disk of ours."""

import re
import subprocess

from harness import image
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
    with Machine(suite, guest, processors=2, disks=True, options=[f"--disk={disk}"], command_line=words, daemons=False,
                 greeting=rb"lis-debian login: ") as vm:
        suite.note(f"{guest}, {kind}: login prompt after {vm.boot_seconds:.0f} s")
        with suite.check("boots to its login prompt, and root logs in"):
            log_in(vm, 0)
            typed(vm, "stty -echo")
        with suite.check("the root file system is on the VHDX"):
            expect_equal(typed(vm, "findmnt -no SOURCE,FSTYPE /").split(), ["/dev/sda1", "ext4"], "root")
            expect_equal(typed(vm, "basename $(readlink -f /sys/block/sda/device/../../../driver)"), "hv_storvsc", "driver")
            expect_equal(typed(vm, "cat /etc/debian_version").split(".")[0], "12", "Debian")
        with suite.check("no unit failed"):
            state = typed(vm, "systemctl is-system-running --wait", 120)
            expect(state == "running", state + "\n" + typed(vm, "systemctl --failed --no-legend --plain"))
        with suite.check("a reboot asked for by the host comes back to the prompt, with what was written"):
            hashes = typed(vm, "dd if=/dev/urandom of=/root/data bs=1M count=24 2>/dev/null; sha256sum </root/data", 120)
            since = vm.console.mark()
            vm.lis("vm", "restart", vm.name)
            log_in(vm, since)
            expect_equal(typed(vm, "sha256sum </root/data"), hashes, "hash")
        with suite.check("the host asks for a clean shutdown"):
            vm.wait_for("shutdown service", lambda now: any(
                one["name"] == "shutdown" and one["state"] == "ready" for one in now["services"]))
            vm.lis("vm", "stop", vm.name)
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
