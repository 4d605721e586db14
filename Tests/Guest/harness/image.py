# SPDX-License-Identifier: Apache-2.0
"""Builds the initramfs of a test guest: Debian's busybox, modules and daemons, and the files of ../image."""

import contextlib
import gzip
import hashlib
import lzma
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "swift-lis-tests"
GUESTS = CACHE / "guests"
OVERLAY = pathlib.Path(__file__).resolve().parent.parent / "image"
PROGRAMS = pathlib.Path(__file__).resolve().parent.parent / "programs"
NAMES = ["6.1-cloud", "6.1-standard", "6.12-cloud", "6.12-standard"]

# With what they depend on. Those that a flavour has built in are not there as files.
MODULES = ["hv_vmbus", "hv_utils", "uio_hv_generic", "brd", "ext4", "crc32c_generic", "dummy"]
# Only in the guests that have disks.
DISK_MODULES = ["hv_storvsc", "sd_mod", "sr_mod", "isofs", "xfs", "ata_piix", "raid0", "raid456"]
DISK_PROGRAMS = ["sbin/mke2fs", "sbin/e2fsck", "sbin/mkfs.xfs", "sbin/xfs_repair", "bin/lsblk"]
# With what the hostile host of ours needs (scsi_mod); tulip is in the standard flavour only.
NETWORK_MODULES = ["hv_netvsc", "8021q", "scsi_mod", "tulip"]
NETWORK_PROGRAMS = ["sbin/ethtool"]
DAEMONS = ["hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon"]


class Archive:
    """A cpio archive in the "newc" format, which the kernel unpacks. Files belong to root; times are 0."""

    def __init__(self):
        self.parts = []
        self.names = set()

    def add(self, name, mode, data=b""):
        name = name.strip("/")
        parent = os.path.dirname(name)
        if parent and parent not in self.names:
            self.add(parent, stat.S_IFDIR | 0o755)
        if name in self.names:
            if stat.S_ISDIR(mode):
                return
            raise ValueError(f"{name} twice in the image")
        self.names.add(name)
        self._append(name, mode, data)

    def _append(self, name, mode, data):
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = [len(self.parts) + 1, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name.encode()) + 1, 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts.append(header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4))

    def file(self, name, path):
        path = pathlib.Path(path)
        self.add(name, stat.S_IFREG | (0o755 if os.access(path, os.X_OK) else 0o644), path.read_bytes())

    def link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def directory(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def bytes(self):
        self._append("TRAILER!!!", 0, b"")
        data = b"".join(self.parts)
        return data + b"\0" * (-len(data) % 512)


def libraries(program, *folders):
    """The shared libraries (and the loader) of a program, by the path at which it looks for them."""
    environment = dict(os.environ, LD_LIBRARY_PATH=":".join(map(str, folders)))
    output = subprocess.run(["ldd", program], capture_output=True, text=True, env=environment).stdout
    if "not found" in output:
        raise RuntimeError(f"{program} misses a library:\n{output}")
    found = {}
    for line in output.splitlines():
        if match := re.match(r"\s*(\S+) => (/\S+)", line):
            found["/lib/x86_64-linux-gnu/" + os.path.basename(match[1])] = match[2]
        elif match := re.match(r"\s*(/\S+) \(", line):
            found[match[1]] = match[1]
    return found


def release(guest):
    """The kernel's release, as in `uname -r`."""
    return (GUESTS / guest / "release").read_text().strip()


def module_name(path):
    return re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_")


def module_files(guest, names):
    """The named modules with all they depend on, relative to the folder of the kernel's release."""
    folder = GUESTS / guest / "modules/lib/modules" / release(guest)
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    by_name = {module_name(path): path for path in needs}
    wanted = [by_name[name] for name in names if name in by_name]
    for path in wanted:
        wanted.extend(need for need in needs[path] if need not in wanted)
    return folder, sorted(set(wanted))


def ext4_image():
    """A small ext4 file system, packed: the guest unpacks it onto a memory disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ext4")
        with open(path, "wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,nodiscard", path], check=True,
                       env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        return gzip.compress(pathlib.Path(path).read_bytes(), 9, mtime=0)


def compiled(source):
    """A program of ours for the guest, which has no libraries but those of Debian's programs."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, source.stem)
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-static", "-s", "-o", path, source], check=True)
        return path.read_bytes()


def fill(archive, guest, ours):
    tools = GUESTS / "tools"
    for name in ["dev", "proc", "sys", "run", "tmp", "root", "mnt", "var/lib/hyperv", "var/opt", "boot", "lib64"]:
        archive.directory(name)
    overlay = {}
    for path in sorted(OVERLAY.rglob("*")):
        if path.is_file():
            overlay[str(path.relative_to(OVERLAY))] = path
    for name, path in overlay.items():
        archive.file(name, path)

    archive.file("bin/busybox", tools / "bin/busybox")
    for applet in subprocess.run([tools / "bin/busybox", "--list"], capture_output=True, text=True).stdout.split():
        if not {f"bin/{applet}", f"sbin/{applet}"} & archive.names:
            archive.link(f"bin/{applet}", "/bin/busybox")
    archive.link("bin/bash", "/bin/busybox")

    programs = [tools / "usr/sbin" / name for name in DAEMONS] + [tools / "sbin/kexec"]
    if (GUESTS / "uio-fcopy/hv_fcopy_uio_daemon").exists():
        programs.append(GUESTS / "uio-fcopy/hv_fcopy_uio_daemon")
    needed = {}
    for program in programs:
        archive.file(f"usr/sbin/{program.name}", program)
        needed.update(libraries(program, tools / "usr/lib/x86_64-linux-gnu"))
    for name, path in needed.items():
        archive.file(name, path)
    for script in sorted((tools / "usr/libexec/hypervkvpd").iterdir()):
        archive.file(f"usr/libexec/hypervkvpd/{script.name}", script)

    add_modules(archive, guest, MODULES, (), ours)
    archive.add("root/ext4.gz", stat.S_IFREG | 0o644, ext4_image())


def add_modules(archive, guest, names, present, ours):
    """The named modules but those of `present`, and the dependencies of them all; ours in place of the kernel's."""
    folder, modules = module_files(guest, [*names, *present])
    _, there = module_files(guest, present)
    replaced = ours.files(release(guest)) if ours else {}
    root = f"lib/modules/{release(guest)}"
    for module in modules:
        if module in there:
            continue
        # Busybox tries a packed module as it is first, for which the kernel has a message: unpack it here.
        data = (folder / module).read_bytes()
        data = lzma.decompress(data) if module.endswith(".xz") else data
        archive.add(f"{root}/{module.removesuffix('.xz')}", stat.S_IFREG | 0o644, replaced.get(module_name(module), data))
    dependencies = [line.replace(".ko.xz", ".ko") for line in (folder / "modules.dep").read_text().splitlines()
                    if line.partition(":")[0] in modules]
    archive.add(f"{root}/modules.dep", stat.S_IFREG | 0o644, "\n".join(dependencies + [""]).encode())


def add_programs(archive, tools, names):
    """Programs of a folder into which packages were unpacked, and the libraries that they need."""
    needed = {}
    for name in names:
        program = next(path for path in [tools / name, tools / "usr" / name] if path.exists())
        archive.file(f"usr/{name}", program)
        needed.update(libraries(program, tools / "usr/lib/x86_64-linux-gnu", tools / "lib/x86_64-linux-gnu"))
    for name, path in needed.items():
        archive.file(name, path)


def key(guest, ours):
    """Names an image by all that goes into it."""
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for path in sorted([*OVERLAY.rglob("*"), *PROGRAMS.rglob("*")]):
        if path.is_file():
            digest.update(str(path.relative_to(OVERLAY.parent)).encode() + b"\0" + path.read_bytes())
    for name in [guest, "tools", "disk-tools", "network-tools", "uio-fcopy"]:
        version = GUESTS / name / "version"
        digest.update(version.read_bytes() if version.exists() else b"-")
    if ours:
        digest.update(ours.key(release(guest)).encode())
    return digest.hexdigest()[:16]


def cached(guest, kind, ours, build):
    name = f"{guest}{'-ours' if ours else ''}{kind}-{key(guest, ours)}.cpio"
    folder = CACHE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        prefix = name.rpartition("-")[0]
        for old in folder.glob(prefix + "-*"):
            # Younger ones may be those of a run that goes on beside this one, with other modules.
            with contextlib.suppress(FileNotFoundError):
                if old.name.rpartition("-")[0] == prefix and time.time() - old.stat().st_mtime > 3600:
                    old.unlink()
        partial = folder / f".{name}.{os.getpid()}"
        partial.write_bytes(build())
        partial.rename(path)
    os.utime(path)
    return path


def initramfs(guest, ours=None):
    """The initramfs of a guest, built when something in it has changed. `ours`: modules in place of the kernel's
    (modules.py)."""
    def build():
        archive = Archive()
        fill(archive, guest, ours)
        return archive.bytes()
    return cached(guest, "", ours, build)


def initramfs_with_kernel(guest, ours=None):
    """The same with the kernel and the initramfs itself in /boot, for kexec and crash kernels."""
    base = initramfs(guest, ours)

    def build():
        archive = Archive()
        archive.file("boot/vmlinuz", kernel(guest))
        archive.add("boot/initramfs", stat.S_IFREG | 0o644, base.read_bytes())
        return base.read_bytes() + archive.bytes()
    return cached(guest, "-kexec", ours, build)


def initramfs_with_disks(guest, ours=None):
    """The same with the drivers of disks and DVDs and the programs that make and check file systems."""
    base = initramfs(guest, ours)
    tools = GUESTS / "disk-tools"

    def build():
        archive = Archive()
        add_programs(archive, tools, DISK_PROGRAMS)
        for source in sorted(PROGRAMS.glob("*.c")):
            archive.add(f"usr/bin/{source.stem}", stat.S_IFREG | 0o755, compiled(source))
        add_modules(archive, guest, DISK_MODULES, MODULES, ours)
        return base.read_bytes() + archive.bytes()
    return cached(guest, "-disks", ours, build)


def initramfs_with_network(guest, ours=None, disks=False):
    """The same with the adapter's driver, VLANs and ethtool; `disks`: on top of what there is for disks."""
    base = initramfs_with_disks(guest, ours) if disks else initramfs(guest, ours)

    def build():
        archive = Archive()
        add_programs(archive, GUESTS / "network-tools", NETWORK_PROGRAMS)
        add_modules(archive, guest, NETWORK_MODULES, [*MODULES, *DISK_MODULES] if disks else MODULES, ours)
        return base.read_bytes() + archive.bytes()
    return cached(guest, "-all" if disks else "-network", ours, build)


def debian_root():
    """A Debian 12 on the first partition of a raw disk. Made when a case first asks for it: it takes minutes."""
    fetch("debian-root")
    return GUESTS / "debian-root/disk.raw"


def kernel(guest):
    return GUESTS / guest / "vmlinuz"


def fetch(*names):
    subprocess.run([ROOT / "scripts/fetch-guests", *names], check=True)


if __name__ == "__main__":
    # image.py GUEST: prints the paths of the kernel and the initramfs (the demo uses this).
    guest = sys.argv[1]
    print(kernel(guest))
    print(initramfs(guest))
