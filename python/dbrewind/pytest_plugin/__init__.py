"""pytest plugin: tests commit as they like, and the database is rewound after each one that asked for `dbrewind`.

Loaded by pytest in every run, so this module imports nothing that takes time; without a test that asks for one of
its fixtures, nothing happens.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from dbrewind._dbrewind import Database

_FOUND = "pytest: as found"
_BASE = "base"
# The marks there were before a test whose rewind failed.
_LEFT = pytest.StashKey["set[str]"]()


class DatabaseUnderTest:
    """What the fixture `dbrewind_db` gives, whatever it was overridden with.

    `path` is the file, `url` the same for SQLAlchemy, Django and their like. In a worker of pytest-xdist both name the
    worker's own file.
    """

    def __init__(self, path: Path, handle: Database | None = None) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._handle = handle

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<DatabaseUnderTest {self.url}>"


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make `pytest_dbrewind_after_rewind` known."""
    from dbrewind.pytest_plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini key of Django's half."""
    text = "With pytest-django: tests that commit are rewound instead of flushed (true or false)"
    parser.addini("dbrewind_django", text, type="bool", default=False)


def pytest_dbrewind_after_rewind() -> None:
    """Sessions that a test suite gave to `dbrewind.sqlalchemy.bind`."""
    bound = sys.modules.get("dbrewind.sqlalchemy")
    if bound is not None:
        bound.expire_all()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load Django's half if it is wanted: after pytest-django, so that its fixtures come before that plugin's."""
    if config.getini("dbrewind_django"):
        if not config.pluginmanager.has_plugin("django"):
            raise pytest.UsageError("dbrewind_django = true needs pytest-django: pip install 'dbrewind[django]'")
        config.pluginmanager.import_plugin("dbrewind.django.pytest_fixtures")


@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Override: which database. A `sqlite:///` URL, a path, a SQLAlchemy Engine or a `dbrewind.Database`.

    Without an override it is a new file in WAL mode in pytest's temporary folder. Tests and fixtures that ask for it
    get a `DatabaseUnderTest` with `path` and `url`.
    """
    return tmp_path_factory.mktemp("dbrewind") / "test.db"


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: DatabaseUnderTest) -> None:
    """Override: fill the database, once in a session. What it leaves is the mark `base`."""


@pytest.fixture(scope="session")
def _dbrewind_base(request: pytest.FixtureRequest, dbrewind_db: DatabaseUnderTest) -> Generator[Database, None, None]:
    """Attach before the first connection of the tests, fill, mark; at the end leave the file as it was found."""
    if dbrewind_db._handle is not None:
        request.getfixturevalue("dbrewind_setup")
        _mark_anew(dbrewind_db._handle, _BASE)
        with _lent(dbrewind_db._handle):
            yield dbrewind_db._handle
        return

    import dbrewind

    if not dbrewind_db.path.exists():
        _create(dbrewind_db.path)
    with dbrewind.open(dbrewind_db.path) as db:
        _return_to_found(db)
        request.getfixturevalue("dbrewind_setup")
        _mark_anew(db, _BASE)
        with _lent(db):
            yield db
        try:
            db.rewind(_FOUND)
        except dbrewind.BusyError as error:
            # Raised here, after `-x` or Ctrl-C, it would take the place of pytest's report. The test failed already.
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                text = f"dbrewind: {db.path} is not as it was found; the next session begins with that rewind: {error}"
                warnings.warn(text, stacklevel=1)
            return
        db.drop(_BASE)
        db.drop(_FOUND)


@pytest.fixture
def dbrewind(request: pytest.FixtureRequest, _dbrewind_base: Database) -> Generator[Database, None, None]:
    """The handle of the database; rewound to `base` after the test, whoever wrote, and marks of the test dropped."""
    stash = request.config.stash
    if _LEFT in stash:  # an earlier test's rewind failed, and this test must not start from what that one left
        _take_back(_dbrewind_base, stash[_LEFT], request.config)
        del stash[_LEFT]
    before = {mark.name for mark in _dbrewind_base.marks()}
    yield _dbrewind_base
    stash[_LEFT] = before
    _take_back(_dbrewind_base, before, request.config)
    del stash[_LEFT]


@contextmanager
def _lent(db: Database) -> Generator[None, None, None]:
    """Refuses a test that would close the handle, or drop a mark, that all later tests need."""
    db._hold([_BASE, _FOUND])
    try:
        yield
    finally:
        db._hold(None)


def _take_back(db: Database, before: set[str], config: pytest.Config) -> None:
    db.rewind(_BASE)
    config.hook.pytest_dbrewind_after_rewind(db=db, mark=_BASE)
    for mark in db.marks():
        if mark.name not in before:
            db.drop(mark.name)


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, None]:
    """Give the askers of `dbrewind_db` one type, whatever an override returned."""
    outcome = yield
    if fixturedef.argname != "dbrewind_db" or outcome.excinfo is not None:
        return
    value = _understand(outcome.get_result(), _worker(request.config))
    if fixturedef.cached_result is not None:
        fixturedef.cached_result = (value, fixturedef.cached_result[1], None)
    outcome.force_result(value)


def _understand(value: Any, worker: str) -> DatabaseUnderTest:
    if isinstance(value, DatabaseUnderTest):
        return value
    if hasattr(value, "rewind") and hasattr(value, "digest"):  # a Database, without importing its class
        return DatabaseUnderTest(_own(Path(value.path), worker, "a dbrewind.Database"), value)
    url: Any = getattr(value, "url", None)  # an Engine
    if hasattr(url, "get_backend_name"):
        if url.get_backend_name() != "sqlite":
            raise pytest.UsageError(f"dbrewind_db: {url!r} is not a SQLite database")
        return DatabaseUnderTest(_own(_file(url.database, value), worker, "an Engine"))
    if isinstance(value, os.PathLike):
        return DatabaseUnderTest(_for_worker(_file(os.fspath(value), value), worker))
    if isinstance(value, str):
        return DatabaseUnderTest(_for_worker(_file(_path_of_url(value) if "://" in value else value, value), worker))
    raise pytest.UsageError(
        f"dbrewind_db: expected a URL, a path, an Engine or a dbrewind.Database, not {type(value).__name__}"
    )


def _path_of_url(url: str) -> str:
    """The path of `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite+driver:///...`."""
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] != "sqlite" or parts.netloc:
        raise pytest.UsageError(f"dbrewind_db: {url!r} is not a URL of a SQLite file (sqlite:///file.db)")
    return unquote(parts.path[1:])


def _file(name: str | None, value: object) -> Path:
    if not name or name == ":memory:" or name.startswith("file:"):
        raise pytest.UsageError(f"dbrewind_db: {value!r} names no file; a database in memory cannot be recorded")
    return Path(name).absolute()


def _worker(config: pytest.Config) -> str:
    """The name of this worker of pytest-xdist, or nothing.

    Not from the environment: a run of pytest that a worker starts inherits that, and is no worker.
    """
    name: str = getattr(config, "workerinput", {}).get("workerid", "")
    return name


def _for_worker(path: Path, worker: str) -> Path:
    return path.with_name(f"{path.stem}-{worker}{path.suffix}") if worker else path


def _own(path: Path, worker: str, what: str) -> Path:
    """What is open already has its name. Under pytest-xdist the override must have given each worker another one."""
    if worker and not re.search(rf"(?<![^\W_]){re.escape(worker)}(?![^\W_])", str(path)):
        raise pytest.UsageError(
            f"dbrewind_db: {what} of {path} would be shared by all workers of pytest-xdist, and each would rewind the "
            "others' writes. Return the path or its sqlite:/// URL, to which the worker's name is added, and make the "
            f"engine from dbrewind_db.url; or put the worker's name, {worker}, into the path (fixture worker_id)"
        )
    return path


def _create(path: Path) -> None:
    """An empty database in WAL mode, in which other processes may write unrecorded by nobody."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA user_version=0")


def _return_to_found(db: Database) -> None:
    """Set the mark to which the session's end rewinds. If it is there already, the last session did not end."""
    for mark in db.marks():
        if mark.name == _FOUND:
            if mark.state in ("lost", "evicted"):
                # To go on would make whatever is there what every later session leaves behind.
                pytest.fail(_cannot_return(db, mark.state), pytrace=False)
            db.rewind(mark)
            warnings.warn(
                f"dbrewind: the last test session on {db.path} was killed or could not rewind it; "
                "rewound to the state it had found",
                stacklevel=1,
            )
            return
    db.mark(_FOUND, pin=True)


def _cannot_return(db: Database, state: str) -> str:
    return (
        f"dbrewind: {db.path} may hold what the last test session wrote. That session did not end properly, and the "
        f"mark of the state it had found is {state}: afterwards the file was written without being recorded (closing "
        "the last sqlite3 connection of a database in WAL mode is enough), or its store had stopped.\n"
        "Nothing was changed. See what the file holds, put it back if need be (from version control, from a backup; "
        f"delete it if the set-up makes it anew); then delete the folder {db.store}, and run again: what is there then "
        "counts as found."
    )


def _mark_anew(db: Database, name: str) -> None:
    if any(mark.name == name for mark in db.marks()):
        db.drop(name)
    db.mark(name, pin=True)
