"""When Django's databases are rewound, beside the end of a test that asks for it: hooks of pytest."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from dbrewind.django import RewindTestCase, databases, testcases
from dbrewind.django.asked import COMMITS, asked_for, is_case, is_kept, uses_database
from dbrewind.django.rewinds import watch
from dbrewind.pytest_plugin import _USED, outcomes
from dbrewind.pytest_plugin.around import hides
from dbrewind.pytest_plugin.session import options
from dbrewind.testing import DbrewindPollutionWarning

if TYPE_CHECKING:
    from collections.abc import Generator

# How many tests asked for serialized_rollback, which has no meaning here.
SERIALIZED = pytest.StashKey[int]()
# The end of a TestCase that waits for the debugger.
_DEFERRED = pytest.StashKey[list[Any]]()
# The test whose end is under way, or was the last one.
ENDED = pytest.StashKey["pytest.Item | None"]()
# Fixtures of which an override would be left aside, and what to do.
_NOT_HERE = {
    "dbrewind_db": "the database is the one of DATABASES; for a further one there is dbrewind.testing.fixture",
    "dbrewind_setup": "migrations fill the database; what all tests need besides comes from a fixture of scope session",
}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse what has no meaning here; and remember failures."""
    chosen = options(session.config)
    if chosen.rebuild or chosen.explicit:
        what = "--dbrewind-rebuild" if chosen.rebuild else "dbrewind_fingerprint"
        raise pytest.UsageError(
            f"{what} has no meaning with dbrewind_django = true: migrations make the base in each run, unless with "
            "--reuse-db of pytest-django, and --create-db makes it anew then"
        )
    outcomes.watch(session.config, lasting=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """The marker asks for a database that is rewound. Before pytest-django sorts, which looks at the fixtures."""
    known = session._fixturemanager
    # One test of each file sees what all of it see.
    for item in {item.path: item for item in items}.values():
        for name, advice in _NOT_HERE.items():
            for made in known.getfixturedefs(name, item) or ():
                if not made.func.__module__.startswith("dbrewind."):
                    where = f"{made.func.__module__}.{name}"
                    raise pytest.UsageError(f"{where} has no meaning with dbrewind_django = true: {advice}")
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if item.get_closest_marker("dbrewind") is not None and not is_case(item):
            names[:0] = [name for name in ("transactional_db", "dbrewind") if name not in names]


def pytest_collection_finish(session: pytest.Session) -> None:
    """The header is for tests that run."""
    if any(is_case(item) or asked_for(item) is not None for item in session.items):
        session.config.stash[_USED] = True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """What a fixture of a wider scope writes is there for its tests, and goes when it does."""
    if fixturedef.scope == "function":
        return (yield)
    before, marks, begun = databases.depth(), databases.marks(), perf_counter()
    result = yield
    if fixturedef.argname == "django_db_setup":
        watch(request.config).numbers.building += perf_counter() - begun
        return result
    made = databases.marks() - marks
    if databases.settle() or made:
        after = databases.depth()

        def end() -> None:
            later = any(deep > after.get(alias, 1) for alias, deep in databases.depth().items())
            with watch(request.config).of(f"the end of {fixturedef.argname}"):
                databases.unwind(before)
            databases.drop(made)
            if later:
                name = fixturedef.argname
                text = f"[DBR008] a fixture that outlives {name} wrote after it, and its rows went with {name}'s: "
                request.node.warn(DbrewindPollutionWarning(f"{text}let {name} ask for it, so that it comes first"))

        request.addfinalizer(end)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A thread or process of an earlier test may have written after that test's rewind."""
    item.config.stash[ENDED] = None
    here = watch(item.config)
    here.begin(item.nodeid)
    if databases.off:
        return (yield)
    leak = ""
    if here.owed and uses_database(item):
        with here.of(next(iter(here.owed.values()))):
            databases.rewind()
    elif not here.owed:
        leak = here.look(here.leaks.before(item.nodeid))
    try:
        return (yield)
    finally:
        # Not before: an error in strict mode would keep the test's fixtures from being set up, and ended.
        here.tell(item, leak)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Django ends a TestCase within the call."""
    if not is_case(item):
        return (yield)
    if item.config.getoption("usepdb", False):
        # The debugger comes after the call, and shall see what the test left.
        item.stash[_DEFERRED] = testcases.deferred = []
        try:
            return (yield)
        finally:
            testcases.deferred = None
    with watch(item.config).of(item.nodeid, lambda: is_kept(item)):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Rewind what a test left that is none of ours. A plain TransactionTestCase may: it has flushed."""
    __tracebackhide__ = hides
    item.config.stash[ENDED] = item
    try:
        if deferred := item.stash.get(_DEFERRED, None):
            del item.stash[_DEFERRED]
            with watch(item.config).of(item.nodeid, lambda: is_kept(item)):
                for end in deferred:
                    end()
        return (yield)
    finally:
        take_back(item)


def take_back(item: pytest.Item) -> None:
    """Rewind what is left, and say whose it was."""
    __tracebackhide__ = True
    from django.test import TestCase, TransactionTestCase

    here = watch(item.config)
    here.leaks.end(item.nodeid)
    if databases.off or here.owed:
        return
    ours = item.stash.get(COMMITS, False) or is_case(item)
    if ours and not here.count and databases.handles():
        here.numbers.clean += 1
    case: type = getattr(item, "cls", None) or object
    if issubclass(case, TransactionTestCase) and not issubclass(case, (TestCase, RewindTestCase)):
        with here.of(item.nodeid):
            databases.rewind()  # it has flushed
        return
    if ours:
        # Its own threads are among those that may have.
        late = "after it was rewound: a fixture that ended later, a thread or another process"
        leak = here.look(f"{item.nodeid}, {late}")
    else:
        leak = here.look(item.nodeid, item.nodeid)
    here.tell(item, leak)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line if somebody asked for what has no meaning here."""
    count = config.stash.get(SERIALIZED, 0)
    if count:
        terminalreporter.write_line(
            f"dbrewind: serialized_rollback was ignored in {count} tests: a rewind keeps rows of migrations anyway"
        )
