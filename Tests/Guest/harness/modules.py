# SPDX-License-Identifier: Apache-2.0
"""Kernel modules of ours in place of the kernel's own, module by module."""

import hashlib
import pathlib
import re
import struct

from . import elf

NAMES = ["hv_vmbus", "hv_utils", "hv_storvsc", "hv_netvsc"]


class OurModules:
    """What `--modules FOLDER[:NAME,NAME…]` says: below FOLDER are modules built for one or more kernels."""

    def __init__(self, folder, names=None):
        self.folder = pathlib.Path(folder)
        self.names = names
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
        return OurModules(self.folder, list(names))

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

    def key(self, release):
        """Names what `files` gives."""
        digest = hashlib.sha256()
        for name, data in self.files(release).items():
            digest.update(name.encode() + b"\0" + data)
        return digest.hexdigest()


def information(data, key):
    """The first value of `key` in a module's .modinfo; None without it."""
    sections = elf.sections(data)
    if ".modinfo" not in sections:
        return None
    section = sections[".modinfo"]
    for text in data[section["offset"]:section["offset"] + section["size"]].split(b"\0"):
        name, equals, value = text.partition(b"=")
        if equals and name == key.encode():
            return value.decode()
    return None


def vermagic(data):
    return information(data, "vermagic") or ""


def depends(data):
    return [name for name in (information(data, "depends") or "").split(",") if name]


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
