# SPDX-License-Identifier: Apache-2.0
"""Switches that machines share, and what was captured at their ports."""

import contextlib
import os
import subprocess


@contextlib.contextmanager
def private_switch(suite, suffix=""):
    """A private switch of this run's own, gone afterwards: its name, and `lis switch …`, which gives what was printed."""
    name = f"guest-test-{os.getpid()}{suffix}"

    def lis(*words):
        return subprocess.run([suite.lis, "switch", *words], check=True, capture_output=True, text=True, timeout=60).stdout

    lis("create", name, "--kind", "private")
    try:
        yield name, lis
    finally:
        lis("remove", name, "--force")


def captured(path):
    """Of each frame of a pcapng file: its VLAN, or None, and the rest from the type on."""
    data, position = path.read_bytes(), 0
    while position + 12 <= len(data):
        kind, length = (int.from_bytes(data[position + at:position + at + 4], "little") for at in (0, 4))
        if kind == 6:
            frame = data[position + 28:position + length]
            if frame[12:14] == b"\x81\x00":
                yield int.from_bytes(frame[14:16], "big") & 0xfff, frame[16:]
            else:
                yield None, frame[12:]
        position += max(length, 12)


def is_echo(rest):
    """Whether a frame, from its type on, is an ICMP echo or the answer to one."""
    return rest[:2] == b"\x08\x00" and rest[11] == 1 and rest[22] in (0, 8)
