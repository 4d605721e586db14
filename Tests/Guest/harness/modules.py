# SPDX-License-Identifier: Apache-2.0
"""Kernel modules of ours in place of the kernel's own, module by module."""

import hashlib
import lzma
import pathlib
import re
import struct

from . import elf, image

NAMES = ["hv_vmbus", "hv_utils", "hv_storvsc", "hv_netvsc"]


class OurModules:
    """What `--modules FOLDER[:NAME,NAME…]` says: below FOLDER are modules built for one or more kernels."""

    def __init__(self, folder, names=None):
        self.folder = pathlib.Path(folder)
        self.names = None if names is None else list(names)
        if not self.folder.is_dir():
            raise ValueError(f"{folder} is not a folder")
        if unknown := set(names or ()) - set(NAMES):
            raise ValueError(f"no module of ours: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")

    @classmethod
    def parsed(cls, text):
        folder, colon, names = text.partition(":")
        return cls(folder, names.split(",") if colon else None)

    def only(self, *names):
        """The same folder, and only these modules of it."""
        return OurModules(self.folder, names)

    def files(self, release):
        """name -> bytes, of the modules that were built for the kernel `release`. Those that were asked for by name
        have to be there."""
        found = {}
        for path in sorted(self.folder.rglob("hv_*.ko")):
            name = path.stem
            if name in NAMES and (self.names is None or name in self.names):
                data = path.read_bytes()
                if vermagic(data).split(" ")[0] == release:
                    found[name] = data
        if missing := set(self.names or ()) - set(found):
            raise ValueError(f"{self.folder} has no {', '.join(sorted(missing))} for the kernel {release}")
        return found

    def file(self, name, release):
        """A module that stands in for none of the kernel's; None when it was not built."""
        for path in sorted(self.folder.rglob(f"{name}.ko")):
            data = path.read_bytes()
            if vermagic(data).split(" ")[0] == release:
                return data
        return None

    def key(self, release):
        """Names what `files` gives."""
        digest = hashlib.sha256()
        for name, data in self.files(release).items():
            digest.update(name.encode() + b"\0" + data)
        return digest.hexdigest()


def all_information(data, key):
    """The values of `key` in a module's .modinfo."""
    section = elf.sections(data).get(".modinfo", dict(offset=0, size=0))
    pairs = [text.partition(b"=") for text in data[section["offset"]:section["offset"] + section["size"]].split(b"\0")]
    return [value.decode() for name, equals, value in pairs if equals and name == key.encode()]


def vermagic(data):
    return "".join(all_information(data, "vermagic")[:1])


def depends(data):
    return [name for value in all_information(data, "depends") for name in value.split(",") if name]


def own_file(guest, name):
    """The kernel's own module."""
    folder, paths = image.module_files(guest, [name])
    path = folder / next(path for path in paths if image.module_name(path) == name)
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def build_note(data):
    """The bytes of the note that names a build: the kernel shows them for a loaded module in
    /sys/module/NAME/notes/.note.gnu.build-id."""
    section = elf.sections(data).get(".note.gnu.build-id")
    return data[section["offset"]:section["offset"] + section["size"]] if section else b""


def loaded_note(vm, name):
    text = vm.sh(f"xxd -p /sys/module/{name}/notes/.note.gnu.build-id 2>/dev/null || :")
    return bytes.fromhex(re.sub(r"\s", "", text))


def name_of(note):
    """The build identifier alone, for people."""
    name_size, size = struct.unpack_from("<II", note) if len(note) >= 12 else (0, 0)
    return note[12 + name_size:12 + name_size + size].hex()


def missing(suite, guest, *names):
    """Whether a case that needs these modules of ours has to be left out; says so then."""
    there = suite.ours.files(image.release(guest)) if suite.ours else {}
    lacking = [name for name in names if name not in there]
    if lacking:
        suite.note(f"not run: needs --modules FOLDER with {', '.join(lacking)} for {image.release(guest)}")
    return bool(lacking)


def kernel_memory(vm):
    """KiB that the guest's kernel itself holds, after it gave back what it can."""
    vm.sh("sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1; echo 3 >/proc/sys/vm/drop_caches")
    fields = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB", vm.sh("cat /proc/meminfo")))
    return sum(int(fields[name]) for name in ["SUnreclaim", "VmallocUsed", "Percpu", "KernelStack", "PageTables"])


def complaints(vm, log=""):
    """What our modules and the kernel about them have to say that should not be: traps, leaks, errors, call traces. `log`:
    a file of the guest with what was said before."""
    patterns = "not given back|out of use|Swift trap|Call Trace|BUG:|WARNING:|RIP:|sysfs: cannot create"
    found = vm.sh(f"dmesg | cat {log} - | grep -E '{patterns}' || :")
    traps = vm.sh("grep -H . /sys/module/hv_*/parameters/traps 2>/dev/null | grep -v ':0$' || :")
    return "\n".join(filter(None, [found, traps]))
