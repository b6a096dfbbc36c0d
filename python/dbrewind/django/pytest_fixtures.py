"""What `dbrewind_django = true` adds to pytest-django: fixtures of its, overridden as a conftest could do it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_django import DjangoDbBlocker

    from dbrewind import Database

# How many tests asked for serialized_rollback, which has no meaning here.
_SERIALIZED = pytest.StashKey[int]()
# The test whose end is under way, or was the last one.
_ENDED = pytest.StashKey["pytest.Item | None"]()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Test databases that would be in memory, which cannot be recorded, get a file in pytest's temporary folder."""
    from dbrewind.django import databases

    databases.place_in(tmp_path_factory.mktemp("django"))


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_keepdb: bool
) -> Generator[None, None, None]:
    """Migrated as pytest-django does it, then recorded; what is there now is the mark `base`."""
    import pytest_django.fixtures

    from dbrewind.django import databases
    from dbrewind.pytest_plugin.report import Base, numbers

    # Else ours would take the place of nothing, and tests would flush.
    if not hasattr(pytest_django.fixtures, "_django_db_helper"):
        raise pytest.UsageError("dbrewind does not know this version of pytest-django; take an older one")

    def tell(db: Database, mark: str) -> None:
        request.config.hook.pytest_dbrewind_after_rewind(db=db, mark=mark)

    begun = perf_counter()
    databases.attach()
    took = perf_counter() - begun
    here = numbers(request.config)
    here.bases += [Base(db.path.name, "", False, took, db.path.stat().st_size) for db in databases.handles()]
    untell = databases.after_rewind(tell)
    yield
    try:
        # The last test's own end comes after this one. Of one that was interrupted nothing is said.
        if ended := request.config.stash.get(_ENDED, None):
            _take_back(ended)
    finally:
        untell()
        here.rewinds += databases.seconds
        databases.detach(keep=django_db_keepdb)


@pytest.fixture
def _django_db_helper(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Generator[None, None, None]:
    """Tests that commit are RewindTestCases; the others are what they are in pytest-django."""
    asked = _asked(request)
    if asked is None:
        request.getfixturevalue("_django_db_helper")
        yield
        return

    from dbrewind.django import RewindTestCase

    if asked.pop("serialized_rollback"):
        request.config.stash[_SERIALIZED] = request.config.stash.get(_SERIALIZED, 0) + 1
    case: type[RewindTestCase] = type("PytestRewindTestCase", (RewindTestCase,), asked)
    with django_db_blocker.unblock():
        case.setUpClass()
        test = case(methodName="__init__")
        if not getattr(case, "_pre_setup_ran_eagerly", False):  # before Django 5.2
            test._pre_setup()  # type: ignore[attr-defined]
        yield
        test._post_teardown()  # type: ignore[attr-defined]
        case.tearDownClass()
        case.doClassCleanups()


def _asked(request: pytest.FixtureRequest) -> dict[str, Any] | None:
    """What a test with committing database access asked for, as attributes of its class; None for every other test."""
    from pytest_django.django_compat import is_django_unittest
    from pytest_django.fixtures import validate_django_db

    if is_django_unittest(request):
        return None
    marker = request.node.get_closest_marker("django_db")
    transaction, sequences, databases, serialized, apps = (
        validate_django_db(marker) if marker else (False, False, None, False, None)
    )
    names = request.fixturenames
    sequences = sequences or "django_db_reset_sequences" in names
    if not (transaction or sequences or "transactional_db" in names or "live_server" in names):
        return None
    asked: dict[str, Any] = {
        "reset_sequences": sequences,
        "serialized_rollback": serialized or "django_db_serialized_rollback" in names,
    }
    if databases is not None:
        asked["databases"] = databases
    if apps is not None:
        asked["available_apps"] = apps
    return asked


@pytest.fixture
def dbrewind(transactional_db: None) -> Generator[Database, None, None]:
    """The handle of Django's database `default`. Marks of the test are dropped after it."""
    from dbrewind.django import databases

    handle = databases.recorded("default").handle
    before = {mark.name for mark in handle.marks()}
    yield handle
    for mark in handle.marks():
        if mark.name not in before:
            handle.drop(mark)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """What a fixture of a wider scope writes is there for its tests, and goes when it does."""
    if fixturedef.scope == "function":
        return (yield)
    from dbrewind.django import databases

    before = databases.depth()
    result = yield
    if databases.settle():
        after = databases.depth()

        def end() -> None:
            later = any(deep > after.get(alias, 1) for alias, deep in databases.depth().items())
            databases.unwind(before)
            if later:
                from dbrewind.testing import DbrewindPollutionWarning

                name = fixturedef.argname
                text = f"[DBR008] a fixture that outlives {name} wrote after it, and its rows went with {name}'s: "
                request.node.warn(DbrewindPollutionWarning(f"{text}let {name} ask for it, so that it comes first"))

        request.addfinalizer(end)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A thread or process of an earlier test may have written after that test's rewind."""
    from dbrewind.django import databases

    item.config.stash[_ENDED] = None
    found = databases.rewind()
    result = yield
    if found:
        _polluted(item, found, f"between {item.nodeid} and the test before it")
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Rewind what a test left that is none of ours. A plain TransactionTestCase may: it has flushed."""
    item.config.stash[_ENDED] = item
    result = yield
    _take_back(item)
    return result


def _take_back(item: pytest.Item) -> None:
    """Rewind, and say whose it was."""
    from django.test import TestCase, TransactionTestCase

    from dbrewind.django import RewindTestCase, databases

    found = databases.rewind()
    case: type = getattr(item, "cls", None) or object
    flushes = issubclass(case, TransactionTestCase) and not issubclass(case, (TestCase, RewindTestCase))
    if found and not flushes:
        _polluted(item, found, f"in {item.nodeid}, which asks for no database that is rewound")


def _polluted(item: pytest.Item, found: list[str], where: str) -> None:
    """Name what was rewound; an error in strict mode."""
    from dbrewind.pytest_plugin.report import numbers
    from dbrewind.pytest_plugin.session import options
    from dbrewind.testing import DbrewindPollutionWarning, PollutedError

    text = f"[DBR008] something wrote to {', '.join(found)} {where}; rewound"
    numbers(item.config).polluted.append(f"{where}: {', '.join(found)}")
    if options(item.config).strict:
        raise PollutedError(text)
    item.warn(DbrewindPollutionWarning(text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line if somebody asked for what has no meaning here."""
    count = config.stash.get(_SERIALIZED, 0)
    if count:
        terminalreporter.write_line(
            f"dbrewind: serialized_rollback was ignored in {count} tests: a rewind keeps rows of migrations anyway"
        )
