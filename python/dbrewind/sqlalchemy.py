"""Sessions of SQLAlchemy that outlive a rewind.

Engines, pools and connections need nothing: they stay valid. Only a Session keeps rows that it has read. `bind` has it
forget them after each rewind that the pytest plugin makes:

>>> sessions = sessionmaker(create_engine(dbrewind_db.url))
>>> dbrewind.sqlalchemy.bind(sessions)
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

__all__ = ["bind", "expire_all"]

_sessions: WeakSet[Session] = WeakSet()


def bind(
    maker: sessionmaker[Any]
    | scoped_session[Any]
    | async_sessionmaker[Any]
    | async_scoped_session[Any]
    | type[Session]
    | Session
    | AsyncSession,
) -> None:
    """Have every session of this maker forget what it has read after each rewind (`Session.expire_all`).

    `maker`: a `sessionmaker`, a `scoped_session`, a subclass of `Session`, their asyncio counterparts, or one session.
    No session or class of yours is changed, no transaction is begun or ended: an event is listened for. Since there is
    none of an `async_sessionmaker`, that one is configured anew: its `sync_session_class` becomes a subclass of the one
    that it had. Call it once, before the sessions are made.

    Objects are read anew when an attribute is asked for; with asyncio, where that is not possible, after
    `await session.refresh(object)`. A session that is still in a transaction goes on reading what that began with.
    """
    if isinstance(maker, async_scoped_session):
        maker = maker.session_factory
    if isinstance(maker, (Session, AsyncSession)):
        _sessions.add(maker.sync_session if isinstance(maker, AsyncSession) else maker)
        return
    if isinstance(maker, async_sessionmaker):
        # The maker's own subclass, so that the event is not everybody's.
        made = maker.kw.get("sync_session_class") or maker.class_.sync_session_class
        maker.configure(sync_session_class=(made := type(made.__name__, (made,), {})))
        event.listen(made, "after_begin", _remember)
        return
    event.listen(maker, "after_begin", _remember)


def expire_all() -> None:
    """What happens after each rewind under pytest; for programs that rewind by themselves."""
    for session in list(_sessions):
        session.expire_all()


def _remember(session: Session, *_: object) -> None:
    _sessions.add(session)
