# SPDX-License-Identifier: Apache-2.0
"""Data exchange with Debian's own hv_kvp_daemon."""

import urllib.parse

from harness.machine import Machine
from harness.suite import case, expect, expect_equal

ADAPTER = "{5e6f7081-1d2c-4b3a-9f8e-0a1b2c3d4e5f}"

# What the guest's own commands say to each automatic item.
AUTOMATIC = {
    "FullyQualifiedDomainName": "hostname -f",
    "IntegrationServicesVersion": "echo 3.1",  # the driver's constant, which it prints nowhere
    "NetworkAddressIPv4": "ip -4 -o address | grep -v ' lo ' | sed 's/.* inet \\([0-9.]*\\).*/\\1/' | paste -sd';'",
    "NetworkAddressIPv6": "ip -6 -o address | grep -v ' lo ' | sed 's/.* inet6 \\([0-9a-f:]*\\).*/\\1/' | paste -sd';'",
    "OSBuildNumber": "uname -r",
    "OSName": ". /etc/os-release; echo \"$NAME\"",
    "OSMajorVersion": ". /etc/os-release; echo \"$VERSION_ID\"",
    "OSMinorVersion": "echo",
    "OSVersion": "uname -r | sed 's/-.*//'",
    "ProcessorArchitecture": "uname -m",
}


def pool_file(items):
    """The daemon's file of a pool: records of a 512-byte key and a 2048-byte value."""
    return b"".join(key.encode().ljust(512, b"\0") + value.encode().ljust(2048, b"\0") for key, value in items)


def exchange(suite, guest):
    many = [(f"key-{number:03}", f"value {number} äöü") for number in range(250)]
    with Machine(suite, guest, files={"var/lib/hyperv/.kvp_pool_1": pool_file(many)}) as vm:
        vm.services_ready(["kvp"])

        def items(pool):
            return {one["key"]: one["value"] for one in vm.json("kvp", "list", vm.name, "--pool", pool)}

        vm.sh(f"fake-adapter {ADAPTER.strip('{}')}")
        with suite.check("every automatic item equals what the guest's own commands print"):
            found = items("auto")
            wanted = {key: vm.sh(command) for key, command in AUTOMATIC.items()}
            # The daemon separates addresses by ";" and may end the list with one.
            found = {key: value.rstrip(";") for key, value in found.items()}
            expect_equal(found, wanted, "items")
        with suite.check("250 items of the guest's pool are read"):
            found = items("guest")
            expect_equal(found, dict(many), "items")
        with suite.check("set, get, modify and delete in the external pool"):
            vm.lis("kvp", "set", vm.name, "colour", "blue")
            expect_equal(vm.lis("kvp", "get", vm.name, "colour").strip(), "blue")
            vm.lis("kvp", "set", vm.name, "colour", "green and blue")
            expect_equal(items("external"), {"colour": "green and blue"}, "items")
            expect("green and blue" in vm.sh("strings /var/lib/hyperv/.kvp_pool_0"), "not in the guest's pool file")
            vm.lis("kvp", "delete", vm.name, "colour")
            expect_equal(items("external"), {}, "items")
        with suite.check("a missing key has its own error, for get and delete"):
            expect("colour" in vm.refused(25, "kvp", "get", vm.name, "colour"), "the message doesn't name the key")
            expect("colour" in vm.refused(25, "kvp", "delete", vm.name, "colour"), "the message doesn't name the key")
        with suite.check("a value of 2047 bytes and non-ASCII keys"):
            # The wire has room for 1023 UTF-16 units; Linux gives back 1022 of them.
            long = "ü" * 1019 + "鍵" * 3
            expect_equal(len(long.encode()), 2047)
            vm.lis("kvp", "set", vm.name, "schlüssel-鍵-🗝", long)
            expect_equal(items("external"), {"schlüssel-鍵-🗝": long}, "items")
            vm.lis("kvp", "delete", vm.name, "schlüssel-鍵-🗝")
        with suite.check("a value of 2048 bytes is refused before it reaches the guest"):
            code, _, errors = vm.attempt("kvp", "set", vm.name, "long", "x" * 2048)
            expect(code != 0 and errors.strip(), f"ended with {code}: {errors}")
        with suite.check("the host's own items are in the guest's pool 3"):
            text = vm.sh("strings /var/lib/hyperv/.kvp_pool_3")
            expect(vm.name in text, f"pool 3 holds: {text}")
            expect("VirtualMachineName" in text and "HostName" in text, f"pool 3 holds: {text}")
        with suite.check("an adapter's addresses are read"):
            # Linux reads them by MAC address and sets them by GUID.
            found = vm.json("adapter", "show", vm.name, vm.sh("cat /run/mac"))
            expect("192.0.2.7" in found["addresses"], f"addresses: {found}")
            expect("255.255.255.0" in found["subnets"], f"subnets: {found}")
        with suite.check("an adapter's addresses are set"):
            status, found = vm.http("PUT", "/v1/adapters/" + urllib.parse.quote(ADAPTER), {
                "dhcp": False, "addresses": ["192.0.2.99"], "subnets": ["255.255.255.0"], "gateways": ["192.0.2.1"],
                "dnsServers": ["192.0.2.53"]})
            expect(status in (200, 204), f"status {status}: {found}")
            expect("192.0.2.99" in vm.sh("ip -4 address show dummy0"), "the guest has not taken it")
        with suite.check("an adapter that is not there has its own error"):
            vm.refused(25, "adapter", "show", vm.name, "02:00:00:00:00:99")
        with suite.check("without its daemon the service is reported as such"):
            vm.sh("daemons kill kvp")
            vm.wait_for("kvp is not ready", lambda _: vm.service("kvp")["state"] != "ready" or vm.attempt(
                "kvp", "list", vm.name, timeout=60)[0] != 0, 60)
            vm.sh("daemons start kvp")
            vm.wait_for("kvp answers again", lambda _: vm.attempt(
                "kvp", "get", vm.name, "OSName", "--pool", "auto", timeout=60)[0] == 0, 60)


case("KVP 6.1-cloud", depth="normal", guest="6.1-cloud")(exchange)
case("KVP 6.12-cloud", depth="full", guest="6.12-cloud")(exchange)
