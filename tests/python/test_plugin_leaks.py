"""Who leaked what: all that is planted is named, and nothing else is."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from plugin_scene import CONFTEST, DIRTY, OVERRIDE, program, run

PLANTED = """
import subprocess, sys, threading

def test_insert(app):
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")

def test_update(app):
    app.execute("UPDATE users SET name = 'Eve' WHERE id = 1")

def test_delete(app):
    app.execute("DELETE FROM users WHERE id = 2")

def test_table(app):
    app.execute("CREATE TABLE t(x)")

def test_dropped(app):
    app.execute("DROP TABLE users")

def test_column(app):
    app.execute("ALTER TABLE users ADD COLUMN mail")

def test_index(app):
    app.execute("CREATE INDEX by_name ON users(name)")

def test_sequence(app):
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")
    app.execute("DELETE FROM users WHERE id = 3")

def test_version(app):
    app.execute("PRAGMA user_version = 7")

def test_process(dbrewind_db):
    program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM users'); d.commit()"
    subprocess.run([sys.executable, "-c", program, str(dbrewind_db.path)], check=True)

def test_thread(dbrewind_db):
    import sqlite3
    def work():
        db = sqlite3.connect(dbrewind_db.path, isolation_level=None)
        db.execute("INSERT INTO users VALUES (9, 'Zoe')")
        db.close()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

# Not one of these leaves anything.

def test_put_back(app):
    app.execute("UPDATE users SET name = 'Eve' WHERE id = 1")
    app.execute("UPDATE users SET name = 'Ann' WHERE id = 1")

def test_vacuum(app):
    app.execute("VACUUM")

def test_rolled_back(app):
    app.execute("BEGIN")
    app.execute("DELETE FROM users")
    app.execute("ROLLBACK")

def test_reads(app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)

def test_rewound(dbrewind, app):
    app.execute("DROP TABLE users")
"""

NAMED = {
    "insert": ["users: 1 inserted (3)", "sqlite_sequence.users: 2 -> 3"],
    "update": ["users: 1 updated (1)"],
    "delete": ["users: 1 deleted (2)"],
    "table": ["table t: created"],
    "dropped": ["table users: dropped", "users: 2 deleted (1, 2)", "sqlite_sequence.users: 2 -> None"],
    "column": ["table users: changed"],
    "index": ["index by_name: created"],
    "sequence": ["sqlite_sequence.users: 2 -> 3"],
    "version": ["user_version: 0 -> 7"],
    "process": ["users: 2 deleted (1, 2)"],
    "thread": ["users: 1 inserted (9)", "sqlite_sequence.users: 2 -> 9"],
}


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_planted_leaks_are_all_named_and_none_is_invented(pytester: pytest.Pytester, mode: str) -> None:
    tests = PLANTED
    named = dict(NAMED)
    if mode == "delete":
        # A process without the extension is refused there, not named.
        tests = PLANTED[: PLANTED.index("def test_process")] + PLANTED[PLANTED.index("def test_thread") :]
        del named["process"]
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile(test_it="def test_first(dbrewind): pass\n" + tests)
    result = run(pytester, "--dbrewind-strict", "-rN", "--tb=short")
    found: dict[str, list[str]] = {}
    lines = iter(result.outlines)
    for line in lines:
        text = line.strip()
        if text.startswith("by: test_it.py::test_"):
            name = text.partition("::test_")[2]
            found[name] = []
            for more in lines:
                if not more.startswith("      "):
                    break
                found[name].append(more.strip())
    who = {
        name: [line for line in what if line.startswith(("written by: ", "connected "))] for name, what in found.items()
    }
    assert {name: [line for line in what if line not in who[name]] for name, what in found.items()} == named
    if mode == "delete":
        assert who.pop("thread")[0].startswith("written by: this process, thread ")
        assert who == {name: ["written by: this process, thread 'MainThread'"] for name in who}
    else:
        # It has ended, and was seen or not.
        assert re.sub(r"\d+", "N", "".join(who.pop("process"))) in (
            "",
            f"connected when it was written: pid N ({program()} -c ...), ended since",
        )
        assert who == {name: [] for name in who}
    result.assert_outcomes(passed=6 + len(named), errors=len(named))


def test_strict_fails_the_test_that_left_something_and_allows_what_is_listed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\ndbrewind_strict = true\ndbrewind_allow_leaks = audit_* users")
    pytester.makepyfile("""
        def test_first(dbrewind): pass
        def test_allowed(app):
            app.execute("INSERT INTO users(name) VALUES ('Zoe')")
        def test_not_allowed(app):
            app.execute("CREATE TABLE audit_log(x)")
            app.execute("CREATE TABLE orders(x)")
        def test_last(dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    """)
    result = run(pytester)
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_not_allowed*", "*DBR008*", "*table orders: created"])
    result.stdout.no_fnmatch_line("*audit_log: created*")
    result.stdout.no_fnmatch_line("*stack.py:*")


@pytest.mark.parametrize("marker", ["xfail", "xfail(strict=True)", "xfail(raises=Exception)"])
def test_a_leak_is_none_of_the_failures_that_are_expected(pytester: pytest.Pytester, marker: str) -> None:
    """What a test left behind is an error in strict mode, whether its own failure is expected or not."""
    pytester.makeconftest(
        CONFTEST
        + """
@pytest.fixture
def breaks():
    yield
    raise ValueError
"""
    )
    pytester.makepyfile(f"""
        import pytest

        def test_first(dbrewind): pass

        @pytest.mark.{marker}
        def test_fails_and_leaks(app):
            app.execute("DELETE FROM users")
            raise ValueError

        @pytest.mark.{marker}
        def test_fails(app):
            raise ValueError

        @pytest.mark.{marker}
        def test_ends_badly(app, breaks):
            raise ValueError

        @pytest.mark.{marker}
        def test_ends_badly_and_leaks(app, breaks, dbrewind_setup):
            app.execute("DELETE FROM users")
            raise ValueError
    """)
    result = run(pytester, "--dbrewind-strict")
    result.assert_outcomes(passed=1, xfailed=5, errors=2)
    for name in ("test_fails_and_leaks", "test_ends_badly_and_leaks"):
        result.stdout.fnmatch_lines(
            [f"*ERROR at teardown of {name} *", "*DBR008*", f"*by: *::{name}", "*users: 2 deleted (1, 2)*"]
        )


def test_a_rewind_that_is_not_exact_is_not_expected_either(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST
        + """
@pytest.fixture(autouse=True)
def spoil(request, _dbrewind_stack):
    _dbrewind_stack.top.digest = "0" * 32
"""
    )
    pytester.makepyfile("""
        import pytest

        @pytest.mark.xfail(strict=True)
        def test_it(dbrewind, app):
            app.execute("DELETE FROM users")
            raise ValueError
    """)
    result = run(pytester, "--dbrewind=verify")
    result.assert_outcomes(xfailed=1, errors=1)
    result.stdout.fnmatch_lines(["*DBR009*"])


def test_an_unrecorded_write_is_an_error_and_fixtures_end(pytester: pytest.Pytester) -> None:
    """In a rollback mode nobody can tell what a process without the extension wrote."""
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile("""
        import pathlib, pytest, subprocess, sys

        @pytest.fixture
        def ended():
            yield
            pathlib.Path("ended").touch()

        def test_first(dbrewind): pass

        def test_process(ended, dbrewind_db):
            program = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA user_version=7')"
            subprocess.run([sys.executable, "-c", program, str(dbrewind_db.path)], check=True)
    """)
    result = run(pytester)
    assert result.parseoutcomes()["errors"] >= 1
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_process*", "*DBR001*"])
    assert (pytester.path / "ended").exists()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_cached_base_fills_a_database_in_any_mode(pytester: pytest.Pytester, mode: str) -> None:
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile(DIRTY)
    run(pytester).assert_outcomes(passed=4)
    result = run(pytester, "-W", "error")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(['dbrewind: base "*" cached *'])


def test_changes_tell_rows_schema_and_counters(app_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        with pytest.raises(dbrewind.MarkNotFoundError, match="has no mark yet"):
            db.changes()
        app.execute("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)")
        db.mark("base")
        assert not db.changes()
        app.execute("INSERT INTO t VALUES (7)")
        app.execute("PRAGMA user_version=-5")
        app.execute("PRAGMA application_id=9")
        app.execute("CREATE INDEX i ON users(name)")
        changes = db.changes()
        assert changes.tables["t"].inserted == [7]
        assert changes.schema == {"index i": "created"}
        assert changes.counters == {
            "sqlite_sequence.t": (None, 7),
            "user_version": (0, -5),
            "application_id": (0, 9),
        }
        assert str(changes).split("\n")[-1] == "user_version: 0 -> -5"
        db.mark("later")
        assert not db.changes()
        assert db.changes("base").counters == changes.counters
        app.execute("INSERT INTO t VALUES (8)")
        assert db.changes().counters == {"sqlite_sequence.t": (7, 8)}
        db.rewind()
        assert app.execute("SELECT max(id) FROM t").fetchone() == (7,)


def test_the_keeper_tells_counters_too(wal_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(wal_db, engine="keeper") as db:
        db.mark("base")
        connect(wal_db).execute("PRAGMA user_version=5")
        assert db.changes().counters == {"user_version": (0, 5)}


def test_a_database_is_kept_beside(app_db: Path, tmp_path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("base")
        connect(app_db).execute("DELETE FROM users")
        db.keep(tmp_path / "kept.db")
        db.rewind()
        assert connect(tmp_path / "kept.db").execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert connect(app_db).execute("SELECT count(*) FROM users").fetchone() == (100,)
        assert db.url == f"sqlite:///{app_db}"


def test_a_hook_of_a_handle_hears_of_what_changed(wal_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    heard: list[str] = []
    with dbrewind.open(wal_db) as db:
        app = connect(wal_db)
        db._watch(heard.append)
        mark = db.mark("base")
        db.rewind("base")
        assert heard == []
        app.execute("DELETE FROM users")
        undo = db.rewind(mark).undo
        db.rewind(undo)
        with db.rewound() as scope:
            app.execute("DELETE FROM orders")
        thread = threading.Thread(target=db.rewind)
        thread.start()
        thread.join()
        assert heard == ["base", "", scope.name, "base"]
        db._watch(None)
