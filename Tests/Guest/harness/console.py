# SPDX-License-Identifier: Apache-2.0
"""The guest's serial console: its log, and commands for the agent that serves it (../image/bin/agent)."""

import os
import re
import select
import threading
import time
import zlib


class GuestError(Exception):
    """A command in the guest that failed, or an agent that doesn't answer."""


class Console:
    """Reads the console all the time, so that the guest never waits for us."""

    def __init__(self, read_fd, write_fd, log_path=None):
        self.write_fd = write_fd
        self.buffer = bytearray()
        self.total = 0  # bytes ever dropped from the front of `buffer`
        self.closed = False
        self.arrived = threading.Condition()
        self.log = open(log_path, "wb", buffering=0) if log_path else None
        self.number = 0
        self.thread = threading.Thread(target=self._read, args=(read_fd,), daemon=True)
        self.thread.start()

    def _read(self, fd):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            with self.arrived:
                if not data:
                    self.closed = True
                    self.arrived.notify_all()
                    return
                if self.log:
                    self.log.write(data)
                self.buffer += data
                self.arrived.notify_all()

    def mark(self):
        """A place in the console's output, to wait from."""
        with self.arrived:
            return len(self.buffer)

    # For machines that are busy with other things: what is waited for the guest is multiplied by this.
    patience = float(os.environ.get("LIS_TEST_PATIENCE", "1"))

    def wait(self, pattern, since, timeout):
        """Waits for a regular expression (bytes) in what came after `since`; returns the match."""
        timeout *= self.patience
        end = time.monotonic() + timeout
        with self.arrived:
            while True:
                if match := re.compile(pattern).search(self.buffer, since):
                    # A copy: the buffer can't grow while a match of it lives.
                    return Match(match.end(), [bytes(group or b"") for group in match.groups()])
                left = end - time.monotonic()
                if self.closed or left <= 0:
                    why = "console closed" if self.closed else f"nothing in {timeout:.0f} s"
                    tail = bytes(self.buffer[-600:]).decode("utf-8", "replace")
                    raise GuestError(f"{why} while waiting for {pattern!r}; the console ended in: {tail!r}")
                self.arrived.wait(left)

    def hello(self, since, timeout):
        """Waits for the agent of a guest that starts; returns its boot id."""
        match = self.wait(rb":lis hello ([0-9a-f-]{36})", since, timeout)
        return match.groups[0].decode()

    def send(self, data):
        while data:
            select.select([], [self.write_fd], [], 30)
            data = data[os.write(self.write_fd, data):]

    def run(self, command, timeout=60):
        """Runs a shell command in the guest; returns exit code and output."""
        self.number += 1
        line = " ".join(command.strip().splitlines()) if "\n" in command else command
        since = self.mark()
        self.send(b"%d %s\n" % (self.number, line.encode()))
        for attempt in range(4):
            match = self.wait(rb":lis %d (\d+) (\d+) ([0-9a-f]{8})\n" % self.number, since, timeout)
            code, size, crc = int(match.groups[0]), int(match.groups[1]), int(match.groups[2], 16)
            end = time.monotonic() + timeout
            with self.arrived:
                while len(self.buffer) < match.end + size + 1 and time.monotonic() < end and not self.closed:
                    self.arrived.wait(1)
                data = bytes(self.buffer[match.end:match.end + size])
            if len(data) == size and zlib.crc32(data) == crc:
                return code, data.decode("utf-8", "replace")
            # Something else (the kernel) wrote in between: ask for the same answer again.
            since = self.mark()
            self.send(b"%d\n" % self.number)
        raise GuestError(f"garbled answer to: {command}")

    def sh(self, command, timeout=60):
        """The output of a command that must succeed."""
        code, output = self.run(command, timeout)
        if code != 0:
            raise GuestError(f"exit code {code} in the guest of: {command}\n{output}")
        return output.rstrip("\n")


class Match:
    def __init__(self, end, groups):
        self.end = end
        self.groups = groups
