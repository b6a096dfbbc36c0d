"""SQLAlchemy: commits are taken back, pools stay, sessions read anew, and the recipe that does not roll back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

import dbrewind
import dbrewind.sqlalchemy


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One row."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        db.execute("INSERT INTO users(name) VALUES ('Ann')")
        db.commit()
    return path


@pytest.fixture
def engine(file: Path) -> Generator[Engine, None, None]:
    """SQLAlchemy's default mode of the sqlite3 module."""
    engine = create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


def rows(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM users").fetchone()[0])


def application(session: Session) -> None:
    """Code under test: it commits, works on, and rolls back what went wrong."""
    session.add(User(name="Bob"))
    session.commit()
    session.add(User(name="Cid"))
    with session.begin_nested():
        session.add(User(name="Dan"))
    session.commit()


def recipe(engine: Engine, second_writer: bool) -> None:
    """The fixture of many test suites: an outer transaction, savepoints within, and a rollback at the end."""
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            application(session)
        if second_writer:
            with Session(engine) as other:
                other.add(User(name="Eve"))
                other.commit()
        outer.rollback()


def test_fact_6_the_recipe_does_not_roll_back(engine: Engine, file: Path) -> None:
    """Why we are here: in the driver's default mode a SAVEPOINT begins no transaction, and RELEASE commits."""
    recipe(engine, second_writer=False)
    assert rows(file) == 4


def test_fact_6_its_cure_locks_a_second_writer_out(file: Path) -> None:
    """With autocommit=False it rolls back; but a second connection cannot write."""
    arguments = {"timeout": 0.1}
    if hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL"):
        arguments["autocommit"] = False
    engine = create_engine(f"sqlite:///{file}", connect_args=arguments)
    if "autocommit" not in arguments:  # before Python 3.12: what SQLAlchemy's manual says

        @event.listens_for(engine, "connect")
        def by_hand(connection: Any, record: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

    recipe(engine, second_writer=False)
    assert rows(file) == 1
    with pytest.raises(Exception, match="database is locked"):
        recipe(engine, second_writer=True)
    engine.dispose()


def test_fact_6_default_mode_and_a_second_writer_leave_exactly_the_base_rows(engine: Engine, file: Path) -> None:
    with dbrewind.open(file) as db:
        before = db.digest()
        for _ in range(3):
            with db.rewound():
                with Session(engine) as session, Session(engine) as other:
                    application(session)
                    other.add(User(name="Eve"))
                    other.commit()
                    assert other.scalar(text("SELECT max(id) FROM users")) == 5
                assert rows(file) == 5
            assert rows(file) == 1
            assert db.digest() == before


def test_pooled_connections_stay(engine: Engine, file: Path) -> None:
    with dbrewind.open(file) as db, engine.connect() as held:
        with engine.connect() as connection:
            before = connection.connection.dbapi_connection
        with db.rewound():
            held.execute(text("DELETE FROM users"))
            held.commit()
        assert held.scalar(text("SELECT count(*) FROM users")) == 1
        with engine.connect() as connection:
            assert connection.connection.dbapi_connection is before
            assert connection.scalar(text("SELECT count(*) FROM users")) == 1


def test_a_pooled_connection_with_an_open_transaction_is_named(engine: Engine, file: Path) -> None:
    with dbrewind.open(file, timeout=0.1) as db, engine.connect() as held:
        db.mark("base")
        held.execute(text("DELETE FROM users"))
        with pytest.raises(dbrewind.BusyError, match="DBR004"):
            db.rewind("base")
        held.rollback()
        db.rewind("base")


MAKERS: dict[str, Callable[[Engine], Any]] = {
    "sessionmaker": sessionmaker,
    "scoped_session": lambda engine: scoped_session(sessionmaker(engine)),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("bound", [True, False])
def test_a_session_reads_anew(engine: Engine, file: Path, kind: str, bound: bool) -> None:
    """And not without `bind`, or this test would show nothing."""
    maker = MAKERS[kind](engine)
    if bound:
        dbrewind.sqlalchemy.bind(maker)
    with dbrewind.open(file) as db, maker() as session:
        db.mark("base")
        user = session.get(User, 1)
        user.name = "Zoe"
        session.commit()
        assert user.name == "Zoe"
        db.rewind("base")
        dbrewind.sqlalchemy.expire_all()
        assert user.name == ("Ann" if bound else "Zoe")
        assert not session.dirty


def test_a_session_of_asyncio_reads_anew(file: Path) -> None:
    pytest.importorskip("aiosqlite")

    async def story(db: dbrewind.Database) -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
        maker, foreign = async_sessionmaker(engine, expire_on_commit=False), async_sessionmaker(engine)
        dbrewind.sqlalchemy.bind(maker)
        async with maker() as session, foreign() as other:
            user = await session.get_one(User, 1)
            user.name = "Zoe"
            await session.commit()
            kept = await other.get_one(User, 1)
            await other.rollback()
            await other.refresh(kept)
            db.rewind("base")
            dbrewind.sqlalchemy.expire_all()
            assert "name" in inspect(user).expired_attributes
            assert "name" not in inspect(kept).expired_attributes
            await session.refresh(user)
            assert user.name == "Ann"
        await engine.dispose()

    with dbrewind.open(file) as db:
        db.mark("base")
        asyncio.run(story(db))


def test_a_session_that_is_gone_is_forgotten(engine: Engine) -> None:
    maker = sessionmaker(engine)
    dbrewind.sqlalchemy.bind(maker)
    with maker() as session:
        session.get(User, 1)
        assert session in dbrewind.sqlalchemy._sessions
    del session
    assert not [one for one in dbrewind.sqlalchemy._sessions if one.bind is engine]


def test_the_plugin_calls_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest, sqlite3
        from sqlalchemy import create_engine
        from sqlalchemy.orm import sessionmaker
        import dbrewind.sqlalchemy

        @pytest.fixture(scope="session")
        def sessions(dbrewind_db):
            maker = sessionmaker(create_engine(dbrewind_db.url))
            dbrewind.sqlalchemy.bind(maker)
            return maker

        @pytest.fixture(scope="session")
        def session(sessions):
            with sessions() as session:
                yield session

        @pytest.fixture(scope="session")
        def dbrewind_setup(dbrewind_db):
            db = sqlite3.connect(dbrewind_db.path)
            db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
            db.execute("INSERT INTO users VALUES (1, 'Ann')")
            db.commit()
            db.close()
    """)
    pytester.makepyfile("""
        import pytest
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        @pytest.mark.parametrize("turn", range(3))
        def test_it(dbrewind, session, turn):
            user = session.get(User, 1)
            assert user.name == "Ann"
            user.name = "Zoe"
            session.commit()
            assert user.name == "Zoe"
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
