"""What makes a run fail: a part that did not run to its end, or a wrong state after a reset of ours. Never a time."""

from __future__ import annotations

from collections.abc import Callable

from .report import Result

OURS = ("dbrewind", "keeper")
NOT_RUN = "not run: "
"""How the report of a rival begins that could not even be started for the look at its exactness."""


def broken(result: Result, missing: Callable[[str], str]) -> list[str]:
    """In words, all that is wrong with a run. `missing` tells which package of a rival is not installed, or nothing."""
    cells = [*result.cells, *result.flat]
    found = [
        f"{cell.rival} {cell.setting} {cell.size} {cell.kind}: {cell.not_run}"
        for cell in cells
        # A rival that lacks its package is reported in the tables.
        if cell.not_run and (cell.rival in OURS or not missing(cell.rival))
    ]
    found += [f"capture {cost.setting} {cost.work}: {cost.not_run}" for cost in result.costs if cost.not_run]
    for cell in cells:
        wrong = [sample for sample in cell.samples if {sample["own"], sample["peer"]} != {"base"}]
        if wrong and cell.rival in OURS:
            found.append(f"{cell.rival} left a wrong state in {len(wrong)} rounds, first {wrong[0]}")
    for journal, reports in result.exactness.items():
        for rival, report in reports.items():
            if rival in OURS:
                # A rollback mode refuses after a write that bypassed it; without that write it must be exact.
                report = report.get("alone", report)
                parts = [*report["failed"], report["refused"]]
                found += [f"{rival} is not exact in mode {journal}: {part}" for part in parts if part]
            elif report["refused"].startswith(NOT_RUN) and not missing(rival):
                found.append(f"exactness of {rival} in mode {journal}: {report['refused']}")
    return [*found, *result.failures]
