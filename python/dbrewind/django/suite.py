"""Django's own runner: each test is looked after, and what classes and modules set up stays as long as they do."""

from __future__ import annotations

import unittest
import warnings
from typing import TYPE_CHECKING, Any

from django.test import TestCase, TransactionTestCase

from dbrewind.django import databases
from dbrewind.django.leaks import Leaks
from dbrewind.django.testcases import RewindTestCase
from dbrewind.testing.errors import DbrewindPollutionWarning, PollutedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbrewind import Rewound
    from dbrewind.django.databases import Recorded


class TestsWatch:
    """Watches the tests of Django's runner, and tells of what they leave: a warning, or an error if strict."""

    def __init__(self, strict: bool = False, allowed: Sequence[str] = ()) -> None:
        self.strict = strict
        self.leaks = Leaks(allowed)
        # The test that runs, or runs next, and who hears of its outcome.
        self.test: Any = None
        self.result: Any = None
        # How many layers there were before its class.
        self.layers: dict[str, int] = {}
        # Databases whose rewind failed, and of whom that was to tell; None: of nobody, a test's own rewind failed.
        self._pending: set[str] = set()
        self._owed: tuple[str, ...] | None = None

    def before(self, alias: str, one: Recorded, dirty: bool) -> None:
        """Look at what was left."""
        self._pending.add(alias)
        if dirty and self.leaks.looking:
            self.leaks.found(alias, one, one.handle.changes(one.top.moment))

    def after(self, alias: str, one: Recorded, done: Rewound) -> None:  # noqa: ARG002
        """That is made up for."""
        self._pending.discard(alias)

    def look_before(self) -> None:
        """A RewindTestCase is about to begin. BusyError if it cannot begin with what it should find."""
        self._look(self.leaks.before(self.test.id() if self.test is not None else "a test"))

    def end(self) -> None:
        """The test is over: it has left nothing, or is told of."""
        test = self.test
        if test is None:
            return
        nodeid = test.id()
        self.leaks.end(nodeid)
        if isinstance(test, TransactionTestCase) and not isinstance(test, (TestCase, RewindTestCase)):
            self.soon(databases.rewind)  # it has flushed
        elif isinstance(test, RewindTestCase):
            self.soon(self._look, f"{nodeid}, after it was rewound: a thread or another process")
        else:
            self.soon(self._look, nodeid, nodeid)

    def end_of_class(self) -> None:
        """What it set up goes. What a test left while its class had a transaction open is told of now."""
        if self._owed is not None:
            self.soon(self._look, *self._owed)
        self.soon(databases.unwind, self.layers)

    def soon(self, rewind: Callable[..., object], *arguments: Any) -> None:
        """Rewind now, or, if somebody's transaction is in the way, with the next rewind."""
        from dbrewind import BusyError

        try:
            rewind(*arguments)
        except BusyError:
            # A RewindTestCase that comes next fails with it. The transaction is mostly that of a class of tests.
            return

    def _look(self, *who: str) -> None:
        if self._pending and self._owed is None:
            databases.rewind()
            self._pending.clear()
            return
        self._owed = self._owed or who
        leak = self.leaks.look(*self._owed)
        self._owed = None
        if leak:
            self._tell(leak)

    def _tell(self, leak: str) -> None:
        try:
            if self.strict:
                raise PollutedError(leak)
            warnings.warn(DbrewindPollutionWarning(leak), stacklevel=1)
        except (PollutedError, DbrewindPollutionWarning) as error:  # `-W error` makes an error of the warning
            if not hasattr(self.result, "addError"):
                raise
            # Where it was raised says nothing, and a worker of --parallel could not send that.
            self.result.addError(self.test, (type(error), error.with_traceback(None), None))


class RewindTestSuite(unittest.TestSuite):
    """Knows when a test, its class and its module have ended: from the calls of unittest between two tests."""

    def run(self, result: Any, debug: bool = False) -> Any:
        """Run the tests."""
        known = databases.watcher()
        self._watch = known if isinstance(known, TestsWatch) else TestsWatch()
        if self._watch.result is not result:
            self._watch.result, self._watch.test = result, None
        return super().run(result, debug)

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:  # noqa: N802 - unittest's name
        """A test has ended, and maybe its class. `test` is the next one, or None."""
        self._watch.end()
        previous = getattr(result, "_previousTestClass", None)
        super()._tearDownPreviousClass(test, result)  # type: ignore[misc]
        if previous is not None and test.__class__ != previous:
            self._watch.end_of_class()
        self._watch.test = test

    def _handleModuleTearDown(self, result: Any) -> None:  # noqa: N802
        super()._handleModuleTearDown(result)  # type: ignore[misc]
        self._watch.soon(databases.unwind, {})

    def _handleModuleFixture(self, test: Any, result: Any) -> None:  # noqa: N802
        previous = getattr(result, "_previousTestClass", None)
        super()._handleModuleFixture(test, result)  # type: ignore[misc]
        if getattr(previous, "__module__", None) != test.__class__.__module__:
            databases.settle()

    def _handleClassSetUp(self, test: Any, result: Any) -> None:  # noqa: N802
        is_another = getattr(result, "_previousTestClass", None) != test.__class__
        if is_another:
            self._watch.layers = databases.depth()
        super()._handleClassSetUp(test, result)  # type: ignore[misc]
        if is_another:
            databases.settle()
