"""Hooks around each test. pytest has them only while a database is under test: other tests pay nothing for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from dbrewind.pytest_plugin.stack import Stack


def hides(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the frame of a hook stays out of a traceback: where no group of errors is.

    Two fixtures of one test that end badly are one. pytest 8.4 shows its way from the first frame on that is not
    hidden; where this one is the only one that is not pytest's own, the session would end with INTERNALERROR.
    """
    error: BaseException | None = excinfo.value
    # `raise error.__cause__` within the handler of `error` makes a circle.
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if hasattr(error, "exceptions"):
            return False
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return True


class Around:
    """The databases under test, and what is done before and after each test."""

    def __init__(self) -> None:
        self._named: dict[str, Stack] = {}
        # Never changed, but replaced: the last test's end takes them away while it goes through them.
        self.stacks: tuple[Stack, ...] = ()

    def enter(self, config: pytest.Config, name: str, stack: Stack) -> None:
        """One more."""
        if not self._named:
            config.pluginmanager.register(self)
        self._named[name] = stack
        self.stacks = tuple(self._named.values())

    def leave(self, config: pytest.Config, name: str) -> None:
        """One less."""
        if self._named.pop(name, None) is not None and not self._named:
            config.pluginmanager.unregister(self)
        self.stacks = tuple(self._named.values())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Whatever the test asks for: nothing was written since the one before it."""
        __tracebackhide__ = True
        for stack in self.stacks:
            stack.begin_any(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Whatever the test asked for: it must have left nothing."""
        __tracebackhide__ = hides
        stacks = self.stacks
        # Of the fixtures only the test's own end with it.
        alone = nextitem is not None and nextitem.parent is item.parent
        for stack in stacks:
            stack.notice(item, nextitem is None)
        try:
            return (yield)
        finally:
            # Also of a test whose fixtures end badly.
            for stack in stacks:
                stack.after_any(item, alone)
