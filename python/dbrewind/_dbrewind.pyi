from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias, final

from typing_extensions import Self

__all__ = [
    "At",
    "BeforeWindowError",
    "BusyError",
    "ClosedError",
    "Database",
    "Diff",
    "Error",
    "FileMissingError",
    "FileReplacedError",
    "ForkedError",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "KeeperFailedError",
    "Lsn",
    "Mark",
    "MarkExistsError",
    "MarkLostError",
    "MarkNotFoundError",
    "NotADatabaseError",
    "NotAttachedError",
    "NotWritableError",
    "Pin",
    "Process",
    "Rewound",
    "Status",
    "StoreDamagedError",
    "StoreFullError",
    "StoreVersionError",
    "TableDiff",
    "TwoSqlitesError",
    "UnreachableError",
    "UnsafeJournalWarning",
    "UnsupportedError",
    "Writer",
    "__version__",
    "_mark",
    "_program",
    "_rewound",
    "command_main",
    "keeper_main",
    "open",
]

__version__: str

def open(
    path: str | bytes | PathLike[str] | PathLike[bytes],
    *,
    store: str | bytes | PathLike[str] | PathLike[bytes] | None = None,
    timeout: float = 5.0,
    synchronous: Literal["off", "normal", "full"] = "normal",
    journal: Literal["wal", "delete"] | None = None,
    default_vfs: bool = True,
    engine: Literal["auto", "keeper", "inside"] = "auto",
    limit: int | None = None,
    window: timedelta | float | None = None,
    seal: bool = True,
    moments: Literal["marks", "commits"] | None = None,
) -> Database:
    """Attach to a database file and record it from now on, until `close`.

    >>> db = dbrewind.open("app.db")  # before, or while, others have it open
    >>> app = sqlite3.connect("app.db")
    >>> db.mark("seeded")

    In a rollback mode (DELETE and its like) connections that were opened before are not recorded; in WAL mode all are.

    The store, a folder that holds the history, is made beside the file (`app.db-rewind/`) or at `store`. Marks made
    earlier are found again if nothing was written to the database meanwhile; otherwise they are listed as lost.

    - `timeout`: seconds that each call waits for other connections' transactions before `BusyError`.
    - `synchronous`: whether the store and a rewind outlast a power cut: as SQLite's pragma of that name.
      A killed process never loses anything, whatever it is.
    - `journal="wal"` or `"delete"`: switch the database to that mode, marks stay; `"delete"` needs every other
      connection closed. None leaves it as it is.
    - `default_vfs`: for a database in a rollback mode: connections that this process opens from now on by plain path
      are recorded. With False only those opened with `?vfs=dbrewind` are.
    - `engine`: "inside" records with this process's own SQLite, "keeper" in a helper process (WAL mode only), "auto"
      prefers the first.
    - `limit`: the most bytes that the store may have, at least 1 MiB. It belongs to the store: it holds for everybody
      who records into it, now and later, until somebody opens it with another one. None leaves it as it is, 16 GiB in a
      new store. What is oldest is evicted to make room; if pinned marks need all of it, the store records no more
      (StoreFullError) and the application goes on. A full store is opened, too: `status`, `marks` and `drop` need no
      room, and what was kept by marks that are dropped makes some.
    - `window`: how far back the store shall reach, a timedelta or seconds, at least 1 s. It belongs to the store, as
      the limit does. What is older is evicted. None leaves it as it is, 72 hours in a new store.
    - `seal`: rewrite the full parts of the store in the background, so that they take a fraction of the room: a thread
      of the lowest priority, which rests while anybody writes. A rewind to what was rewritten takes a little longer.
    - `moments`: for a database in a rollback mode: `rewind` reaches "marks", which are marks and both ends of each
      rewind, or each of its "commits", as always in WAL mode; that saves a changed page again in every transaction. It
      belongs to the store, as `limit` does; "marks" in a new one.

    Errors: FileMissingError, NotADatabaseError, NotWritableError, UnreachableError, TwoSqlitesError, UnsupportedError,
    StoreDamagedError, StoreVersionError, StoreFullError, InvalidArgumentError, BusyError, KeeperFailedError.
    """

def command_main(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments, the program's name first; answers the exit status. Not for callers."""

def keeper_main() -> int:
    """Serve one database over standard input and output: what the keeper process runs. Not for callers."""

def _mark(path: str, lsn: int, name: str, time: int, pages: int, state: str, pinned: bool, /) -> Mark: ...
def _program(pid: int, /) -> str: ...
def _rewound(path: str, to: int, time: int, undo: int, pages: int, seconds: float, method: str, /) -> Rewound: ...

@final
class Database:
    """A database that is being recorded. Any thread may call it; the interpreter lock is free meanwhile.

    Closed by `close`, at the end of a `with` block, or when it is collected.
    """

    @property
    def path(self) -> Path:
        """The database file, absolute."""
    @property
    def store(self) -> Path:
        """The store folder, absolute."""
    @property
    def url(self) -> str:
        """For SQLAlchemy, Django and their like: "sqlite:////srv/app.db"."""
    @property
    def journal(self) -> Literal["wal", "rollback"]:
        """How the database journals now: "wal", or "rollback" for every other mode."""
    @property
    def engine(self) -> Literal["inside", "keeper"]:
        """Where recording runs: in this process, or in the keeper."""
    def mark(self, name: str, *, pin: bool = False) -> Mark:
        """Name the present moment, to go there with `rewind` as often as you like. Takes no copy of anything.

        With `pin` everything that the mark needs stays in the store until the mark is dropped, whatever its age.

        Marks outlast the process. MarkExistsError if there is one of that name (`drop` it first), InvalidArgumentError
        if it reads as a time ("5 minutes ago"), StoreFullError if recording has stopped. In a rollback mode, after
        somebody wrote unrecorded, earlier marks are lost from then on, and this is the first of a new history.

        >>> seeded = db.mark("seeded")
        >>> db.rewind(seeded)  # or db.rewind("seeded")
        """
    def status(self) -> Status:
        """How far back the history reaches, what the store takes in bytes, and how its marks do: see `Status`.

        >>> db.status().window, db.status().used
        """
    def marks(self) -> Sequence[Mark]:
        """All marks, oldest first. The `state` of each says whether, and at what cost, a rewind to it works now.

        >>> [mark.name for mark in db.marks() if mark.state not in ("lost", "evicted")]
        """
    def drop(self, mark: str | Mark) -> None:
        """Forget a mark, given as such or by its name, which is free then. The history stays.

        MarkNotFoundError if there is none, or if the name is another moment's by now.
        """
    def rewind(
        self, to: str | Mark | Lsn | datetime | None = None, *, timeout: float | None = None, use_earliest: bool = False
    ) -> Rewound:
        """Make the database what it was at `to`, in place. `to` may be earlier or later than now.

        `to`: a mark or its name, a moment (an Lsn), or a time: an aware datetime, "5 minutes ago", "1h 30m ago",
        "2026-11-22T07:48:00Z"; None is the newest mark. A time means the newest moment at or before it that can be gone
        to; the result's `time` says when that was. In WAL mode every commit is one; in a rollback mode marks and both
        ends of rewinds are, and each commit only with `open(moments="commits")`.

        `timeout`: seconds to wait for others' transactions, instead of that of `open`. `use_earliest`: go to the
        earliest moment that can be reached if `to` lies before it, instead of BeforeWindowError, or MarkLostError for a
        mark.

        >>> done = db.rewind("seeded")
        >>> db.rewind(done.undo)  # and back
        >>> db.rewind("5 minutes ago", timeout=1)

        Every connection, in any process, stays open and sees the state at `to` in its next transaction. The rewind is
        recorded too: `rewind(result.undo)` takes it back. After an error the database is as it was before, unless
        the text says that the rewind took effect, or may have: the disk or the store failed at the very end then. If
        that leaves a gap in the history, recording has stopped, and every later call says so until it is opened anew.

        Errors: MarkNotFoundError, MarkLostError, BeforeWindowError, BusyError, NotAttachedError (somebody wrote
        unrecorded), StoreFullError, InvalidArgumentError (no such time, or a moment of another database),
        UnsupportedError, StoreDamagedError.
        """
    def rewound(self) -> AbstractContextManager[Mark]:
        """For a `with` block: what is written inside is rewound at its end, whether it succeeds or raises.

        >>> with db.rewound():
        ...     app.execute("DELETE FROM users")
        ...     app.commit()

        Everything that anybody has committed meanwhile is taken back, and BusyError tells of a transaction left open.
        """
    def at(self, to: str | Mark | Lsn | datetime) -> At:
        """The database as it was at `to`, beside the live one: `sqlite3.connect(db.at("seeded").uri, uri=True)`.

        Nothing is copied, nothing moves, nobody waits. What such a connection reads stays the same whatever is written
        or rewound meanwhile, until this recording is closed: then its reads fail. SQLite calls that "disk I/O error";
        the result's `failure` says why. A live connection can attach it, too: `ATTACH ? AS past`, if it was opened with
        `uri=True`.

        `to`: as for `rewind`. UnsupportedError where recording runs in the keeper: `clone` works there.
        """
    def clone(self, to: str | Mark | Lsn | datetime, path: str | bytes | PathLike[str] | PathLike[bytes]) -> None:
        """Copy the database as it was at `to` into a new file, a plain SQLite database, while others read and write.

        InvalidArgumentError if there is a file at `path`. The file has its name when it is complete and on disk; after
        an error or a kill there is none. Takes time for what the database holds, and no lock on it.
        """
    def diff(self, a: str | Mark | Lsn | datetime, b: str | Mark | Lsn | datetime | None = None) -> Diff:
        """Which rows, parts of the schema and counters differ between two moments; `b` None: the present one.

        Costs what has changed, not what the tables hold, unless long values were overwritten in place (as-of.md). Rows
        of SQLite's own tables are left out; `sqlite_sequence` is among the counters.

        >>> db.diff("seeded").tables["users"].deleted
        """
    def keep(self, path: str | bytes | PathLike[str] | PathLike[bytes]) -> None:
        """Copy the database as it is now into a new file, to look at it later. See `clone`."""
    def changes(self, since: str | Mark | Lsn | datetime | None = None) -> Diff:
        """Which rows, parts of the schema and counters have changed since a moment; None: since the newest mark.

        What is committed counts, whoever wrote it. Costs what has changed.

        >>> db.mark("seeded")
        >>> print(db.changes())
        nothing differs
        """
    def writers(self, since: str | Mark | Lsn | datetime | None = None) -> Sequence[Writer]:
        """Who has written what has changed since a moment; None: since the newest mark. What was rewound is left out.

        In a rollback mode each thread that has committed, who did last first, ended or not, with its process: those
        that write say so. In WAL mode nothing does; the pytest plugin looks who is connected while tests write, and
        then those other processes are listed that were seen right after such a commit, with `thread` None. Commits of
        which nothing is known are nobody's.

        >>> [writer.program for writer in db.writers("seeded")]
        """
    def dirty_since(self, to: str | Mark | Lsn | datetime) -> bool:
        """Whether anything was committed since `to` (as for `rewind`). Takes the same time for any change.

        >>> db.rewind("seeded")
        >>> db.dirty_since("seeded")
        False
        """
    def now(self) -> Lsn:
        """The present moment, the newest commit or rewind, to be given to `rewind`, `diff` and their like.

        NotAttachedError if somebody wrote unrecorded since.
        """
    def digest(self) -> str:
        """xxh3-128 of every page in hex, but for the bytes that move forward (format.md, "Bytes that move forward").

        Equal digests mean equal databases. Reads the whole file.
        """
    def close(self) -> None:
        """Stop recording. Marks stay valid until somebody writes unrecorded. Closing twice is allowed.

        The handle is closed after an error, too: StoreFullError says then that the last commits, or all since the store
        was full, were not recorded.
        """
    def _position_at(self, to: str | Mark | Lsn | datetime, /) -> tuple[int, int] | None: ...
    def _is_at(self, moment: int, marks: int, /) -> bool: ...
    def _glance(self, moment: int, marks: int, /) -> bool: ...
    def _rests_at(self, moment: int, marks: int, /) -> bool: ...
    def _remember_connected(self, on: bool, /) -> None: ...
    def _hold(self, marks: list[str] | None, /) -> None: ...
    def _watch(self, call: Callable[[str], object] | None, /) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class At:
    """A moment of the database, to be read beside the live one. Keep it, or its `uri`, or a connection: each is enough.

    While it is there, or a connection that was opened with it, the store evicts nothing.
    """

    @property
    def uri(self) -> str:
        """For `sqlite3.connect(at.uri, uri=True)`, in this process."""
    @property
    def lsn(self) -> Lsn:
        """The moment."""
    @property
    def time(self) -> datetime:
        """When it was, in UTC."""
    @property
    def failure(self) -> str | None:
        """Why the newest read that failed did so: SQLite says no more than "disk I/O error". None after `close`."""
    def close(self) -> None:
        """Keep it no longer. Open connections go on. Closing twice is allowed."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Diff:
    """What differs between two moments. False if nothing does; `str()` tells it in lines."""

    @property
    def before(self) -> Lsn:
        """The first moment."""
    @property
    def after(self) -> Lsn:
        """The second moment."""
    @property
    def schema(self) -> dict[str, Literal["created", "dropped", "changed"]]:
        """Tables, indexes, views and triggers that differ: `{"table users": "created"}`."""
    @property
    def tables(self) -> dict[str, TableDiff]:
        """The tables with rows that differ, by name."""
    @property
    def counters(self) -> dict[str, tuple[int | None, int | None]]:
        """The counters that differ, each with what it was and is: `{"sqlite_sequence.users": (2, 5)}`.

        `sqlite_sequence.users` is the highest id that AUTOINCREMENT gave in the table `users`; the others are
        `user_version` and `application_id`.
        """
    @property
    def pages_read(self) -> int:
        """How many pages were read for it."""
    def __bool__(self) -> bool: ...

_Value: TypeAlias = int | float | str | bytes | None

@final
class TableDiff:
    """The rows of one table that differ: their rowids, or the primary keys of a table WITHOUT ROWID.

    A key of one column is its value, one of several a tuple.
    """

    @property
    def inserted(self) -> list[_Value | tuple[_Value, ...]]:
        """There at the second moment only."""
    @property
    def deleted(self) -> list[_Value | tuple[_Value, ...]]:
        """There at the first moment only."""
    @property
    def updated(self) -> list[_Value | tuple[_Value, ...]]:
        """There at both, with different content."""

@final
class Lsn:
    """A moment in the history of one database. Ordered among moments of that database only."""

    def __new__(cls, path: str, number: int) -> Self: ...
    @property
    def path(self) -> str:
        """The database whose moment it is."""
    @property
    def number(self) -> int:
        """Its place: grows with every commit and rewind, with gaps."""
    def __lt__(self, other: Lsn, /) -> bool: ...
    def __le__(self, other: Lsn, /) -> bool: ...
    def __gt__(self, other: Lsn, /) -> bool: ...
    def __ge__(self, other: Lsn, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Mark:
    """A named moment. Another process may get it pickled, for its own recording of the same database."""

    @property
    def name(self) -> str:
        """Its name."""
    @property
    def lsn(self) -> Lsn:
        """The moment that it names."""
    @property
    def time(self) -> datetime:
        """When it was made, in UTC."""
    @property
    def pages(self) -> int:
        """Length of the database then."""
    @property
    def pinned(self) -> bool:
        """Whether it keeps what it needs from being evicted."""
    @property
    def state(self) -> Literal["hot", "archived", "evicted", "lost"]:
        """hot: a rewind costs the same for any change; archived: it costs what differs; evicted, lost: it is refused.

        A mark is evicted when it is older than what the store keeps (DBR027).
        A mark is lost when recording was interrupted after it (DBR011), or has stopped, as for a full store (DBR010).
        """

@final
class Pin:
    """A mark that keeps what it needs from being evicted."""

    @property
    def name(self) -> str:
        """The mark's name."""
    @property
    def lsn(self) -> Lsn:
        """The moment that it names."""
    @property
    def time(self) -> datetime:
        """When it was made, in UTC."""
    @property
    def bytes(self) -> int:
        """Bytes of the store that it holds: from its era on to the newest era."""

@final
class Process:
    """Another process."""

    @property
    def pid(self) -> int:
        """Its number."""
    @property
    def name(self) -> str:
        """What the system calls it, 15 characters at most."""
    @property
    def stopped(self) -> bool:
        """It does not run: by Ctrl-Z, SIGSTOP or a debugger."""
    @property
    def holds(self) -> Sequence[str]:
        """Which of the store's locks it has, in words: "prepares to evict"."""

@final
class Status:
    """How far back the history reaches, what the store takes, and how its marks do."""

    @property
    def state(self) -> Literal["ok", "alert", "full", "stopped"]:
        """ok; alert: something younger than the target was evicted, since there was no room; full: no room for more,
        and nothing that may be evicted; stopped: nothing is recorded any more."""
    @property
    def used(self) -> int:
        """Bytes of the store."""
    @property
    def raw(self) -> int:
        """Of them, bytes of segments that are not sealed, among them room for what comes next."""
    @property
    def sealed(self) -> int:
        """Of them, bytes of sealed segments."""
    @property
    def limit(self) -> int:
        """Most bytes that the store may have."""
    @property
    def target(self) -> timedelta:
        """How far back it shall reach."""
    @property
    def window(self) -> timedelta:
        """How far back it does reach."""
    @property
    def earliest(self) -> Lsn | None:
        """The oldest moment that can be reached."""
    @property
    def earliest_time(self) -> datetime | None:
        """Its time, in UTC."""
    @property
    def forecast(self) -> timedelta | None:
        """How long a window the limit holds at the present rate; None if too little was recorded to tell."""
    @property
    def pins(self) -> Sequence[Pin]:
        """Pinned marks, oldest first."""
    @property
    def marks(self) -> dict[Literal["hot", "archived", "evicted", "lost"], int]:
        """How many marks there are, by state."""
    @property
    def waits_for(self) -> Sequence[Process]:
        """The other processes that have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger).

        Until they go on or end, what is old may be neither sealed nor evicted, and a rewind may have to wait. Those
        of other users are left out unless this process may look."""

@final
class Writer:
    """Who has written, or may have."""

    @property
    def pid(self) -> int:
        """Its process."""
    @property
    def program(self) -> str:
        """What that runs: the program, and the first argument that says more. Empty: not known."""
    @property
    def runs(self) -> bool | None:
        """Whether the process still runs. None: not known, as of one in another container."""
    @property
    def thread(self) -> int | None:
        """The thread that committed, as `threading.get_native_id()` has it. None: it was only seen to be connected."""
    @property
    def thread_runs(self) -> bool:
        """Whether that thread is known to run still."""
    @property
    def commits(self) -> int:
        """How many commits are its own for certain."""

@final
class Rewound:
    """What a rewind did. It can be pickled.

    It is false to Python, whatever the rewind did, so that `db.rewind` can be given to who takes a true result for
    something else: `benchmark.pedantic(work, setup=db.rewind)`. `method` says whether anything had to be done.
    """

    @property
    def to(self) -> Lsn:
        """The moment whose state the database has now."""
    @property
    def time(self) -> datetime:
        """When that moment was the newest one for the first time, in UTC."""
    @property
    def undo(self) -> Lsn:
        """The moment just before; rewind to it to take the rewind back."""
    @property
    def pages(self) -> int:
        """Pages that were written."""
    @property
    def seconds(self) -> float:
        """How long it took, waiting included."""
    @property
    def method(self) -> Literal["moved", "written", "nothing"]:
        """moved: one frame was written, whatever differs; written: each differing page was; nothing: it was there."""
    @property
    def _position(self) -> tuple[int, int] | None: ...
    def __bool__(self) -> Literal[False]: ...

class UnsafeJournalWarning(UserWarning):
    """A connection works without a journal on disk: a kill would tear the database."""

class Error(Exception):
    """Root of all errors of this package. The text says what happened, why, and what to do."""

    code: str
    """Stable: "DBR003" keeps its meaning in every version."""

class NotAttachedError(Error):
    """DBR001: A write bypassed the recording."""

class UnreachableError(Error):
    """DBR002: This SQLite cannot be reached."""

class MarkNotFoundError(Error, LookupError):
    """DBR003: No such mark."""

class BusyError(Error, TimeoutError):
    """DBR004: Somebody else holds what is needed."""

class StoreFullError(Error, OSError):
    """DBR010: The store cannot grow."""

class MarkLostError(Error):
    """DBR011: The mark can no longer be reached."""

class FileMissingError(Error, FileNotFoundError):
    """DBR012: A file is missing."""

class NotADatabaseError(Error):
    """DBR013: Not a database."""

class NotWritableError(Error, PermissionError):
    """DBR014: No permission to write."""

class StoreDamagedError(Error):
    """DBR015: The store is damaged."""

class StoreVersionError(Error):
    """DBR016: The store has another format version."""

class TwoSqlitesError(Error):
    """DBR017: Two SQLite libraries in one process."""

class FileReplacedError(Error):
    """DBR018: The database file was replaced."""

class ClosedError(Error):
    """DBR019: Already closed."""

class ForkedError(Error):
    """DBR020: The process was forked."""

class UnsupportedError(Error):
    """DBR021: Not supported."""

class InvalidArgumentError(Error, ValueError):
    """DBR022: An argument is not valid."""

class MarkExistsError(Error):
    """DBR023: The mark already exists."""

class KeeperFailedError(Error):
    """DBR024: The keeper process failed."""

class IoError(Error, OSError):
    """DBR025: Reading or writing failed."""

class BeforeWindowError(Error):
    """DBR027: Before the earliest moment that can be reached."""

class InternalError(Error):
    """DBR099: A defect in dbrewind."""
