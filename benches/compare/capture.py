"""What recording costs: the same work with dbrewind attached and without, in pairs, one after the other."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Literal

from .channel import ChildError
from .connection import Setting
from .database import Size
from .handle import Handle
from .quantile import median

Work = Literal["one row, short WAL", "one row, long WAL", "one row", "bulk load", "reads, long WAL"]
Figure = Literal["mean", "median", "cpu", "thread"]
BASE = Size(22)
LONG = 12_000
"""Frames that the long WAL has at least before anything is measured (48 MB)."""
BULK_ROWS = 20_000


@dataclass(frozen=True)
class Effort:
    """How often each pair is run, and how many operations one arm of a pair does."""

    pairs: int
    operations: int


@dataclass(frozen=True)
class Arm:
    """One half of a pair, in seconds for one operation."""

    mean: float
    median: float
    """Of single transactions; for reads, the mean in the second process."""
    cpu: float
    """Processor time of all threads."""
    thread: float
    """Processor time of the working thread: what recording adds there, whatever else the machine does."""


@dataclass
class Cost:
    """Pairs of figures, plain and recorded, for one kind of work."""

    work: Work
    setting: Setting
    plain: list[Arm] = field(default_factory=list)
    ours: list[Arm] = field(default_factory=list)
    frames: tuple[int, int] = (0, 0)
    """Frames in the WAL of the plain and of the recorded database, at the end."""
    not_run: str = ""

    def ratios(self, figure: Figure = "mean") -> list[float]:
        """Recorded over plain, pair by pair."""
        return [
            getattr(ours, figure) / getattr(plain, figure) for ours, plain in zip(self.ours, self.plain, strict=True)
        ]

    def ratio(self, figure: Figure = "mean") -> float:
        """The median of the pairs' ratios."""
        return median(self.ratios(figure))

    def middle(self, who: Literal["plain", "ours"], figure: Figure) -> float:
        """The median of a figure over all pairs."""
        arms: list[Arm] = getattr(self, who)
        return median([getattr(arm, figure) for arm in arms])


def measure(costs: list[Cost], settings: list[Setting], quick: bool, pinned: bool) -> None:
    """All kinds of work in all settings, added to `costs`."""
    for setting in settings:
        kinds: list[Work] = ["one row", "bulk load"]
        if setting.journal == "wal":
            kinds = ["one row, short WAL", "one row, long WAL", "bulk load", "reads, long WAL"]
        for work in kinds:
            print(f"  capture {setting} {work}", file=sys.stderr, flush=True)
            costs.append(_cost(work, setting, quick, pinned))


def _cost(work: Work, setting: Setting, quick: bool, pinned: bool) -> Cost:
    cost = Cost(work, setting)
    handles: list[Handle] = []
    try:
        for name in ("plain", "dbrewind"):
            handles.append(Handle(name, setting, BASE, pinned, "capture"))
        _pairs(cost, handles[0], handles[1], quick)
    except ChildError as error:
        cost.not_run = str(error)
        print(f"  NOT RUN: capture {setting} {work}: {error}", file=sys.stderr, flush=True)
    finally:
        for handle in handles:
            handle.discard()
    return cost


def _pairs(cost: Cost, plain: Handle, ours: Handle, quick: bool) -> None:
    effort = _effort(cost.work, quick)
    if cost.work in ("one row, long WAL", "reads, long WAL"):
        _lengthen(plain, ours)
    for handle in (plain, ours):
        _run(cost.work, handle, 0, effort)  # Warm up.
    for pair in range(1, effort.pairs + 1):
        arms = [(plain, cost.plain), (ours, cost.ours)]
        for handle, figures in arms if pair % 2 else reversed(arms):
            figures.append(_run(cost.work, handle, pair, effort))
    cost.frames = (plain.wal_frames(), ours.wal_frames())


def _effort(work: Work, quick: bool) -> Effort:
    if work == "bulk load":
        return Effort(2 if quick else 9, 2000 if quick else BULK_ROWS)
    if quick:
        return Effort(3, 100)
    # A plain WAL is checkpointed every 1,000 frames: a long arm pays for exactly one of these.
    return Effort(31, 300 if work in ("one row", "one row, short WAL") else 1000)


def _run(work: Work, handle: Handle, number: int, effort: Effort) -> Arm:
    if work == "bulk load":
        handle.ask("fresh")
        done = handle.ask("bulk", rows=effort.operations)
        return Arm(done["mean"], done["mean"], done["cpu"], done["thread"])
    if work == "reads, long WAL":
        done = handle.ask("reads", first=number, count=effort.operations)
        return Arm(done["mean"], done["peer"], 0.0, 0.0)
    done = handle.ask("one_row", first=number, count=effort.operations)
    if work == "one row, short WAL" or (work == "one row" and handle.name != "plain"):
        handle.ask("shorten")
    return Arm(done["mean"], done["median"], done["cpu"], done["thread"])


def _lengthen(plain: Handle, ours: Handle) -> None:
    number = 1_000_000
    while ours.wal_frames() < LONG and number < 1_000_100:
        number += 1
        for handle in (plain, ours):
            handle.ask("one_row", first=number, count=1000)
