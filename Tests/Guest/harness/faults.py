# SPDX-License-Identifier: Apache-2.0
"""A folder whose files fail on demand: below every image format, above a sound file system.

It is a FUSE file system that speaks the kernel's protocol (linux/fuse.h) itself and hands each request on to a folder
of the host. Nothing is cached: what `lis` reads, writes and flushes arrives here as it was asked for.
"""

import concurrent.futures
import ctypes
import errno
import os
import struct
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FSYNC, FLUSH, INIT, INTERRUPT, BATCH_FORGET, FALLOCATE = 20, 25, 26, 36, 42, 43
NAMES = {READ: "read", WRITE: "write", FSYNC: "flush", FALLOCATE: "allocate", SETATTR: "resize"}
NOSUID_NODEV = 6
DETACH = 2
DIRECT_IO = 1
SIZE_IS_SET = 8
LARGEST_WRITE = 1 << 17


class Fault:
    """What goes wrong with the requests that it fits.

    `operations`: a set of "read", "write", "flush", "allocate", "resize". `where`: a range of bytes of the file that
    the request must touch. `times`: how often (default: until it is taken away). `code`: the errno of the answer.
    `keep`: at most so many bytes of each transfer are done. `seconds`: the answer comes later.
    """

    def __init__(self, name, operations, where=None, times=None, code=None, keep=None, seconds=0):
        self.name = name
        self.operations = set(operations)
        self.where = where
        self.times = times
        self.code = code
        self.keep = keep
        self.seconds = seconds
        self.hits = 0

    def fits(self, name, operation, offset, count):
        return (name == self.name and operation in self.operations and (self.times is None or self.hits < self.times)
                and (self.where is None or offset < self.where.stop and offset + count > self.where.start))


class FaultyFolder:
    """`with FaultyFolder(mount, backing) as folder:` mounts it; `folder.add(Fault(…))` and `folder.clear()`."""

    def __init__(self, mount, backing):
        self.mount = mount
        self.backing = backing
        self.faults = []
        self.lock = threading.Lock()
        self.nodes = {1: ""}
        self.files = {}
        self.next_handle = 1
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=128)

    def __enter__(self):
        for path in [self.mount, self.backing]:
            path.mkdir(parents=True, exist_ok=True)
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        if LIBC.mount(b"lis-faults", bytes(self.mount), b"fuse", NOSUID_NODEV, options.encode()) != 0:
            code = ctypes.get_errno()
            os.close(self.device)
            raise PermissionError(code, f"cannot mount {self.mount}: {os.strerror(code)}")
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind, value, trace):
        self.clear()
        LIBC.umount2(bytes(self.mount), DETACH)
        self.pool.shutdown(wait=False, cancel_futures=True)

    def add(self, fault):
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear(self):
        with self.lock:
            self.faults = []

    # The protocol. Each request has a header of 40 bytes: length, operation, unique number, node, and who asks.

    def _serve(self):
        while True:
            try:
                data = os.read(self.device, LARGEST_WRITE + 65536)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                break
            _, operation, unique, node = struct.unpack_from("<IIQQ", data)
            if operation in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            if operation == INIT:
                self._answer(unique, 0, self._init(data))
                continue
            self.pool.submit(self._carry_out, operation, unique, node, memoryview(data)[40:])
        os.close(self.device)

    def _answer(self, unique, code, body=b""):
        try:
            os.write(self.device, struct.pack("<IiQ", 16 + len(body), -code, unique) + body)
        except OSError:
            pass  # whoever asked was killed

    def _init(self, data):
        _, minor, readahead = struct.unpack_from("<III", data, 40)
        asynchronous_and_large = 1 << 0 | 1 << 5
        return struct.pack("<IIIIHHIIHHI28x", 7, min(minor, 31), readahead, asynchronous_and_large, 64, 48, LARGEST_WRITE,
                           1, 0, 0, 0)

    def _carry_out(self, operation, unique, node, body):
        try:
            self._answer(unique, 0, self._result(operation, node, body))
        except OSError as error:
            self._answer(unique, error.errno)
        except Exception:  # a request that is not understood
            self._answer(unique, errno.EIO)

    def _fault(self, operation, node, offset, count):
        """Waits or fails as the faults want it; returns how much of the request is to be done."""
        name, operation = self.nodes[node], NAMES[operation]
        with self.lock:
            fault = next((one for one in self.faults if one.fits(name, operation, offset, count)), None)
            if fault:
                fault.hits += 1
        if not fault:
            return count
        time.sleep(fault.seconds)
        if fault.code:
            raise OSError(fault.code, os.strerror(fault.code))
        return min(count, fault.keep) if fault.keep else count

    def _attributes(self, node):
        found = os.stat(self.backing / self.nodes[node])
        return struct.pack("<QQQQQQIIIIIIIIII", node, found.st_size, found.st_blocks, int(found.st_atime),
                           int(found.st_mtime), int(found.st_ctime), 0, 0, 0, found.st_mode, found.st_nlink, found.st_uid,
                           found.st_gid, 0, 4096, 0)

    def _result(self, operation, node, body):
        if operation == LOOKUP:
            name = bytes(body).rstrip(b"\0").decode()
            os.stat(self.backing / name)
            with self.lock:
                number = next((key for key, value in self.nodes.items() if value == name), len(self.nodes) + 1)
                self.nodes[number] = name
            return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self._attributes(number)
        if operation == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self._attributes(node)
        if operation == SETATTR:
            valid, _, _, size = struct.unpack_from("<IIQQ", body)
            if valid & SIZE_IS_SET:
                self._fault(operation, node, size, 1)
                os.truncate(self.backing / self.nodes[node], size)
            return struct.pack("<QII", 0, 0, 0) + self._attributes(node)
        if operation == OPEN:
            flags, = struct.unpack_from("<I", body)
            opened = os.open(self.backing / self.nodes[node], flags & os.O_ACCMODE | os.O_CLOEXEC)
            with self.lock:
                handle = self.next_handle
                self.next_handle += 1
                self.files[handle] = opened
            return struct.pack("<QII", handle, DIRECT_IO, 0)
        if operation == STATFS:
            return struct.pack("<QQQQQIIII24x", 1 << 28, 1 << 27, 1 << 27, 1000, 1000, 4096, 255, 4096, 0)
        handle = struct.unpack_from("<Q", body)[0] if len(body) >= 8 else 0
        if operation == RELEASE:
            os.close(self.files.pop(handle))
            return b""
        if operation == FLUSH:
            return b""
        if operation == READ:
            _, offset, count = struct.unpack_from("<QQI", body)
            return os.pread(self.files[handle], self._fault(operation, node, offset, count), offset)
        if operation == WRITE:
            _, offset, count = struct.unpack_from("<QQI", body)
            done = os.pwrite(self.files[handle], body[40:40 + self._fault(operation, node, offset, count)], offset)
            return struct.pack("<II", done, 0)
        if operation == FSYNC:
            self._fault(operation, node, 0, 1)
            os.fdatasync(self.files[handle])
            return b""
        if operation == FALLOCATE:
            _, offset, count, mode = struct.unpack_from("<QQQI", body)
            self._fault(operation, node, offset, count)
            if LIBC.fallocate(self.files[handle], ctypes.c_int(mode), ctypes.c_long(offset), ctypes.c_long(count)) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")
            return b""
        raise OSError(errno.ENOSYS, "not served")
