# SPDX-License-Identifier: Apache-2.0
"""DPDK's testpmd in a guest: Debian's packages with the drivers of the bus and of its adapters, which the kernel's
uio_hv_generic lets into the program."""

import pathlib
import subprocess
import tempfile

from . import image

DRIVERS = ["bus_vmbus", "mempool_ring", "net_netvsc"]
FOLDER = "/opt/dpdk"
LIBRARIES = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]


# Debian 12's testpmd forwards nothing on queues that are not reported as started, and its netvsc driver reports none (DPDK
# mended that later). Where nothing is reported testpmd takes them for started.
QUEUE_STATES = """
#include <errno.h>
int rte_eth_rx_queue_info_get(void) { return -ENOTSUP; }
int rte_eth_tx_queue_info_get(void) { return -ENOTSUP; }
"""


def queue_states():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "states.so")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-nostdlib", "-s", "-x", "c", "-o", path, "-"], check=True,
                       input=QUEUE_STATES.encode())
        return path.read_bytes()


def files():
    """Files for `Machine(files=…)`."""
    image.fetch("dpdk")
    tools = image.GUESTS / "dpdk"
    folders = [tools / folder for folder in LIBRARIES]
    program = tools / "usr/bin/dpdk-testpmd"
    sources = [next((tools / LIBRARIES[0] / "dpdk").glob(f"pmds-*/librte_{driver}.so.*.0")) for driver in DRIVERS]
    found = {f"{FOLDER}/testpmd".strip("/"): program.read_bytes(), f"{FOLDER}/states.so".strip("/"): queue_states()}
    for driver, source in zip(DRIVERS, sources):
        found[f"{FOLDER}/{driver}.so".strip("/")] = source.read_bytes()
    for one in [program, *sources]:
        for target, source in image.libraries(one, *folders).items():
            found[target.strip("/")] = pathlib.Path(source).read_bytes()
    return found


def bind(vm, indices):
    """Gives some of the guest's adapters, by their order, to uio_hv_generic, before their own driver is there."""
    found = vm.sh("cd /sys/bus/vmbus/devices; for d in *; do grep -q f8615163-df3e-46c5-913f-f2d2f965ed0e $d/class_id && "
                  "echo $(cat $d/id) $d; done | sort -n").splitlines()
    devices = [found[index].split()[1] for index in indices]
    vm.sh("modprobe uio_hv_generic")
    for one in devices:
        vm.sh(f"echo uio_hv_generic >/sys/bus/vmbus/devices/{one}/driver_override; "
              f"echo {one} >/sys/bus/vmbus/drivers/uio_hv_generic/bind")
    return devices


class Testpmd:
    """`with Testpmd(vm, queues=…) as pmd:` runs it on all adapters that were bound; `pages` are of 2 MiB."""

    def __init__(self, vm, processors=2, queues=1, pages=64, words=""):
        self.vm = vm
        drivers = " ".join(f"-d {FOLDER}/{driver}.so" for driver in DRIVERS)
        self.command = (f"LD_PRELOAD={FOLDER}/states.so {FOLDER}/testpmd -l {','.join(str(one) for one in range(processors))} --in-memory --no-pci "
                        f"--no-telemetry --iova-mode=pa {drivers} -- -i --total-num-mbufs=16384 --rxq={queues} --txq={queues} "
                        f"--nb-cores={processors - 1} {words}")
        self.pages = pages

    def __enter__(self):
        # It loads drivers from folders only that nobody else may write to.
        self.vm.sh(f"chmod 755 / /opt {FOLDER}; mkdir -p /var/run; echo {self.pages} >/proc/sys/vm/nr_hugepages; rm -f /tmp/pmd.in; mkfifo /tmp/pmd.in; "
                   f"(sleep 100000 >/tmp/pmd.in &) ; ({self.command} </tmp/pmd.in >/tmp/pmd.out 2>&1; "
                   "echo $? >/tmp/pmd.code) &")
        self.vm.sh("for i in $(seq 600); do grep -q 'testpmd> ' /tmp/pmd.out && exit 0; [ -e /tmp/pmd.code ] && break; "
                   "sleep 0.1; done; cat /tmp/pmd.out; dmesg | tail -n 5; exit 1", timeout=120)
        return self

    def do(self, *commands):
        """Returns when they are carried out. What it prints it keeps until it ends, but for its prompts."""
        for command in commands:
            count = "$(grep -o 'testpmd> ' /tmp/pmd.out | wc -l)"
            self.vm.sh(f"n={count}; echo '{command}' >/tmp/pmd.in; for i in $(seq 300); do [ {count} -gt $n ] && exit 0; "
                       "sleep 0.1; done; exit 1", timeout=90)

    def __exit__(self, kind, value, trace):
        """`output` is then all that it said."""
        self.vm.sh("echo quit >/tmp/pmd.in; for i in $(seq 300); do [ -e /tmp/pmd.code ] && break; sleep 0.1; done; "
                   "[ \"$(cat /tmp/pmd.code)\" = 0 ] || { tail -n 20 /tmp/pmd.out; exit 1; }; rm /tmp/pmd.code", timeout=90)
        self.output = self.vm.sh("cat /tmp/pmd.out")
