#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration's second half: boots the guest and shows both ends, the guest's on the left, the host's right."""

import os
import pathlib
import shutil
import sys
import tempfile
import textwrap
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import console, image, suite as suites  # noqa: E402
from harness.machine import Machine  # noqa: E402

GUEST = "6.1-cloud"
PAUSE = 15  # seconds
WIDTH = max(100, min(shutil.get_terminal_size((140, 24)).columns, 180))
COLUMN = (WIDTH - 3) // 2
COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def wrap(text):
    lines = []
    for line in text.expandtabs().splitlines():
        lines.extend(textwrap.wrap(line, COLUMN, drop_whitespace=False, subsequent_indent="  ") or [""])
    return lines


def title(text):
    print()
    print(paint("1", text))


def beside(guest, host):
    """Each is a pair of what was asked and what was answered."""
    left, right = ([(paint_prompt, line) for paint_prompt, part in ((True, asked), (False, answered))
                    for line in wrap(part)] for asked, answered in (guest, host))
    for number in range(max(len(left), len(right))):
        row = []
        for lines in (left, right):
            prompt, line = lines[number] if number < len(lines) else (False, "")
            padded = line.ljust(COLUMN)
            row.append(paint("36", padded) if prompt else padded)
        print(" │ ".join(row).rstrip())
    print()


class Demo:
    def __init__(self, vm):
        self.vm = vm

    def guest(self, command, shown=None):
        return f"guest# {shown or command}", self.vm.sh(command)

    def host(self, *arguments):
        command = " ".join("demo" if one == self.vm.name else one for one in arguments)
        return f"host$ lis {command}", self.vm.lis(*arguments).rstrip().replace(self.vm.name, "demo")

    def clock(self):
        difference, uncertainty = self.vm.clock_difference()
        return f"guest minus host: {difference:+.3f} s (measured to ± {uncertainty:.3f} s)"


def show(vm):
    demo = Demo(vm)
    title("1. A stock kernel finds Hyper-V, and the host sees it")
    beside(demo.guest("uname -rv; dmesg | grep -iE 'hypervisor detected|hyper-v:|vmbus version|clocksource: Switched'"
                      " | sed 's/^\\[ *[0-9.]*\\] //'", "dmesg | grep -i hyper"),
           demo.host("vm", "show", vm.name))

    title("2. Its own modules, as Debian ships them, drive the devices that the host offers")
    devices = ("for device in /sys/bus/vmbus/devices/*; do echo \"$(cut -c2-9 $device/class_id) "
               "$(cat $device/id | sed 's/^/channel /') $(basename \"$(readlink $device/driver)\") ${device##*/}\"; done")
    beside(demo.guest("for module in hv_vmbus hv_utils; do modinfo $module | grep -E '^(filename|description|vermagic)';"
                      f" done; echo; lsmod | grep -E '^(Module|hv_)'; echo; echo 'VMBus devices:'; {devices}",
                      "modinfo hv_vmbus hv_utils; lsmod; ls /sys/bus/vmbus/devices"),
           demo.host("service", "list", vm.name))

    title("3. Heartbeat, clock, and what the guest tells about itself")
    state = vm.show()
    heartbeat = state["heartbeat"]
    beside(demo.guest("hostname -f; uname -r; . /etc/os-release; echo $NAME $VERSION_ID; date -u",
                      "hostname -f; uname -r; cat /etc/os-release; date"),
           demo.host("kvp", "list", vm.name))
    print(f"heartbeat: {heartbeat['state']}, last beat {heartbeat.get('lastBeat', 'never')}")
    print(f"clocks: {demo.clock()}")

    title(f"4. A pause of {PAUSE} s, and the guest's clock is right again")
    vm.lis("vm", "pause", vm.name)
    print("host$ lis vm pause demo")
    time.sleep(PAUSE)
    vm.lis("vm", "resume", vm.name)
    print("host$ lis vm resume demo")
    time.sleep(1)
    print(f"clocks: {demo.clock()}")

    title("5. A clean shutdown, asked for by the host")
    print("host$ lis vm stop demo")
    vm.lis("vm", "stop", vm.name)
    code = vm.ended()
    print(f"`lis run` ended with exit code {code}")
    return code


def main():
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lis-demo.") as work:
        suite = suites.Suite("quick", [], pathlib.Path(work), str(image.ROOT / ".build/release/lis"), "auto")
        suite.current = suites.Case("demo", "quick", None, {})
        with Machine(suite, GUEST, processors=2) as vm:
            print(vm.said().strip())
            vm.services_ready()
            vm.wait_for("heartbeat ok", lambda description: description["heartbeat"]["state"] == "ok")
            print(f"the guest's init ran {vm.boot_seconds:.1f} s after the start of `lis run`")
            code = show(vm)
    print(f"the demo took {time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (suites.Failed, console.GuestError, KeyboardInterrupt) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
