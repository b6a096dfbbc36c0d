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


def fill(text: str) -> str | None:
    """A README with the table of the newest run; `None` if there is no record of one.

    A run of a part has no resets, and without the rivals' failures a table would not say what the figures are of.
    """
    # Records of other kinds are in the same folder.
    read = {path: json.loads(path.read_text()) for path in RECORDS.glob("*.json")}
    found: dict[Path, Message] = {path: record for path, record in read.items() if isinstance(record, dict)}
    records = [path for path, record in found.items() if record.get("cells") and record.get("exactness")]
    if not records:
        return None
    # Of one day the whole run, whose name says no more than the day.
    newest = max(records, key=lambda path: (found[path]["facts"]["date"], -len(path.stem)))
    begin = text.index("-->", text.index(BEGIN)) + len("-->")
    end = text.index(END)
    return f"{text[:begin]}\n\n{table(found[newest], newest.stem)}\n\n{text[end:]}"


def main() -> int:
    """Replace what stands between the two markers."""
    readme = ROOT / "README.md"
    filled = fill(readme.read_text())
    if filled is None:
        print(f"no record in {RECORDS}: run `make bench` first", file=sys.stderr)
        return 1
    readme.write_text(filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
