"""Who left what in Django's databases: named as with the plain plugin, all that is planted, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_scene import copied, run

pytest.importorskip("pytest_django")

PYTEST = ("-m", "pytest", "-o", "addopts=-p no:cacheprovider -p no:asyncio", "-rN")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return copied(tmp_path)


def told(said: str) -> dict[str, list[str]]:
    """What each leak's message says, by who is said to have left it."""
    found: dict[str, list[str]] = {}
    lines = iter(said.splitlines())
    for line in lines:
        start = re.match(r"(?:E )?\s+by: (.*)$", line)
        if not start:
            continue
        changes = found.setdefault(start[1], [])
        for more in lines:
            # pytest marks each line of an error with an E.
            text = more.strip().removeprefix("E ").strip()
            if text.startswith("dbrewind: ") or not re.match(r"(also |connected |[\w.]+ ?[\w.]*: )", text):
                break
            if text not in changes:
                changes.append(text)
    return found


PLANTED = """
import subprocess
import sys
import threading

import pytest
from django.db import connection, connections
from shop.models import Category, Entry, Product

PROGRAM = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM shop_product'); d.commit()"

@pytest.fixture(autouse=True)
def unblocked(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        yield

@pytest.fixture
def sql():
    with connection.cursor() as cursor:
        yield cursor.execute

@pytest.fixture(scope="session", autouse=True)
def notes(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE notes(shelf TEXT, place INTEGER, PRIMARY KEY(shelf, place)) WITHOUT ROWID")
        cursor.execute("INSERT INTO notes VALUES ('a', 1), ('b', 2)")

def test_insert():
    Product.objects.create(category_id=1, name="wine", price=9)

def test_update():
    Product.objects.filter(id=2).update(stock=0)

def test_delete():
    Product.objects.filter(id=3).delete()

def test_table(sql):
    sql("CREATE TABLE t(x)")

def test_index(sql):
    sql("CREATE INDEX by_name ON shop_product(name)")

def test_trigger(sql):
    sql("CREATE TRIGGER sells AFTER UPDATE ON shop_product BEGIN SELECT 1; END")

def test_triggered(sql):
    sql("CREATE TRIGGER counts AFTER UPDATE ON shop_product BEGIN UPDATE notes SET place = 9 WHERE shelf = 'b'; END")
    Product.objects.filter(id=2).update(stock=0)

def test_rowid(sql):
    sql("INSERT INTO notes VALUES ('c', 3)")
    sql("DELETE FROM notes WHERE shelf = 'a'")

def test_two():
    Product.objects.filter(id=1).update(stock=0)
    Entry.objects.create(text="one")

def test_version(sql):
    sql("PRAGMA user_version = 7")

def test_process():
    subprocess.run([sys.executable, "-c", PROGRAM, str(connection.settings_dict["NAME"])], check=True)

def test_thread():
    def work():
        Product.objects.filter(id=1).delete()
        connections.close_all()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

# Not one of these leaves anything.

def test_put_back():
    Product.objects.filter(id=1).update(stock=0)
    Product.objects.filter(id=1).update(stock=5)

def test_vacuum(sql):
    sql("VACUUM")

def test_rolled_back(sql):
    sql("BEGIN")
    sql("DELETE FROM shop_product")
    sql("ROLLBACK")

def test_reads():
    assert Product.objects.count() == 3

def test_rewound(transactional_db, sql):
    sql("DROP TABLE notes")

@pytest.mark.django_db(databases=["default", "audit"])
def test_rolls_back():
    Product.objects.all().delete()
    Entry.objects.create(text="one")
"""

SEQUENCE = "sqlite_sequence.shop_product: 3 -> 4"
NAMED = {
    "insert": ["shop_product: 1 inserted (4)", SEQUENCE],
    "update": ["shop_product: 1 updated (2)"],
    "delete": ["shop_product: 1 deleted (3)"],
    "table": ["table t: created"],
    "index": ["index by_name: created"],
    "trigger": ["trigger sells: created"],
    "triggered": [
        "trigger counts: created",
        "notes: 1 inserted (('b', 9)), 1 deleted (('b', 2))",
        "shop_product: 1 updated (2)",
    ],
    "rowid": ["notes: 1 inserted (('c', 3)), 1 deleted (('a', 1))"],
    "two": ["shop_product: 1 updated (1)", "shop_entry: 1 inserted (1)", "sqlite_sequence.shop_entry: None -> 1"],
    "version": ["user_version: 0 -> 7"],
    "process": ["shop_product: 3 deleted (1, 2, 3)"],
    "thread": ["shop_product: 1 deleted (1)"],
}


def test_planted_leaks_are_all_named_and_none_is_invented(shop: Path) -> None:
    (shop / "test_it.py").write_text(PLANTED)
    said = run(shop, *PYTEST, "--dbrewind-strict", "--tb=short", "test_it.py")
    # Whether a process that ends at once was seen is chance.
    chance = "connected when it was written: pid "
    found = {who: [line for line in lines if not line.startswith(chance)] for who, lines in told(said).items()}
    assert found == {f"test_it.py::test_{name}": lines for name, lines in NAMED.items()}
    assert f"{6 + len(NAMED)} passed, {len(NAMED)} errors" in said
    assert said.count("default (") == said.count("audit (") + len(NAMED) - 1


CULPRITS = """
import sqlite3
import subprocess
import sys
import threading

import pytest
from django.db import connection, connections
from shop.models import Entry, Product

go, done = threading.Event(), threading.Event()

def work():
    go.wait(30)
    Product.objects.filter(id=1).delete()
    connections.close_all()
    done.set()
    threading.Event().wait(30)

def test_a_leaves_a_thread(transactional_db):
    threading.Thread(target=work, name="flusher", daemon=True).start()

def test_b_starts_a_server(transactional_db, server):
    pass

def test_c_writes_while_the_thread_does(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.filter(id=2).delete()
        go.set()
        assert done.wait(30)

def test_d_finds_the_base(transactional_db):
    assert Product.objects.count() == 3

@pytest.fixture
def ends_later():
    yield
    with sqlite3.connect(path[0]) as other:
        other.execute("DELETE FROM shop_product WHERE id = 3")
    other.close()

path = []

def test_e_has_a_fixture_that_writes_after_it(ends_later, transactional_db):
    path.append(connection.settings_dict["NAME"])

@pytest.mark.xfail(strict=True)
def test_f_is_expected_to_fail_not_to_leak(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.filter(id=1).update(stock=0)
    raise ValueError

@pytest.fixture(scope="module")
def server(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        command = [sys.executable, "server.py", str(connection.settings_dict["NAME"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield
        other.communicate(b"x")
"""
SERVER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1])
other.execute("SELECT * FROM shop_product").fetchone()
print(flush=True)
input()
"""


def test_threads_and_processes_beside_a_leak_are_named(shop: Path) -> None:
    """Two that wrote at once; and who wrote after a rewind."""
    (shop / "test_it.py").write_text(CULPRITS)
    (shop / "server.py").write_text(SERVER)
    said = run(shop, *PYTEST, "--dbrewind-strict", "--dbrewind-report", "--tb=short", "test_it.py")
    found = told(said)
    late = "after it was rewound: a fixture that ended later, a thread or another process"
    flusher = "thread 'flusher', left running by test_it.py::test_a_leaves_a_thread"
    server = "also connected: pid N (python server.py), started by this one N s ago"
    # Whether the server was still there when the look was taken is chance: it ends with its fixture.
    gone = "connected when it was written: pid N (python server.py), ended since"
    numbered = {who: [re.sub(r"\b\d+(?=[ s]+(ago|\())", "N", line) for line in lines] for who, lines in found.items()}
    assert {who: [line for line in lines if line != gone] for who, lines in numbered.items()} == {
        f"test_it.py::test_e_has_a_fixture_that_writes_after_it, {late}": [
            server,
            f"also running: {flusher}",
            "shop_product: 1 deleted (3)",
        ],
        "test_it.py::test_c_writes_while_the_thread_does": [
            server,
            f"also running: {flusher}",
            "shop_product: 2 deleted (1, 2)",
        ],
        "test_it.py::test_f_is_expected_to_fail_not_to_leak": [
            f"also running: {flusher}",  # the server has ended with its fixture
            "shop_product: 1 updated (1)",
        ],
    }
    assert "5 passed, 1 xfailed, 3 errors" in said
    table = said[said.index("\ndbrewind: ") :]
    assert f"polluted: test_it.py::test_e_has_a_fixture_that_writes_after_it, {late}\n" in table
    assert re.search(rf"test_it.py::test_c_writes_while_the_thread_does\n.*2 deleted \(1, 2\)\n +{flusher}", table)
