"""Record a SQLite database, mark moments, and rewind to them in place.

>>> import dbrewind
>>> db = dbrewind.open("app.db")            # doctest: +SKIP
>>> seeded = db.mark("seeded")              # doctest: +SKIP
>>> db.rewind("seeded")                     # doctest: +SKIP

Connections to the file stay open, in this process and in others, and see the marked state afterwards.
The compiled half is loaded on first use of a name, so that pytest, which imports the plugin of this
package in every run, does not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbrewind._dbrewind import (
        At,
        BeforeWindowError,
        BusyError,
        ClosedError,
        Database,
        Diff,
        Error,
        FileMissingError,
        FileReplacedError,
        ForkedError,
        InternalError,
        InvalidArgumentError,
        IoError,
        KeeperFailedError,
        Lsn,
        Mark,
        MarkExistsError,
        MarkLostError,
        MarkNotFoundError,
        NotADatabaseError,
        NotAttachedError,
        NotWritableError,
        Pin,
        Process,
        Rewound,
        Status,
        StoreDamagedError,
        StoreFullError,
        StoreVersionError,
        TableDiff,
        TwoSqlitesError,
        UnreachableError,
        UnsafeJournalWarning,
        UnsupportedError,
        Writer,
        __version__,
        open,  # noqa: A004 - dbrewind.open reads like gzip.open
    )

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
    "open",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module("dbrewind._dbrewind"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
