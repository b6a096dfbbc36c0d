"""Looks in Django's databases for what no test takes back; `dbrewind.testing.leaks` has the words. Knows no pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbrewind.django import databases
from dbrewind.testing import leaks, writers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbrewind import Diff
    from dbrewind.django.databases import Recorded


class Leaks:
    """Looks for them between tests."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self.allowed = allowed
        self.threads = writers.Threads()
        # The test that ended last.
        self.last = "the set-up"
        self._who = self._nodeid = ""
        self._told: list[str] | None = None

    def end(self, nodeid: str) -> None:
        """A test is over."""
        self.threads.note(nodeid)
        self.last = nodeid

    def before(self, nodeid: str) -> str:
        """Who wrote what is there when this test begins."""
        return f"something between the end of {self.last} and the beginning of {nodeid}"

    @property
    def looking(self) -> bool:
        """Whether what is rewound now is a leak."""
        return self._told is not None

    def look(self, who: str, nodeid: str = "") -> str:
        """Rewind what nobody should have left; answers what is said of it, or nothing.

        `nodeid`: of the test that left it, whose threads are not others'.
        """
        self._who, self._nodeid, self._told = who, nodeid, []
        try:
            databases.rewind()
            return "\n".join(self._told)
        finally:
            self._told = None

    def found(self, alias: str, one: Recorded, changes: Diff) -> None:
        """One of the databases that will be rewound, and how it differs."""
        if self._told is not None and (lines := leaks.lines(changes, self.allowed)):
            others = writers.others(one.handle, one.top.moment, self.threads, self._nodeid)
            self._told.append(leaks.told(f"{alias} ({one.handle.path})", self._who, others, lines))
