"""pytest plugin: tests commit as they like, and the database is rewound after each one that asked for `dbrewind`.

Loaded by pytest in every run, so this module imports nothing that takes time; without a test that asks for one of
its fixtures, nothing happens. What the fixtures do is in the modules beside it (rust/docs/pytest.md).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from dbrewind._dbrewind import Database
    from dbrewind.pytest_plugin.stack import Stack
    from dbrewind.pytest_plugin.target import DatabaseUnderTest

_MARKER = (
    'dbrewind(*, mark=None, keep=None): rewind the database after the test. mark="name": begin at a mark that the '
    'set-up made; keep="failed" (or "on-failure"), "none" or "all": of which outcome the database is kept.'
)
# A fixture of ours was asked for.
_USED = pytest.StashKey[bool]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make `pytest_dbrewind_after_rewind` known."""
    from dbrewind.pytest_plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the options known."""
    from dbrewind.pytest_plugin import options

    options.add(parser)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and load Django's half if it is wanted.

    After pytest-django, so that its fixtures come before that plugin's.
    """
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("help", False) or config.getoption("version", 0):
        return  # They answer whatever the ini file asks for.
    if config.getini("dbrewind_django"):
        if not config.pluginmanager.has_plugin("django"):
            raise pytest.UsageError("dbrewind_django = true needs pytest-django: pip install 'dbrewind[django]'")
        config.pluginmanager.import_plugin("dbrewind.django.pytest_fixtures")
        config.pluginmanager.import_plugin("dbrewind.django.pytest_hooks")


def pytest_dbrewind_after_rewind(db: Database, mark: str) -> None:
    """What a test suite gave to `dbrewind.sqlalchemy.bind` and `dbrewind.factory_boy.bind`."""
    bound = sys.modules.get("dbrewind.sqlalchemy")
    if bound is not None:
        bound.expire_all()
    sequences = sys.modules.get("dbrewind.factory_boy")
    if sequences is not None:
        sequences.after_rewind(db.path, mark)


@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Override: which database. A `sqlite:///` URL, a path, a SQLAlchemy Engine or a `dbrewind.Database`.

    Without an override it is a new file in WAL mode in pytest's temporary folder. Tests and fixtures that ask for it
    get a `DatabaseUnderTest` with `path` and `url`.
    """
    from dbrewind.pytest_plugin.target import DatabaseUnderTest

    return DatabaseUnderTest(tmp_path_factory.mktemp("dbrewind") / "test.db", temporary=True)


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: DatabaseUnderTest) -> None:
    """Override: fill the database, once in a session. What it leaves is the mark `base`, which is kept for later runs.

    It runs again when something that it is made of has changed: its file, modules and files it read, migrations.
    """


@pytest.fixture(scope="session")
def _dbrewind_stack(request: pytest.FixtureRequest, dbrewind_db: DatabaseUnderTest) -> Generator[Stack, None, None]:
    """Attach before the first connection of the tests, fill, mark; at the end leave the file as it was found."""
    from dbrewind.pytest_plugin import session

    with session.under_test(request, dbrewind_db) as stack:
        yield stack


@pytest.fixture
def dbrewind(_dbrewind_stack: Stack) -> Generator[Database, None, None]:
    """The handle of the database, which is rewound after the test, whoever wrote; marks of the test are dropped."""
    __tracebackhide__ = True
    yield _dbrewind_stack.lend()
    _dbrewind_stack.take()


@pytest.fixture(scope="session")
def dbrewind_session(_dbrewind_stack: Stack) -> Generator[Database, None, None]:
    """The handle; what fixtures of the session's scope write that ask for this stays until the session ends."""
    from dbrewind.pytest_plugin import session

    with session.layer(_dbrewind_stack, "session") as db:
        yield db


@pytest.fixture(scope="module")
def dbrewind_module(_dbrewind_stack: Stack) -> Generator[Database, None, None]:
    """The handle; what fixtures of the module's scope write stays until the module ends, and is rewound then."""
    from dbrewind.pytest_plugin import session

    with session.layer(_dbrewind_stack, "module") as db:
        yield db


@pytest.fixture(scope="class")
def dbrewind_class(_dbrewind_stack: Stack) -> Generator[Database, None, None]:
    """The handle; what fixtures of the class's scope write stays until the class ends, and is rewound then."""
    from dbrewind.pytest_plugin import session

    with session.layer(_dbrewind_stack, "class") as db:
        yield db


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The marker asks for the fixture; and the fixture ends after all others of its test, so it begins before them."""
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None or ("dbrewind" not in names and item.get_closest_marker("dbrewind") is None):
            continue
        item.session.config.stash[_USED] = True
        known = getattr(item, "_fixtureinfo", None)
        scopes = {name: found[-1].scope for name, found in known.name2fixturedefs.items() if found} if known else {}
        others = [name for name in names if name != "dbrewind"]
        first = next((at for at, name in enumerate(others) if scopes.get(name) == "function"), len(others))
        names[:] = _built_first([*others[:first], "dbrewind", *others[first:]])


def _built_first(names: list[str]) -> list[str]:
    """Who asks for the set-up, too, gets it with the base: pytest before 9 would run it first, and keep no base."""
    stack, setup = "_dbrewind_stack", "dbrewind_setup"
    if stack not in names or setup not in names:
        return names
    others = [name for name in names if name != stack]
    at = min(names.index(stack), others.index(setup))
    return [*others[:at], stack, *others[at:]]


def pytest_collection_finish(session: pytest.Session) -> None:
    """A session has one database under test."""
    asking = [
        item
        for item in session.items
        if not {"dbrewind", "_dbrewind_stack"}.isdisjoint(getattr(item, "fixturenames", ()))
    ]
    if asking:
        from dbrewind.pytest_plugin import one_database

        one_database.check(asking, session.config)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """A line, if any test asks for the fixture."""
    if not config.stash.get(_USED, False):
        return []
    from dbrewind.pytest_plugin import head

    return [head.of_options(config)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    """The controller of pytest-xdist collects nothing: it hears of a base from the worker that has the first."""
    from dbrewind.pytest_plugin import head

    head.await_workers(node.config)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Give the askers of `dbrewind_db` one type, and see what fixtures write that outlive a test."""
    __tracebackhide__ = True
    if fixturedef.scope == "function":
        return (yield)
    name = fixturedef.argname
    session = None
    if not name.startswith(("dbrewind_", "_dbrewind")):
        session = _active(request.config)
    if session is not None:
        try:
            session.before_fixture(request, fixturedef)
        except BaseException as error:
            _end_unset(fixturedef, request, error)
            raise
    value = yield
    if session is not None:
        session.after_fixture(request.config, fixturedef)
    if name == "dbrewind_db":
        from dbrewind.pytest_plugin.target import understand

        known = fixturedef.cached_result
        try:
            value = understand(value, request.config)
        except Exception as error:
            # Else whoever asks for it next gets what was not understood.
            if known is not None:
                fixturedef.cached_result = (None, known[1], (error, error.__traceback__))
            raise
        if known is not None:
            fixturedef.cached_result = (value, known[1], None)
    return value


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its numbers over."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None and _is_loaded(session.config):
        from dbrewind.pytest_plugin.report import numbers

        output["dbrewind"] = numbers(session.config).sent()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller takes them."""
    sent = getattr(node, "workeroutput", {}).get("dbrewind")
    if sent:
        from dbrewind.pytest_plugin.report import numbers

        numbers(node.config).add(sent)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line, and the table if it was asked for."""
    if not _is_loaded(config):
        return
    from dbrewind.pytest_plugin.report import numbers, summarize
    from dbrewind.pytest_plugin.session import options

    if numbers(config):
        summarize(terminalreporter, numbers(config), options(config).report)


def _end_unset(fixturedef: pytest.FixtureDef[Any], request: Any, error: BaseException) -> None:
    """A fixture's set-up was not begun. Pytest would refuse one that is neither set up nor ended to all later tests."""
    fixturedef.cached_result = (None, fixturedef.cache_key(request), (error, error.__traceback__))
    fixturedef.finish(request)


def _active(config: pytest.Config) -> Any:
    """The module `session`, if a database is under test now. Imports nothing."""
    session = sys.modules.get("dbrewind.pytest_plugin.session")
    return session if session is not None and session.stacks(config) else None


def _is_loaded(config: pytest.Config) -> bool:
    """Whether there may be numbers. Imports nothing."""
    report = sys.modules.get("dbrewind.pytest_plugin.report")
    return report is not None and report.NUMBERS in config.stash
