"""The rounds of all rivals on one size and setting, interleaved so that noise hits them alike."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from .channel import ChildError, Message
from .connection import Setting
from .database import Size
from .handle import Handle, Options
from .rivals import RIVALS
from .workload import Kind

WARM_UP = 2
"""Rounds at the beginning that are run and not counted."""


@dataclass(frozen=True)
class Effort:
    """How much is measured in one cell."""

    rounds: int
    fewest: int
    seconds: float
    """A rival that has used this much time in a cell stops after `fewest` rounds."""
    block: int


@dataclass
class Cell:
    """All that was measured of one rival on one size, setting and workload."""

    rival: str
    size: Size
    setting: Setting
    kind: Kind
    samples: list[Message] = field(default_factory=list)
    spent: float = 0.0
    not_run: str = ""
    grown: float = 0.0
    """Bytes that the rival's files grew by for each round."""
    load: str = ""
    """The load average when the cell began."""
    stopped: bool = False
    """Whether time ran out before all rounds."""


def effort(kind: Kind, quick: bool) -> Effort:
    """Rounds for a workload."""
    if quick:
        return Effort(12, 4, 2.0, 4) if kind == "small" else Effort(4, 2, 2.0, 2)
    return Effort(200, 8, 30.0, 10) if kind == "small" else Effort(18, 8, 40.0, 2)


def measure(setting: Setting, size: Size, options: Options) -> tuple[list[Cell], dict[str, Message]]:
    """All rivals and both workloads; returns the cells and the versions that the workers told."""
    handles: dict[str, Handle] = {}
    versions: dict[str, Message] = {}
    cells: list[Cell] = []
    kinds: tuple[Kind, ...] = ("small", "pages")
    for name in options.rivals:
        if setting.journal not in RIVALS[name].modes:
            continue
        try:
            handles[name] = Handle(name, setting, size, options.pinned, "reset")
            versions[name] = handles[name].versions
        except ChildError as error:
            cells += [Cell(name, size, setting, kind, not_run=str(error)) for kind in kinds]
            print(f"  NOT RUN: {name} {setting} {size}: {error}", file=sys.stderr, flush=True)
    try:
        for kind in kinds:
            cells += interleave(list(handles.values()), setting, kind, options.quick)
    finally:
        for handle in handles.values():
            handle.discard()
    return cells, versions


def interleave(handles: list[Handle], setting: Setting, kind: Kind, quick: bool) -> list[Cell]:
    """Blocks of rounds in turn, each time beginning with another rival."""
    plan = effort(kind, quick)
    cells = [Cell(handle.name, handle.size, setting, kind) for handle in handles]
    pairs = list(zip(handles, cells, strict=True))
    before = [handle.disk() for handle in handles]
    for handle, cell in pairs:
        _block(handle, cell, 0, WARM_UP)
        cell.samples.clear()
    turn = 0
    while any(not _done(cell, plan) for _, cell in pairs):
        turn += 1
        shift = turn % len(pairs)
        for handle, cell in pairs[shift:] + pairs[:shift]:
            if not _done(cell, plan):
                _block(handle, cell, WARM_UP + len(cell.samples), min(plan.block, plan.rounds))
    for (handle, cell), start in zip(pairs, before, strict=True):
        cell.grown = (handle.disk() - start) / max(1, len(cell.samples) + WARM_UP)
    return cells


def _done(cell: Cell, plan: Effort) -> bool:
    count = len(cell.samples)
    if cell.not_run or count >= plan.rounds:
        return True
    cell.stopped = count >= plan.fewest and cell.spent > plan.seconds
    return cell.stopped


def _block(handle: Handle, cell: Cell, first: int, count: int) -> None:
    began = time.monotonic()
    try:
        cell.samples += handle.ask("rounds", kind=cell.kind, first=first, count=count)["samples"]
    except ChildError as error:
        cell.not_run = f"failed after {len(cell.samples)} rounds: {error}"
        print(f"  NOT RUN: {cell.rival} {cell.setting} {cell.size}: {error}", file=sys.stderr, flush=True)
    cell.spent += time.monotonic() - began
