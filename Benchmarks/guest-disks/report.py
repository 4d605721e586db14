#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Medians of fio's rates in the guest and of KVM's exits per request, ratios to QEMU's, and whether the targets hold."""

import json
import statistics
import sys

from results import Results

# Requests of each job, and in fio's terse line (version 3) the place of its rate.
REQUESTS = {"read-1": 1536, "write-1": 1536, "read-32": 6144, "write-32": 6144, "read-seq": 768, "write-seq": 768}
RATE = {"read": 7, "write": 48}
TARGETS = {"virtio-scsi": 1.0, "virtio-blk": 0.9}


def main(path, style):
    results = Results(path)
    errors = results.errors
    rates = {}
    for word, rest in results.lines:
        if word == "FIO":
            machine, rest = rest.split(" ", 1)
            fields = rest.split(";")
            job = fields[2]
            if job in REQUESTS:
                rates.setdefault((machine, job), []).append(float(fields[RATE[job.split("-")[0]]]))
    exits, user = ({key: [sum(entry[name] for name in names) / REQUESTS[key[1]] for entry in entries]
                    for key, entries in results.jobs.items() if key[1] in REQUESTS}
                   for names in [["exits"], ["io_exits", "mmio_exits"]])
    rows = []
    for job in REQUESTS:
        row = {"job": job}
        for machine in ["lis", *TARGETS]:
            if (machine, job) in rates:
                row[machine] = {"iops": statistics.median(rates[machine, job]),
                                "exits": round(statistics.median(exits.get((machine, job), [0])), 2),
                                "portExits": round(statistics.median(user.get((machine, job), [0])), 2),
                                "runs": len(rates[machine, job])}
        for machine in TARGETS:
            if "lis" in row and machine in row:
                row[f"to {machine}"] = round(row["lis"]["iops"] / row[machine]["iops"], 2)
        rows.append(row)
    complete = not errors and all(f"to {machine}" in row for row in rows for machine in TARGETS)
    holds = complete and all(row[f"to {machine}"] >= least for row in rows for machine, least in TARGETS.items())
    if style == "json":
        print(json.dumps({"jobs": rows, "errors": errors, "targetsHold": holds}, indent=2))
        return 0 if holds else 1
    print(f"{'':10}" + "".join(f"{name:>13}{'exits':>7}{'ports':>7}" for name in ["lis", *TARGETS])
          + "".join(f"{'lis to ' + name:>20}" for name in TARGETS))
    for row in rows:
        line = f"{row['job']:10}"
        for machine in ["lis", *TARGETS]:
            one = row.get(machine)
            line += f"{one['iops']:13.0f}{one['exits']:7.2f}{one['portExits']:7.2f}" if one else f"{'-':>13}{'':14}"
        print(line + "".join(f"{row.get('to ' + machine, float('nan')):20.2f}" for machine in TARGETS))
    for error in errors:
        print(error)
    print("targets (at least 1.0 of virtio-scsi, 0.9 of virtio-blk):", "hold" if holds else "MISSED")
    return 0 if holds else 1


sys.exit(main(*sys.argv[1:]))
