"""The marks of a database under test, and the way back to them (rust/docs/pytest.md)."""

from __future__ import annotations

import gc
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from dbrewind.pytest_plugin import leaks
from dbrewind.pytest_plugin.kept import place
from dbrewind.pytest_plugin.report import Changed, numbers

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path
    from types import TracebackType

    from dbrewind._dbrewind import Database, Diff, Mark, Rewound
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


class Stack:
    """The layers of one database."""

    def __init__(self, db: Database, config: pytest.Config, options: Options, fixtures: dict[str, str]) -> None:
        self.db = db
        # The fixtures that give the handle, the narrowest first, and their scopes.
        self.fixtures = fixtures
        self.config = config
        self.options = options
        self.numbers = numbers(config)
        self.layers: list[Layer] = []
        # The test between its beginning and its end, and the marks there were before.
        self.running = ""
        self.marks: set[str] = set()
        # A rewind failed: the next test begins with it.
        self.owed = False
        self.last = "the set-up"
        # What a test had left when its fixtures were not ended yet.
        self.noticed: tuple[Diff, list[str]] | None = None

    def start(self) -> None:
        """The present state is the base."""
        self.layers = [self._layer(BASE, BASE)]
        self.db._watch(self._tell)
        self._hold()

    def stop(self) -> None:
        """The handle is its owner's again."""
        self.layers = []
        self.db._watch(None)
        self.db._hold(None)

    @property
    def top(self) -> Layer:
        """The state with which a test begins."""
        return self.layers[-1]

    def begin(self, nodeid: str, mark: str | None) -> None:
        """A test begins, at the top or at a mark that the set-up made."""
        __tracebackhide__ = True
        if self.owed:
            self._take_back(nodeid)
            self._drop_marks()
        elif self._is_dirty():
            self.pollution(f"{self.last}, or something between it and {nodeid}")
        self.marks = {known.name for known in self.db.marks()}
        if mark is not None and mark != self.top.mark.name:
            self.db.rewind(mark)
        self.running = nodeid

    def end(self, keep: bool) -> None:
        """The test is over."""
        nodeid, self.running = self.running, ""
        if self.options.mode == "off":
            self._drop_marks()
            return
        try:
            if keep and self._is_dirty():
                self._keep(nodeid)
        finally:
            self._take_back(nodeid)
        self._drop_marks()

    def notice(self, names: Container[str], asked: Container[str]) -> None:
        """A test is over, its fixtures are not: a layer that ends with it would take along what the test left."""
        from dbrewind import Error

        self.noticed = None
        own = any(name in (names if scope == "function" else asked) for name, scope in self.fixtures.items())
        if own or self.running or self.owed:
            return
        try:
            self.noticed = self._seen() if self._is_dirty() else None
        except Error:
            # Raised here, it would keep the fixtures of the test from being ended. `after_any` meets it, too.
            return

    def after_any(self, nodeid: str, asked: Container[str]) -> None:
        """A test is over that asked for these fixtures: nothing is changed now, but in the layer that it asked for."""
        __tracebackhide__ = True
        self.last = nodeid
        if self.running or self.owed:
            return
        if not self.layers or not self._is_dirty():
            if self.noticed is not None:
                self.pollution(nodeid, self.noticed)
            return
        scope = next((scope for name, scope in self.fixtures.items() if name in asked), "")
        if self._find(scope) is not None:
            self._absorb(scope, nodeid)
        else:
            self.pollution(nodeid)

    def before_fixture(self, name: str) -> None:
        """A fixture that outlives a test will be set up: what it finds must be the top."""
        __tracebackhide__ = True
        if not self.running and not self.owed and self._is_dirty():
            self.pollution(f"{self.last}, or something between it and the fixture {name}")

    def after_fixture(self, name: str, scope: str) -> None:
        """It was: what it wrote belongs to the layer of its scope."""
        __tracebackhide__ = True
        if self.running or self.owed or not self._is_dirty():
            return
        if self._find(scope) is not None:
            self._absorb(scope, f"the fixture {name}")
            return
        advice = (
            f"; if its rows shall stay as long as it does, let it ask for dbrewind_{scope}" if scope in SCOPES else ""
        )
        self.pollution(f"the fixture {name} (scope {scope}){advice}")

    def push(self, scope: str) -> None:
        """Open the layer of a scope. It has nothing yet."""
        place = sum(SCOPES.index(layer.scope) < SCOPES.index(scope) for layer in self.layers)
        below = self.layers[place - 1]
        self.layers.insert(place, Layer(scope, below.mark, own=False, digest=below.digest))

    def pop(self, scope: str) -> None:
        """End the layer, and all above it: back to the one below."""
        while self._find(scope) is not None:
            gone = self.layers.pop()
            if self.options.mode != "off":
                if self._is_dirty():
                    self._take_back(f"the end of the {gone.scope}")
                if gone.own:
                    self._hold()
                    self.db.drop(gone.mark.name)

    def pollution(self, who: str, gone: tuple[Diff, list[str]] | None = None) -> None:
        """Name what was written outside of a test that is rewound, and rewind it, unless it is gone already."""
        from dbrewind.testing.errors import DbrewindPollutionWarning, PollutedError

        __tracebackhide__ = True
        if self.options.mode == "off":
            return
        diff, others = gone or self._seen()
        found = leaks.lines(diff, self.options.allow_leaks)
        if gone is None:
            self._take_back(who)
        if not found:
            return
        self.numbers.polluted.append(who)
        also = f"\n  also connected: {', '.join(others)}" if others else ""
        rows = "\n  ".join(found)
        text = (
            f"[DBR008] {self.db.path} was changed outside of a test that asks for dbrewind, and was rewound.\n"
            f"  by: {who}{also}\n  {rows}"
        )
        if self.options.strict:
            raise PollutedError(text)
        warnings.warn(DbrewindPollutionWarning(text), stacklevel=1)

    def _seen(self) -> tuple[Diff, list[str]]:
        """What is changed, and who is connected."""
        return self.db.changes(self.top.mark), leaks.connected(self.db.path)

    def _find(self, scope: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.scope == scope), None)

    def _is_dirty(self) -> bool:
        return self.options.mode != "off" and self.db.dirty_since(self.top.mark)

    def _layer(self, scope: str, name: str) -> Layer:
        mark = self.db.mark(name, pin=True)
        return Layer(scope, mark, own=True, digest=self.db.digest() if self.options.mode == "verify" else "")

    def _absorb(self, scope: str, who: str) -> None:
        """What was written since the top belongs to this layer."""
        place = next(at for at, layer in enumerate(self.layers) if layer.scope == scope)
        above = self.layers[place + 1 :]
        if any(layer.own for layer in above):
            narrower = next(layer.scope for layer in above if layer.own)
            self._take_back(who)
            pytest.fail(
                f"dbrewind: {who} wrote into the layer of the {scope}, while the layer of the {narrower} above it had "
                "rows of its own already, which could not be told apart. What it wrote was rewound. Let the first test "
                f"of the {narrower} ask for it",
                pytrace=False,
            )
        if self.layers[place].own:
            self._hold(self.layers[place].mark.name)
            self.db.drop(self.layers[place].mark.name)
        made = self._layer(scope, f"pytest: {scope}")
        self.layers[place] = made
        for layer in above:
            layer.mark, layer.digest = made.mark, made.digest
        self._hold()

    def _hold(self, free: str = "") -> None:
        self.db._hold([FOUND, *(layer.mark.name for layer in self.layers if layer.own and layer.mark.name != free)])

    def _take_back(self, who: str) -> None:
        __tracebackhide__ = True
        changed = self.db.changes(self.top.mark) if self.options.report and self._is_dirty() else None
        self.owed = True
        begun = perf_counter()
        # Where nothing was committed that does nothing, but it finds a transaction that is left open.
        done = self._rewind()
        took = perf_counter() - begun
        self.owed = False
        if done.method == "nothing":
            self.numbers.clean += 1
            return
        self.numbers.rewinds.append(took)
        if changed is not None:
            rows, what = leaks.count(changed), leaks.lines(changed)
            self.numbers.changed.append(Changed(who, rows, what, 1e3 * took))
        if self.options.mode == "verify":
            self._verify()

    def _rewind(self) -> Rewound:
        """To the top. A traceback keeps the connections of a function that raised, and their transactions open."""
        from dbrewind import BusyError

        try:
            return self.db.rewind(self.top.mark, timeout=0)
        except BusyError:
            # pytest lets go of the last failure when the next test is called, which is too late for this one's end.
            _let_go(getattr(sys, "last_traceback", None))
            gc.collect()
        return self.db.rewind(self.top.mark)

    def _tell(self, mark: str) -> None:
        self.config.hook.pytest_dbrewind_after_rewind(db=self.db, mark=mark)

    def _drop_marks(self) -> None:
        """Those that the test made."""
        for mark in self.db.marks():
            if mark.name not in self.marks:
                self.db.drop(mark)

    def _keep(self, nodeid: str) -> None:
        path = self._file("failed", nodeid)
        self.db.keep(path)
        self.numbers.kept.append(f"{path} ({nodeid})")

    def _file(self, folder: str, name: str) -> Path:
        return place(self.config.rootpath, folder, name)

    def _verify(self) -> None:
        if self.db.digest() == self.top.digest:
            return
        from dbrewind.testing.errors import VerifyFailedError

        is_, was = self._file("differs", f"{self.db.path.stem}-is"), self._file("differs", f"{self.db.path.stem}-was")
        self.db.keep(is_)
        self.db.clone(self.top.mark, was)
        raise VerifyFailedError(
            f"[DBR009] after a rewind to {self.top.mark.name!r} {self.db.path} is not what it was at the mark. The "
            f"session stops. What it is: {is_}; what it was: {was}. Please report it with both"
        )


def _let_go(traceback: TracebackType | None) -> None:
    """Of the local variables of functions that are over."""
    while traceback is not None:
        frame = traceback.tb_frame
        with suppress(RuntimeError):  # It is not over.
            frame.clear()
        # Before Python 3.13 a report that shows them leaves a copy, which is brought up to date by this.
        _ = frame.f_locals
        traceback = traceback.tb_next
