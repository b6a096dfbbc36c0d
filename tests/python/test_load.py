"""Load tests and benchmarks: every run begins with the same database, and nothing is restarted."""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind

EXAMPLE = Path(__file__).parents[2] / "python/examples/load_test"


def test_the_example_in_short() -> None:
    """The application is not restarted, its clients stay connected, and the database is what it was."""
    command = [sys.executable, str(EXAMPLE / "load_test.py"), "--runs", "2", "--seconds", "0.1", "--clients", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    assert re.search(r"reset by rewind, nothing restarted +p50 [\d.]+ ms, p99 [\d.]+ ms", done.stdout)
    assert re.search(r"throughput, recorded of plain +median [\d.]+x", done.stdout)
    assert re.search(r"recording, CPU time of its own +\d+ us an order", done.stdout)
    assert "digest after 2 rewinds: equal" in done.stdout


@pytest.fixture
def shop(tmp_path: Path) -> Generator[tuple[Path, str], None, None]:
    """The example's application, and where it listens."""
    database = tmp_path / "app.db"
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import application, sys, pathlib; application.create(pathlib.Path(sys.argv[1]))",
            database,
        ],
        cwd=EXAMPLE,
        check=True,
    )
    command = [sys.executable, str(EXAMPLE / "application.py"), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield database, f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def orders(url: str, method: str = "GET") -> int:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/orders", method=method)) as answer:  # noqa: S310
        return int(answer.read())


def needs(module: str) -> None:
    """Found, not imported: Locust changes the standard library of the process that imports it."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"could not find {module}")


def test_locust_finds_the_same_database_in_each_run(shop: tuple[Path, str]) -> None:
    needs("locust")
    database, url = shop
    orders(url, "POST")
    first = orders(url)
    command = [sys.executable, "-m", "locust", "-f", str(EXAMPLE / "locustfile.py"), "--headless"]
    command += ["-u", "2", "-r", "2", "-t", "1s", "--host", url, "--stop-timeout", "2"]
    done = subprocess.run(
        command, env={**os.environ, "DATABASE": str(database)}, capture_output=True, text=True, check=False
    )
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    assert re.search(r"rewound app\.db: \d+ pages in [\d.]+ ms", done.stderr)
    assert orders(url) == first == 1


RUNS = """
import sys
import dbrewind.locust
from locust import events
from locust.env import Environment

path, when = sys.argv[1:]
dbrewind.locust.rewind(path, when=when)
environment = Environment(events=events)
environment.create_local_runner()
import sqlite3
app = sqlite3.connect(path, isolation_level=None)
for _ in range(2):
    events.test_start.fire(environment=environment)
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")
    events.test_stop.fire(environment=environment)
    print(app.execute("SELECT count(*) FROM users").fetchone()[0])
events.quitting.fire(environment=environment)
"""


@pytest.mark.parametrize(
    ("when", "left", "marks"),
    [("after", [100, 100], []), ("before", [101, 101], ["locust"]), ("never", [101, 102], ["locust 1", "locust 2"])],
)
def test_when_locust_rewinds(wal_db: Path, when: str, left: list[int], marks: list[str]) -> None:
    needs("locust")
    done = subprocess.run([sys.executable, "-c", RUNS, wal_db, when], capture_output=True, text=True, check=True)
    assert [int(line) for line in done.stdout.split()] == left
    with dbrewind.open(wal_db) as db:
        assert [mark.name for mark in db.marks()] == marks


def test_locust_does_not_take_what_is_there_for_a_mark_that_is_lost(wal_db: Path) -> None:
    """Planted: somebody wrote while nobody recorded, and closed."""
    needs("locust")
    subprocess.run([sys.executable, "-c", RUNS, wal_db, "before"], capture_output=True, check=True)
    with closing(sqlite3.connect(wal_db, isolation_level=None)) as app:
        app.execute("DELETE FROM orders")
    done = subprocess.run([sys.executable, "-c", RUNS, wal_db, "before"], capture_output=True, text=True, check=False)
    assert "DBR011" in done.stderr
    assert "MarkExistsError" not in done.stderr
    locustfile = wal_db.with_name("locustfile.py")
    locustfile.write_text(f"""
import dbrewind.locust
from locust import User, task

dbrewind.locust.rewind({str(wal_db)!r}, when="before")

class Idle(User):
    @task
    def nothing(self):
        pass
""")
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "-u", "1", "-t", "1s"]
    whole = subprocess.run(command, capture_output=True, text=True, check=False)
    assert whole.returncode == 2
    assert "DBR011" in whole.stderr
    subprocess.run([sys.executable, "-c", RUNS, wal_db, "never"], capture_output=True, check=True)
    with dbrewind.open(wal_db) as db:
        assert [mark.name for mark in db.marks()] == ["locust", "locust 1", "locust 2"]
        db.drop("locust 1")
    with closing(sqlite3.connect(wal_db, isolation_level=None)) as app:
        app.execute("DELETE FROM users WHERE id = 1")
    subprocess.run([sys.executable, "-c", RUNS, wal_db, "never"], capture_output=True, check=True)
    with dbrewind.open(wal_db) as db:
        assert [mark.name for mark in db.marks()] == ["locust", "locust 2", "locust 3", "locust 4"]


def test_rounds_of_pytest_benchmark_begin_at_the_base(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_benchmark")
    pytester.makeconftest("""
        import pytest, sqlite3

        @pytest.fixture(scope="session")
        def dbrewind_setup(dbrewind_db):
            db = sqlite3.connect(dbrewind_db.path)
            db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY)")
            db.commit()
            db.close()
    """)
    pytester.makepyfile("""
        import sqlite3

        def test_speed(dbrewind, benchmark):
            app = sqlite3.connect(dbrewind.path, isolation_level=None)

            def work():
                assert app.execute("INSERT INTO users DEFAULT VALUES RETURNING id").fetchall() == [(1,)]

            def setup():
                dbrewind.rewind("base")

            benchmark.pedantic(work, setup=setup, rounds=20)
            app.close()
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
