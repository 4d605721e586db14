# SPDX-License-Identifier: Apache-2.0
"""What network cases of the full run put into their guests beside the image: Debian's ethtool, iproute2, iperf3 and ping,
and modules that no other case needs."""

import lzma
import pathlib
import re

from . import image

PROGRAMS = ["sbin/ethtool", "bin/ip", "sbin/bridge", "sbin/tc", "bin/iperf3", "bin/ping"]
# Beside busybox's of the same names.
FOLDER = "usr/local/bin"


def _tools():
    image.fetch("traffic-tools")
    return image.GUESTS / "traffic-tools"


def _path(name):
    tools = _tools()
    return next(path for path in [tools / name, tools / "usr" / name] if path.exists() and not path.is_symlink())


def host(name):
    """A program of the guest's release, for the host: its path, and the variable that finds its libraries."""
    tools = _tools()
    return str(_path(f"bin/{name}")), {"LD_LIBRARY_PATH": f"{tools}/usr/lib/x86_64-linux-gnu:{tools}/lib/x86_64-linux-gnu"}


def files(guest, modules=()):
    """Files for `Machine(files=…)`. `vm.sh(traffic.START)` makes them ready."""
    tools = _tools()
    found = {}
    for name in PROGRAMS:
        program = _path(name)
        found[f"{FOLDER}/{program.name}"] = program.read_bytes()
        libraries = image.libraries(program, tools / "usr/lib/x86_64-linux-gnu", tools / "lib/x86_64-linux-gnu")
        for target, source in libraries.items():
            found[target.strip("/")] = pathlib.Path(source).read_bytes()
    for number, (name, data) in enumerate(_modules(guest, modules)):
        found[f"root/modules/{number:02}-{name}.ko"] = data
    return found


START = "for m in /root/modules/*.ko; do [ -e $m ] && insmod $m; done; true"


def _modules(guest, names):
    """In the order of loading, without what the image loads itself."""
    folder = image.GUESTS / guest / "modules/lib/modules" / image.release(guest)
    needs, paths = {}, {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        name = image.module_name(path)
        paths[name] = path
        needs[name] = [image.module_name(one) for one in rest.split()]
    order = []

    def add(name):
        for one in needs.get(name, []):
            add(one)
        if name in paths and name not in order:
            order.append(name)
    for name in names:
        add(name)
    for name in order:
        data = (folder / paths[name]).read_bytes()
        yield re.sub("[^a-z0-9_]", "_", name), lzma.decompress(data) if paths[name].endswith(".xz") else data
