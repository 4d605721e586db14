#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Medians of what bootclock printed, ratios to QEMU, and whether the targets hold."""

import json
import statistics
import sys

from results import Results

# At most this: start as a ratio to QEMU's, memory beyond the guest's, idle exits a second more than QEMU's with `hv-*`, exec
# to the first guest instruction.
TARGETS = {"startRatio": 0.8, "memoryMiB": 16, "idleExitsDifference": 0, "firstEntrySeconds": 0.05}


def main(path, style):
    results = Results(path)
    runs = {}
    for (machine, _), entries in results.jobs.items():
        for entry in entries:
            for key, value in entry.items():
                runs.setdefault(machine, {}).setdefault(key, []).append(value)
    medians = {name: {key: statistics.median(values) for key, values in run.items()} for name, run in runs.items()}
    qemu, enlightened, lis = (medians.get(name, {}) for name in ("qemu", "qemu-hv", "lis"))
    verdict = {}
    if "start" in lis and "start" in qemu:
        pairs = zip(runs["lis"]["start"], runs["qemu"]["start"])
        verdict["startRatio"] = round(statistics.median(a / b for a, b in pairs), 3)
    if "memoryKiB" in lis:
        verdict["memoryMiB"] = round(lis["memoryKiB"] / 1024, 1)
    if "idleExits" in lis and "idleExits" in enlightened:
        verdict["idleExitsDifference"] = round(lis["idleExits"] - enlightened["idleExits"], 2)
    if "firstEntry" in lis:
        verdict["firstEntrySeconds"] = round(lis["firstEntry"], 4)
    missed = [key for key, limit in TARGETS.items() if verdict.get(key, 0) > limit]
    unknown = [key for key in TARGETS if key not in verdict]
    holds = not missed and not unknown
    if style == "json":
        print(json.dumps({"runs": runs, "medians": medians, "lis": verdict, "targetsHold": holds}, indent=2))
    else:
        print(f"{'':10}{'init s':>9}{'exits':>8}{'I/O':>7}{'MMIO':>7}{'MiB':>7}{'idle/s':>8}{'entry s':>9}{'runs':>6}")
        for name, values in medians.items():
            print(
                f"{name:10}{values.get('start', float('nan')):9.2f}{values.get('exits', 0):8.0f}"
                f"{values.get('ioExits', 0):7.0f}{values.get('mmioExits', 0):7.0f}"
                f"{values.get('memoryKiB', 0) / 1024:7.1f}{values.get('idleExits', float('nan')):8.1f}"
                f"{values.get('firstEntry', float('nan')):9.3f}{len(runs[name].get('start', [])):6}")
        for line in results.errors:
            print(line)
        print("lis:", ", ".join(f"{key} {value}" for key, value in verdict.items()) or "not measured")
        for key, limit in TARGETS.items():
            word = "MISSED" if key in missed else "not measured" if key in unknown else "holds"
            print(f"target {key} <= {limit}: {word}")
    return 0 if holds else 1


sys.exit(main(*sys.argv[1:]))
