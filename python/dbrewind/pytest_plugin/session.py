"""What the fixtures do, once one of them is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from dbrewind.pytest_plugin import base, guard
from dbrewind.pytest_plugin.around import Around
from dbrewind.pytest_plugin.options import Options, read
from dbrewind.pytest_plugin.stack import Stack
from dbrewind.pytest_plugin.target import DatabaseUnderTest, understand

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dbrewind._dbrewind import Database

OPTIONS = pytest.StashKey[Options]()
_AROUND = pytest.StashKey[Around]()
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
    around = request.config.stash.setdefault(_AROUND, Around())
    _check(request, target)
    with base.opened(request.config, target) as db:
        stack = Stack(db, request._pyfuncitem, chosen, _FIXTURES)
        try:
            base.build(request, stack, chosen, given=target._handle is not None)
            around.enter(request.config, MAIN, stack)
            yield stack
        finally:
            around.leave(request.config, MAIN)
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
    around = request.config.stash.setdefault(_AROUND, Around())
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
            around.enter(request.config, name, stack)
            yield stack
        finally:
            around.leave(request.config, name)
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
    for stack in stacks(request.config):
        stack.before_fixture(fixture.argname)


def after_fixture(config: pytest.Config, fixture: pytest.FixtureDef[Any]) -> None:
    """It was set up."""
    __tracebackhide__ = True
    for stack in stacks(config):
        stack.after_fixture(fixture, fixture.argname, fixture.scope)


def _end_fixture(config: pytest.Config, fixture: pytest.FixtureDef[Any]) -> None:
    __tracebackhide__ = True
    for stack in stacks(config):
        stack.end_fixture(fixture)


def stacks(config: pytest.Config) -> tuple[Stack, ...]:
    """Those of the databases that are under test now."""
    around = config.stash.get(_AROUND, None)
    return around.stacks if around is not None else ()
