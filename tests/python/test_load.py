"""Load tests and benchmarks: every run begins with the same database, and nothing is restarted."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import dbrewind
from load_scene import EXAMPLE, needs, orders


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


class Slow(ThreadingHTTPServer):
    """Commits a user half a second after it was asked to. Closed once all who asked have been served."""

    daemon_threads = False

    def __init__(self, database: Path) -> None:
        super().__init__(("127.0.0.1", 0), SlowAnswer)
        self.database = database

    def handle_error(self, *_: object) -> None:
        """Nobody waits for the answer any more."""


class SlowAnswer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        time.sleep(0.5)
        assert isinstance(self.server, Slow)
        with closing(sqlite3.connect(self.server.database, isolation_level=None, timeout=30)) as app:
            app.execute("INSERT INTO users(name) VALUES ('late')")
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_what_is_asked_for_when_locust_stops_is_part_of_the_run(wal_db: Path) -> None:
    """Else it is committed after the rewind, and is what the next run begins with: of itself Locust kills its users."""
    needs("locust")
    locustfile = wal_db.with_name("locustfile.py")
    locustfile.write_text(f"""
import dbrewind.locust
from locust import HttpUser, task

dbrewind.locust.rewind({str(wal_db)!r})

class Customer(HttpUser):
    @task
    def order(self):
        self.client.post("/orders")
""")
    with Slow(wal_db) as server:
        threading.Thread(target=server.serve_forever).start()
        host = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--host", host]
        command += ["-u", "4", "-r", "4", "-t", "2s"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        server.shutdown()
    sys.stdout.write(done.stdout + done.stderr)
    assert re.search(r"rewound app\.db: [1-9]\d* pages", done.stderr)
    with closing(sqlite3.connect(wal_db)) as app:
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


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


LATE = """
import sqlite3, sys, threading, time
import dbrewind.locust
from locust import events
from locust.env import Environment

path, pause, timeout, commits = sys.argv[1], *map(float, sys.argv[2:])
dbrewind.locust.rewind(path, pause=pause, timeout=timeout)
environment = Environment(events=events)
environment.create_local_runner()
app = sqlite3.connect(path, isolation_level=None)

def later():
    for _ in range(int(commits)):
        time.sleep(0.2)
        app.execute("INSERT INTO users(name) VALUES ('late')")

events.test_start.fire(environment=environment)
mails = threading.Thread(target=later)
mails.start()
events.test_stop.fire(environment=environment)
mails.join()
print(app.execute("SELECT count(*) FROM users").fetchone()[0])
events.quitting.fire(environment=environment)
"""


@pytest.mark.parametrize(
    ("pause", "timeout", "commits", "left", "warned"),
    [(0, 30, 3, 103, False), (1, 30, 3, 100, False), (0.3, 0.5, 20, None, True)],
    ids=["without", "with", "for ever"],
)
def test_a_pause_waits_for_what_is_committed_after_the_answers(
    wal_db: Path, pause: float, timeout: float, commits: int, left: int | None, warned: bool
) -> None:
    """Without one it comes after the rewind, and is what the next run begins with."""
    needs("locust")
    command = [sys.executable, "-c", LATE, str(wal_db), *map(str, (pause, timeout, commits))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("is still written to" in done.stderr) == warned
    found = int(done.stdout)
    assert found == left if left is not None else 100 < found < 120


CUT = """
import sqlite3, sys, threading, time
import dbrewind.locust
from locust import events
from locust.env import Environment

path, then = sys.argv[1:]
dbrewind.locust.rewind(path, pause=1)
environment = Environment(events=events)
runner = environment.create_local_runner()
app = sqlite3.connect(path, isolation_level=None)
events.test_start.fire(environment=environment)
app.execute("INSERT INTO users(name) VALUES ('Zoe')")
runner.state = "stopped"  # as Locust says before it tells of the end
ending = threading.Thread(target=lambda: events.test_stop.fire(environment=environment))
ending.start()
time.sleep(0.2)
if then == "start":
    events.test_start.fire(environment=environment)
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")
    ending.join()
    print(app.execute("SELECT count(*) FROM users").fetchone()[0])
    events.test_stop.fire(environment=environment)
events.quitting.fire(environment=environment)
ending.join()
print(app.execute("SELECT count(*) FROM users").fetchone()[0])
"""


@pytest.mark.parametrize(("then", "counts"), [("quit", [100]), ("start", [101, 100])])
def test_a_run_is_rewound_once_whatever_comes_during_its_pause(wal_db: Path, then: str, counts: list[int]) -> None:
    """Ctrl-C, or the next start in the browser: else it were not rewound, or in the midst of the next run."""
    needs("locust")
    done = subprocess.run([sys.executable, "-c", CUT, wal_db, then], capture_output=True, text=True, check=True)
    assert [int(line) for line in done.stdout.split()] == counts


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

            benchmark.pedantic(work, setup=dbrewind.rewind, rounds=20)
            app.close()
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
