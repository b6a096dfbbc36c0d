"""The marks of a database under test, and the way back to them (rust/docs/pytest.md)."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from dbrewind.pytest_plugin import kept, marker, outcomes
from dbrewind.pytest_plugin.report import FAILED, Changed, numbers
from dbrewind.pytest_plugin.rewinding import rewind
from dbrewind.testing import leaks, writers

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database, Diff, Mark
    from dbrewind.pytest_plugin.options import Options

BASE = "base"
FOUND = "pytest: as found"
# From the outermost in.
SCOPES = ("base", "session", "module", "class")


@dataclass
class Layer:
    """A state to which tests go back."""

    scope: str
    mark: Mark
    own: bool
    """The mark is this layer's; else the one of the layer below, above which it has nothing."""
    digest: str = ""
    fixture: object = None
    """What wrote it, and takes it along when it is torn down; None: tests did, or nobody yet."""
    name: str = ""
    """Of that fixture."""
    first: bool = True
    """It is there as long as its scope lasts."""


@dataclass
class Leak:
    """What was changed since the top, and by whom, as it was found."""

    diff: Diff
    others: list[str]
    """Who has written, and who may have: what a leak's text says."""
    wrote: list[str]
    """Who has written, if it was not the thread that runs the tests: for the report."""


class Stack:
    """The layers of one database."""

    def __init__(self, db: Database, item: pytest.Item, options: Options, fixtures: dict[str, str]) -> None:
        self.db = db
        # The present test. A fixture could ask for it (`request`), for as much as all else that it does here.
        self.item = item
        # Of which outcome of it the database is kept.
        self.keep = "none"
        # The fixtures that give the handle, the narrowest first, and their scopes.
        self.fixtures = fixtures
        # Those of them that a test's own end follows.
        self.per_test = frozenset(name for name, scope in fixtures.items() if scope == "function")
        self.config = item.config
        self.options = options
        self.numbers = numbers(self.config)
        self.layers: list[Layer] = []
        # Where the database is known to be as at the top: its newest moment, and how often marks were set or dropped.
        self.position: tuple[int, int] | None = None
        # The marks there are, and that second number when they were looked up.
        self.names: set[str] | None = None
        self.names_at: int | None = None
        # The present test asks for the handle.
        self.asked = False
        # It was taken back from it, and the database was known to be as at the top then.
        self.rests = False
        # The test between its beginning and its end, and the marks there were before; None: all of its are dropped.
        self.running = ""
        self.marks: set[str] | None = None
        # After this a rewind failed: the next test, or the next fixture that outlives one, begins with it.
        self.owed = ""
        self.last = "the set-up"
        # When that had ended, nothing had been written since the top.
        self.left_clean = True
        # What a test had left when its fixtures were not ended yet.
        self.noticed: Leak | None = None
        self.threads = writers.Threads()

    def start(self) -> None:
        """The present state is the base."""
        self.layers = [self._layer(BASE, BASE)]
        self.db._watch(self._tell)
        self.db._remember_connected(True)
        self._hold()
        self.threads.note("")

    def stop(self) -> None:
        """The handle is its owner's again."""
        from dbrewind import Error

        self.layers = []
        with suppress(Error):
            # It may be closed.
            self.db._remember_connected(False)
        self.db._watch(None)
        self.db._hold(None)

    @property
    def top(self) -> Layer:
        """The state with which a test begins."""
        return self.layers[-1]

    def lend(self) -> Database:
        """The handle, for the present test."""
        __tracebackhide__ = True
        item = self.item
        self.keep, mark = self.options.keep, None
        # A superset of the marker's names, and quick.
        if "dbrewind" in item.keywords:
            self.keep, mark = marker.arguments(item, self.options)
        if self.keep == "failed":
            outcomes.watch(self.config, lasting=True)
        self.begin(item.nodeid, mark)
        return self.db

    def take(self) -> None:
        """That test is over."""
        __tracebackhide__ = True
        keep, item = self.keep, self.item
        self.end(keep == "all" or (keep == "failed" and item.stash.get(FAILED, False)))
        sequences = sys.modules.get("dbrewind.factory_boy")
        if sequences is not None and self.options.mode != "off":
            # Also where nothing was to be rewound: numbers are given without a database, too.
            sequences.after_rewind(self.db.path, self.top.mark.name)

    def begin(self, nodeid: str, mark: str | None) -> None:
        """A test begins, at the top or at a mark that the set-up made."""
        __tracebackhide__ = True
        self._look("the beginning of", nodeid)
        if self.names is None or self.position is None:
            self.names = {known.name for known in self.db.marks()}
            self.names_at = None if self.position is None else self.position[1]
        self.marks = self.names
        if mark is not None and mark != self.top.mark.name:
            self.db.rewind(mark)
        self.running = nodeid

    def begin_any(self, item: pytest.Item) -> None:
        """A test begins. If it does not ask for the handle, nothing else looks whether it begins at the top."""
        __tracebackhide__ = True
        self.item = item
        self.rests = False
        self.asked = not self.per_test.isdisjoint(getattr(item, "fixturenames", ()))
        if not self.asked and not self.owed:
            self._look("the beginning of", item.nodeid)

    def end(self, keep: bool) -> None:
        """The test is over."""
        __tracebackhide__ = True
        nodeid, self.running = self.running, ""
        if self.options.mode == "off":
            self._drop_marks()
            return
        if self.position is not None and self.db._rests_at(*self.position):
            self.numbers.clean += 1
            self.marks = None
            self.rests = True
            return
        try:
            if keep and self._is_dirty():
                self.numbers.kept.append(kept.keep(self.db, self.config.rootpath, nodeid))
        finally:
            self.position = self._take_back(nodeid)
        # Whoever is told of a rewind may have written since.
        if self.position is None or not self.db._glance(*self.position):
            self.position = self.db._position_at(self.top.mark)
        if self.position is None or self.position[1] != self.names_at:
            self._drop_marks()
            self.position = None
        else:
            # None was set or dropped.
            self.marks = None
            self.rests = True

    def notice(self, item: pytest.Item, last: bool) -> None:
        """A test is over, its fixtures are not: a layer that ends with it would take along what the test left.

        So would the end of the session, if it is the last one.
        """
        from dbrewind import Error

        self.noticed = None
        if self.asked or self.running or self.owed or (len(self.layers) == 1 and not last):
            return
        if not _asked_itself(item).isdisjoint(self.fixtures):
            return
        try:
            self.noticed = self._seen() if self._is_dirty() else None
        except Error:
            # Raised here, it would keep the fixtures of the test from being ended. `after_any` meets it, too.
            return

    def after_any(self, item: pytest.Item, alone: bool) -> None:
        """A test is over: nothing is changed now, but in the layer that it asked for.

        `alone`: no fixture of a wider scope has ended with it. Then nothing of it came after the handle was taken back.
        """
        __tracebackhide__ = True
        nodeid = self.last = item.nodeid
        self.threads.note(nodeid)
        if alone and self.rests:
            self.left_clean = True
            return
        self.left_clean = False
        if self.running or self.owed:
            return
        if not self.layers or not self._is_dirty():
            self.left_clean = True
            if self.noticed is not None:
                self.pollution(nodeid, self.noticed)
            return
        asked = _asked_itself(item)
        scope = next((scope for name, scope in self.fixtures.items() if name in asked), "")
        if self._find(scope) is not None:
            self._absorb(scope, nodeid)
        else:
            self.pollution(nodeid)
        self.left_clean = True

    def before_fixture(self, name: str) -> None:
        """A fixture that outlives a test will be set up: what it finds must be the top."""
        __tracebackhide__ = True
        if not self.running:
            self._look("the set-up of the fixture", name)

    def after_fixture(self, fixture: object, name: str, scope: str) -> None:
        """It was: what it wrote belongs to a layer of its scope."""
        __tracebackhide__ = True
        if self.running or self.owed or not self._is_dirty():
            return
        if self._find(scope) is not None:
            self._absorb(scope, f"the fixture {name}", fixture, name)
            return
        advice = (
            f"; if its rows shall stay as long as it does, let it ask for dbrewind_{scope}" if scope in SCOPES else ""
        )
        self.pollution(f"the fixture {name} (scope {scope}){advice}")

    def end_fixture(self, fixture: object) -> None:
        """It was torn down, maybe to be set up with the next parameter: its layer goes, and what is above it."""
        __tracebackhide__ = True
        place = next((at for at, layer in enumerate(self.layers) if layer.fixture is fixture), None)
        if place is None:
            return
        gone, below = self.layers[place:], self.layers[place - 1]
        kept = [Layer(layer.scope, below.mark, own=False, digest=below.digest) for layer in gone if layer.first]
        self.layers[place:] = kept
        name, others = gone[0].name, [layer.name for layer in gone[1:] if layer.fixture is not None]
        self._leave(gone, f"the end of the fixture {name}")
        if others:
            self._say(
                f"[DBR008] {self.db.path}: what the fixture {' and '.join(others)} wrote is gone. It wrote after the "
                f"fixture {name}, which has ended before it, and took along what came after it. Let {name} ask for "
                f"{others[0]}, so that {others[0]} comes first, or {others[0]} for {name}, so that it ends first."
            )

    def push(self, scope: str) -> None:
        """Open the layer of a scope. It has nothing yet."""
        place = sum(SCOPES.index(layer.scope) < SCOPES.index(scope) for layer in self.layers)
        below = self.layers[place - 1]
        self.layers.insert(place, Layer(scope, below.mark, own=False, digest=below.digest))

    def pop(self, scope: str) -> None:
        """End the layer, and all above it: back to the one below."""
        place = self._find(scope)
        if place is not None:
            gone = self.layers[place:]
            del self.layers[place:]
            self._leave(gone, f"the end of the {scope}")

    def pollution(self, who: str, gone: Leak | None = None) -> None:
        """Name what was written outside of a test that is rewound, and rewind it, unless it is gone already."""
        __tracebackhide__ = True
        if self.options.mode == "off":
            return
        seen = gone or self._seen(who)
        found = leaks.lines(seen.diff, self.options.allow_leaks)
        if gone is None:
            self._take_back(who)
        elif self.options.report:
            # It went with all of its scope: nobody knows what its own rewind would have taken.
            self._report(who, seen.diff, seen.wrote)
        if not found:
            return
        self.numbers.polluted.append(who)
        self._say(leaks.told(str(self.db.path), who, seen.others, found))

    def _say(self, text: str) -> None:
        from dbrewind.testing.errors import DbrewindPollutionWarning, PollutedError

        __tracebackhide__ = True
        if self.options.strict:
            outcomes.watch(self.config)
            raise PollutedError(text)
        warnings.warn(DbrewindPollutionWarning(text), stacklevel=1)

    def _look(self, what: str, of: str) -> None:
        """What comes next begins at the top, whoever wrote since the last test had ended."""
        __tracebackhide__ = True
        if self.owed:
            self._make_up_for()
            self._drop_marks()
        elif self.position is not None and self.db._glance(*self.position):
            return
        elif self._is_dirty():
            between = f"something between the end of {self.last} and {what} {of}"
            self.pollution(between if self.left_clean else f"{self.last}, or something between it and {what} {of}")

    def _make_up_for(self) -> None:
        """The rewind that failed after the last test that had to be taken back."""
        __tracebackhide__ = True
        from dbrewind import BusyError

        try:
            self._take_back(self.owed)
        except BusyError as error:
            error.args = (f"{error.args[0]}\nThe database has waited to be rewound since {self.owed}.", *error.args[1:])
            raise

    def _seen(self, who: str = "") -> Leak:
        """What is changed; and who has written, is connected, or runs."""
        others = writers.others(self.db, self.top.mark, self.threads, who)
        wrote = writers.other_writers(self.db, self.top.mark) if self.options.report else []
        return Leak(self.db.changes(self.top.mark), others, wrote)

    def _report(self, who: str, diff: Diff, wrote: list[str], seconds: float = 0.0) -> None:
        """A line for the table, and what was changed."""
        what = leaks.lines(diff) + wrote + self.threads.left_by_others(who)
        self.numbers.changed.append(Changed(who, leaks.count(diff), what, 1e3 * seconds, diff.pages_read))

    def _find(self, scope: str) -> int | None:
        """The place of the first layer of a scope."""
        return next((at for at, layer in enumerate(self.layers) if layer.scope == scope), None)

    def _is_dirty(self) -> bool:
        """Whether anything was written since the top."""
        if self.options.mode == "off":
            return False
        if self.position is not None and self.db._is_at(*self.position):
            return False
        self.position = self.db._position_at(self.top.mark)
        if self.position is None:
            return True
        if self.position[1] != self.names_at:
            self.names = None
        return False

    def _layer(self, scope: str, name: str, fixture: object = None, of: str = "", first: bool = True) -> Layer:
        mark = self.db.mark(name, pin=True)
        sequences = sys.modules.get("dbrewind.factory_boy")
        if sequences is not None and "dbrewind" in self.fixtures:
            sequences.note(self.db.path, name)
        digest = self.db.digest() if self.options.mode == "verify" else ""
        return Layer(scope, mark, own=True, digest=digest, fixture=fixture, name=of, first=first)

    def _absorb(self, scope: str, who: str, fixture: object = None, name: str = "") -> None:
        """What was written since the top belongs to a layer of this scope."""
        place = max(at for at, layer in enumerate(self.layers) if layer.scope == scope)
        below, above = self.layers[place], self.layers[place + 1 :]
        if any(layer.own for layer in above):
            narrower = next(layer.scope for layer in above if layer.own)
            self._take_back(who)
            pytest.fail(
                f"dbrewind: {who} wrote into the layer of the {scope}, while the layer of the {narrower} above it had "
                "rows of its own already, which could not be told apart. What it wrote was rewound. Let the first test "
                f"of the {narrower} ask for it",
                pytrace=False,
            )
        self.position = None
        moves = below.own and below.fixture is None and fixture is None
        if moves:
            self._hold(below.mark.name)
            self.db.drop(below.mark.name)
        extends = moves or (not below.own and fixture is None)
        made = self._layer(scope, self._free_name(scope), fixture, name, first=extends and below.first)
        self.layers[place if extends else place + 1 : place + 1] = [made]
        for layer in above:
            layer.mark, layer.digest = made.mark, made.digest
        self._hold()

    def _free_name(self, scope: str) -> str:
        """A mark's name for one more layer of a scope."""
        taken = {layer.mark.name for layer in self.layers if layer.own}
        names = (f"pytest: {scope}{number}" for number in ["", *(f" {at}" for at in range(2, len(self.layers) + 3))])
        return next(name for name in names if name not in taken)

    def _leave(self, gone: list[Layer], why: str) -> None:
        """Rewind to the new top, and drop the marks of these layers, which are no longer in the stack."""
        __tracebackhide__ = True
        self.position = None
        if self.options.mode == "off":
            return
        try:
            # What a test writes goes at its end.
            if not self.running and self._is_dirty():
                self._take_back(why)
        finally:
            self._hold()
            for layer in gone:
                if layer.own:
                    self.db.drop(layer.mark.name)

    def _hold(self, free: str = "") -> None:
        self.db._hold([FOUND, *(layer.mark.name for layer in self.layers if layer.own and layer.mark.name != free)])

    def _take_back(self, who: str) -> tuple[int, int] | None:
        """Rewind to the top. Where that has led, if it is known without a look."""
        __tracebackhide__ = True
        changed, wrote = None, []
        if self.options.report and self._is_dirty():
            changed = self.db.changes(self.top.mark)
            wrote = writers.other_writers(self.db, self.top.mark)
        self.owed = who
        begun = perf_counter()
        # Where nothing was committed that does nothing, but it finds a transaction that is left open.
        done = rewind(self.db, self.top.mark, getattr(sys, "last_traceback", None))
        took = perf_counter() - begun
        self.owed = ""
        if done.method == "nothing":
            self.numbers.clean += 1
            return done._position
        self.numbers.rewinds.append(took)
        if changed is not None:
            self._report(who, changed, wrote, took)
        if self.options.mode == "verify" and self.db.digest() != self.top.digest:
            outcomes.watch(self.config)
            told = f"to {self.top.mark.name!r} {self.db.path} is not what it was at the mark"
            kept.differ(self.db, self.top.mark, told, self.db.path.stem, self.config)
        return done._position

    def _tell(self, mark: str) -> None:
        self.config.hook.pytest_dbrewind_after_rewind(db=self.db, mark=mark)

    def _drop_marks(self) -> None:
        """Those that the test made."""
        if self.marks is None:
            return
        kept = self.marks | {layer.mark.name for layer in self.layers}
        for mark in self.db.marks():
            if mark.name not in kept:
                self.db.drop(mark)
        self.marks = None


def _asked_itself(item: pytest.Item) -> set[str]:
    """The fixtures that a test asks for itself."""
    return set(getattr(getattr(item, "_fixtureinfo", None), "initialnames", ()))
