# SPDX-License-Identifier: Apache-2.0
"""As much of the ELF format as kernel modules need."""

import struct


def sections(data):
    """name -> type, index, offset, size and link of each section of a 64-bit file."""
    offset, = struct.unpack_from("<Q", data, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + number * entry_size) for number in range(count)]
    names = headers[names_index][4]

    def text(at):
        return data[names + at:data.index(b"\0", names + at)].decode()
    return {text(header[0]): dict(index=number, type=header[1], offset=header[4], size=header[5], link=header[6])
            for number, header in enumerate(headers)}
