# SPDX-License-Identifier: BSD-2-Clause
"""Boots `processor lines` and looks at each line: whole, in order, and with time stamps that grow.

Usage: log_lines.py MACHINE"""
import re
import sys

import boot

LINE = re.compile(r"(?:\[ *(\d+\.\d{6})\] )?(?:"
                  r"(info  main line) (\d+), which no handler's line may split anywhere|"
                  r"(printed line) (\d+), which no handler's line may split anywhere|"
                  r"(warn  handler line) (\d+), which must not fall into another one)")


def main():
    boot.need_qemu()
    result = boot.run("processor", append="lines", machine=sys.argv[1])
    found = boot.faults(result)
    lines = result.output.replace("\r\n", "\n").rstrip("\n").split("\n")
    total = re.fullmatch(r"handler wrote (\d+)", lines.pop())
    if not total:
        found.append("the last line doesn't count the handler's")
    counts, last = {}, 0.0
    for line in lines:
        match = LINE.fullmatch(line)
        if not match:
            found.append(f"torn: {line!r}")
            continue
        stamp, *kinds = match.groups()
        kind, number = next((k, int(n)) for k, n in zip(kinds[::2], kinds[1::2]) if k)
        if number != counts.get(kind, 0):
            found.append(f"out of order: {line!r}")
        counts[kind] = number + 1
        if (stamp is None) != (kind == "printed line"):
            found.append(f"a time stamp too many or too few: {line!r}")
        # Of main's stamps nothing follows: a handler may come between the stamp and its line.
        if kind == "warn  handler line":
            if float(stamp) < last:
                found.append(f"time goes backwards: {line!r}")
            last = float(stamp)
    if counts.get("info  main line") != 400 or counts.get("printed line") != 400:
        found.append(f"lines are missing: {counts}")
    if total and counts.get("warn  handler line") != int(total.group(1)):
        found.append(f"the handler's lines are missing: {counts}")
    if counts.get("warn  handler line", 0) < 100:
        found.append("hardly any line came from the handler")
    if found:
        boot.report(result, found[:20])
        return 1
    print(f"PASS: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
