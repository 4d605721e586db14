# SPDX-License-Identifier: Apache-2.0
"""Every VLAN mode against every other between two machines: what passes, and the tags at both ports."""

from cases.adapters import IP, PING
from harness import traffic
from harness.machine import Machine
from harness.suite import case, expect_equal
from harness.switch import captured, is_echo, private_switch

# What `lis switch vlan` takes, the VLANs with a tag, and that of frames without one (0: the network without a VLAN).
MODES = {
    "untagged": ((), 0), "access 5": ((), 5), "access 6": ((), 6), "trunk 5-6": ((5, 6), 0),
    "trunk 5-6 native 5": ((5, 6), 5), "trunk 6 native 6": ((6,), 6),
}
# Of the guests' interfaces: none, 802.1Q ones, and one whose VLAN no port has.
TAGS = [None, 5, 6, 7]


def enters(mode, tag):
    """The VLAN of a frame that a guest sends, or None: it is dropped."""
    tagged, untagged = MODES[mode]
    return untagged if tag is None else tag if tag in tagged else None


def leaves(mode, vlan):
    """The tag with which a guest gets a frame of a VLAN (None: without), or "no": it does not."""
    tagged, untagged = MODES[mode]
    return None if vlan == untagged else vlan if vlan in tagged else "no"


def interface(tag):
    return "eth0" if tag is None else f"eth0.{tag}"


def echoes(path, sizes):
    """Of each ICMP echo and its answer in a pcapng file: by the sizes of the packets, the tags in their order."""
    found = {size: [] for size in sizes}
    for tag, rest in captured(path):
        size = int.from_bytes(rest[4:6], "big") - 28
        if is_echo(rest) and size in found:
            found[size].append(tag)
    return found


@case("VLANs between two machines, each mode with each 6.1-cloud", depth="full", guest="6.1-cloud")
def matrix(suite, guest):
    with private_switch(suite) as (name, lis), \
            Machine(suite, guest, network=True, daemons=False, files=traffic.files(guest),
                    options=["--nic", f"switch:{name}"]) as one, \
            Machine(suite, guest, network=True, daemons=False, files=traffic.files(guest),
                    options=["--nic", f"switch:{name}"]) as two:
        machines = [(one, f"{one.name}/nic0", 1), (two, f"{two.name}/nic0", 2)]
        with suite.check("two machines with 802.1Q interfaces of three VLANs"):
            for vm, _, number in machines:
                vm.sh("modprobe hv_netvsc; modprobe 8021q; "
                      "for i in all default; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done 2>/dev/null; "
                      f"{IP} link set eth0 up")
                vm.sh(" && ".join(
                    [f"{IP} link add link eth0 name {interface(tag)} type vlan id {tag} && {IP} link set {interface(tag)} up"
                     for tag in TAGS[1:]]))
            for (vm, _, number), (peer, _, other) in zip(machines, reversed(machines)):
                mac = peer.sh("cat /sys/class/net/eth0/address").strip()
                # A subnet for each interface of the first; nobody asks for addresses, so that what passes is what is sent.
                vm.sh(" && ".join(
                    [f"{IP} addr add 10.9.{index}.{number}/32 dev lo" for index in range(len(TAGS))]
                    + [f"{IP} neigh replace 10.9.{index}.{other} lladdr {mac} dev {interface(tag)} nud permanent"
                       for index in range(len(TAGS)) for tag in TAGS]))
                route(vm, number, other, TAGS)
        for first in MODES:
            lis("vlan", name, machines[0][1], *first.split())
            for second in MODES:
                lis("vlan", name, machines[1][1], *second.split())
                with suite.check(f"{first}, {second}: exactly the expected tags at both ports"):
                    pair(suite, lis, name, machines, first, second)


def route(vm, number, other, tags):
    vm.sh(" && ".join(f"{IP} route replace 10.9.{index}.{other} dev {interface(tag)} src 10.9.{index}.{number}"
                      for index, tag in enumerate(tags)))


def pair(suite, lis, name, machines, first, second):
    # Of each interface of the first machine: the tag at the second one's port.
    arrivals = [leaves(second, enters(first, tag)) if enters(first, tag) is not None else "no" for tag in TAGS]
    # The second answers with the tag that it got.
    route(machines[1][0], 2, 1, [None if tag == "no" else tag for tag in arrivals])
    sizes = [40 + index for index in range(len(TAGS))]
    paths = [suite.work / f"vlans-{number}.pcapng" for _, _, number in machines]
    for path, (_, port, _) in zip(paths, machines):
        lis("capture", name, str(path), "--port", port, "--overwrite")
    answers = machines[0][0].sh(
        "".join(f"({PING} -c 1 -W 1 -q -s {size} 10.9.{index}.2 | grep -c ' 1 received' >/tmp/p{index}) & "
                for index, size in enumerate(sizes)) + "wait; cat /tmp/p?", timeout=30).split()
    for path, (_, port, _) in zip(paths, machines):
        lis("capture", name, str(path), "--stop")
    wanted = [{}, {}]
    for size, tag, arrival in zip(sizes, TAGS, arrivals):
        wanted[0][size], wanted[1][size] = [tag], []
        if arrival != "no":
            wanted[1][size] = [arrival] * 2
            wanted[0][size].append(leaves(first, enters(second, arrival)))
    for path, expected, mode in zip(paths, wanted, (first, second)):
        expect_equal(echoes(path, sizes), expected, f"tags at the port that is {mode}, by size")
    expect_equal(answers, ["0" if arrival == "no" else "1" for arrival in arrivals], "answers")
