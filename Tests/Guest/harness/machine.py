# SPDX-License-Identifier: Apache-2.0
"""A machine under test: a `lis run` process with the guest's console on its standard streams."""

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

from . import image, modules
from .console import Console
from .suite import Failed, expect

SERVICES = ["heartbeat", "shutdown", "time", "kvp", "copy", "snapshot"]
# Those that need one of the guest's daemons, and its name in the guest.
DAEMONS = {"kvp": "kvp", "copy": "fcopy", "snapshot": "vss"}


class CommandFailed(Failed):
    def __init__(self, arguments, code, output, errors):
        super().__init__(f"`lis {' '.join(arguments)}` ended with {code}\n{output}{errors}")
        self.code = code
        self.errors = errors


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Machine:
    """`with Machine(suite, guest) as vm:` boots a guest and forces it off at the end, whatever happened."""

    number = 0

    def __init__(self, suite, guest, processors=1, memory="384M", options=(), command_line="", daemons=True,
                 files=None, kexec=False, disks=False, network=False, greeting=None, ours=None):
        # `greeting`: what a guest without the agent says on its console when it is there. `ours`: other modules of ours
        # than the command line's.
        self.greeting = greeting
        ours = ours or suite.ours
        self.modules = ours.files(image.release(guest)) if ours else {}
        Machine.number += 1
        self.suite = suite
        self.guest = guest
        self.name = f"guest-test-{os.getpid()}-{Machine.number}"
        self.folder = suite.work / f"{Machine.number:02}-{re.sub('[^a-z0-9.]+', '-', suite.current.name.lower())}"
        self.folder.mkdir(parents=True)
        if network:
            initramfs = image.initramfs_with_network(guest, ours, disks)
        elif disks:
            initramfs = image.initramfs_with_disks(guest, ours)
        else:
            initramfs = image.initramfs_with_kernel(guest, ours) if kexec else image.initramfs(guest, ours)
        if files:
            initramfs = self._with_files(initramfs, files)
        words = ["console=ttyS0", "quiet", "panic=-1"] + (["lis.daemons"] if daemons else []) + command_line.split()
        self.arguments = [
            "run", "--name", self.name, "--accelerator", suite.accelerator,
            "--kernel", str(image.kernel(guest)), "--initramfs", str(initramfs),
            "--command-line", " ".join(words), "--processors", str(processors), "--memory", memory, *options,
        ]

    def _with_files(self, initramfs, files):
        """The kernel unpacks archives one after the other, so further files are one more archive at the end."""
        archive = image.Archive()
        for name, data in files.items():
            archive.add(name, stat.S_IFREG | (0o755 if data[:4] == b"\x7fELF" else 0o644), data)
        path = self.folder / "initramfs.cpio"
        path.write_bytes(initramfs.read_bytes() + archive.bytes())
        return path

    def __enter__(self):
        self.errors = open(self.folder / "stderr.log", "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen([self.suite.lis, *self.arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        self.console = Console(self.process.stdout.fileno(), self.process.stdin.fileno(),
                               self.folder / "console.log")
        try:
            if self.greeting:
                self.console.wait(self.greeting, 0, 240)
            else:
                self.boot_id = self.console.hello(0, 90)
        except Exception as error:
            self.__exit__(None, None, None)
            raise Failed(f"{error}\nlis said: {self.said()}") from None
        self.boot_seconds = time.monotonic() - self.started
        if self.modules and not self.greeting:
            with self.suite.check("of our modules, those that are loaded are loaded in place of the kernel's"):
                self.check_modules()
        return self

    def check_modules(self, names=None):
        """The modules of ours that are loaded (`names`: these have to be) are the very files that were built."""
        loaded = {line.split()[0] for line in self.sh("cat /proc/modules").splitlines()}
        for name, data in self.modules.items():
            if name not in loaded and name not in (names or ()):
                continue
            expect(name in loaded, f"{name} is not loaded")
            found, wanted = modules.loaded_note(self, name), modules.build_note(data)
            expect(found and found == wanted,
                   f"{name}: build {modules.name_of(found)} is loaded, ours is {modules.name_of(wanted)}")
            expect("O" in self.sh(f"cat /sys/module/{name}/taint"), f"{name} is taken for the kernel's own")

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            # The first Ctrl-C asks the guest, the second switches off.
            for patience in [3, 15]:
                self.process.send_signal(signal.SIGINT)
                try:
                    self.process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    pass
            else:
                self.process.kill()
                self.process.wait()
                if kind is None:
                    raise Failed("`lis run` did not end within 15 s of the second SIGINT")
        self.process.stdin.close()
        self.errors.close()
        self.errors = None

    def kill(self):
        """Ends `lis run` as the out-of-memory killer would."""
        self.process.kill()
        self.process.wait()

    def said(self):
        """What `lis run` printed on standard error."""
        return (self.folder / "stderr.log").read_text(errors="replace")[-2000:]

    def ended(self, timeout=60):
        """Waits for `lis run` to end by itself; returns its exit code."""
        timeout *= Console.patience
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"`lis run` still runs after {timeout} s; it said: {self.said()}") from None

    # The guest

    def sh(self, command, timeout=60):
        return self.console.sh(command, timeout)

    def rebooted(self, since, timeout=90):
        """Waits for the guest's next start; `since` is the console's mark before it was asked for."""
        boot_id = self.console.hello(since, timeout)
        expect(boot_id != self.boot_id, "the guest greeted again without a new boot")
        self.boot_id = boot_id

    # The host

    def lis(self, *arguments, timeout=120, input=None):
        """Runs `lis NOUN VERB …`; returns its output. Fails on an exit code other than 0."""
        code, output, errors = self.attempt(*arguments, timeout=timeout, input=input)
        if code != 0:
            raise CommandFailed(arguments, code, output, errors)
        return output

    def attempt(self, *arguments, timeout=120, input=None):
        """The same, for whoever wants the exit code: returns it with both outputs."""
        try:
            done = subprocess.run([self.suite.lis, *arguments], capture_output=True, timeout=timeout, input=input)
        except subprocess.TimeoutExpired:
            raise Failed(f"`lis {' '.join(arguments)}` did not end within {timeout} s") from None
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def refused(self, code, *arguments, timeout=120):
        """Runs a command that has to fail with this exit code; returns what it said."""
        found, output, errors = self.attempt(*arguments, timeout=timeout)
        expect(found == code, f"`lis {' '.join(arguments)}` ended with {found}, wanted {code}\n{output}{errors}")
        expect(errors.strip(), f"`lis {' '.join(arguments)}` failed without a message")
        return errors.strip()

    def json(self, *arguments, timeout=120):
        return json.loads(self.lis(*arguments, "--format", "json", timeout=timeout))

    def http(self, method, path, body=None, timeout=60):
        """A call of the control API without `lis`: returns the status and the decoded answer."""
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        folder = f"{runtime}/swift-lis" if runtime else f"/tmp/swift-lis-{os.getuid()}"
        connection = UnixConnection(f"{folder}/{self.name}/control.sock", timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else None
        finally:
            connection.close()

    def show(self):
        return self.json("vm", "show", self.name)

    def service(self, name):
        return next(one for one in self.show()["services"] if one["name"] == name)

    def wait_for(self, what, condition, timeout=30, every=0.3):
        """Waits for `condition(show())`; returns that description."""
        timeout *= Console.patience
        end = time.monotonic() + timeout
        while True:
            description = self.show()
            if condition(description):
                return description
            if time.monotonic() > end:
                state = json.dumps(description, ensure_ascii=False)
                raise Failed(f"{what}: not within {timeout} s; the machine says {state[:1500]}")
            time.sleep(every)

    def services_ready(self, names=SERVICES, timeout=30):
        """Waits until the guest has negotiated these services and the daemons behind them run."""
        daemons = " ".join(DAEMONS[name] for name in names if name in DAEMONS)
        if daemons:
            self.sh(f"daemons wait {daemons}")

        def ready(description):
            states = {one["name"]: one["state"] for one in description["services"]}
            return all(states.get(name) == "ready" for name in names)
        return self.wait_for("services " + ", ".join(names) + " ready", ready, timeout)

    def clock_difference(self):
        """Guest clock minus host clock in seconds, measured through the console, with its uncertainty."""
        before = time.time()
        guest = float(self.sh("adjtimex | awk '/time.tv_sec/{s=$2}"
                              "/time.tv_usec/{u=$2}END{printf \"%.6f\", s+u/1e6}'"))
        after = time.time()
        return guest - (before + after) / 2, (after - before) / 2

    def host_figures(self):
        """Descriptors, threads and private memory (KiB) of the process that serves the machine; on the software machine
        that is the one inside."""
        statistics = self.show()["statistics"]
        return {name: statistics[f"host.{name}"] for name in ["descriptors", "threads", "data"]}


class Background:
    """A `lis` command that runs beside the test."""

    def __init__(self, vm, *arguments):
        self.process = subprocess.Popen([vm.suite.lis, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.lines = []
        self.thread = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.thread.start()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.thread.join(5)
        return self.lines
