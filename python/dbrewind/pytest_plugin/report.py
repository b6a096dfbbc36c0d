"""Numbers of a run: gathered where tests run, told by the process that has the terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database


@dataclass
class Base:
    """How the state of the mark `base` came to be."""

    database: str
    name: str
    cached: bool
    seconds: float
    bytes: int
    unkept: str = ""
    """Why a later run must build it again."""
    route: str = ""
    """How its database is recorded."""

    def state(self) -> str:
        """Where it came from, and how large it is."""
        how = "cached" if self.cached else f"built in {self.seconds:.2f} s"
        name = f' "{self.name}"' if self.name else ""
        return f"base{name} {how} ({_size(self.bytes)})"

    def __str__(self) -> str:
        again = f", and again in each run: {self.unkept}" if self.unkept else ""
        return f"{self.state()}{again}"


@dataclass
class Changed:
    """What one test changed."""

    nodeid: str
    rows: int
    what: list[str]
    milliseconds: float
    """That its rewind took; 0: it had none of its own, but went with its scope."""
    pages: int = 0
    """That were compared to find it, at both moments together."""


@dataclass
class Numbers:
    """Of one process, or of all."""

    rewinds: list[float] = field(default_factory=list)
    """Seconds of each."""
    clean: int = 0
    """Tests after which nothing had to be done."""
    polluted: list[str] = field(default_factory=list)
    """Who left something behind."""
    kept: list[str] = field(default_factory=list)
    """Files of databases of tests that failed."""
    changed: list[Changed] = field(default_factory=list)
    """For the report."""
    bases: list[Base] = field(default_factory=list)
    building: float = 0.0
    """Seconds of the present set-up that went into a base."""

    def __bool__(self) -> bool:
        return bool(self.bases)

    def sent(self) -> dict[str, Any]:
        """As pytest-xdist carries it from a worker."""
        return asdict(self)

    def add(self, sent: dict[str, Any]) -> None:
        """Add what a worker sent."""
        self.rewinds += sent["rewinds"]
        self.clean += sent["clean"]
        self.polluted += sent["polluted"]
        self.kept += sent["kept"]
        self.changed += [Changed(**changed) for changed in sent["changed"]]
        self.bases += [Base(**base) for base in sent["bases"]]

    def line(self, report: int = 0) -> str:
        """All in a line; `report`: how many tests are listed below it."""
        parts = [f"{len(self.rewinds)} rewinds"]
        if self.rewinds:
            ordered = sorted(self.rewinds)
            median, high = (1e3 * ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99))
            parts = [f"{len(ordered)} rewinds, median {median:.2f} ms, p99 {high:.2f} ms, {sum(ordered):.2f} s total"]
        parts.append(f"{self.clean} clean tests")
        parts += dict.fromkeys(str(base) for base in self.bases if base.name or base.unkept)
        if self.polluted:
            more = "" if report else " (see --dbrewind-report)"
            parts.append(f"{len(self.polluted)} polluted{more}")
        return "dbrewind: " + "; ".join(parts)


NUMBERS = pytest.StashKey[Numbers]()
# Whether a test has failed so far.
FAILED = pytest.StashKey[bool]()


def numbers(config: pytest.Config) -> Numbers:
    """Those of this process."""
    return config.stash.setdefault(NUMBERS, Numbers())


def route(db: Database) -> str:
    """How a database is recorded: by its WAL, or by the VFS that its writers go through; and where, if not in here."""
    how = "wal" if db.journal == "wal" else "vfs"
    return f"{how} recording by the keeper" if db.engine == "keeper" else f"{how} recording"


def summarize(reporter: pytest.TerminalReporter, all_of: Numbers, report: int) -> None:
    """Print the line, and the table if it was asked for."""
    reporter.write_line(all_of.line(report))
    for path in dict.fromkeys(all_of.kept):  # of a rerun the same again
        reporter.write_line(f"dbrewind: kept {path}")
    if not report:
        return
    for who in all_of.polluted:
        reporter.write_line(f"  polluted: {who}")
    most = sorted(all_of.changed, key=lambda changed: (-changed.rows, changed.nodeid))[:report]
    for changed in most:
        took = f"{changed.milliseconds:8.2f} ms" if changed.milliseconds else f"{'-':>8}   "
        cost = f"{changed.rows:>7} rows {changed.pages:>6} pages compared {took}"
        reporter.write_line(f"  {cost}  {changed.nodeid}")
        for what in changed.what:
            reporter.write_line(f"{'':46}{what}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"
