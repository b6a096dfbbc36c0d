"""The test databases of this process that are recorded, by their alias in DATABASES."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from django.db.backends.base.base import BaseDatabaseWrapper

    from dbrewind import Database, Lsn, Mark, Rewound

BASE = "base"


@dataclass
class Layer:
    """A state to which tests go back."""

    moment: Mark | Lsn
    digest: str = ""
    """If it was asked for."""


@dataclass
class Recorded:
    """One test database: its recording, and the states to rewind to, the innermost last. The first is `base`."""

    handle: Database
    layers: list[Layer]
    hashed: bool

    @property
    def top(self) -> Layer:
        """The state with which a test begins."""
        return self.layers[-1]

    def layer(self, moment: Mark | Lsn) -> None:
        """The present state, which is that of `moment`, is the innermost layer."""
        self.layers.append(Layer(moment, self.handle.digest() if self.hashed else ""))


class RewindWatch(Protocol):
    """Who wants to know of rewinds between tests."""

    def before(self, alias: str, one: Recorded, dirty: bool) -> None:
        """The database is still as it was left. What is raised does not stop the rewind."""

    def after(self, alias: str, one: Recorded, done: Rewound) -> None:
        """It is what it was. Not called if the rewind failed."""

    def look_before(self) -> None:
        """A test is about to begin: rewind what somebody wrote meanwhile, and tell."""


_recorded: dict[str, Recorded] = {}
_receivers: list[Callable[[Database, str], object]] = []
_watch: RewindWatch | None = None
# Nothing is rewound between tests: Django flushes.
off = False
# Files that `place_in` chose. Nobody needs them after a power cut.
_ours: set[str] = set()


def place_in(folder: Path) -> None:
    """Give each SQLite test database that would be in memory a file in this folder. To be called before set-up.

    A database in memory cannot be recorded. Names that the settings give (`TEST["NAME"]`) stay.
    """
    for alias in connections:
        settings = connections[alias].settings_dict
        test = settings["TEST"]
        if connections[alias].vendor != "sqlite" or test.get("MIRROR"):
            continue
        if not test.get("NAME") or _in_memory(test["NAME"]):
            test["NAME"] = str(folder / f"{alias}.sqlite3")
            _ours.add(test["NAME"])
    connection_created.connect(_do_not_wait_for_the_disk, dispatch_uid="dbrewind")


def named() -> list[Path]:
    """The files of SQLite test databases to which the settings give a name."""
    names = [_test_name(connections[alias]) for alias in connections if connections[alias].vendor == "sqlite"]
    return [Path(name).absolute() for name in names if name not in _ours and name != "None" and not _in_memory(name)]


def attach(aliases: Iterable[str] | None = None, *, hashed: bool = False) -> None:
    """Record the test databases that were set up, and mark their state as `base`.

    `aliases`: None means those whose name is that of their test database by now, others may be production's.
    `hashed`: every layer has a digest.
    """
    for alias in list(connections) if aliases is None else aliases:
        connection = connections[alias]
        if alias in _recorded or connection.vendor != "sqlite" or connection.settings_dict["TEST"].get("MIRROR"):
            continue
        name = str(connection.settings_dict["NAME"])
        if (aliases is None and name != _test_name(connection)) or _in_memory(name):
            continue
        same = next((other for other in _recorded.values() if other.handle.path == Path(name).absolute()), None)
        _recorded[alias] = same or _record(connection, name, hashed)


def _record(connection: BaseDatabaseWrapper, name: str, hashed: bool) -> Recorded:
    import dbrewind

    connection.close()  # a database changes its journal mode when nobody has it open
    handle = dbrewind.open(name, journal="wal", synchronous="off" if name in _ours else "normal", seal=False)
    if any(mark.name == BASE for mark in handle.marks()):
        handle.drop(BASE)
    handle._watch(lambda mark: _tell(handle, mark))
    handle._remember_connected(True)
    one = Recorded(handle, [], hashed)
    one.layer(handle.mark(BASE, pin=True))
    sequences = sys.modules.get("dbrewind.factory_boy")
    if sequences is not None and connection.alias == DEFAULT_DB_ALIAS:
        sequences.note(handle.path, BASE)
    return one


def detach(*, keep: bool = False) -> None:
    """Record no more. The databases are as at `base`; their stores are deleted, unless with `keep`."""
    try:
        for _, one in _each():
            del one.layers[1:]
        rewind()
    finally:
        for _, one in _each():
            one.handle._watch(None)
            if keep:
                one.handle.drop(BASE)
            one.handle.close()
            if not keep:
                shutil.rmtree(one.handle.store, ignore_errors=True)
                _take_wal_away(one.handle.path)
        _recorded.clear()
        connection_created.disconnect(dispatch_uid="dbrewind")


def _take_wal_away(path: Path) -> None:
    """A recording leaves an empty WAL for the next one, which SQLite takes away; Django removes the database alone."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as db:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()


def forget() -> None:
    """In a forked child: these recordings are the parent's."""
    _recorded.clear()


def must_rewind(alias: str) -> None:
    """Raise ImproperlyConfigured, which says what to do, if this alias is not rewound between tests."""
    recorded(alias)
    if off:
        raise ImproperlyConfigured(
            "--dbrewind=off: nothing is rewound, Django flushes, and what migrations wrote goes, too. A RewindTestCase "
            "needs rewinds: run without that option, or leave this test out (-k)."
        )


def recorded(alias: str) -> Recorded:
    """The recording of this alias; ImproperlyConfigured, which says what to do, if there is none."""
    try:
        return _recorded[alias]
    except KeyError:
        pass
    if connections[alias].vendor != "sqlite":
        raise ImproperlyConfigured(
            f'the database "{alias}" is one of {connections[alias].vendor}, and dbrewind rewinds SQLite alone. Leave '
            "it out of `databases`, or use django.test.TransactionTestCase for this test."
        )
    raise ImproperlyConfigured(
        f'the test database "{alias}" is not recorded, so nothing could be rewound. Under pytest set '
        "dbrewind_django = true in the ini file, and have a conftest's own django_db_setup ask for the fixture of that "
        'name; with Django\'s runner set TEST_RUNNER = "dbrewind.django.RewindRunner".'
    )


def rewind(*, thorough: bool = False) -> list[str]:
    """Rewind every recorded database that anybody has changed to its innermost layer; answers their aliases.

    One that cannot be rewound does not keep the others from it; its error is raised at the end. `thorough`: it is an
    error, too, if somebody is about to change one: has a transaction open.
    """
    changed = []
    with ExitStack() as stack:
        for alias, one in reversed(_each()):
            dirty = one.handle.dirty_since(one.top.moment)
            if dirty:
                changed.append(one)
            if dirty or thorough:
                stack.callback(_rewind, alias, one, dirty)
    return [alias for alias, one in _recorded.items() if any(one is each for each in changed)]


def look_before() -> None:
    """A test is about to begin, with the innermost layers; what somebody else wrote is told, if anybody listens."""
    if _watch is None:
        rewind()
    else:
        _watch.look_before()


def _rewind(alias: str, one: Recorded, dirty: bool) -> None:
    try:
        if _watch is not None:
            _watch.before(alias, one, dirty)
    finally:
        # Where nothing was committed that does nothing, but it finds a transaction that is left open.
        done = one.handle.rewind(one.top.moment)
        if _watch is not None:
            _watch.after(alias, one, done)


def depth() -> dict[str, int]:
    """How many layers each database has, for `unwind`."""
    return {alias: len(one.layers) for alias, one in _recorded.items()}


def settle() -> bool:
    """Keep what was written since the innermost layer for the tests that come, as a layer; whether anything was."""
    changed = [one for _, one in _each() if not off and one.handle.dirty_since(one.top.moment)]
    for one in changed:
        one.layer(one.handle.now())
    return bool(changed)


def unwind(to: dict[str, int]) -> None:
    """Take back the layers that came after `depth()` gave this."""
    for alias, one in _recorded.items():
        del one.layers[to.get(alias, 1) :]
    if not off:
        rewind()


def marks() -> set[tuple[Path, str]]:
    """All marks, by the path of their database and their name."""
    return {(one.handle.path, mark.name) for _, one in _each() for mark in one.handle.marks()}


def drop(these: Container[tuple[Path, str]]) -> None:
    """Drop these marks; those that are gone are no error."""
    for _, one in _each():
        for mark in one.handle.marks():
            if (one.handle.path, mark.name) in these:
                one.handle.drop(mark)


def watch(watcher: RewindWatch | None) -> None:
    """Tell this one of rewinds between tests."""
    global _watch
    _watch = watcher


def watcher() -> RewindWatch | None:
    """Who is told of rewinds between tests."""
    return _watch


def after_rewind(receiver: Callable[[Database, str], object]) -> Callable[[], None]:
    """Have this called after each rewind, also one that a test made, with the mark's name, empty for a moment.

    Answers what ends that.
    """
    _receivers.append(receiver)
    return lambda: _receivers.remove(receiver)


def handles() -> list[Database]:
    """All recordings."""
    return [one.handle for _, one in _each()]


def _each() -> list[tuple[str, Recorded]]:
    """Two aliases may be one file: it goes by the first."""
    return list({id(one): (alias, one) for alias, one in reversed(_recorded.items())}.values())[::-1]


def _tell(handle: Database, mark: str) -> None:
    _forget_what_was_cached()
    for receiver in _receivers:
        receiver(handle, mark)


def _forget_what_was_cached() -> None:
    """Django keeps rows of these models in the process, by an id that means another row after a rewind."""
    from django.apps import apps

    for label, model in (("contenttypes", "ContentType"), ("sites", "Site")):
        if apps.is_installed(f"django.contrib.{label}"):
            apps.get_model(label, model)._default_manager.clear_cache()


def _do_not_wait_for_the_disk(connection: BaseDatabaseWrapper, **_: object) -> None:
    if str(connection.settings_dict["NAME"]) in _ours:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")


def _test_name(connection: BaseDatabaseWrapper) -> str:
    return str(connection.settings_dict["TEST"].get("NAME"))


def _in_memory(name: object) -> bool:
    return not isinstance(name, Path) and (str(name) in ("", ":memory:") or "mode=memory" in str(name))
