"""Who wrote what a test did not: what can be known is said, and nothing else is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from dbrewind.testing import writers
from plugin_scene import CONFTEST, OVERRIDE, program, run

BETWEEN = (
    CONFTEST
    + """
@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid):
    if "test_one" in nodeid:
        with closing(sqlite3.connect(pytest.path, isolation_level=None)) as db:
            db.execute("DELETE FROM users")
"""
)


@pytest.mark.parametrize("asks", ["dbrewind", "app", "dbrewind_module", ""])
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_written_between_two_tests_is_not_blamed_on_the_next(
    pytester: pytest.Pytester, asks: str, strict: bool
) -> None:
    """Whatever that one asks for; and it begins with what the set-up left."""
    pytester.makeconftest(BETWEEN)
    pytester.makepyfile(f"""
        import pytest, sqlite3
        def test_one(dbrewind):
            pytest.path = dbrewind.path
        def test_two({asks}):
            app = sqlite3.connect(pytest.path)
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
            app.close()
        def test_three(dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    """)
    result = run(pytester, *(["--dbrewind-strict"] if strict else []))
    result.assert_outcomes(**({"passed": 2, "errors": 1} if strict else {"passed": 3, "warnings": 1}))
    result.stdout.fnmatch_lines(
        [
            "*by: something between the end of test_*::test_one and the beginning of test_*::test_two",
            "*users: 2 deleted (1, 2)",
        ]
    )
    # Where the variable CI is set pytest's summary repeats whole messages.
    assert result.stdout.str().partition("short test summary")[0].count("by: ") == 1


def test_what_is_written_before_a_wider_fixture_is_not_blamed_on_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST
        + """
def pytest_runtest_setup(item):
    if item.name == "test_two":
        with closing(sqlite3.connect(pytest.path, isolation_level=None)) as db:
            db.execute("DELETE FROM users")

@pytest.fixture(scope="module")
def wide(dbrewind_module): pass
"""
    )
    pytester.makepyfile("""
        import pytest
        def test_one(dbrewind):
            pytest.path = dbrewind.path
        def test_two(wide, dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    """)
    result = run(pytester)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*by: something between the end of *test_one and the set-up of the fixture wide"])


THREAD = """
import sqlite3, threading

import pytest

go, done = threading.Event(), threading.Event()

def work(path):
    go.wait(30)
    app = sqlite3.connect(path, isolation_level=None)
    app.execute("DELETE FROM users")
    app.close()
    done.set()
    threading.Event().wait(30) if LIVES else None

def test_one(ASKS, dbrewind_db):
    threading.Thread(target=work, args=(dbrewind_db.path,), name="flusher", daemon=True).start()

def test_two(dbrewind_db):
    go.set()
    assert done.wait(30)

def test_three(dbrewind, app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("asks", ["dbrewind", "app"])
def test_a_thread_that_an_earlier_test_left_running_is_named(pytester: pytest.Pytester, mode: str, asks: str) -> None:
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile(
        test_it="def test_first(dbrewind): pass\n" + THREAD.replace("ASKS", asks).replace("LIVES", "True")
    )
    result = run(pytester)
    result.assert_outcomes(passed=4, warnings=1)
    result.stdout.fnmatch_lines(
        ["*by: test_it.py::test_two", "*also running: thread 'flusher', left running by test_it.py::test_one"]
    )


def test_the_report_names_it_too(pytester: pytest.Pytester) -> None:
    """A test that asks is rewound with what a thread of another one wrote meanwhile."""
    pytester.makeconftest(CONFTEST)
    tests = THREAD.replace("ASKS", "dbrewind").replace("LIVES", "True").replace("two(", "two(dbrewind, ")
    pytester.makepyfile(test_it=tests)
    result = run(pytester, "--dbrewind-report", "-W", "error")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*2 rows * test_it.py::test_two", "*thread 'flusher', left running by test_it.py::test_one"]
    )


def test_threads_that_no_other_test_has_left_are_not_named(pytester: pytest.Pytester) -> None:
    """Not the leaking test's own, nor those from before the first, nor ended ones."""
    pytester.makeconftest(
        CONFTEST
        + """
import threading
threading.Thread(target=threading.Event().wait, args=(30,), name="early", daemon=True).start()
"""
    )
    pytester.makepyfile("""
        import threading
        def test_first(dbrewind): pass
        def test_ended(dbrewind):
            thread = threading.Thread(target=print, name="ended")
            thread.start()
            thread.join()
        def test_leaks(app):
            threading.Thread(target=threading.Event().wait, args=(30,), name="own", daemon=True).start()
            app.execute("DELETE FROM users")
    """)
    result = run(pytester)
    result.assert_outcomes(passed=3, warnings=1)
    result.stdout.fnmatch_lines(["*by: *::test_leaks"])
    assert "also running" not in result.stdout.str()


PROGRAM = """
import sqlite3, sys
d = sqlite3.connect(sys.argv[1], isolation_level=None)
d.execute('SELECT * FROM users').fetchone()
d.execute(sys.argv[2])
print(flush=True)
input()
"""


@pytest.mark.parametrize("statement", ["SELECT 1", "BEGIN IMMEDIATE"])
def test_a_process_that_is_connected_is_named(
    app_db: Path, tmp_path: Path, statement: str, connect: Callable[[Path], sqlite3.Connection]
) -> None:
    """Also an idle one in DELETE mode, where it has no lock."""
    (tmp_path / "server.py").write_text(PROGRAM)
    with dbrewind.open(app_db):
        command = [sys.executable, "-X", "dev", str(tmp_path / "server.py"), str(app_db), statement]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            (found,) = writers.connected(app_db)
            other.communicate(b"\n")
    program = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    shown = str(tmp_path / "server.py")
    shown = shown if len(shown) <= 40 else "..." + shown[-40:]
    assert found.startswith(f"pid {other.pid} ({program} {shown}), started by this one ")
    assert found.endswith("in a transaction" if statement.startswith("BEGIN") else " s ago")


def test_a_process_that_is_gone_is_said_to_be() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert writers._process(process.pid) == f"pid {process.pid} (gone)"


def test_a_process_from_elsewhere_is_not_said_to_be_of_this_one() -> None:
    assert ", started " in writers._process(os.getppid())
    assert "by this one" not in writers._process(os.getppid())


def test_threads_are_known_by_the_test_that_they_were_seen_after() -> None:
    threads = writers.Threads()
    threads.note("")
    end = threading.Event()
    for nodeid in ("one", "two"):
        threading.Thread(target=end.wait, args=(30,), name=f"of {nodeid}", daemon=True).start()
        assert f"thread 'of {nodeid}', left running by {nodeid}" not in threads.left_by_others("")
        threads.note(nodeid)
    assert threads.left_by_others("two") == ["thread 'of one', left running by one"]
    assert len(threads.left_by_others("")) == 2
    end.set()


WORKER = """
import sqlite3, sys
from contextlib import closing, nullcontext

import dbrewind

path, name, how = sys.argv[1:]
with dbrewind.open(path) if how == "recorded" else nullcontext(), closing(sqlite3.connect(path)) as app:
    app.execute("INSERT INTO users(name) VALUES (?)", (name,))
    app.commit()
    print(flush=True)
    input()
"""

WORKERS = (
    CONFTEST
    + OVERRIDE.format(body="return 'test.db'")
    + """
import subprocess, sys

class Worker:
    def __init__(self, path, name, how="recorded"):
        command = [sys.executable, "worker.py", path, name, how]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline()

    def end(self):
        self.process.communicate(b"\\n")
        assert self.process.returncode == 0
        print("worker", self.process.pid)

pytest.Worker = Worker

def until(true):
    import time
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.001)

pytest.until = until
"""
)


def leak(pytester: pytest.Pytester, mode: str, body: str, *arguments: str) -> tuple[str, list[int]]:
    """What is said of a test of this body, which does not ask for a rewind; and the workers it had, all ended."""
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(WORKERS)
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    pytester.makepyfile(
        worker=WORKER,
        test_it="import os, pytest, sqlite3, threading, time\n"
        f"def test_first(dbrewind): pass\ndef test_leaks(_dbrewind_stack, dbrewind_db, app):\n{lines}",
    )
    result = run(pytester, "-s", *arguments)
    result.assert_outcomes(passed=2, warnings=1)
    text = result.stdout.str()
    assert "by: test_it.py::test_leaks" in text
    return text, [int(line.rpartition(" ")[2]) for line in text.splitlines() if "worker " in line and "pid" not in line]


def named(text: str, what: str) -> list[str]:
    """Whom the line of a leak that begins like this names."""
    found = [
        line.partition(": ")[2]
        for line in text.partition("short test summary")[0].splitlines()
        if f"  {what}: " in line
    ]
    return found[0].split("; ") if found else []


def test_a_process_that_wrote_and_has_ended_is_named_in_delete_mode(pytester: pytest.Pytester) -> None:
    """Both of two, the last first; and the test's own thread."""
    text, (first, second) = leak(
        pytester,
        "delete",
        """
one, two = (pytest.Worker(dbrewind_db.path, name) for name in ("Eve", "Sue"))
one.end(), two.end()
app.execute("DELETE FROM users WHERE id = 1")
""",
    )
    assert named(text, "written by") == [
        "this process, thread 'MainThread'",
        f"pid {second} ({program()} worker.py), ended, thread {second}",
        f"pid {first} ({program()} worker.py), ended, thread {first}",
    ]
    assert "connected when" not in text
    assert "users: 2 inserted (3, 4), 1 deleted (1)" in text


def test_a_process_that_has_ended_is_named_as_connected_in_wal_mode(pytester: pytest.Pytester) -> None:
    """It stays until it was seen; what it does not say is that it wrote."""
    text, (worker,) = leak(
        pytester,
        "wal",
        """
worker = pytest.Worker(dbrewind_db.path, "Eve", "plain")
pytest.until(lambda: _dbrewind_stack.db.writers("base"))
worker.end()
""",
    )
    assert named(text, "connected when it was written") == [f"pid {worker} ({program()} worker.py), ended since"]
    assert "written by" not in text
    assert "also connected" not in text


def test_a_process_that_was_not_there_when_it_was_written_is_not_named(pytester: pytest.Pytester) -> None:
    """It read before, and has ended; or wrote what was rewound since."""
    text, (worker,) = leak(
        pytester,
        "wal",
        """
worker = pytest.Worker(dbrewind_db.path, "Eve", "plain")
pytest.until(lambda: _dbrewind_stack.db.writers("base"))
worker.end()
_dbrewind_stack.db.rewind("base")
app.execute("DELETE FROM users")
""",
    )
    assert worker
    assert "connected" not in text
    assert "written by" not in text


@pytest.mark.parametrize("lives", [False, True])
def test_a_thread_that_wrote_is_named_in_delete_mode(pytester: pytest.Pytester, lives: bool) -> None:
    """By its name as long as it runs, and by its number afterwards; not the thread that has its number then."""
    text, _ = leak(
        pytester,
        "delete",
        f"""
done, end = threading.Event(), threading.Event()
def work():
    with sqlite3.connect(dbrewind_db.path) as own:
        own.execute("DELETE FROM users WHERE id = 1")
    own.close()
    print("native", threading.get_native_id())
    done.set()
    if {lives}:
        end.wait(30)
thread = threading.Thread(target=work, name="flusher", daemon=True)
thread.start()
assert done.wait(30)
if not {lives}:
    thread.join()
    # The system takes its time.
    while os.path.exists(f"/proc/self/task/{{thread.native_id}}"):
        time.sleep(0.001)
""",
    )
    number = next(line.rpartition(" ")[2] for line in text.splitlines() if "native " in line)
    told = "thread 'flusher'" if lives else f"thread {number}, which has ended"
    assert named(text, "written by") == [f"this process, {told}"]


def test_a_writer_that_is_not_recorded_is_not_taken_for_another_one(pytester: pytest.Pytester) -> None:
    """In DELETE mode it breaks the recording, which is said; nobody is named for it."""
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(WORKERS)
    pytester.makepyfile(
        worker=WORKER,
        test_it="""
        import pytest
        def test_first(dbrewind): pass
        def test_leaks(dbrewind_db):
            pytest.Worker(dbrewind_db.path, "Eve", "plain").end()
        """,
    )
    result = run(pytester)
    text = result.stdout.str()
    assert "DBR001" in text
    assert "written by" not in text


def test_the_report_names_other_writers_alone(pytester: pytest.Pytester) -> None:
    """A rewound test's own thread says nothing new."""
    with closing(sqlite3.connect(pytester.path / "test.db")) as db:
        db.execute("PRAGMA user_version=0")
    pytester.makeconftest(WORKERS)
    pytester.makepyfile(
        worker=WORKER,
        test_it="""
        import pytest
        def test_own(dbrewind, app):
            app.execute("DELETE FROM users")
        def test_other(dbrewind, app):
            app.execute("DELETE FROM users WHERE id = 1")
            pytest.Worker(dbrewind.path, "Eve").end()
        """,
    )
    result = run(pytester, "--dbrewind-report", "-s")
    result.assert_outcomes(passed=2)
    text = result.stdout.str()
    assert text.count("written by: ") == 1
    result.stdout.fnmatch_lines([f"*written by: pid * ({program()} worker.py), ended, thread *"])


def test_the_handle_tells_who_wrote(tmp_path: Path) -> None:
    """Typed, for whoever wants to know outside of pytest."""
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db, closing(sqlite3.connect(path, isolation_level=None)) as app:
        db.mark("seeded")
        assert db.writers() == []
        app.execute("DELETE FROM users")
        (writer,) = db.writers("seeded")
        assert (writer.pid, writer.thread, writer.commits) == (os.getpid(), threading.get_native_id(), 1)
        assert writer.runs
        assert writer.thread_runs
        assert writer.program.startswith(program())
        assert repr(writer).startswith(f"<Writer pid {os.getpid()} ({program()}")
        db.rewind("seeded")
        assert db.writers() == []
        with pytest.raises(dbrewind.MarkNotFoundError):
            db.writers("sedeed")
