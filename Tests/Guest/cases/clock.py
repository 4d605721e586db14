# SPDX-License-Identifier: Apache-2.0
"""The guest's clock follows the host's after a start, a pause and a jump."""

import time

from harness.machine import Machine
from harness.suite import case, expect


def expect_close(vm, limit):
    difference, uncertainty = vm.clock_difference()
    expect(abs(difference) <= limit + uncertainty, f"the guest is off by {difference:+.3f} s (± {uncertainty:.3f})")
    return difference


def wait_close(vm, limit, within):
    end = time.monotonic() + within
    while True:
        try:
            return expect_close(vm, limit)
        except Exception:
            if time.monotonic() > end:
                raise
        time.sleep(1)


def clock(suite, guest, pause):
    with Machine(suite, guest) as vm:
        with suite.check("within 1 s after the start"):
            vm.services_ready(["time"])
            suite.note(f"guest minus host {wait_close(vm, 1, 5):+.3f} s")
        with suite.check(f"a pause of {pause} s, and the clock is right at once"):
            vm.lis("vm", "pause", vm.name)
            expect(vm.show()["state"] == "paused", "not paused")
            time.sleep(pause)
            vm.lis("vm", "resume", vm.name)
            # "At once" is the time that one message takes; 3 s allows for the nested machine.
            suite.note(f"guest minus host {wait_close(vm, 1, 3):+.3f} s")
        with suite.check(f"and stays right for {pause} s"):
            end, worst = time.monotonic() + pause, 0
            while time.monotonic() < end:
                worst = max(worst, abs(expect_close(vm, 1)))
                time.sleep(2)
            suite.note(f"off by {worst:.3f} s at most")
        with suite.check("a clock set back by an hour is right again within 60 s"):
            vm.sh("date -s @$(($(date +%s) - 3600))")
            expect(abs(vm.clock_difference()[0]) > 3000, "the clock was not set back")
            start = time.monotonic()
            wait_close(vm, 5, 60)
            suite.note(f"right again after {time.monotonic() - start:.0f} s")


case("clock 6.1-cloud, short pause", depth="normal", guest="6.1-cloud", pause=15)(clock)
case("clock 6.1-cloud, 60 s pause", depth="full", guest="6.1-cloud", pause=60)(clock)
case("clock 6.12-cloud, 60 s pause", depth="full", guest="6.12-cloud", pause=60)(clock)
