"""Puts the newest record into the table of README.md: `python -m compare.readme`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .channel import Message
from .database import Size
from .report import MODES, ms
from .rivals import RIVALS

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "benches" / "record"
BEGIN, END = "<!-- bench: begin.", "<!-- bench: end -->"


def table(record: Message, name: str) -> str:
    """The resets of one record as a short table, in milliseconds at p50."""
    resets = [cell for cell in record["cells"] if not cell["not_run"]]
    # The other settings are in the record.
    settings = [name for name in dict.fromkeys(cell["setting"] for cell in resets) if name.endswith("/OFF")]
    sizes = {cell["megabytes"] for cell in resets}
    ends = dict.fromkeys((min(sizes), max(sizes)))
    columns = [
        (setting, workload, megabytes)
        for setting in settings
        for workload, shown in (("small", ends), ("pages", [max(sizes)]))
        for megabytes in shown
    ]
    work = {"small": "100 rows", "pages": "10,000 pages"}
    head = ["reset after", *(f"{work[kind]}, {Size(size)}, {setting}" for setting, kind, size in columns)]
    lines = ["| " + " | ".join([*head, "what it failed to restore or keep"]) + " |", "|---" * (len(head) + 1) + "|"]
    for rival in dict.fromkeys(cell["rival"] for cell in resets):
        times = {
            (cell["setting"], cell["workload"], cell["megabytes"]): cell["immediate"].get("p50")
            for cell in resets
            if cell["rival"] == rival
        }
        figures = [ms(1000 * time) if (time := times.get(column)) else "" for column in columns]
        lines.append("| " + " | ".join([RIVALS[rival].title, *figures, _failed(record, rival)]) + " |")
    facts = record["facts"]
    machine = ", ".join(str(facts[fact]) for fact in ("processor", "kernel", "load") if fact in facts)
    return "\n".join(
        [
            *lines,
            "",
            "Milliseconds at p50, right after the last commit, another process connected. A SAVEPOINT is the floor, no "
            "way to reset: everything must happen in one connection that never commits. Everything about this run, "
            f"required ratios that it misses included: [benches/record/{name}.md](benches/record/{name}.md)"
            + (f" ({machine})." if machine else "."),
        ]
    )


def _failed(record: Message, rival: str) -> str:
    failed: list[str] = []
    for journal, reports in record["exactness"].items():
        report = reports.get(rival)
        if report is None:
            continue
        failed += report.get("alone", report)["failed"]
        if "alone" in report:
            failed.append(f"{MODES[journal]}: refused when an unrecorded process has written; else nothing")
    return "; ".join(dict.fromkeys(failed)) or "nothing"


def main() -> int:
    """Replace what stands between the two markers."""
    found = {path: json.loads(path.read_text()) for path in RECORDS.glob("*.json")}
    # A run of a part has no resets.
    # Without the rivals' failures a table would not say what the figures are of.
    records = [path for path, record in found.items() if record["cells"] and record["exactness"]]
    if not records:
        print(f"no record in {RECORDS}: run `make bench` first", file=sys.stderr)
        return 1
    newest = max(records, key=lambda path: (found[path]["facts"]["date"], path.stat().st_mtime))
    readme = ROOT / "README.md"
    text = readme.read_text()
    begin = text.index("-->", text.index(BEGIN)) + len("-->")
    end = text.index(END)
    filled = table(found[newest], newest.stem)
    readme.write_text(f"{text[:begin]}\n\n{filled}\n\n{text[end:]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
