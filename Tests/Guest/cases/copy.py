# SPDX-License-Identifier: Apache-2.0
"""File copy into a guest, with the daemon of each kind of kernel."""

import hashlib
import random
import signal
import time

from harness.machine import Background, Machine
from harness.suite import case, expect, expect_equal


def make(vm, size):
    """A file of that size that no two tests share, and its hash."""
    path = vm.folder / f"file-{size}"
    source = random.Random(size)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        # In pieces: Python has a limit for one.
        for start in range(0, size, 1 << 20):
            piece = source.randbytes(min(1 << 20, size - start))
            file.write(piece)
            digest.update(piece)
    return str(path), digest.hexdigest()


def copies(suite, guest):
    # The daemon of kernels from 6.10 cannot take names beyond ASCII, and doesn't know "cancel".
    modern = guest.startswith("6.12")
    with Machine(suite, guest, memory="1G") as vm:
        vm.services_ready(["copy"])

        def copied(size, target, *options, timeout=300):
            path, digest = make(vm, size)
            start = time.monotonic()
            vm.lis("vm", "copy", vm.name, path, target, *options, timeout=timeout)
            took = time.monotonic() - start
            if size > 1 << 20:
                suite.note(f"{size >> 20} MiB in {took:.0f} s, {size / took / 2**20:.1f} MiB/s")
            expect_equal(vm.sh(f"sha256sum <'{target}'", 120).split()[0], digest, "hash")

        with suite.check("an empty file"):
            copied(0, "/tmp/empty")
        with suite.check("10 MiB with equal hashes"):
            copied(10 << 20, "/tmp/ten")
        if suite.at_least("full"):
            with suite.check("256 MiB with equal hashes"):
                copied(256 << 20, "/tmp/large", timeout=3000)
                vm.sh("rm /tmp/large")
        if not modern:
            with suite.check("a name beyond ASCII"):
                copied(5000, "/tmp/Grüße 鍵.txt")
        else:
            with suite.check("a name beyond ASCII is refused, since this daemon would mangle it"):
                path, _ = make(vm, 5000)
                code, _, errors = vm.attempt("vm", "copy", vm.name, path, "/tmp/Grüße 鍵.txt")
                expect(code != 0 and errors.strip(), f"ended with {code}: {errors}")
        with suite.check("an existing target is kept unless overwriting is asked for"):
            digest = vm.sh("sha256sum </tmp/ten")
            path, _ = make(vm, 7000)
            vm.refused(26, "vm", "copy", vm.name, path, "/tmp/ten")
            expect_equal(vm.sh("sha256sum </tmp/ten"), digest, "hash of the old file")
            copied(7000, "/tmp/ten", "--overwrite")
        with suite.check("a missing folder is created when asked for"):
            path, _ = make(vm, 100)
            vm.refused(27, "vm", "copy", vm.name, path, "/tmp/new/folder/file")
            copied(100, "/tmp/new/folder/file", "--create-folders")
        with suite.check("an unwritable folder has its own error"):
            path, _ = make(vm, 100)
            unwritable = vm.refused(27, "vm", "copy", vm.name, path, "/proc/file")
        with suite.check("a copy that is cancelled leaves no part of it under the final name"):
            path, _ = make(vm, 32 << 20)
            background = Background(vm, "vm", "copy", vm.name, path, "/tmp/cancelled")
            time.sleep(3)
            background.process.send_signal(signal.SIGINT)
            expect_equal(background.process.wait(30), 28, "exit code")
            # The daemon of kernels from 6.10 can remove no file: the host has it cut to nothing.
            expect_equal(vm.sh("test -e /tmp/cancelled && wc -c </tmp/cancelled || echo none"),
                         "0" if modern else "none", "what is left")
            copied(100, "/tmp/after-cancel")
        with suite.check("without its daemon the service says so"):
            vm.sh("daemons kill fcopy")
            stopped = vm.refused(23, "vm", "copy", vm.name, path, "/tmp/never", timeout=60)
            expect("daemon" in stopped, stopped)
            vm.sh("daemons start fcopy")
            vm.services_ready(["copy"])
            copied(100, "/tmp/after-daemon")
        with suite.check("existing, unwritable and stopped have three different reasons"):
            exists = vm.refused(26, "vm", "copy", vm.name, path, "/tmp/ten")
            expect_equal(len({exists, unwritable, stopped}), 3, "reasons")


case("file copy 6.1-cloud", depth="normal", guest="6.1-cloud")(copies)
case("file copy 6.12-cloud", depth="normal", guest="6.12-cloud")(copies)
