"""What the fixture `dbrewind` costs a test: the median of many, beside tests with an empty fixture. Records nothing.

    python benches/plugin.py [TESTS]

A session of pytest runs the same test with and without it, clean and dirty, in WAL and in DELETE mode; another one
runs those without it where the plugin is not loaded at all. What a test costs is the time that its protocol takes, all
of pytest's hooks included.
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

def fill(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO users VALUES (?, ?)", ((i, "x" * 100) for i in range(10000)))
        db.commit()

def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "test.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=MODE")
        db.execute("PRAGMA user_version=0")
    return path

def connected(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        yield db

FIXTURES

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
        print("measured", name, 1e6 * statistics.median(took), 1e6 * took[len(took) // 10])
"""

WITH = """
@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory):
    return place(tmp_path_factory)

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    fill(dbrewind_db.path)

@pytest.fixture(scope="session")
def app(_dbrewind_stack, dbrewind_db):
    yield from connected(dbrewind_db.path)
"""

WITHOUT = """
@pytest.fixture(scope="session")
def app(tmp_path_factory):
    path = place(tmp_path_factory)
    fill(path)
    yield from connected(path)
"""

TESTS_WITH = """
import pytest

@pytest.mark.parametrize("turn", range(COUNT))
def test_empty_beside(nothing, app, turn):
    pass

@pytest.mark.parametrize("turn", range(COUNT))
def test_clean(dbrewind, app, turn):
    pass

@pytest.mark.parametrize("turn", range(COUNT))
def test_dirty(dbrewind, app, turn):
    app.execute("UPDATE users SET name = ? WHERE id = 7", (str(turn),))
"""

TESTS_WITHOUT = """
import pytest

@pytest.mark.parametrize("turn", range(COUNT))
def test_empty(nothing, app, turn):
    pass

@pytest.mark.parametrize("turn", range(COUNT))
def test_write(nothing, app, turn):
    app.execute("UPDATE users SET name = ? WHERE id = 7", (str(turn),))
"""

_OTHERS = (
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


def main() -> int:
    count = sys.argv[1] if len(sys.argv) > 1 else "1000"
    for mode in ("wal", "delete"):
        print(f"{mode}, {count} tests of each kind, microseconds a test:", flush=True)
        found = _measured(mode, count, WITHOUT, TESTS_WITHOUT, ("-p", "no:dbrewind"))
        found |= _measured(mode, count, WITH, TESTS_WITH, ())
        for name, (median, tenth) in found.items():
            print(f"  {name:18} median {median:9.1f}, fastest tenth {tenth:9.1f}")
        for name, base in (("clean", "empty_beside"), ("clean", "empty"), ("dirty", "write")):
            over = found[f"test_{name}"][0] - found[f"test_{base}"][0]
            print(f"  a {name} test costs {over:.1f} more than test_{base}")
    return 0


def _measured(
    mode: str, count: str, fixtures: str, tests: str, arguments: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """Of each kind of test: the median and the fastest tenth, in microseconds."""
    without = [part for name in _OTHERS for part in ("-p", f"no:{name}")]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "conftest.py").write_text(CONFTEST.replace("MODE", mode).replace("FIXTURES", fixtures))
        Path(folder, "test_cost.py").write_text(tests.replace("COUNT", count))
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *without, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("measured ")]
    return {name: (float(median), float(tenth)) for _, name, median, tenth in lines}


if __name__ == "__main__":
    sys.exit(main())
