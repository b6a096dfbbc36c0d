"""What the fixture `dbrewind` costs a test: the median of many, beside tests with an empty fixture. Records nothing.

    python benches/plugin.py [TESTS]

A session of pytest runs the same test with and without it, clean and dirty, in WAL and in DELETE mode. What a
test costs is the time from the end of the test before to its own end, all of pytest's hooks included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

CONFTEST = """
import sqlite3, statistics, time
from contextlib import closing

import pytest

ENDS = {}

@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "test.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=MODE")
        db.execute("PRAGMA user_version=0")
    return path

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO users VALUES (?, ?)", ((i, "x" * 100) for i in range(10000)))
        db.commit()

@pytest.fixture(scope="session")
def app(_dbrewind_stack, dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        yield db

@pytest.fixture
def nothing(app):
    yield

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    begun = time.perf_counter()
    value = yield
    ENDS.setdefault(item.name.partition("[")[0], []).append(time.perf_counter() - begun)
    return value

def pytest_unconfigure(config):
    for name, took in ENDS.items():
        took = sorted(took[len(took) // 10:])
        median, tenth = 1e6 * statistics.median(took), 1e6 * took[len(took) // 10]
        print(f"{name:28} median {median:9.1f} us, fastest tenth {tenth:9.1f} us")
"""

TESTS = """
import pytest

@pytest.mark.parametrize("turn", range(COUNT))
def test_with_an_empty_fixture(nothing, app, turn):
    pass

@pytest.mark.parametrize("turn", range(COUNT))
def test_clean(dbrewind, app, turn):
    pass

@pytest.mark.parametrize("turn", range(COUNT))
def test_dirty(dbrewind, app, turn):
    app.execute("UPDATE users SET name = 'y' WHERE id = 7")

@pytest.mark.parametrize("turn", range(COUNT))
def test_dirty_without(nothing, dbrewind_session, app, turn):
    app.execute("UPDATE users SET name = ? WHERE id = 7", (str(turn),))
"""


def main() -> int:
    count = sys.argv[1] if len(sys.argv) > 1 else "1000"
    for mode in ("wal", "delete"):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "conftest.py").write_text(CONFTEST.replace("MODE", mode))
            Path(folder, "test_cost.py").write_text(TESTS.replace("COUNT", count))
            without = [
                part
                for name in (
                    "xdist",
                    "asyncio",
                    "anyio",
                    "hypothesispytest",
                    "benchmark",
                    "django",
                    "locust",
                    "rerunfailures",
                    "random_order",
                )
                for part in ("-p", f"no:{name}")
            ]
            print(f"{mode}, {count} tests of each kind:", flush=True)
            command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *without]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            lines = [
                line for line in done.stdout.splitlines() if line.startswith(("test_with", "test_clean", "test_dirty"))
            ]
            print("\n".join(lines) if done.returncode == 0 else done.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
