# SPDX-License-Identifier: Apache-2.0
"""What the clocks of the measuring Linux print: a line "RESULT {...}" for each job of each machine."""

import json


class Results:
    def __init__(self, path):
        # Of each (machine, job), what was counted each time, less what the marks around a job cost by themselves.
        self.jobs = {}
        # The first words of the other lines, and what follows.
        self.lines = []
        self.errors = []
        marks = {}
        for line in open(path, errors="replace"):
            word, _, rest = line.strip().partition(" ")
            if word == "LAST" or "did not reach its init" in line:
                self.errors.append(line.strip())
            elif word != "RESULT":
                self.lines.append((word, rest))
            else:
                counts = json.loads(rest)
                machine, job = counts.pop("machine"), counts.pop("job", "")
                if "error" in counts:
                    self.errors.append(f"{machine}: {counts['error']}")
                elif job == "nothing":
                    marks[machine] = counts
                else:
                    less = marks.get(machine, {})
                    self.jobs.setdefault((machine, job), []).append(
                        {name: value - less.get(name, 0) for name, value in counts.items()})
