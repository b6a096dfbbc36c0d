"""The ratios that dbrewind must reach, computed from one run."""

from __future__ import annotations

from dataclasses import dataclass

from .capture import Cost
from .quantile import quantile
from .schedule import Cell
from .workload import PAGES, Kind, pages_changed


@dataclass(frozen=True)
class Gate:
    """One requirement with what was measured."""

    text: str
    limit: float
    measured: list[tuple[str, float]]

    @property
    def worst(self) -> float:
        """The largest of the measured ratios."""
        return max((ratio for _, ratio in self.measured), default=float("nan"))

    @property
    def verdict(self) -> str:
        """Met only if every single ratio is within the limit."""
        if not self.measured:
            return "not measured"
        return "met" if all(ratio <= self.limit for _, ratio in self.measured) else "NOT MET"


def compute(cells: list[Cell], flat: list[Cell], costs: list[Cost]) -> list[Gate]:
    """All gates. `flat` are cells of ours on several sizes, measured in one interleaved run."""
    return [
        _against("WAL: small reset, p50, of the session invert", 0.2, cells, "wal", "small", "session"),
        _flat(flat),
        _against("WAL: 10,000 pages, p50, of the SAVEPOINT rollback", 0.3, cells, "wal", "pages", "savepoint"),
        _against("the same, 10 ms after the commit", 0.3, cells, "wal", "pages", "savepoint", settled=True),
        _against("DELETE: small reset, p50, of the session invert", 0.6, cells, "delete", "small", "session"),
        _overhead("WAL/NORMAL: one-row transaction, short WAL, of plain", 1.10, costs, "one row, short WAL"),
        _overhead("WAL/NORMAL: one-row transaction, long WAL, of plain", 1.10, costs, "one row, long WAL"),
        _overhead("DELETE: one-row transaction, of plain", 1.10, costs, "one row"),
    ]


def reset_times(cell: Cell, settled: bool = False) -> list[float]:
    """The resets of a cell: right after the work, or after a pause."""
    return [sample["reset"] for sample in cell.samples if sample["settled"] == settled]


def p50(cell: Cell, settled: bool = False) -> float:
    """The median reset right after the work, or after a pause."""
    return quantile(reset_times(cell, settled), 0.5)


def _against(
    text: str, limit: float, cells: list[Cell], journal: str, kind: Kind, rival: str, settled: bool = False
) -> Gate:
    measured = []
    wanted = [cell for cell in cells if cell.setting.journal == journal and cell.kind == kind]
    if kind == "pages":
        # A smaller database has no 10,000 pages to change; its figures are in the tables only.
        wanted = [cell for cell in wanted if pages_changed(cell.size.rows) == PAGES]
    for ours in wanted:
        for theirs in wanted:
            same = (ours.size, ours.setting) == (theirs.size, theirs.setting)
            if same and ours.rival == "dbrewind" and theirs.rival == rival and ours.samples and theirs.samples:
                measured.append((f"{ours.size} {ours.setting}", p50(ours, settled) / p50(theirs, settled)))
    return Gate(text, limit, measured)


def _flat(cells: list[Cell]) -> Gate:
    measured = []
    for setting in {cell.setting for cell in cells}:
        times = {cell.size: p50(cell) for cell in cells if cell.setting == setting and cell.samples}
        if len(times) > 1:
            smallest = min(times, key=lambda size: size.megabytes)
            largest = max(times, key=lambda size: size.megabytes)
            measured.append((f"{smallest} to {largest} {setting}", times[largest] / times[smallest]))
    return Gate("WAL: small reset, p50, largest of smallest database", 1.5, sorted(measured))


def _overhead(text: str, limit: float, costs: list[Cost], work: str) -> Gate:
    # The WAL gates are stated for synchronous NORMAL; DELETE for both.
    wanted = [
        cost
        for cost in costs
        if cost.work == work
        and cost.plain
        and (cost.setting.journal == "delete" or cost.setting.synchronous == "normal")
    ]
    return Gate(text, limit, [(str(cost.setting), cost.ratio()) for cost in wanted])
