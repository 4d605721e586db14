# SPDX-License-Identifier: Apache-2.0
"""A kernel module that stops a processor with its interrupts off, for kernels that ship none.

It is a module of the kernel's own, with two instructions put into its init function: so it fits the kernel without
headers or a compiler. Its signature goes, since it no longer fits; Debian's kernels load unsigned modules.
"""

import lzma
import struct

from .elf import sections
from .image import module_files

SIGNATURE = b"~Module signature appended~\n"
ENDBR64 = b"\xf3\x0f\x1e\xfa"
CALL = 0xE8
CLI_AND_JUMP_TO_SELF = b"\xfa\xeb\xfe"


def without_signature(data):
    if not data.endswith(SIGNATURE):
        return data
    # The signature's length is the last field of the 12 bytes before the marker, big-endian.
    length, = struct.unpack(">I", data[-len(SIGNATURE) - 4:-len(SIGNATURE)])
    return data[:-len(SIGNATURE) - 12 - length]


def spinning_module(guest, name="dummy"):
    """The module `name` of the guest's kernel, changed to spin when it is loaded."""
    folder, modules = module_files(guest, [name])
    path = folder / next(one for one in modules if one.rpartition("/")[2].partition(".")[0] == name)
    data = path.read_bytes()
    data = bytearray(without_signature(lzma.decompress(data) if path.suffix == ".xz" else data))

    found = sections(data)
    symbols, strings = found[".symtab"], found[".strtab"]
    for at in range(symbols["offset"], symbols["offset"] + symbols["size"], 24):
        name_at, _, _, section, value, size = struct.unpack_from("<IBBHQQ", data, at)
        if data[strings["offset"] + name_at:].startswith(b"init_module\0"):
            break
    else:
        raise ValueError(f"{path} has no init_module")
    code_name, code = next((key, one) for key, one in found.items() if one["index"] == section)

    # Behind the landing mark and the tracer's call, which the loader looks for.
    place = value
    if data[code["offset"] + place:code["offset"] + place + 4] == ENDBR64:
        place += 4
    if data[code["offset"] + place] == CALL:
        place += 5
    data[code["offset"] + place:code["offset"] + place + 3] = CLI_AND_JUMP_TO_SELF
    # What the loader would write over that becomes a relocation of no kind.
    relocations = found[".rela" + code_name]
    for at in range(relocations["offset"], relocations["offset"] + relocations["size"], 24):
        where, = struct.unpack_from("<Q", data, at)
        if place <= where < place + 3:
            struct.pack_into("<I", data, at + 8, 0)
    return bytes(data)
