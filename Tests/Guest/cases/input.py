# SPDX-License-Identifier: Apache-2.0
"""Wrong input: an error that names it, a documented exit code, and nothing left behind."""

import os
import pathlib
import signal
import struct
import subprocess
import time

from harness import image
from harness.machine import Machine
from harness.suite import case, expect, expect_equal

USAGE, INPUT, UNSUPPORTED, CONFIGURATION = 64, 66, 69, 78


def lis(suite, *arguments, timeout=60):
    done = subprocess.run([suite.lis, *arguments], capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr.decode(errors="replace")


def runtime_files(name):
    """What there is of one machine; others may run beside the tests."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = pathlib.Path(base) / "swift-lis" if base else pathlib.Path(f"/tmp/swift-lis-{os.getuid()}")
    machine = folder / name
    return sorted(str(path) for path in [machine, *machine.rglob("*")]) if machine.exists() else []


def aarch64_elf():
    return struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 183, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)


@case("wrong input", depth="quick")
def wrong_input(suite):
    work = suite.work / "input"
    work.mkdir()
    kernel = str(image.kernel("6.1-cloud"))
    initramfs = str(image.initramfs("6.1-cloud"))
    before = runtime_files("wrong")

    def refused(what, codes, names, *arguments):
        with suite.check(what):
            start = time.monotonic()
            code, errors = lis(suite, "run", "--name", "wrong", *arguments)
            expect(code in codes, f"ended with {code}, wanted {codes}: {errors}")
            for name in names:
                expect(str(name) in errors, f"the message doesn't name {name!r}: {errors}")
            expect(time.monotonic() - start < 10, "took longer than 10 s")

    def file(name, data):
        path = work / name
        path.write_bytes(data)
        return str(path)

    whole = pathlib.Path(kernel).read_bytes()
    refused("a kernel that is missing", [INPUT], [work / "none"], "--kernel", str(work / "none"))
    refused("a folder as the kernel", [INPUT], [work], "--kernel", str(work))
    refused("an empty kernel", [INPUT], ["empty"], "--kernel", file("empty", b""))
    refused("a truncated kernel", [INPUT], ["truncated"], "--kernel", file("truncated", whole[:100000]))
    refused("a text as the kernel", [INPUT], ["text"], "--kernel", file("text", b"hello\n" * 5000))
    refused("a kernel of another architecture", [INPUT], ["aarch64"], "--kernel", file("aarch64", aarch64_elf()))
    refused("an initramfs that is missing", [INPUT], [work / "none"], "--kernel", kernel,
            "--initramfs", str(work / "none"))
    huge = work / "huge"
    with open(huge, "wb") as sparse:
        sparse.truncate(1 << 30)
    refused("an initramfs that does not fit", [INPUT, CONFIGURATION], ["huge"], "--kernel", kernel,
            "--initramfs", str(huge), "--memory", "256M")
    for count in ["0", "9", "-1", "two"]:
        refused(f"{count} processors", [USAGE, CONFIGURATION], [count], "--kernel", kernel, f"--processors={count}")
    for size in ["0", "64M", "100T", "much"]:
        refused(f"{size} of memory", [USAGE, CONFIGURATION], [size], "--kernel", kernel, f"--memory={size}")
    refused("a bus version that there is not", [USAGE, CONFIGURATION], ["9.9"], "--kernel", kernel,
            "--vmbus-version", "9.9")
    refused("an unknown flag", [USAGE], ["--colour"], "--kernel", kernel, "--colour", "red")
    refused("an unknown YAML key", [CONFIGURATION], ["processor_count", "3"], file(
        "wrong.yaml", f"name: wrong\nkernel: {kernel}\nprocessor_count: 3\n".encode()))
    refused("YAML that is none", [CONFIGURATION], ["broken.yaml"], file("broken.yaml", b"name: [\n"))
    if os.getuid() == 0 and not os.path.exists("/sys/module/kvm"):
        refused("KVM forced where it does not work", [UNSUPPORTED], ["/dev/kvm"], "--kernel", kernel,
                "--initramfs", initramfs, "--accelerator", "kvm")
    with suite.check("a machine that does not run"):
        code, errors = lis(suite, "vm", "show", "nobody")
        expect_equal(code, 20, "exit code")
        expect("nobody" in errors, errors)
    with suite.check("nothing is left in the runtime folder"):
        expect_equal(runtime_files("wrong"), before, "files")


@case("Ctrl-C at any moment", depth="normal", guest="6.1-cloud")
def interrupted(suite, guest):
    before = runtime_files("interrupted")
    temporary = set(os.listdir("/tmp"))
    for delay in [0.02, 0.1, 0.3, 0.8, 2.0, 4.0]:
        with suite.check(f"after {delay} s"):
            process = subprocess.Popen(
                [suite.lis, "run", "--name", "interrupted", "--accelerator", suite.accelerator,
                 "--kernel", str(image.kernel(guest)), "--initramfs", str(image.initramfs(guest, suite.ours))],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0)
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                # The first one asks a guest that may not be there yet; the second switches off.
                os.killpg(process.pid, signal.SIGINT)
            try:
                _, errors = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            # In the first moments nobody listens for the signal yet, and it ends the process by itself.
            expect(process.returncode in (0, 12, 28, 130, -2), f"ended with {process.returncode}: {errors.decode()}")
            try:
                os.killpg(process.pid, 0)
                expect(False, "a process is left")
            except ProcessLookupError:
                pass
            expect_equal(runtime_files("interrupted"), before, "files")
    with suite.check("no temporary files are left"):
        left = {name for name in set(os.listdir("/tmp")) - temporary if "lis" in name and "lis-guest" not in name}
        expect(not left, f"left: {left}")


@case("killed and started again", depth="normal", guest="6.1-cloud")
def killed(suite, guest):
    with Machine(suite, guest, memory="256M") as vm:
        with suite.check("after kill -9 the same name starts again"):
            vm.process.kill()
            vm.process.wait()
            code, _, errors = vm.attempt("vm", "show", vm.name)
            expect_equal(code, 20, f"exit code ({errors})")
        with suite.check("its processes are gone as well"):
            time.sleep(1)
            found = subprocess.run(["pgrep", "-f", vm.name], capture_output=True, text=True).stdout.split()
            expect(not found, f"processes {found}")
        again = Machine(suite, guest, memory="256M")
        again.arguments[again.arguments.index(again.name)] = vm.name
        again.name = vm.name
        with again:
            with suite.check("the machine of that name is there"):
                expect_equal(again.show()["state"], "running", "state")
