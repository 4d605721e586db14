# SPDX-License-Identifier: Apache-2.0
"""Cases, what they check, and the totals."""

import contextlib
import fnmatch
import sys
import time
import traceback

# Each depth includes the ones before it.
DEPTHS = ["quick", "normal", "full"]


class Failed(Exception):
    """A check that did not hold; the message says what was found."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def expect_equal(found, wanted, what="value"):
    expect(found == wanted, f"{what}: found {found!r}, wanted {wanted!r}")


class Case:
    def __init__(self, name, depth, body, arguments):
        self.name = name
        self.depth = depth
        self.body = body
        self.arguments = arguments


CASES = []


def case(name, depth="normal", **arguments):
    """Registers a function as a case. `name` may use the arguments: "boot {guest}"."""
    def register(body):
        CASES.append(Case(name.format(**arguments), depth, body, arguments))
        return body
    return register


class Suite:
    """Runs cases one after the other: the machine has few processors, and times are part of what is checked."""

    def __init__(self, depth, patterns, work, lis, accelerator, ours=None):
        self.depth = depth
        self.patterns = patterns
        self.work = work
        self.lis = lis
        self.accelerator = accelerator
        # Modules in place of the kernel's own, or None.
        self.ours = ours
        self.passed = 0
        self.failed = []
        self.current = None
        tty = sys.stdout.isatty()
        self.green, self.red, self.dim, self.plain = (
            ("\033[32m", "\033[31m", "\033[2m", "\033[0m") if tty else ("", "", "", ""))

    def chosen(self):
        for one in CASES:
            if self.patterns:
                if any(fnmatch.fnmatch(one.name, f"*{pattern}*") for pattern in self.patterns):
                    yield one
            elif DEPTHS.index(one.depth) <= DEPTHS.index(self.depth):
                yield one

    def at_least(self, depth):
        return DEPTHS.index(self.depth) >= DEPTHS.index(depth)

    def note(self, text):
        """A figure worth keeping in the log."""
        print(f"     {self.dim}{text}{self.plain}", flush=True)

    @contextlib.contextmanager
    def check(self, name):
        """One line of the report. A failure is reported, and the case goes on."""
        full = f"{self.current.name}: {name}"
        start = time.monotonic()
        try:
            yield
        except Exception as error:  # whatever it is, it is this check's failure
            self.fail(full, error)
        else:
            self.passed += 1
            took = time.monotonic() - start
            print(f"{self.green}ok{self.plain}   {full} {self.dim}({took:.1f} s){self.plain}", flush=True)

    def fail(self, name, error):
        self.failed.append(name)
        print(f"{self.red}FAIL{self.plain} {name}", flush=True)
        text = str(error) if isinstance(error, Exception) and str(error) else repr(error)
        for line in text.splitlines()[:30]:
            print(f"     {line}", flush=True)
        if not type(error).__module__.startswith("harness"):
            for line in traceback.format_exc().splitlines()[-6:]:
                print(f"     {self.dim}{line}{self.plain}", flush=True)

    def run(self):
        for one in list(self.chosen()):
            self.current = one
            start = time.monotonic()
            try:
                one.body(self, **one.arguments)
            except Exception as error:
                self.fail(f"{one.name}: ended early", error)
            print(f"     {self.dim}{one.name}: {time.monotonic() - start:.0f} s{self.plain}", flush=True)
        if self.failed:
            print("failed:")
            for name in self.failed:
                print(f"  {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
