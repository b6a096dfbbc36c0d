"""Writes what was measured: a page of tables, and the raw figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from .capture import BULK_ROWS, Cost
from .channel import Message
from .connection import Setting
from .gates import Gate, p50, reset_times
from .handle import Options
from .quantile import median, quantile
from .rivals import RIVALS
from .schedule import Cell
from .workload import Kind

MODES = {"wal": "WAL", "delete": "DELETE"}


@dataclass
class Result:
    """One run of the benchmark."""

    options: Options
    facts: dict[str, str]
    cells: list[Cell] = field(default_factory=list)
    flat: list[Cell] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    exactness: dict[str, dict[str, Message]] = field(default_factory=dict)
    """By journal mode, then by rival."""
    marks: dict[str, list[float]] = field(default_factory=dict)
    """Seconds for each mark, by setting."""
    versions: dict[str, Message] = field(default_factory=dict)
    gates: list[Gate] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Parts that did not run to their end and have no cell that says so."""


def write(result: Result, directory: Path, stem: str) -> str:
    """Write `<stem>.md`, `.csv` and `.json` into `directory`; returns the page."""
    page = render(result)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{stem}.md").write_text(page)
    (directory / f"{stem}.json").write_text(json.dumps(_summary(result), indent=1) + "\n")
    with (directory / f"{stem}.csv").open("w", newline="") as file:
        _samples(result, file)
    return page


def render(result: Result) -> str:
    """The page in markdown."""
    parts = [
        "# Resetting a SQLite database: dbrewind and others",
        _facts(result),
        "## Required ratios",
        _gates(result.gates),
        _explain(result.options),
    ]
    for setting in result.options.settings if result.cells else []:
        parts.append(f"## {setting}")
        parts += ["### Reset after 10 transactions, 100 rows", _times(result, setting, "small")]
        parts += ["### Reset after 10,000 changed pages", _times(result, setting, "pages")]
        parts += ["### What goes with it", _details(result, setting)]
    if result.exactness:
        parts += ["## What a reset failed to restore or keep", _exactness(result)]
    if result.costs:
        parts += ["## Cost of recording", _costs(result.costs)]
    if result.marks:
        parts += ["## Making a mark, each after a commit", _marks(result.marks)]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _facts(result: Result) -> str:
    rows = [*result.facts.items()]
    for name, told in result.versions.items():
        rows.append((name, f"SQLite {told['sqlite']}" + (f", {told['rival']}" if told["rival"] else "")))
    return _table(["fact", "value"], rows)


def _explain(options: Options) -> str:
    pinned = "on core 0, the second process on the last core" if options.pinned else "not pinned"
    return (
        "Times in milliseconds. Every rival works in a process of its own on its own copy of the same base, and a "
        "second process of plain SQLite (for DoltLite: of DoltLite) holds a connection open and reads after every "
        "reset. The rivals' rounds are interleaved in blocks. *Reset* lasts until the working connection is usable "
        "and the rival is ready for the next round; it starts right after the work's last commit. `synchronous` says "
        "how durable a reset is: the file copy never syncs. Pragmas other than journal_mode and synchronous are the "
        f"library's defaults. Working threads: {pinned}."
        + (" **Quick run: too few rounds for any claim.**" if options.quick else "")
    )


def _gates(gates: list[Gate]) -> str:
    rows = []
    for gate in gates:
        figures = "; ".join(f"{where}: {ratio:.3g}x" for where, ratio in gate.measured)
        rows.append([gate.text, f"<= {gate.limit:g}x", figures, gate.verdict])
    return _table(["ratio", "required", "measured", "verdict"], rows)


def _of(result: Result, setting: Setting, kind: Kind) -> list[Cell]:
    return [cell for cell in result.cells if cell.setting == setting and cell.kind == kind]


def _times(result: Result, setting: Setting, kind: Kind) -> str:
    rows = []
    for name in result.options.rivals:
        cells = {cell.size: cell for cell in _of(result, setting, kind) if cell.rival == name}
        if cells:
            times = [_time(cells[size], kind) if size in cells else "" for size in result.options.sizes]
            rows.append([RIVALS[name].title, *times, _failures(result, setting, name)])
    shown = "p50 / p95 / p99" if kind == "small" else "median (min..max)"
    sizes = [f"{size}: {shown}" for size in result.options.sizes]
    return _table(["method", *sizes, "failed to restore or keep"], rows)


def _time(cell: Cell, kind: Kind) -> str:
    times = [1000 * seconds for seconds in reset_times(cell)]
    if not times:
        return f"not run: {cell.not_run}"
    broken = f" ({cell.not_run})" if cell.not_run else ""
    if kind == "small":
        return " / ".join(ms(quantile(times, share)) for share in (0.5, 0.95, 0.99)) + broken
    return f"{ms(median(times))} ({ms(min(times))}..{ms(max(times))})" + broken


def ms(value: float) -> str:
    """Milliseconds with three digits at most behind the point."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _failures(result: Result, setting: Setting, name: str) -> str:
    report = result.exactness.get(setting.journal, {}).get(name)
    if report is None:
        return "not checked"
    if report["refused"]:
        alone = report.get("alone")
        return "refused (unrecorded write); else nothing" if alone and not alone["failed"] else "refused: see below"
    count = len(report["failed"])
    return f"{count} things: see below" if count else "nothing"


def _details(result: Result, setting: Setting) -> str:
    rows = []
    for name in result.options.rivals:
        for cell in result.cells:
            if cell.rival == name and cell.setting == setting and cell.samples:
                rows.append(_detail(cell))
    head = [
        "method",
        "size",
        "workload",
        "rounds",
        "the work itself",
        "reset right away",
        "reset 10 ms later",
    ]
    head += ["own first query", "other's first query", "other process saw the base", "files grow per round"]
    return _table(head, rows)


def _detail(cell: Cell) -> list[str]:
    def middle(name: str) -> str:
        return ms(1000 * quantile([s[name] for s in cell.samples if s.get(name) is not None], 0.5))

    good = sum(sample["peer"] == "base" for sample in cell.samples)
    wrong = sorted({str(s["peer"]) for s in cell.samples if s["peer"] != "base"})
    seen = f"{good} of {len(cell.samples)}" + (f" (else: {', '.join(wrong)})" if wrong else "")
    rounds = str(len(cell.samples)) + (" (out of time)" if cell.stopped else "")
    own = sum(sample["own"] != "base" for sample in cell.samples)
    return [
        RIVALS[cell.rival].title + (f" **own connection wrong {own} times**" if own else ""),
        str(cell.size),
        cell.kind,
        rounds,
        middle("work"),
        ms(1000 * p50(cell)),
        ms(1000 * quantile(reset_times(cell, settled=True), 0.5)),
        middle("own_first"),
        middle("peer_first"),
        seen,
        f"{cell.grown / 1024:.0f} KiB",
    ]


def _exactness(result: Result) -> str:
    parts = [
        "One round with rows of every kind of table, id counters, new, altered and dropped tables, `user_version`, "
        "and a write committed by the other process; afterwards every part is compared by digest, in the working "
        "connection, in a new one, and in the one that the other process kept open. *Pages*: pages of the database "
        "file that differ from the base, counters in page 1 aside."
    ]
    for journal, reports in result.exactness.items():
        rows = []
        for name, report in reports.items():
            failed = [f"refused: {report['refused']}"] if report["refused"] else list(report["failed"])
            rows.append(
                [
                    RIVALS[name].title,
                    "; ".join(failed) or "nothing",
                    "; ".join(report["notes"]),
                    report.get("pages", ""),
                ]
            )
        parts.append(f"### {MODES[journal]}")
        parts.append(_table(["method", "failed to restore or keep", "remarks", "pages"], rows))
    return "\n\n".join(parts)


def _costs(costs: list[Cost]) -> str:
    rows = []
    for cost in costs:
        if cost.not_run:
            rows.append([cost.work, str(cost.setting), f"not run: {cost.not_run}", "", "", "", "", "", "", ""])
            continue
        ratios = cost.ratios()
        reads = cost.work.startswith("reads")
        rows.append(
            [
                cost.work,
                str(cost.setting),
                str(len(ratios)),
                f"{1e6 * cost.middle('plain', 'mean'):.1f}",
                f"{1e6 * cost.middle('ours', 'mean'):.1f}",
                f"{cost.ratio():.3f} ({quantile(ratios, 0.25):.2f}..{quantile(ratios, 0.75):.2f})",
                f"{cost.ratio('median'):.3f}" + (" (other process)" if reads else ""),
                "" if reads else _processor(cost, "thread"),
                "" if reads else _processor(cost, "cpu"),
                f"{cost.frames[0]} / {cost.frames[1]}",
            ]
        )
    head = ["work", "setting", "pairs", "plain, us", "recorded, us", "ratio of means (quartiles)"]
    head += ["ratio of medians", "processor time, working thread, us", "processor time, all threads, us"]
    head += ["WAL frames"]
    text = (
        "22 MB database, second process connected. Microseconds for one operation: a transaction that updates one "
        f"random row, a row of a bulk load (one transaction, {BULK_ROWS:,} rows), a point query. Plain and recorded "
        "take turns; a ratio is the median over the pairs. A long plain WAL pays for SQLite's own checkpoints, a "
        "recorded one for ours. Processor times and frames: plain / recorded."
    )
    return text + "\n\n" + _table(head, rows)


def _processor(cost: Cost, figure: Literal["thread", "cpu"]) -> str:
    plain, ours = (1e6 * cost.middle(who, figure) for who in ("plain", "ours"))
    return f"{plain:.1f} / {ours:.1f} ({cost.ratio(figure):.3f}x)"


def _marks(marks: dict[str, list[float]]) -> str:
    rows = [
        [setting, str(len(times)), *(f"{1e6 * quantile(times, share):.1f}" for share in (0.5, 0.95, 0.99))]
        for setting, times in marks.items()
    ]
    return _table(["setting", "marks", "p50, us", "p95, us", "p99, us"], rows)


def _summary(result: Result) -> Message:
    def cell(one: Cell) -> Message:
        told: Message = {
            "rival": one.rival,
            "megabytes": one.size.megabytes,
            "setting": str(one.setting),
            "workload": one.kind,
            "rounds": len(one.samples),
            "out_of_time": one.stopped,
            "not_run": one.not_run,
            "load": one.load,
            "grown_bytes_per_round": one.grown,
        }
        for settled in (False, True):
            times = reset_times(one, settled)
            told["settled" if settled else "immediate"] = {
                "rounds": len(times),
                **{f"p{share}": quantile(times, share / 100) for share in (50, 95, 99) if times},
                **({"min": min(times), "max": max(times)} if times else {}),
            }
        return told

    return {
        "facts": result.facts,
        "quick": result.options.quick,
        "versions": result.versions,
        "gates": [
            {"text": g.text, "limit": g.limit, "measured": g.measured, "verdict": g.verdict} for g in result.gates
        ],
        "cells": [cell(one) for one in result.cells],
        "flat": [cell(one) for one in result.flat],
        "costs": [{**asdict(cost), "setting": str(cost.setting)} for cost in result.costs],
        "exactness": result.exactness,
        "marks": result.marks,
    }


FIELDS = "kind,round,settled,work,reset,own_first,own,peer_first,peer,peer_before,method,pages,own_seconds"


def _samples(result: Result, file: TextIO) -> None:
    names = ["run", "rival", "megabytes", "setting", *FIELDS.split(",")]
    writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for run, cells in (("all", result.cells), ("flat", result.flat)):
        for cell in cells:
            about = {
                "run": run,
                "rival": cell.rival,
                "megabytes": cell.size.megabytes,
                "setting": cell.setting,
            }
            for sample in cell.samples:
                rounded = {k: f"{v:.7f}" if isinstance(v, float) else v for k, v in sample.items()}
                writer.writerow({**about, **rounded})
