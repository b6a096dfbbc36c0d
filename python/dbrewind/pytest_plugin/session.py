"""What the fixtures do, once one of them is asked for."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import pytest

from dbrewind.pytest_plugin import base, guard
from dbrewind.pytest_plugin.options import Options, read
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
FAILED = pytest.StashKey[bool]()


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
    with base.opened(target, lasting=True) as db:
        stack = Stack(db, request.config, chosen, _FIXTURES)
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
    with base.opened(target, lasting=True) as db:
        stack = Stack(db, request.config, chosen, {name: scope})
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
def test(request: pytest.FixtureRequest, stack: Stack) -> Generator[Database, None, None]:
    """One test, from its beginning to the rewind."""
    from dbrewind.testing.errors import VerifyFailedError

    __tracebackhide__ = True
    keep, mark = arguments(request.node, stack.options)
    stack.begin(request.node.nodeid, mark)
    yield stack.db
    failed = request.node.stash.get(FAILED, False)
    try:
        stack.end(keep == "all" or (keep == "failed" and failed))
    except VerifyFailedError as error:
        request.session.shouldstop = f"dbrewind: {error}"
        raise


@contextmanager
def layer(stack: Stack, scope: str) -> Generator[Database, None, None]:
    """The layer of a class, a module or the session."""
    stack.push(scope)
    yield stack.db
    stack.pop(scope)


def marked(*, mark: str | None = None, keep: Literal["failed", "on-failure", "none", "all"] | None = None) -> None:
    """The arguments of `@pytest.mark.dbrewind`: its signature is what checks them."""
    if mark is not None and not isinstance(mark, str):
        raise TypeError(f"mark must be the name of a mark, not {mark!r}")
    if keep not in (None, "failed", "on-failure", "none", "all"):
        raise TypeError(f"keep must be one of failed, on-failure, none, all, not {keep!r}")


def arguments(node: pytest.Item, chosen: Options) -> tuple[str, str | None]:
    """Of which outcome a test's database is kept, and the mark that it begins at: what its markers say."""
    given: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("dbrewind"))):  # the closest one last
        try:
            marked(*marker.args, **marker.kwargs)
        except TypeError as error:
            signature = inspect.signature(marked)
            text = str(error).replace("marked()", "it")
            pytest.fail(f"@pytest.mark.dbrewind{signature}: {text}".replace(" -> 'None'", ""), pytrace=False)
        given.update(marker.kwargs)
    keep = given.get("keep") or chosen.keep
    return "failed" if keep == "on-failure" else keep, given.get("mark")


def around_fixture(config: pytest.Config, name: str, scope: str, *, done: bool) -> None:
    """A fixture that outlives a test is about to be set up, or was."""
    __tracebackhide__ = True
    for stack in list(config.stash.get(STACKS, {}).values()):
        if done:
            stack.after_fixture(name, scope)
        else:
            stack.before_fixture(name)


def before_end(item: pytest.Item) -> list[Stack]:
    """A test is over, its fixtures are not. Answers whom to ask when they are."""
    stacks = list(item.config.stash[STACKS].values())
    for stack in stacks:
        stack.notice(*_names(item))
    return stacks


def after_end(item: pytest.Item, stacks: list[Stack]) -> None:
    """The end of a test, whatever it asked for: it must have left nothing."""
    __tracebackhide__ = True
    for stack in stacks:
        stack.after_any(item.nodeid, _names(item)[1])


def _names(item: pytest.Item) -> tuple[Container[str], Container[str]]:
    """The fixtures of a test, and those of them that it asks for itself."""
    info = getattr(item, "_fixtureinfo", None)
    return getattr(item, "fixturenames", ()), getattr(info, "initialnames", ())
