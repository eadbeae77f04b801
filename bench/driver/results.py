# SPDX-License-Identifier: BSD-2-Clause
"""Results: JSON lines, medians, and the rows of the table."""

import json
import statistics

CLASSES = ("80", "125", "480", "any")


class Results:
    """All figures of a run. `write` gets each one as a JSON line when it arrives."""

    def __init__(self, write=None):
        self.figures = []
        self.rows = []
        self._write = write

    def add(self, figure):
        self.figures.append(figure)
        if self._write:
            self._write(json.dumps(figure))

    def add_text(self, text, **more):
        """Adds each JSON line of a program's output; other lines are for people. Returns how many."""
        count = 0
        for line in text.splitlines():
            if line.startswith("{"):
                self.add({**json.loads(line), **more})
                count += 1
        return count

    def select(self, **want):
        return [f for f in self.figures if all(f.get(k) == v for k, v in want.items())]

    def median(self, **want):
        """Median over the runs that match; None where there are none."""
        values = [f["value"] for f in self.select(**want)]
        return statistics.median(values) if values else None

    def row(self, what, ratio, limit, at_least, ours, theirs, note=""):
        """One row: `ratio` is held against `limit` (None: no limit); ours and theirs are text."""
        held = None
        if ratio is not None and limit is not None:
            held = ratio >= limit if at_least else ratio <= limit
        self.rows.append(
            {"what": what, "ratio": ratio, "limit": limit, "at_least": at_least, "held": held,
             "ours": ours, "theirs": theirs, "note": note})
        if self._write:
            self._write(json.dumps({"bench": "table", **self.rows[-1]}))

    def missing(self, what, limit, at_least, why):
        self.row(what, None, limit, at_least, "-", "-", why)


def best_class(*series):
    """The class of machine in which the worst-served series has most samples, or None."""
    def served(name):
        return min(sum(f.get("samples", 1) for f in s if f.get("class") == name) for s in series)

    if not series or not all(series):
        return None
    best = max(CLASSES, key=served)
    return best if served(best) else None


def format_limit(row):
    if row["limit"] is None:
        return ""
    return f"{'>=' if row['at_least'] else '<='} {row['limit']:g}"


def print_table(rows, out):
    """The table for people: what, ratio, what is wanted, both absolutes."""
    head = ("what", "ratio", "wanted", "isthmus", "against", "")
    cells = [head]
    for r in rows:
        ratio = "-" if r["ratio"] is None else f"{r['ratio']:.3g}"
        mark = {True: "", False: "MISSED ", None: ""}[r["held"]]
        cells.append((r["what"], ratio, format_limit(r), r["ours"], r["theirs"],
                      mark + r["note"]))
    widths = [max(len(c[i]) for c in cells) for i in range(len(head))]
    for n, c in enumerate(cells):
        line = "  ".join(text.rjust(w) if i == 1 else text.ljust(w)
                         for i, (text, w) in enumerate(zip(c, widths)))
        print(line.rstrip(), file=out)
        if n == 0:
            print("  ".join("-" * w for w in widths[:-1]), file=out)
