"""A rewind that connections in a traceback do not keep waiting."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from dbrewind._dbrewind import Database, Mark, Rewound


def rewind(db: Database, to: str | Mark, traceback: TracebackType | None) -> Rewound:
    """Rewind. A traceback keeps the connections of a function that raised, and their transactions open."""
    from dbrewind import BusyError

    try:
        return db.rewind(to, timeout=0)
    except BusyError:
        # pytest lets go of the last failure when the next test is called, which is too late for this one's end.
        _let_go(traceback)
        gc.collect()
    return db.rewind(to)


def _let_go(traceback: TracebackType | None) -> None:
    """Of the local variables of functions that are over."""
    while traceback is not None:
        frame = traceback.tb_frame
        with suppress(RuntimeError):  # It is not over.
            frame.clear()
        # Before Python 3.13 a report that shows them leaves a copy, which is brought up to date by this.
        _ = frame.f_locals
        traceback = traceback.tb_next
