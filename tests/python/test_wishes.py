"""What people who reset databases between tests ask for, most wanted first: one test each, or two turns of one."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbrewind import Database
from dbrewind.pytest_plugin.target import DatabaseUnderTest
from plugin_scene import CONFTEST, OVERRIDE, run
from second_process import SecondProcess

TWICE = pytest.mark.parametrize("turn", [1, 2])
BUILT: list[int] = []


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: DatabaseUnderTest) -> None:
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        for number in range(200):
            db.execute(f"CREATE TABLE t{number}(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        db.execute("INSERT INTO t0(name) VALUES ('Ann'), ('Bob')")
        db.commit()


@pytest.fixture
def shop(dbrewind_db: DatabaseUnderTest) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        yield db


class Cache:
    """What an application keeps outside of the database."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[str, str]] = []

    def pytest_dbrewind_after_rewind(self, db: Database, mark: str) -> None:
        self.forgotten.append((db.path.name, mark))


@pytest.fixture
def cache(pytestconfig: pytest.Config) -> Generator[Cache, None, None]:
    cache = Cache()
    pytestconfig.pluginmanager.register(cache)
    yield cache
    pytestconfig.pluginmanager.unregister(cache)


def names(shop: sqlite3.Connection) -> list[str]:
    return [name for (name,) in shop.execute("SELECT name FROM t0 ORDER BY id")]


@TWICE
def test_wish_01_reset_to_a_seeded_state(dbrewind: Database, shop: sqlite3.Connection, turn: int) -> None:
    assert names(shop) == ["Ann", "Bob"]
    shop.execute("DELETE FROM t0")


def test_wish_02_not_to_pay_for_each_table(dbrewind: Database, shop: sqlite3.Connection) -> None:
    """One of 200 tables was written to: that many pages are gone back, not all."""
    shop.execute("INSERT INTO t7(name) VALUES ('Zoe')")
    done = dbrewind.rewind()
    assert done.pages < 10 < dbrewind.marks()[0].pages


@pytest.fixture(scope="module")
def catalogue(dbrewind_module: Database) -> None:
    BUILT.append(1)
    with closing(sqlite3.connect(dbrewind_module.path)) as db:
        db.executemany("INSERT INTO t1(name) VALUES (?)", [(str(number),) for number in range(1000)])
        db.commit()


@TWICE
def test_wish_03_expensive_data_once_for_a_module(
    catalogue: None, dbrewind: Database, shop: sqlite3.Connection, turn: int
) -> None:
    assert shop.execute("SELECT count(*) FROM t1").fetchone() == (1000,)
    shop.execute("DELETE FROM t1")
    assert BUILT == [1]


@TWICE
def test_wish_04_another_process_thread_or_connection_writes(
    dbrewind: Database, shop: sqlite3.Connection, turn: int
) -> None:
    assert names(shop) == ["Ann", "Bob"]

    def work() -> None:
        with closing(sqlite3.connect(dbrewind.path)) as db:
            db.execute("INSERT INTO t0(name) VALUES ('thread')")
            db.commit()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM t0'); d.commit()"
    subprocess.run([sys.executable, "-c", program, dbrewind.path], check=True)
    assert names(shop) == []


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@TWICE
@pytest.mark.anyio
async def test_wish_05_async_works(dbrewind: Database, shop: sqlite3.Connection, turn: int) -> None:
    def one(number: int) -> None:
        with closing(sqlite3.connect(dbrewind.path)) as db:
            db.execute("INSERT INTO t0(name) VALUES (?)", (str(number),))
            db.commit()

    assert len(names(shop)) == 2
    await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(3)))
    assert len(names(shop)) == 5


@TWICE
def test_wish_06_the_same_ids_every_time(dbrewind: Database, shop: sqlite3.Connection, turn: int) -> None:
    assert shop.execute("INSERT INTO t0(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)


@TWICE
def test_wish_07_a_schema_change_in_the_midst(dbrewind: Database, shop: sqlite3.Connection, turn: int) -> None:
    shop.execute("BEGIN")
    shop.execute("INSERT INTO t0(name) VALUES ('Zoe')")
    shop.executescript("CREATE TABLE more(x); ALTER TABLE t0 ADD COLUMN mail; DROP TABLE t1;")  # commits
    assert shop.execute("SELECT count(*) FROM t0").fetchone() == (3,)


def test_wish_08_workers_share_one_base(pytester: pytest.Pytester) -> None:
    note = "    with open('built', 'a') as file:\n        file.write('x')\n    with closing"
    pytester.makeconftest(CONFTEST.replace("    with closing", note, 1) + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile("""
        def test_it(dbrewind, app):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
    """)
    run(pytester, "-n", "2", "--dist", "each", plugins=("xdist",)).assert_outcomes(passed=2)
    assert (pytester.path / "built").read_text() == "x"


def test_wish_09_who_polluted_the_database(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        def test_one(dbrewind): pass
        def test_two(app):
            app.execute("INSERT INTO users(name) VALUES ('Zoe')")
        def test_three(dbrewind): pass
    """)
    result = run(pytester)
    result.stdout.fnmatch_lines(["*DBR008*", "*by: *.py::test_two", "*users: 1 inserted (3)"])


def test_wish_10_the_database_of_a_failed_test_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        test_it="""
        def test_it(dbrewind, app):
            app.execute("INSERT INTO users(name) VALUES ('Zoe')")
            assert False
        """
    )
    run(pytester, "--dbrewind-keep=failed").assert_outcomes(failed=1)
    with closing(sqlite3.connect(pytester.path / ".dbrewind/failed/test_it.py-test_it.db")) as db:
        assert db.execute("SELECT count(*) FROM users").fetchone() == (3,)


def test_wish_11_no_connection_is_killed(dbrewind: Database, shop: sqlite3.Connection) -> None:
    with SecondProcess(dbrewind.path) as other:
        for _ in range(20):
            other("INSERT INTO t0(name) VALUES ('other')")
            shop.execute("INSERT INTO t0(name) VALUES ('this')")
            assert len(names(shop)) == 4
            dbrewind.rewind()
            assert other("SELECT count(*) FROM t0") == [[2]]
            assert len(names(shop)) == 2


@given(st.text(alphabet="abc"))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wish_12_each_example_begins_anew(dbrewind: Database, name: str) -> None:
    with dbrewind.rewound(), closing(sqlite3.connect(dbrewind.path, isolation_level=None)) as db:
        assert db.execute("INSERT INTO t0(name) VALUES (?) RETURNING id", (name,)).fetchone() == (3,)


def test_wish_12_each_round_of_a_benchmark_begins_anew(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        def test_it(dbrewind, app, benchmark):
            ids = []
            def work():
                ids.extend(app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone())
            benchmark.pedantic(work, setup=dbrewind.rewind, rounds=10)
            assert ids == [3] * 10

        def test_the_last_round_is_gone(dbrewind, app):
            assert app.execute("SELECT max(id) FROM users").fetchone() == (2,)
    """)
    run(pytester, plugins=("benchmark",)).assert_outcomes(passed=2)


def test_wish_13_never_the_wrong_database(pytester: pytest.Pytester) -> None:
    path = Path(__file__).parents[2] / "target" / "shop.db"
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body=f"return {str(path)!r}"))
    pytester.makepyfile("def test_it(dbrewind): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*DBR007*shop.db does not look like a database of tests*"])
    assert not path.exists()


def test_wish_14_a_hook_for_caches_outside_of_the_database(
    dbrewind: Database, shop: sqlite3.Connection, cache: Cache
) -> None:
    dbrewind.rewind()
    assert cache.forgotten == []
    shop.execute("DELETE FROM t0")
    dbrewind.rewind("base")
    with dbrewind.rewound() as begin:
        shop.execute("DELETE FROM t0")
    assert cache.forgotten == [("test.db", "base"), ("test.db", begin.name)]
