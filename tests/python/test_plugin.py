"""The pytest plugin, in sessions of their own."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
import plugin_scene
from conftest import create
from plugin_scene import CONFTEST, OVERRIDE

TESTS = """
import subprocess, sys, threading, sqlite3

import pytest

@pytest.mark.parametrize("turn", range(3))
def test_commits_are_taken_back(dbrewind, app, turn):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)

@pytest.mark.parametrize("turn", range(2))
def test_a_schema_change_is_taken_back(dbrewind, app, turn):
    app.execute("CREATE TABLE t(x)")
    app.execute("DROP TABLE users")

def test_writes_of_another_process_are_taken_back(dbrewind, dbrewind_db):
    program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM users'); d.commit()"
    subprocess.run([sys.executable, "-c", program, str(dbrewind_db.path)], check=True)

def test_and_nothing_is_left(dbrewind, app):
    assert app.execute("SELECT name FROM users").fetchall() == [("Ann",), ("Bob",)]

@pytest.mark.parametrize("turn", range(2))
def test_marks_of_a_test_are_dropped(dbrewind, turn):
    dbrewind.mark("mine")
    assert "base" in [mark.name for mark in dbrewind.marks()]
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    plugins = ("xdist",) if "-n" in arguments else ()
    return plugin_scene.run(pytester, "-p", "no:cacheprovider", *arguments, plugins=plugins)


def test_each_test_starts_from_the_set_up_state(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    run(pytester).assert_outcomes(passed=9)


def test_nothing_happens_unless_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import sys
        def test_plain(tmp_path_factory):
            assert "dbrewind._dbrewind" not in sys.modules
            assert "sqlite3" in sys.modules  # by conftest, not by us
            assert not list(tmp_path_factory.getbasetemp().glob("dbrewind*"))
    """)
    run(pytester).assert_outcomes(passed=1)


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(dbrewind): pass")
    result = run(pytester, "-p", "no:dbrewind")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'dbrewind' not found*"])


def test_fixtures_are_listed_with_their_docs(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fixtures")
    result.stdout.fnmatch_lines(
        [
            "dbrewind_db *session scope*",
            "*Override: which database.*",
            "dbrewind_setup *session scope*",
            "dbrewind --*",
        ]
    )


@pytest.mark.parametrize(
    "body",
    [
        "return 'sqlite:///test.db'",
        "return 'test.db'",
        "import pathlib; return pathlib.Path('test.db')",
        "import sqlalchemy; return sqlalchemy.create_engine('sqlite:///test.db')",
    ],
)
def test_the_database_can_be_given_in_many_ways(pytester: pytest.Pytester, body: str) -> None:
    if "sqlalchemy" in body:
        pytest.importorskip("sqlalchemy")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body=body))
    pytester.makepyfile(TESTS + "\ndef test_url(dbrewind_db):\n    assert dbrewind_db.url.endswith('/test.db')\n")
    run(pytester).assert_outcomes(passed=10)
    assert (pytester.path / "test.db").exists()


def test_a_handle_can_be_given(pytester: pytest.Pytester) -> None:
    create(pytester.path / "own.db", "wal")
    body = "import dbrewind\n    with dbrewind.open('own.db') as db:\n        yield db"
    pytester.makeconftest(CONFTEST.replace("CREATE TABLE users", "CREATE TABLE people") + OVERRIDE.format(body=body))
    pytester.makepyfile("""
        import pytest
        @pytest.mark.parametrize("turn", range(2))
        def test_it(dbrewind, app, turn):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (102,)
            app.execute("DELETE FROM users")
    """)
    run(pytester).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return 'postgresql:///test'", "*'postgresql:///test' is not a URL of a SQLite file*"),
        ("return 'sqlite://'", "*names no file*"),
        ("return ':memory:'", "*names no file*"),
        ("return 7", "*not int*"),
    ],
)
def test_a_database_that_is_none(pytester: pytest.Pytester, body: str, text: str) -> None:
    """Each test that asks for it says so, and none says anything else."""
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body=body))
    pytester.makepyfile(
        "def test_it(dbrewind, app): pass\ndef test_more(app): pass\ndef test_most(dbrewind_module): pass"
    )
    result = run(pytester)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines([text] * 3)
    assert "AttributeError" not in result.stdout.str()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_an_existing_database_is_left_as_it_was_found(pytester: pytest.Pytester, mode: str) -> None:
    path = create(pytester.path / "test.db", mode)
    with closing(sqlite3.connect(path)) as db:
        before = list(db.iterdump())
    pytester.makeconftest(
        CONFTEST.replace("CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)", "DELETE FROM users")
        + OVERRIDE.format(body="return 'sqlite:///test.db'")
    )
    pytester.makepyfile("""
        def test_it(dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
            app.execute("DROP TABLE orders")
    """)
    for _ in range(2):
        run(pytester).assert_outcomes(passed=1)
        with closing(sqlite3.connect(path)) as db:
            assert list(db.iterdump()) == before


def test_a_killed_session_is_made_up_for_by_the_next(pytester: pytest.Pytester) -> None:
    create(pytester.path / "test.db", "wal")
    pytester.makeconftest(
        CONFTEST.replace("CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)", "DELETE FROM users")
        + OVERRIDE.format(body="return 'sqlite:///test.db'")
    )
    pytester.makepyfile("""
        import os, pathlib, signal
        def test_it(dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
            assert app.execute("SELECT count(*) FROM orders").fetchone() == (100,)
            app.execute("DELETE FROM orders")
            if not pathlib.Path("killed").exists():
                pathlib.Path("killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert run(pytester).ret == -9
    result = run(pytester)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*the last test session on */test.db was killed or could not*"])


def test_a_look_between_two_sessions_costs_nothing(pytester: pytest.Pytester) -> None:
    """Marks of a session's database are there for the next session, whoever has read it in between."""
    path = create(pytester.path / "test.db", "wal")
    pytester.makeconftest(CONFTEST.partition("@pytest")[0] + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile("""
        import sqlite3
        def test_it(dbrewind, dbrewind_db):
            app = sqlite3.connect(dbrewind_db.path, isolation_level=None)
            assert app.execute("SELECT count(*) FROM orders").fetchone() == (100,)
            app.execute("DELETE FROM orders")
            app.close()
    """)
    with dbrewind.open(path) as db:
        db.mark("mine")
    for _ in range(2):
        run(pytester).assert_outcomes(passed=1)
        subprocess.run([sys.executable, "-c", WRITES_OUTSIDE, str(path), "wal"], check=True)
    with dbrewind.open(path) as db:
        assert [mark.state for mark in db.marks() if mark.name == "mine"] != ["lost"]
        db.rewind("mine")


WRITES_OUTSIDE = """
import sqlite3, sys
from contextlib import closing
with closing(sqlite3.connect(sys.argv[1])) as db:
    if sys.argv[2] == "delete":
        db.execute("PRAGMA user_version=7")
    db.execute("SELECT count(*) FROM users").fetchone()
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_lost_state_as_found_stops_the_session(pytester: pytest.Pytester, mode: str) -> None:
    """A look with plain sqlite3 back-fills and deletes a killed session's WAL; its rows must not become "as found"."""
    path = create(pytester.path / "test.db", mode)
    pytester.makeconftest(CONFTEST.partition("@pytest")[0] + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile("""
        import os, pathlib, signal, sqlite3
        def test_it(dbrewind, dbrewind_db):
            app = sqlite3.connect(dbrewind_db.path, isolation_level=None)
            app.execute("DELETE FROM orders")
            app.close()
            if not pathlib.Path("killed").exists():
                pathlib.Path("killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert run(pytester).ret == -9
    subprocess.run([sys.executable, "-c", WRITES_OUTSIDE, str(path), mode], check=True)
    for _ in range(2):
        result = run(pytester)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["*test.db may hold what the last test session wrote*", "*delete the folder*-rewind*"]
        )
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    shutil.rmtree(f"{path}-rewind")
    run(pytester).assert_outcomes(passed=1)


def test_workers_of_xdist_have_a_file_each(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'sqlite:///test.db'"))
    pytester.makepyfile(TESTS)
    run(pytester, "-n", "2").assert_outcomes(passed=9)
    assert sorted(path.name for path in pytester.path.glob("*.db")) == ["test-gw0.db", "test-gw1.db"]


ENGINE = "import sqlalchemy; return sqlalchemy.create_engine('sqlite:///{name}')"
HANDLE = "import dbrewind\n    return dbrewind.open('{name}')"


@pytest.mark.parametrize("body", [ENGINE, HANDLE])
def test_workers_of_xdist_do_not_share_what_is_open(pytester: pytest.Pytester, body: str) -> None:
    for module in ("xdist", "sqlalchemy"):
        pytest.importorskip(module)
    create(pytester.path / "test.db", "wal")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body=body.format(name="test.db")))
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('turn', range(4))\ndef test_it(dbrewind, turn): pass")
    result = run(pytester, "-n", "2")
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*test.db would be shared by all workers*Return the path or its sqlite:/// URL*"])


@pytest.mark.parametrize("body", [ENGINE, HANDLE])
def test_what_is_open_may_have_a_name_for_each_worker(pytester: pytest.Pytester, body: str) -> None:
    for module in ("xdist", "sqlalchemy"):
        pytest.importorskip(module)
    for worker in ("gw0", "gw1"):
        create(pytester.path / f"test_{worker}.db", "wal")
    override = OVERRIDE.replace("def dbrewind_db()", "def dbrewind_db(worker_id)")
    body = body.replace("'sqlite", "f'sqlite").replace("open('", "open(f'").format(name="test_{worker_id}.db")
    pytester.makeconftest(CONFTEST.partition("@pytest")[0] + override.format(body=body))
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('turn', range(4))\ndef test_it(dbrewind, turn): pass")
    run(pytester, "-n", "2").assert_outcomes(passed=4)


def test_a_run_inside_of_a_worker_is_no_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker starts inherits its environment: the file that the run was told to use is the one it uses."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw7")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'sqlite:///test.db'"))
    pytester.makepyfile(TESTS)
    run(pytester).assert_outcomes(passed=9)
    assert [path.name for path in pytester.path.glob("*.db")] == ["test.db"]


def test_a_transaction_left_open_is_named(pytester: pytest.Pytester) -> None:
    create(pytester.path / "test.db", "wal")
    body = "import dbrewind\n    yield dbrewind.open('test.db', timeout=0.1)"
    pytester.makeconftest("import pytest\n" + OVERRIDE.format(body=body))
    pytester.makepyfile("""
        import sqlite3
        left = []
        def test_it(dbrewind, dbrewind_db):
            app = sqlite3.connect(dbrewind_db.path)
            left.append(app)
            app.execute("DELETE FROM users")
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*DBR004*"])


LEAKY = """
import sqlite3

left = []

def test_leaves_a_transaction_open(dbrewind, app, dbrewind_db):
    app.execute("INSERT INTO users VALUES (99, 'Zoe')")
    dbrewind.mark("mine")
    left.append(sqlite3.connect(dbrewind_db.path))
    left[0].execute("DELETE FROM users")

def test_does_not_ask_for_the_handle():
    left.pop().close()

def test_starts_from_the_set_up_state(dbrewind, app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert "mine" not in [mark.name for mark in dbrewind.marks()]
"""


def test_a_failed_rewind_is_made_up_for_before_the_next_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(LEAKY)
    run(pytester).assert_outcomes(passed=3, errors=1)


def test_a_session_that_cannot_rewind_at_its_end_keeps_its_report(pytester: pytest.Pytester) -> None:
    """With -x pytest ends the session's fixtures where an exception would take the place of its report."""
    path = create(pytester.path / "test.db", "wal")
    with closing(sqlite3.connect(path)) as db:
        before = list(db.iterdump())
    conftest = CONFTEST.replace(
        "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)", "DELETE FROM users"
    )
    pytester.makeconftest(conftest + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile(LEAKY)
    result = run(pytester, "-x", "-W", "error")
    result.assert_outcomes(passed=1, errors=1, warnings=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaves*", "*test.db is not as it was found*"])
    result = run(pytester, "-k", "does_not_exist")
    pytester.makepyfile("def test_it(dbrewind): pass")
    run(pytester).assert_outcomes(passed=1, warnings=1)
    with closing(sqlite3.connect(path)) as db:
        assert list(db.iterdump()) == before


@pytest.mark.parametrize("given", [False, True])
def test_what_all_tests_need_is_refused_to_one(pytester: pytest.Pytester, given: bool) -> None:
    create(pytester.path / "own.db", "wal")
    body = "import dbrewind\n    with dbrewind.open('own.db') as db:\n        yield db" if given else "return 'own.db'"
    pytester.makeconftest("import pytest\n" + OVERRIDE.format(body=body))
    pytester.makepyfile("""
        import pytest
        import dbrewind as package
        def test_drops_the_base(dbrewind):
            with pytest.raises(package.UnsupportedError, match='"base" belongs to the pytest fixture'):
                dbrewind.drop("base")
        def test_closes(dbrewind):
            with pytest.raises(package.UnsupportedError, match="another with dbrewind.open"):
                dbrewind.close()
        def test_leaves_a_block(dbrewind):
            with pytest.raises(package.UnsupportedError), dbrewind:
                pass
        def test_drops_its_own(dbrewind):
            dbrewind.mark("mine")
            dbrewind.drop("mine")
            assert "base" in [mark.name for mark in dbrewind.marks()]
    """)
    run(pytester).assert_outcomes(passed=4)
    run(pytester).assert_outcomes(passed=4)


def test_an_async_test_needs_no_await(pytester: pytest.Pytester) -> None:
    """A rewind has no event loop: the fixture is the same for a coroutine."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import asyncio, pytest
        async def work(app):
            app.execute("DELETE FROM users")
        @pytest.mark.parametrize("turn", range(2))
        def test_it(dbrewind, app, turn):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
            asyncio.run(work(app))
    """)
    run(pytester).assert_outcomes(passed=2)


def test_setup_of_a_path_that_is_used_before(pytester: pytest.Pytester) -> None:
    """The path is known, and the same, before and after the database was filled."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        def test_it(dbrewind, dbrewind_db):
            assert dbrewind.path == dbrewind_db.path
            assert dbrewind_db.url == f"sqlite:///{dbrewind_db.path}"
    """)
    run(pytester).assert_outcomes(passed=1)
    assert not list(Path(pytester.path).glob("*.db"))


def test_a_hook_is_called_after_a_rewind(pytester: pytest.Pytester) -> None:
    """For what an application keeps outside of the database."""
    pytester.makeconftest(
        CONFTEST
        + """
SEEN = []

def pytest_dbrewind_after_rewind(db, mark):
    SEEN.append((db.path.name, mark))

@pytest.fixture
def seen():
    return SEEN
"""
    )
    pytester.makepyfile("""
        def test_one(dbrewind, app, seen):
            app.execute("DELETE FROM users")
            assert seen == []
        def test_two(seen):
            assert seen == [("test.db", "base")]
    """)
    run(pytester).assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_that_hook_writes_is_the_tests_whose_rewind_it_was(pytester: pytest.Pytester, mode: str) -> None:
    """A rewind says where it has led, which is not where the hook has left the database."""
    create(pytester.path / "test.db", mode)
    pytester.makeconftest(
        CONFTEST.replace("CREATE TABLE users", "CREATE TABLE people")
        + OVERRIDE.format(body="return 'sqlite:///test.db'")
        + """
LEFT = ["DELETE FROM users WHERE id = 3"]

def pytest_dbrewind_after_rewind(db, mark):
    with closing(sqlite3.connect(db.path, isolation_level=None)) as c:
        while LEFT:
            c.execute(LEFT.pop())
"""
    )
    pytester.makepyfile("""
        def test_one(dbrewind, app):
            app.execute("DELETE FROM users WHERE id = 1")
        def test_two(app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (102,)
    """)
    result = run(pytester)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*DBR008*", "*by: *::test_one", "*users: 1 deleted (3)*"])
