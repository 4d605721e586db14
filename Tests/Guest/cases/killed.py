# SPDX-License-Identifier: Apache-2.0
"""`lis run` is killed while its guest writes: everything that the guest was told is durable must be there."""

import random
import re
import struct
import subprocess
import time

from cases.disks import attached, create, drivers, folder
from harness.console import GuestError
from harness.machine import Machine
from harness.suite import Failed, case, expect

BLOCK = 4096
# Places that the guest's numbered blocks go to, in a file (on ext4) and on a disk of their own.
BLOCKS = 2003
KINDS = {
    "VHDX dynamic": lambda suite, path: create(suite, path.with_suffix(".vhdx"), "128M", "--block-size", "1M"),
    "VHD dynamic": lambda suite, path: create(suite, path.with_suffix(".vhd"), "128M", "--block-size", "512K"),
    "VHDX differencing": lambda suite, path: differencing(suite, path),
    "raw": lambda suite, path: create(suite, path.with_suffix(".raw"), "128M"),
}
# What the guest says of itself when nothing has been written for half a minute: for the log of a round that fails.
STANDSTILL = ("sleep 30; { grep -H . /sys/block/sd*/inflight /sys/block/sd*/stat; for p in /proc/[0-9]*; do "
              "cut -d ' ' -f 1-3 $p/stat; cat $p/stack; done; } >/dev/ttyS0 2>/dev/null")
# One set of images goes through so many crashes before it is made anew.
ROUNDS_A_SET = 10


def differencing(suite, path):
    base = create(suite, path.with_name(path.name + "-base.vhdx"), "128M", "--block-size", "1M")
    return create(suite, path.with_suffix(".vhdx"), "--parent", str(base))


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def raw_copy(suite, image, path):
    path.unlink(missing_ok=True)
    done = run(suite.lis, "disk", "convert", image, path)
    expect(done.returncode == 0, f"{image.name}: {done.stdout}{done.stderr}")
    return path


def missing(data, acknowledged):
    """What is wrong with numbered blocks of which the first `acknowledged` were promised (see acknowledge.c)."""
    newest = {}
    for number in range(acknowledged):
        newest[number * 7919 % BLOCKS] = number
    for place, number in newest.items():
        block = data[place * BLOCK:(place + 1) * BLOCK]
        if len(block) < BLOCK:
            return f"block {place} is beyond the end, {number} was acknowledged"
        words = struct.unpack("<512Q", block)
        found = words[0] >> 16
        # The write after the last acknowledged one may be there, or a part of it.
        if found == number and all(word == number << 16 | index for index, word in enumerate(words)):
            continue
        late = acknowledged if acknowledged * 7919 % BLOCKS == place else None
        if late is not None and all(word in (number << 16 | index, late << 16 | index) for index, word in enumerate(words)):
            continue
        return f"block {place} holds number {found}, {number} was acknowledged; the last of all was {acknowledged - 1}"
    return None


class Images:
    """Two images of a kind that live through several crashes: one with ext4 on it, one bare."""

    def __init__(self, suite, place, kind):
        self.suite = suite
        self.place = place
        self.kind = kind
        for path in place.iterdir():
            path.unlink()
        self.system = KINDS[kind](suite, place / "system")
        self.bare = KINDS[kind](suite, place / "bare")
        self.fresh = True
        # How long the last guest took to its first acknowledged write to the file.
        self.waited = 0
        # The next number of each.
        self.next = {"file": 0, "bare": 0}

    def round(self, guest, generator):
        options = [f"--disk={self.system}", f"--disk={self.bare}"]
        with Machine(self.suite, guest, processors=2, disks=True, daemons=False, options=options) as vm:
            drivers(vm)
            disks = attached(vm, 2)
            system, bare = disks[(0, 0)], disks[(0, 1)]
            make = f"/usr/sbin/mke2fs -q -F -t ext4 /dev/{system} && " if self.fresh else ""
            # Free space is given back and taken again, so that each round allocates.
            vm.sh(f"{make}mount -t ext4 -o discard /dev/{system} /mnt && rm -rf /mnt/load && sync && fstrim /mnt && mkdir /mnt/load",
                  120)
            self.fresh = False
            since, started = vm.console.mark(), time.monotonic()
            # The agent does not answer any more: the console is the two programs', one line a call.
            load = ("n=0; while :; do n=$((n+1)); dd if=/dev/urandom of=/mnt/load/$n bs=16k count=$((n%20)) 2>/dev/null; "
                    "[ $((n%4)) = 0 ] && rm -f /mnt/load/$((n-2)); done")
            programs = [f"acknowledge {path} {BLOCKS} {self.next[name]} {name} >/dev/ttyS0"
                        for name, path in [("file", "/mnt/numbers"), ("bare", f"/dev/{bare}")]]
            vm.console.send(f"1000000 ({load}) & ({programs[0]}) & ({programs[1]}) & ({STANDSTILL}) & sleep 1000\n".encode())
            try:
                vm.console.wait(rb"file ack \d+\r?\n", since, 180)
            except GuestError as error:
                raise Failed(f"{error}\n{vm.lis('vm', 'disk', 'list', vm.name)}{vm.lis('vm', 'show', vm.name)}"
                             f"{vm.lis('vm', 'disk', 'list', vm.name)}") from None
            self.waited = time.monotonic() - started
            time.sleep(generator.uniform(0.2, 3))
            vm.kill()
            time.sleep(0.1)
            said = bytes(vm.console.buffer[since:])
        for target in ["file", "bare"]:
            expect(f"{target} end".encode() not in said, f"a write failed before the kill: {said[-300:]!r}")
            told = [int(number) for number in re.findall(rb"%s ack (\d+)\r?\n" % target.encode(), said)]
            if told:
                self.next[target] = max(told) + 1
        self.check()
        return said.count(b" ack ")

    def check(self):
        for image in [self.system, self.bare]:
            done = run(self.suite.lis, "disk", "check", image)
            expect(done.returncode == 0, f"lis disk check: {done.stdout}{done.stderr}")
        raw = raw_copy(self.suite, self.bare, self.place / "copy.raw")
        flaw = missing(raw.read_bytes(), self.next["bare"])
        expect(not flaw, f"the bare {self.kind}: {flaw}")
        raw_copy(self.suite, self.system, raw)
        # As at a mount: the journal first, then nothing may be wrong.
        run("e2fsck", "-p", "-E", "journal_only", raw)
        done = run("e2fsck", "-fn", raw)
        expect(done.returncode == 0, f"ext4 on {self.kind}: {done.stdout}{done.stderr}")
        run("debugfs", "-R", f"dump /numbers {self.place}/numbers", raw)
        flaw = missing((self.place / "numbers").read_bytes(), self.next["file"])
        expect(not flaw, f"the file on {self.kind}: {flaw}")


def killed(suite, guest, rounds):
    place = folder(suite, f"killed-{guest}")
    generator = random.Random(rounds)
    images, kinds_made, total, longest, started = None, 0, 0, 0, time.monotonic()
    for number in range(rounds):
        if number % min(ROUNDS_A_SET, max(1, rounds // len(KINDS))) == 0:
            kinds = list(KINDS)
            images = Images(suite, place, kinds[kinds_made % len(kinds)])
            kinds_made += 1
        with suite.check(f"round {number + 1}, {images.kind}"):
            total += images.round(guest, generator)
            longest = max(longest, images.waited)
    suite.note(f"{rounds} rounds, {total} acknowledged writes, the first of a round after {longest:.1f} s at the latest; "
               f"{(time.monotonic() - started) / rounds:.1f} s a round")
    for path in place.iterdir():
        path.unlink()


case("disks: killed under write load, 6.1-cloud", guest="6.1-cloud", rounds=3)(killed)
case("disks: killed 200 times under write load, 6.12-cloud", depth="full", guest="6.12-cloud", rounds=200)(killed)
