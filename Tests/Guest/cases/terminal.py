# SPDX-License-Identifier: Apache-2.0
"""`lis run` and `lis vm console` on a terminal: the guest's shell, the escape key, and the terminal's settings after it."""

import contextlib
import fcntl
import os
import pty
import random
import signal
import subprocess
import termios
import time

from harness import image
from harness.console import Console
from harness.suite import case, expect, expect_equal

ESCAPE, INTERRUPT = b"\x1d", b"\x03"


class Terminal:
    """A command on a pseudo-terminal of its own, which is its controlling one."""

    def __init__(self, suite, name, *arguments):
        self.lis = suite.lis
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([suite.lis, *arguments], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, preexec_fn=take_terminal)
        # The reader gets its own descriptor: it may sleep in it while the other one is closed.
        self.console = Console(os.dup(self.master), self.master, suite.work / f"terminal-{name}.log")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def wait_raw(self, timeout=30):
        end = time.monotonic() + timeout
        while not self.is_raw():
            expect(time.monotonic() < end, "the terminal is not in raw mode")
            time.sleep(0.05)

    def typed(self, keys, answer, timeout=20):
        since = self.console.mark()
        self.console.send(keys)
        self.console.wait(answer, since, timeout)

    def ended(self, code, timeout=20):
        try:
            found = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            expect(False, f"still runs after {timeout} s")
        expect_equal(found, code, "exit code")
        expect_equal(termios.tcgetattr(self.slave), self.before, "the terminal's settings")


def run_arguments(suite, guest, name, command_line=""):
    return ["run", "--name", name, "--accelerator", suite.accelerator, "--kernel", str(image.kernel(guest)),
            "--initramfs", str(image.initramfs(guest, suite.ours)), "--memory", "256M",
            "--command-line", f"console=ttyS0 quiet panic=-1 {command_line}"]


@contextlib.contextmanager
def shell(suite, guest, name):
    """A guest whose first process is a shell on the serial port."""
    name = f"terminal-{os.getpid()}-{name}"
    with Terminal(suite, name, *run_arguments(suite, guest, name, "rdinit=/bin/sh")) as terminal:
        terminal.name = name
        terminal.console.wait(rb"# ", 0, 90)
        yield terminal


@case("terminal, 6.1-cloud", depth="normal", guest="6.1-cloud")
def terminals(suite, guest):
    with shell(suite, guest, "shell") as terminal:
        with suite.check("the terminal is in raw mode, and a shell answers what is typed"):
            terminal.wait_raw()
            terminal.typed(b"echo $((6 * 7))\r", rb"\n42\r\n")
        with suite.check("Ctrl-C belongs to the guest"):
            terminal.typed(b"exec setsid -c sh\r", rb"# ")
            terminal.typed(b"sleep 100\r", rb"sleep 100\r\n")
            time.sleep(1)
            terminal.typed(INTERRUPT, rb"# ")
            terminal.typed(b"echo $((6 * 9))\r", rb"\n54\r\n")
        with suite.check("20,000 bytes pasted at once arrive"):
            terminal.typed(b"stty -echo; head -c 20000 | md5sum; stty echo\r", rb"\n")
            time.sleep(1)
            terminal.typed((b"x" * 99 + b"\n") * 200, rb"710327fdb442a2c6725337c7ab790e4c", 60)
        with suite.check("`lis vm console` on another terminal: raw, typed keys arrive, Ctrl-] detaches"):
            with Terminal(suite, "attached", "vm", "console", terminal.name) as other:
                other.wait_raw()
                other.typed(b"echo $((7 * 8))\r", rb"\n56\r\n")
                other.console.send(ESCAPE)
                other.ended(0)
        with suite.check("a signal ends it the same way"):
            with Terminal(suite, "signalled", "vm", "console", terminal.name) as other:
                other.wait_raw()
                other.process.terminate()
                other.ended(0)
        with suite.check("the guest switches itself off: the terminal is as before"):
            terminal.console.send(b"mount -t proc proc /proc; /bin/busybox poweroff -f\r")
            terminal.ended(0)
    with shell(suite, guest, "escape") as terminal:
        with suite.check("Ctrl-] ends the machine; lines are whole; the terminal is as before"):
            since = terminal.console.mark()
            terminal.console.send(ESCAPE)
            terminal.console.wait(rb"lis: asking the guest[^\n]*[^\r]\r\n", since, 20)
            terminal.ended(12)
    with shell(suite, guest, "kill") as terminal:
        with suite.check("so it is after `kill`"):
            terminal.process.terminate()
            terminal.ended(12)
    with shell(suite, guest, "hang-up") as terminal:
        with suite.check("the machine ends when its terminal is gone"):
            # What the system sends to the leader of a session whose terminal hangs up.
            terminal.process.send_signal(signal.SIGHUP)
            terminal.ended(12)


@case("terminal given up at any moment", depth="normal", guest="6.1-cloud")
def at_any_moment(suite, guest):
    rounds = 20 if suite.at_least("full") else 5
    moments = random.Random(os.urandom(8))
    for number in range(rounds):
        # Most of a start is over after two seconds.
        delay = moments.uniform(0, 3) ** 2 / 3
        how = ["escape", "kill"][number % 2]
        with suite.check(f"{how} after {delay:.2f} s: it ends, and the terminal is as before"):
            name = f"terminal-{os.getpid()}-moment-{number}"
            with Terminal(suite, name, *run_arguments(suite, guest, name)) as terminal:
                time.sleep(delay)
                end = time.monotonic() + 20
                while terminal.process.poll() is None and time.monotonic() < end:
                    if how == "kill":
                        terminal.process.terminate()
                    else:
                        # Before the terminal is raw it is not the escape key yet, but Ctrl-C works.
                        terminal.console.send(ESCAPE if terminal.is_raw() else INTERRUPT)
                    time.sleep(1.5)
                found = terminal.process.wait(1)
                # In the first moments nobody listens for the signal yet, and it ends the process by itself.
                expect(found in (0, 12, 28, -signal.SIGINT, -signal.SIGTERM), f"ended with {found}")
                expect_equal(termios.tcgetattr(terminal.slave), terminal.before, "the terminal's settings")
