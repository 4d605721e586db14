#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Medians of the rates in the guest and of KVM's exits per packet, ratios, and whether the targets hold."""

import json
import statistics
import sys

from results import Results

UNITS = {"tcp-send": "Mbit/s", "tcp-receive": "Mbit/s", "udp-send": "packets/s", "udp-receive": "packets/s",
         "answers": "answers/s"}
# AMD's codes for the usual reasons of an exit.
NAMES = {"0x60": "interrupt", "0x64": "interrupt window", "0x78": "halt", "0x7b": "port", "0x7c": "model register",
         "0x81": "hypercall", "0x400": "memory", "0x72": "identification", "0x61": "non-maskable interrupt"}
MACHINES = ["lis", "virtio-net", "vhost-net", "legacy"]


def main(path, style):
    results = Results(path)
    errors = results.errors
    rates, packets = {}, {}
    for word, rest in results.lines:
        if word == "FIGURE":
            machine, job, rate, sent, received = rest.split()
            rates.setdefault((machine, job), []).append(float(rate) / (1000 if job.startswith("tcp") else 1))
            packets.setdefault((machine, job), []).append((int(sent), int(received)))
    counts = {key: [(entry["exits"], entry["io_exits"] + entry["mmio_exits"]) for entry in entries]
              for key, entries in results.jobs.items()}
    rows = []
    for job, unit in UNITS.items():
        row = {"job": job, "unit": unit}
        for machine in MACHINES:
            key = machine, job
            if key not in rates:
                continue
            # A packet is what the guest's driver counts: what is sent whole and cut later is one.
            moved = [max(1, received if job.endswith("receive") else sent) for sent, received in packets[key]]
            pairs = list(zip(counts.get(key, []), moved))
            row[machine] = {"rate": round(statistics.median(rates[key]), 1),
                            "exits": round(statistics.median([exits / count for (exits, _), count in pairs] or [0]), 3),
                            "portExits": round(statistics.median([ports / count for (_, ports), count in pairs] or [0]), 3),
                            "runs": len(rates[key])}
        for one, other in [("lis", "virtio-net"), ("lis", "vhost-net"), ("legacy", "lis")]:
            if one in row and other in row and row[other]["rate"]:
                row[f"{one} to {other}"] = round(row[one]["rate"] / row[other]["rate"], 3)
        rows.append(row)
    sending = next(row for row in rows if row["job"] == "udp-send")
    complete = not errors and all("lis to virtio-net" in row for row in rows)
    holds = complete and all(row["lis to virtio-net"] >= 1 for row in rows) and all(
        sending["lis"][name] <= sending["virtio-net"][name] for name in ["exits", "portExits"])
    if style == "json":
        print(json.dumps({"jobs": rows, "errors": errors, "targetsHold": holds}, indent=2))
        return 0 if holds else 1
    ratios = ["lis to virtio-net", "lis to vhost-net", "legacy to lis"]
    print(f"{'':13}{'':11}" + "".join(f"{name:>12}{'exits':>8}{'ports':>8}" for name in MACHINES)
          + "".join(f"{name:>19}" for name in ratios))
    for row in rows:
        line = f"{row['job']:13}{row['unit']:11}"
        for machine in MACHINES:
            one = row.get(machine)
            line += f"{one['rate']:12.1f}{one['exits']:8.3f}{one['portExits']:8.3f}" if one else f"{'-':>12}{'':16}"
        print(line + "".join(f"{row[name]:19.2f}" if name in row else f"{'-':>19}" for name in ratios))
    for word, rest in results.lines:
        if word == "REASONS":
            machine, job, *reasons = rest.split()
            print(f"exits of {machine}, {job}:", ", ".join(
                f"{NAMES.get(code, code)} {hits}" for code, hits in sorted(
                    (one.split(":") for one in reasons), key=lambda one: -int(one[1]))))
    for error in errors:
        print(error)
    print("targets (lis at least 1.0 of virtio-net, and no more exits for a packet that is sent):",
          "hold" if holds else "MISSED")
    return 0 if holds else 1


sys.exit(main(*sys.argv[1:]))
