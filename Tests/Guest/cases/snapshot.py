# SPDX-License-Identifier: Apache-2.0
"""Freeze and thaw of the guest's file systems with Debian's own hv_vss_daemon."""

import time

from harness.machine import Machine
from harness.suite import case, expect

# Counts up in a file on the ext4 file system, ten times a second: stands still while that is frozen. The count that is
# read changes by a rename, so that it is never seen empty.
WRITER = ("i=0; while :; do i=$((i + 1)); echo $i >/mnt/count; "
          "echo $i >/run/count.new; mv /run/count.new /run/count; usleep 100000; done")


def written(vm):
    return int(vm.sh("cat /run/count"))


def moves(vm, within=5):
    end = time.monotonic() + within
    before = written(vm)
    while time.monotonic() < end:
        if written(vm) > before + 1:
            return True
    return False


def stands(vm, seconds=2):
    # The write under way when the freeze came may still have been counted.
    time.sleep(0.5)
    before = written(vm)
    time.sleep(seconds)
    return written(vm) == before


def snapshots(suite, guest):
    with Machine(suite, guest) as vm:
        vm.services_ready(["snapshot"])
        vm.sh("mount-ext4; echo 0 >/run/count")
        vm.sh(f"setsid sh -c '{WRITER}' >/dev/null 2>&1 </dev/null &")
        expect(moves(vm), "the write loop doesn't run")
        with suite.check("freeze stalls a write loop on ext4, thaw lets it go on"):
            vm.lis("vm", "freeze", vm.name)
            expect(stands(vm), "the loop goes on while frozen")
            vm.lis("vm", "thaw", vm.name)
            expect(moves(vm), "the loop stands still after thaw")
        with suite.check("a second freeze is refused, a second thaw says that nothing is frozen"):
            vm.lis("vm", "freeze", vm.name)
            vm.refused(22, "vm", "freeze", vm.name)
            vm.lis("vm", "thaw", vm.name)
            expect("not frozen" in vm.lis("vm", "thaw", vm.name), "it doesn't")
        with suite.check("the host thaws by itself at the deadline"):
            vm.lis("vm", "freeze", vm.name, "--deadline", "4")
            expect(stands(vm, 1), "the loop goes on while frozen")
            time.sleep(4)
            expect(moves(vm), "the loop stands still after the deadline")
        with suite.check("a daemon killed in mid-freeze: the host says so, and a new daemon thaws"):
            vm.lis("vm", "freeze", vm.name, "--deadline", "60")
            vm.sh("daemons kill vss")
            code, _, errors = vm.attempt("vm", "thaw", vm.name)
            expect(code != 0 and errors.strip(), f"thaw ended with {code}: {errors}")
            expect(stands(vm, 1), "the loop goes on though nobody thawed")
            vm.sh("daemons start vss")
            vm.services_ready(["snapshot"])
            vm.lis("vm", "thaw", vm.name)
            expect(moves(vm), "the loop stands still after thaw")
            vm.lis("vm", "freeze", vm.name)
            expect(stands(vm, 1), "the loop goes on while frozen")
            vm.lis("vm", "thaw", vm.name)
            expect(moves(vm), "the loop stands still after thaw")
        with suite.check("a guest without the daemon is reported as such"):
            vm.sh("daemons kill vss")
            message = vm.refused(23, "vm", "freeze", vm.name)
            expect("daemon" in message, message)
            vm.sh("daemons start vss")


case("snapshot 6.1-cloud", depth="normal", guest="6.1-cloud")(snapshots)
case("snapshot 6.12-cloud", depth="full", guest="6.12-cloud")(snapshots)
