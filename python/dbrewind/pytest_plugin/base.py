"""From the database as it was found to the mark `base`."""

from __future__ import annotations

import fcntl
import inspect
import os
import sqlite3
import sys
import warnings
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import pytest

from dbrewind.pytest_plugin import cache, head, outcomes
from dbrewind.pytest_plugin.report import Base, numbers, route
from dbrewind.pytest_plugin.rewinding import rewind
from dbrewind.pytest_plugin.stack import BASE, FOUND, Stack

if TYPE_CHECKING:
    from collections.abc import Generator

    from dbrewind._dbrewind import Database
    from dbrewind.pytest_plugin.options import Options
    from dbrewind.pytest_plugin.target import DatabaseUnderTest

_SETUP = "dbrewind_setup"


@contextmanager
def opened(config: pytest.Config, target: DatabaseUnderTest) -> Generator[Database, None, None]:
    """The handle; at the end the file is as it was found, unless it is a temporary one.

    A mark says what was found, for the next session if this one is killed.
    """
    import dbrewind

    if target._handle is not None:
        yield target._handle
        return
    # Whoever connects makes an empty file: an application that was started before.
    if not target.path.exists() or target.path.stat().st_size == 0:
        _create(target.path)
    lasting = not target._temporary
    # Of a temporary file nothing need outlast a power cut.
    synchronous: Literal["normal", "off"] = "normal" if lasting and not _is_in_temp(config, target.path) else "off"
    with dbrewind.open(target.path, synchronous=synchronous) as db, _alone(db):
        if lasting:
            _return_to_found(db)
        try:
            yield db
        finally:
            # Also when the set-up has failed: the next session would take this one for killed.
            if lasting:
                _leave_as_found(config, db)


def _is_in_temp(config: pytest.Config, path: Path) -> bool:
    """Whether pytest made the folder it is in for this session, and no later one will look there."""
    factory: pytest.TempPathFactory | None = getattr(config, "_tmp_path_factory", None)
    return factory is not None and path.resolve().is_relative_to(factory.getbasetemp())


def _leave_as_found(config: pytest.Config, db: Database) -> None:
    """The session ends, or its set-up has failed."""
    import dbrewind

    traceback = sys.exc_info()[2] or getattr(sys, "last_traceback", None)
    if config.getoption("usepdb", False):
        traceback = None  # Its variables are to be looked at.
    try:
        rewind(db, FOUND, traceback)
    except dbrewind.BusyError as error:
        # Raised here, after `-x` or Ctrl-C, it would take the place of pytest's report. The test failed already.
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            text = f"dbrewind: {db.path} is not as it was found; the next session begins with that rewind: {error}"
            warnings.warn(text, stacklevel=1)
        return
    _drop_old(db)
    db.drop(FOUND)


@contextmanager
def _alone(db: Database) -> Generator[None, None, None]:
    """Refuses a database that another session has: each would rewind the other's, and take it for killed."""
    folder = os.open(db.store, os.O_RDONLY)
    try:
        if not _taken(folder):
            pytest.fail(
                f"dbrewind: another test session has {db.path} under test now. Nothing was changed. Wait until it has "
                "ended, or give each session a database of its own: a dbrewind_db whose path has the process id in it, "
                "or none, for a temporary one",
                pytrace=False,
            )
        yield
    finally:
        os.close(folder)


def _taken(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def build(request: pytest.FixtureRequest, stack: Stack, options: Options, given: bool) -> None:
    """Run `dbrewind_setup`, or put in place what it has left before; then mark it."""
    begun = perf_counter()
    db = stack.db
    _drop_old(db)
    recipe = None if given or options.mode == "off" or not _is_empty(db) else _recipe(request, options)
    place, unkept = (None, "") if recipe is None else _cache(request.config)
    if recipe is None or place is None:
        request.getfixturevalue(_SETUP)
        stack.start()
        tell(request.config, stack, "", False, begun, unkept)
        return
    sequences = sys.modules.get("dbrewind.factory_boy")
    with place.locked(recipe):
        found = place.find(recipe, options.rebuild)
        if found is not None and _put(db, *found):
            request.config.pluginmanager.register(_Filled(), "dbrewind-filled")
            if sequences is not None:
                sequences.take(found[1].get("sequences", {}))
            stack.start()
            tell(request.config, stack, found[0].stem.rpartition("-")[2], True, begun)
            return
        with nullcontext() if recipe.explicit else cache.watching(recipe.root, db.path) as seen:
            value = request.getfixturevalue(_SETUP)
        stack.start()
        name = ""
        outside = seen is not None and seen.outside
        if value is None and not (outside and not place.run):
            but = {item.path for item in request.session.items} - {recipe.root / name for name in recipe.files}
            read = {} if seen is None else seen.files(but)
            counted = {} if sequences is None else sequences.said()
            name = place.keep(recipe, read, outside, db, stack.top.mark, counted)
        tell(request.config, stack, name, False, begun, unkept)


class _Filled:
    """In place of the body of `dbrewind_setup`, whoever asks for it."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: Any) -> object | None:
        if fixturedef.argname != _SETUP:
            return None
        fixturedef.cached_result = (None, fixturedef.cache_key(request), None)
        return True


def _recipe(request: pytest.FixtureRequest, options: Options) -> cache.Recipe | None:
    """What the set-up is made of; None if it must run in each session."""
    root = request.config.rootpath
    definitions = request.session._fixturemanager
    # The session itself sees only what a conftest.py in the root folder overrides.
    node = request._pyfuncitem
    found = definitions.getfixturedefs(_SETUP, node)
    if not found:
        return None
    setup = found[-1]
    if setup.func.__module__ == "dbrewind.pytest_plugin" or inspect.isgeneratorfunction(setup.func):
        return None
    files: set[Path] = set()
    for pattern in options.fingerprint:
        files.update(path for path in root.glob(pattern.replace("**", "**/*")) if path.is_file())
        files.update(path for path in root.glob(pattern) if path.is_file())
    names, known = [_SETUP], set()
    while names:
        name = names.pop()
        if name in known or name == "request":
            continue
        known.add(name)
        for one in definitions.getfixturedefs(name, node) or ():
            names.extend(one.argnames)
            source = inspect.getsourcefile(inspect.unwrap(one.func))
            if source and Path(source).is_relative_to(root):
                files.add(Path(source))
    from dbrewind import __version__

    return cache.Recipe(
        root=root,
        versions=[__version__, sys.version, sqlite3.sqlite_version],
        setup=f"{setup.baseid}::{setup.func.__module__}.{setup.func.__qualname__}",
        files={str(path.relative_to(root)): cache.hash_of(path) for path in files if "__pycache__" not in path.parts},
        explicit=options.explicit,
    )


def _cache(config: pytest.Config) -> tuple[cache.Cache | None, str]:
    """Where bases are; and why none of them outlasts the run, if that is so."""
    run: str = getattr(config, "workerinput", {}).get("testrunuid", "")
    kept = getattr(config, "cache", None)
    unkept = "pytest's cache is switched off"
    if kept is not None:
        try:
            return cache.Cache(kept.mkdir("dbrewind"), run), ""
        except OSError as error:
            unkept = f"pytest's cache cannot be written to ({error.strerror})"
    if run:
        # The folder that all workers' temporary folders are in.
        folder: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        return cache.Cache(folder.parent / "dbrewind-base", run), unkept
    return None, unkept


def _is_empty(db: Database) -> bool:
    with closing(sqlite3.connect(db.path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0)


def _put(db: Database, path: Path, known: dict[str, Any]) -> bool:
    """Fill the empty database with a cached base. False, and it is empty: it did not become the same."""
    before = db.mark("pytest: empty")
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as source,
            closing(sqlite3.connect(db.path)) as here,
        ):
            source.backup(here)
        if db.digest() == known["digest"]:
            return True
        db.rewind(before)
    except sqlite3.Error:
        db.rewind(before)  # Another size of pages, or the file is gone.
    finally:
        db.drop(before)
    return False


def tell(config: pytest.Config, stack: Stack, name: str, cached: bool, begun: float, unkept: str = "") -> None:
    """For the summary; and at once, if it is the session's first."""
    took = perf_counter() - begun
    path = stack.db.path
    with closing(sqlite3.connect(path)) as connection:
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    base = Base(path.name, name, cached, took, stack.top.mark.pages * page_size, unkept, route(stack.db))
    here = numbers(config)
    if not here.bases:
        head.tell(config, base)
    here.bases.append(base)
    here.building += took
    outcomes.watch(config)


def _create(path: Path) -> None:
    """An empty database in WAL mode, in which other processes may write unrecorded by nobody."""
    if not path.parent.is_dir():
        pytest.fail(
            f"dbrewind: there is no folder {path.parent} for {path.name}, which dbrewind_db names (a relative path "
            f"begins at {Path.cwd()}). Let dbrewind_db make it, or name another",
            pytrace=False,
        )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA user_version=0")


def _return_to_found(db: Database) -> None:
    """Set the mark to which the session's end rewinds. If it is there already, the last session did not end."""
    for mark in db.marks():
        if mark.name == FOUND:
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
    db.mark(FOUND, pin=True)


def _cannot_return(db: Database, state: str) -> str:
    return (
        f"dbrewind: {db.path} may hold what the last test session wrote. That session did not end properly, and the "
        f"mark of the state it had found is {state}: afterwards the file was written without being recorded (closing "
        "the last sqlite3 connection of a database in WAL mode is enough), or its store had stopped.\n"
        "Nothing was changed. See what the file holds, put it back if need be (from version control, from a backup; "
        f"delete it if the set-up makes it anew); then delete the folder {db.store}, and run again: what is there then "
        "counts as found."
    )


def _drop_old(db: Database) -> None:
    """What an earlier session has left of the plugin's marks."""
    for mark in db.marks():
        if mark.name == BASE or (mark.name.startswith("pytest: ") and mark.name != FOUND):
            db.drop(mark)
