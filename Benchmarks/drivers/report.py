# SPDX-License-Identifier: Apache-2.0
"""report.py LOG table|json: our hv_storvsc and hv_netvsc against the kernel's own, out of what the guest printed."""

import json
import statistics
import sys

WORK = {"R": ["reads of 4 KiB, one at a time", "reads of 4 KiB, 32 at a time", "writes of 4 KiB, 32 at a time",
              "reads of 256 KiB, 8 at a time"],
        "N": ["datagrams of 64 bytes", "datagrams of 1400 bytes", "TCP to the host, 64 KiB", "TCP from the host, 64 KiB"]}
TARGET = 0.95

rounds = {}
for line in open(sys.argv[1], errors="replace"):
    words = line.split()
    # The first round warms up.
    if len(words) == 7 and words[0] in WORK and words[1] != "0":
        rounds.setdefault(words[0], {}).setdefault(words[1], {})[words[2]] = [int(word) for word in words[3:]]
results, count = [], 0
for kind, works in WORK.items():
    found = [one for one in rounds.get(kind, {}).values() if len(one) == 2]
    if not found:
        sys.exit("the guest measured nothing")
    count = len(found)
    for index, work in enumerate(works):
        figures = {driver: statistics.median(one[driver][index] for one in found) for driver in ["own", "ours"]}
        ratio = statistics.median(one["own"][index] / one["ours"][index] for one in found)
        results.append({"work": work, "own": figures["own"], "ours": figures["ours"], "ratio": round(ratio, 3)})
if sys.argv[2] == "json":
    print(json.dumps({"rounds": count, "unit": "ns", "results": results}))
else:
    print(f"{'work':32}{'own, ns':>12}{'ours, ns':>12}{'speed':>8}")
    for one in results:
        print(f"{one['work']:32}{one['own']:12.0f}{one['ours']:12.0f}{one['ratio']:8.2f}")
    print(f"speed: ours to the kernel's own, the median of {count} rounds; the target is {TARGET}")
sys.exit(any(one["ratio"] < TARGET for one in results))
