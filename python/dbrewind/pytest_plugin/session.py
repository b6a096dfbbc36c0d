"""What the fixtures do, once one of them is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from dbrewind.pytest_plugin import base, guard
from dbrewind.pytest_plugin.options import Options, read
from dbrewind.pytest_plugin.report import FAILED, numbers
from dbrewind.pytest_plugin.stack import Stack
from dbrewind.pytest_plugin.target import DatabaseUnderTest, understand

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator

    from dbrewind._dbrewind import Database

OPTIONS = pytest.StashKey[Options]()
STACKS = pytest.StashKey["dict[str, Stack]"]()
MAIN = "dbrewind"
_FIXTURES = {
    "dbrewind": "function",
    "dbrewind_class": "class",
    "dbrewind_module": "module",
    "dbrewind_session": "session",
}


def options(config: pytest.Config) -> Options:
    """Those of this run, read once."""
    if OPTIONS not in config.stash:
        config.stash[OPTIONS] = read(config)
    return config.stash[OPTIONS]


@contextmanager
def under_test(request: pytest.FixtureRequest, target: DatabaseUnderTest) -> Generator[Stack, None, None]:
    """The database of `dbrewind_db`, filled, for the whole session."""
    chosen = options(request.config)
    _check(request, target)
    with base.opened(request.config, target) as db:
        stack = Stack(db, request._pyfuncitem, chosen, _FIXTURES)
        try:
            base.build(request, stack, chosen, given=target._handle is not None)
            request.config.stash.setdefault(STACKS, {})[MAIN] = stack
            yield stack
        finally:
            request.config.stash.get(STACKS, {}).pop(MAIN, None)
            stack.stop()


@contextmanager
def further(
    request: pytest.FixtureRequest,
    name: str,
    scope: str,
    url: Any,
    fill: Callable[[DatabaseUnderTest], object] | None,
) -> Generator[Stack, None, None]:
    """Another database, of `dbrewind.testing.fixture`."""
    chosen = options(request.config)
    if url is None:
        factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        target = DatabaseUnderTest(factory.mktemp("dbrewind") / f"{name}.db", temporary=True)
    else:
        target = understand(url, request.config, name)
    _check(request, target)
    begun = perf_counter()
    with base.opened(request.config, target) as db:
        stack = Stack(db, request._pyfuncitem, chosen, {name: scope})
        try:
            if fill is not None:
                fill(target)
            stack.start()
            base.tell(request.config, stack, "", False, begun)
            request.config.stash.setdefault(STACKS, {})[name] = stack
            yield stack
        finally:
            request.config.stash.get(STACKS, {}).pop(name, None)
            stack.stop()


def _check(request: pytest.FixtureRequest, target: DatabaseUnderTest) -> None:
    if not target._temporary:
        guard.check(target.path, options(request.config), request.config.rootpath)


@contextmanager
def layer(stack: Stack, scope: str) -> Generator[Database, None, None]:
    """The layer of a class, a module or the session."""
    stack.push(scope)
    yield stack.db
    stack.pop(scope)


def before_fixture(request: pytest.FixtureRequest, fixture: pytest.FixtureDef[Any]) -> None:
    """A fixture that outlives a test is about to be set up."""
    __tracebackhide__ = True
    # Before its own: so it is called after them.
    request.addfinalizer(lambda: _end_fixture(request.config, fixture))
    for stack in _stacks(request.config):
        stack.before_fixture(fixture.argname)


def after_fixture(config: pytest.Config, fixture: pytest.FixtureDef[Any]) -> None:
    """It was set up."""
    __tracebackhide__ = True
    for stack in _stacks(config):
        stack.after_fixture(fixture, fixture.argname, fixture.scope)


def _end_fixture(config: pytest.Config, fixture: pytest.FixtureDef[Any]) -> None:
    __tracebackhide__ = True
    for stack in _stacks(config):
        stack.end_fixture(fixture)


def begin(item: pytest.Item) -> None:
    """A test begins, whatever it asks for."""
    __tracebackhide__ = True
    for stack in _stacks(item.config):
        stack.begin_any(item)


def before_end(item: pytest.Item, last: bool) -> list[Stack]:
    """A test is over, its fixtures are not. Answers whom to ask when they are."""
    stacks = _stacks(item.config)
    for stack in stacks:
        stack.notice(*_names(item), last)
    return stacks


def after_end(item: pytest.Item, stacks: list[Stack]) -> None:
    """The end of a test, whatever it asked for: it must have left nothing."""
    __tracebackhide__ = True
    for stack in stacks:
        stack.after_any(item.nodeid, _names(item)[1])


def reported(item: pytest.Item, when: str, report: pytest.TestReport) -> None:
    """Remember failures; and take the time of building the base out of the set-up of the test that came first."""
    if report.failed:
        item.stash[FAILED] = True
    elif when == "setup":
        item.stash[FAILED] = False
        here = numbers(item.config)
        if here.building:
            report.duration = max(0.0, report.duration - here.building)
            here.building = 0.0


def _stacks(config: pytest.Config) -> list[Stack]:
    return list(config.stash.get(STACKS, {}).values())


def _names(item: pytest.Item) -> tuple[Container[str], Container[str]]:
    """The fixtures of a test, and those of them that it asks for itself."""
    info = getattr(item, "_fixtureinfo", None)
    return getattr(item, "fixturenames", ()), getattr(info, "initialnames", ())
