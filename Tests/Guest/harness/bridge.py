# SPDX-License-Identifier: Apache-2.0
"""A guest on a host that is not ours: QEMU's own VMBus (`-device vmbus-bridge`), which needs KVM. Where there is none, QEMU
runs in a small Linux on a processor in software, as `lis` does it."""

import fcntl
import os
import shutil
import socket
import stat
import subprocess
import threading
import time

from . import image
from .console import Console
from .suite import Failed

QEMU = "qemu-system-x86_64"
FIRMWARE = ["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/linuxboot_dma.bin", "/usr/share/qemu/kvmvapic.bin"]
# The Linux between the two QEMUs: any that has KVM as a module.
HOST = "6.1-cloud"
HOST_MODULES = ["kvm_amd", "virtio_pci", "virtio_console"]

HOST_INIT = """#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
# KVM keeps the frequency that this Linux knows when it is loaded. A second later Linux may have measured a better one, and
# then KVM (6.1: kvm_set_tsc_khz) refuses to set up its guests' counters: their clock stands, and no timer fires.
n=0
until dmesg | grep -q 'Refined TSC'; do n=$((n+1)); [ $n -lt 40 ] || break; usleep 100000; done
for module in {modules}; do modprobe $module; done
# Whatever comes there wakes the processor: see Bridge.
stty -echo -F /dev/ttyS0
cat /dev/ttyS0 >/dev/null &
n=0
until [ -c /dev/hvc0 ]; do n=$((n+1)); [ $n -lt 500 ] || break; usleep 10000; done
# Open all the time: the settings go with the last who closes it.
exec 3<>/dev/hvc0
stty raw -echo <&3
# Not its terminal: QEMU would have line ends translated there.
# (Busybox's cat waits for more than a terminal without lines has.)
dd bs=4096 <&3 2>/dev/null | {command} 2>/dev/ttyS0 | cat >&3
reboot -f
"""


def has_kvm():
    """Whether this machine's KVM can play Hyper-V."""
    check_extension, synic2, vp_index = 0xAE03, 148, 151
    try:
        with open("/dev/kvm", "r+b", buffering=0) as kvm:
            return all(fcntl.ioctl(kvm, check_extension, one) > 0 for one in [synic2, vp_index])
    except OSError:
        return False


def guest_command(processors, kernel, initramfs, command_line, firmware=()):
    return [QEMU, *firmware, "-machine", "pc,accel=kvm", "-smp", str(processors), "-m", "384", "-cpu",
            "host,kvm=off,hv-vpindex,hv-synic,hv-time,hv-stimer,hv-relaxed", "-device", "vmbus-bridge", "-nodefaults",
            "-display", "none", "-no-reboot", "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
            "-kernel", kernel, "-initrd", initramfs, "-append", command_line]


def host_image(command, kernel, initramfs):
    """The initramfs of the Linux between, with QEMU and what the guest starts from."""
    archive = image.Archive()
    for name in ["dev", "proc", "sys", "run", "tmp", "lib64"]:
        archive.directory(name)
    archive.file("bin/busybox", image.GUESTS / "tools/bin/busybox")
    for applet in ["sh", "mount", "mkdir", "modprobe", "insmod", "stty", "cat", "dd", "usleep", "reboot", "[", "dmesg",
                   "grep"]:
        archive.link(f"bin/{applet}", "/bin/busybox")
    program = shutil.which(QEMU)
    archive.file(f"usr/bin/{QEMU}", program)
    for name, path in image.libraries(program).items():
        archive.file(name, path)
    for path in FIRMWARE:
        archive.file(f"firmware/{os.path.basename(path)}", path)
    image.add_modules(archive, HOST, HOST_MODULES, (), None)
    archive.file("guest/kernel", kernel)
    archive.file("guest/initramfs", initramfs)
    quoted = " ".join(f"'{word}'" for word in command)
    archive.add("init", stat.S_IFREG | 0o755,
                HOST_INIT.format(modules=" ".join(HOST_MODULES), command=quoted).encode())
    return archive.bytes()


class Bridge:
    """`with Bridge(suite, guest) as vm:` boots a guest there; `vm.sh(…)` runs a command in it."""

    def __init__(self, suite, guest, processors=2, files=None, ours=None):
        self.folder = suite.work / f"bridge-{guest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        initramfs = self.folder / "initramfs.cpio"
        extra = image.Archive()
        for name, data in (files or {}).items():
            extra.add(name, stat.S_IFREG | 0o644, data)
        initramfs.write_bytes(image.initramfs(guest, ours or suite.ours).read_bytes() + extra.bytes())
        words = "console=ttyS0 quiet panic=-1"
        if has_kvm():
            self.command = guest_command(processors, str(image.kernel(guest)), str(initramfs), words)
            self.serial = None
            return
        inner = guest_command(processors, "/guest/kernel", "/guest/initramfs", words, ["-L", "/firmware"])
        host = self.folder / "host.cpio"
        host.write_bytes(host_image(inner, image.kernel(guest), initramfs))
        self.serial, theirs = socket.socketpair()
        self.theirs = theirs
        # One processor, and without what is slow in software: QEMUCommand.swift says why.
        self.command = [
            QEMU, "-machine", "pc,vmport=off,hpet=off", "-accel", "tcg,thread=multi,tb-size=512", "-cpu",
            "max,+svm,+npt,-la57,-erms,-xsave,family=21,model=16,stepping=1", "-smp", "1", "-m", "2048", "-nodefaults",
            "-display", "none", "-no-reboot", "-chardev", f"socket,id=serial,fd={theirs.fileno()}", "-serial",
            "chardev:serial", "-device", "virtio-serial-pci", "-chardev", "stdio,id=console,signal=off", "-device",
            "virtconsole,chardev=console", "-kernel", str(image.kernel(HOST)), "-initrd", str(host), "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check nowatchdog audit=0 "
            "apparmor=0 random.trust_cpu=on cryptomgr.notests rcupdate.rcu_cpu_stall_suppress=1"]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.folder / "stderr.log", "wb"),
            pass_fds=[self.theirs.fileno()] if self.serial else [])
        if self.serial:
            self.theirs.close()
            threading.Thread(target=self._log, daemon=True).start()
            threading.Thread(target=self._kick, daemon=True).start()
        self.console = Console(self.process.stdout.fileno(), self.process.stdin.fileno(), self.folder / "console.log")
        try:
            self.console.hello(0, 180)
        except Exception as error:
            self.__exit__(None, None, None)
            logs = [self.folder / name for name in ["stderr.log", "host.log"]]
            said = "; ".join(repr(log.read_text("utf-8", "replace")[-300:]) for log in logs if log.exists())
            raise Failed(f"no guest on QEMU's bus: {error}; QEMU and its host said {said}") from None
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()

    def sh(self, command, timeout=60):
        return self.console.sh(command, timeout)

    def _log(self):
        with open(self.folder / "host.log", "wb", buffering=0) as log:
            try:
                while data := self.serial.recv(65536):
                    log.write(data.replace(b"\r\n", b"\n").lstrip(b"\n"))
            except OSError:
                return

    def _kick(self):
        # QEMU's software processor loses interrupts when it enters and leaves a guest; any other makes it look again.
        while self.process.poll() is None:
            try:
                self.serial.send(b"\n")
            except OSError:
                return
            time.sleep(0.1)
