"""More leaks of which each is planted: in tables of every kind, schema, counters, by two at once, by processes."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing

import pytest

from plugin_scene import OVERRIDE, run

CONFTEST = """
import sqlite3
from contextlib import closing

import pytest

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.executescript('''
            CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
            CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER);
            CREATE TABLE grades(pupil TEXT, subject TEXT, grade INTEGER, PRIMARY KEY(pupil, subject));
            CREATE TABLE words(word TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID;
            CREATE TABLE cells(x INTEGER, y INTEGER, value TEXT, PRIMARY KEY(x, y)) WITHOUT ROWID;
            CREATE VIEW names AS SELECT name FROM users;
            CREATE TABLE log(text TEXT);
            CREATE TRIGGER logged AFTER UPDATE ON users BEGIN INSERT INTO log VALUES (new.name); END;
            INSERT INTO users(name) VALUES ('Ann'), ('Bob');
            INSERT INTO orders(user) VALUES (1), (1), (2);
            INSERT INTO grades VALUES ('Ann', 'art', 1), ('Ann', 'sport', 2), ('Bob', 'art', 3);
            INSERT INTO words VALUES ('a', 10), ('the', 20);
            INSERT INTO cells VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z');
        ''')

@pytest.fixture
def app(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        yield db

@pytest.fixture
def other(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        yield db
"""

# By name: the statements, and all that must be said.
LEAKS: dict[str, tuple[list[str], list[str]]] = {
    "trigger": (["CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END"], ["trigger t: created"]),
    "trigger_dropped": (["DROP TRIGGER logged"], ["trigger logged: dropped"]),
    "trigger_fired": (["UPDATE users SET name = 'Eve' WHERE id = 2"], ["log: 1 inserted (1)", "users: 1 updated (2)"]),
    "view": (["CREATE VIEW v AS SELECT 1"], ["view v: created"]),
    "view_changed": (["DROP VIEW names", "CREATE VIEW names AS SELECT id FROM users"], ["view names: changed"]),
    "composite_key": (
        ["UPDATE grades SET grade = 6 WHERE pupil = 'Bob'", "DELETE FROM grades WHERE subject = 'sport'"],
        ["grades: 1 deleted (2), 1 updated (3)"],
    ),
    "without_rowid": (
        ["INSERT INTO words VALUES ('rewind', 1)", "UPDATE words SET count = 11 WHERE word = 'a'"],
        ["words: 1 inserted ('rewind'), 1 updated ('a')"],
    ),
    "without_rowid_composite": (
        ["DELETE FROM cells WHERE x = 1 AND y = 2", "INSERT INTO cells VALUES (3, 3, 'w')"],
        ["cells: 1 inserted ((3, 3)), 1 deleted ((1, 2))"],
    ),
    "key_changed": (
        ["UPDATE cells SET x = 9 WHERE x = 2"],
        ["cells: 1 inserted ((9, 1)), 1 deleted ((2, 1))"],
    ),
    "two_tables": (
        ["DELETE FROM orders WHERE id > 1", "INSERT INTO words VALUES ('b', 1)"],
        ["orders: 2 deleted (2, 3)", "words: 1 inserted ('b')"],
    ),
    "counter": (["UPDATE sqlite_sequence SET seq = 7 WHERE name = 'orders'"], ["sqlite_sequence.orders: 3 -> 7"]),
    "counter_gone": (["DELETE FROM sqlite_sequence WHERE name = 'users'"], ["sqlite_sequence.users: 2 -> None"]),
    "application": (["PRAGMA application_id = 5"], ["application_id: 0 -> 5"]),
    "versions": (["PRAGMA user_version = -1"], ["user_version: 0 -> -1"]),
    "many": (
        ["INSERT INTO log WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n"],
        ["log: 500 inserted (1, 2, 3, 4, 5, 6, 7, 8, ...)"],
    ),
}
# By a second connection, by a thread, by a process that records what it writes.
PROGRAM = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM words'); d.commit()"
TESTS = f"""
import subprocess, sys, threading

def test_first(dbrewind): pass

def test_two_culprits(app, other):
    app.execute("INSERT INTO orders(user) VALUES (2)")
    other.execute("DELETE FROM users WHERE id = 1")
    app.execute("UPDATE words SET count = 0 WHERE word = 'the'")

def test_after_them(app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)

def test_process(dbrewind_db):
    run = [sys.executable, "-m", "dbrewind", "run", str(dbrewind_db.path), "--"]
    program = {PROGRAM!r}
    subprocess.run([*run, sys.executable, "-c", program, str(dbrewind_db.path)], check=True, capture_output=True)

def test_nothing_by_trigger_and_view(app):
    app.execute("BEGIN")
    app.execute("CREATE VIEW v AS SELECT 1")
    app.execute("UPDATE users SET name = 'Eve'")
    app.execute("ROLLBACK")

def test_nothing_in_the_end(app):
    app.execute("DELETE FROM cells WHERE x = 1 AND y = 2")
    app.execute("INSERT INTO cells VALUES (1, 2, 'y')")
    app.execute("CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END")
    app.execute("DROP TRIGGER t")
"""
CLEAN = 4
MORE = {
    "two_culprits": [
        "orders: 1 inserted (4)",
        "users: 1 deleted (1)",
        "words: 1 updated ('the')",
        "sqlite_sequence.orders: 3 -> 4",
    ],
    "process": ["words: 2 deleted ('a', 'the')"],
}


WHO = ("written by: ", "connected when it was written: ")


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_leaks_of_all_kinds_are_named_and_none_is_invented(pytester: pytest.Pytester, mode: str) -> None:
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    tests = [TESTS]
    for name, (statements, _) in LEAKS.items():
        tests.append(f"def test_{name}(app):")
        tests += [f"    app.execute({statement!r})" for statement in statements]
    pytester.makepyfile(test_it="\n".join(tests))
    result = run(pytester, "--dbrewind-strict", "-rN", "--tb=short")
    named = {name: lines for name, (_, lines) in LEAKS.items()} | MORE
    found: dict[str, list[str]] = {}
    here: list[str] | None = None
    for line in result.outlines:
        text = line.removeprefix("E").strip()
        if text.startswith("by: test_it.py::test_"):
            here = found.setdefault(text.partition("::test_")[2], [])
        elif here is not None and line.startswith("      "):
            here.append(text)
        else:
            here = None
    who = {name: [line for line in lines if line.startswith(WHO)] for name, lines in found.items()}
    found = {name: [line for line in lines if not line.startswith(WHO)] for name, lines in found.items()}
    assert found == named
    # In a rollback mode the commit says whose it is. In WAL mode processes are seen that live for a moment longer.
    own = ["written by: this process, thread 'MainThread'"] if mode == "delete" else []
    (other,) = who.pop("process") or [""]
    assert all(lines == own for lines in who.values())
    said = r"written by: pid \d+ \(.*python.*\), ended, thread \d+"
    assert re.fullmatch(said if mode == "delete" else r"(connected when it was written: .*)?", other)
    result.assert_outcomes(passed=CLEAN + len(named), errors=len(named))
    sys.stdout.write(f"{len(named)} leaks planted, {len(found)} named, of {CLEAN} clean tests none\n")
