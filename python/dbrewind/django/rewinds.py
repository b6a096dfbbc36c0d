"""What a pytest session makes of each rewind of Django's databases: numbers, copies, a hash, and who left what."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dbrewind.django import databases
from dbrewind.django.leaks import Leaks
from dbrewind.pytest_plugin import kept
from dbrewind.pytest_plugin.report import Changed, numbers
from dbrewind.pytest_plugin.session import options
from dbrewind.testing import DbrewindPollutionWarning, PollutedError, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dbrewind import Rewound
    from dbrewind.django.databases import Recorded

_WATCH = pytest.StashKey["SessionWatch"]()


def watch(config: pytest.Config) -> SessionWatch:
    """The one of this session."""
    if _WATCH not in config.stash:
        config.stash[_WATCH] = SessionWatch(config)
    return config.stash[_WATCH]


class SessionWatch:
    """Watches a pytest session: is told of each rewind between tests, and knows whose it is."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = options(config)
        self.numbers = numbers(config)
        self.leaks = Leaks(self.options.allow_leaks)
        # The test that began last, and how many rewinds ended it.
        self.nodeid = ""
        self.count = 0
        # Databases that could not be rewound, and whose that rewind was: the next test begins with it.
        self.owed: dict[str, str] = {}
        self._who = ""
        self._keep: Callable[[], bool] | None = None
        self._sum = Changed("", 0, [], 0.0)

    def begin(self, nodeid: str) -> None:
        """A test begins."""
        self.nodeid, self.count = nodeid, 0

    @contextmanager
    def of(self, who: str, keep: Callable[[], bool] | None = None) -> Generator[None, None, None]:
        """The rewinds in this block are this test's; `keep`: whether what it left is copied."""
        outer = self._who, self._keep, self._sum
        self._who, self._keep, self._sum = who, keep, Changed(who, 0, [], 0.0)
        try:
            yield
        finally:
            if self._sum.milliseconds and self.options.report:
                self._sum.what += self.leaks.threads.left_by_others(who)
                self.numbers.changed.append(self._sum)
            self._who, self._keep, self._sum = outer

    def look(self, who: str, nodeid: str = "") -> str:
        """Rewind what nobody should have left; answers what is said of it, or nothing."""
        with self.of(who):
            leak = self.leaks.look(who, nodeid)
        if leak:
            self.numbers.polluted.append(who)
        return leak

    def look_before(self) -> None:
        """A RewindTestCase is about to begin with what it finds."""
        leak = self.look(self.leaks.before(self.nodeid))
        if leak and self.options.strict:
            raise PollutedError(leak)
        if leak:
            warnings.warn(DbrewindPollutionWarning(leak), stacklevel=1)

    def tell(self, item: pytest.Item, leak: str) -> None:
        """An error in strict mode, whatever failures are expected of the test, else a warning."""
        __tracebackhide__ = True
        if leak and self.options.strict:
            raise PollutedError(leak)
        if leak:
            item.warn(DbrewindPollutionWarning(leak))

    def before(self, alias: str, one: Recorded, dirty: bool) -> None:
        """Look at what was left, if anybody wants to know."""
        self.owed[alias] = self._who or self.nodeid
        if not dirty:
            return
        name = f"{alias}." if len(databases.handles()) > 1 else ""
        try:
            if self.options.report or self.leaks.looking:
                changes = one.handle.changes(one.top.moment)
                self._sum.rows += leaks.count(changes)
                self._sum.pages += changes.pages_read
                self._sum.what += [f"{name}{line}" for line in leaks.lines(changes)]
                self.leaks.found(alias, one, changes)
        finally:
            if self._keep is not None and self._keep():
                path = kept.place(self.config.rootpath, "failed", f"{self._who}{name and '.' + alias}")
                one.handle.keep(path)
                self.numbers.kept.append(f"{path} ({self._who})")

    def after(self, alias: str, one: Recorded, done: Rewound) -> None:
        """Count, and verify if that is wanted."""
        del self.owed[alias]
        if done.method == "nothing":
            return
        self.count += self._who == self.nodeid
        self.numbers.rewinds.append(done.seconds)
        self._sum.milliseconds += 1e3 * done.seconds
        if not one.hashed or one.handle.digest() == one.top.digest:
            return
        kept.differ(one.handle, one.top.moment, f"the database {alias!r} is not what it was", alias, self.config)
