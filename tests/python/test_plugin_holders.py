"""The plugin beside those who hold the database as well: another session, an application, a traceback."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

import dbrewind
from conftest import create
from plugin_scene import CONFTEST, OVERRIDE, run


def test_a_second_session_on_the_same_database_is_refused(pytester: pytest.Pytester) -> None:
    """It would take the first one for killed, and rewind under its tests."""
    create(pytester.path / "test.db", "wal")
    pytester.makeconftest(OVERRIDE.format(body="return 'test.db'").replace("@pytest", "import pytest\n\n@pytest", 1))
    other = "test_ok.py::test_second"
    pytester.makepyfile(
        test_ok=f"""
        import subprocess, sys

        def test_first(dbrewind):
            before = dbrewind.now()
            done = subprocess.run([sys.executable, "-m", "pytest", "{other}"], capture_output=True, text=True)
            assert "another test session has" in done.stdout, done.stdout
            assert "Resource temporarily unavailable" not in done.stdout, done.stdout
            assert not dbrewind.dirty_since(before)

        def test_second(dbrewind):
            pass
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_an_application_that_connected_before_the_plugin(pytester: pytest.Pytester) -> None:
    """Its connection has made an empty file, which is no database of somebody's in a rollback mode."""
    pytester.makeconftest(
        CONFTEST
        + """
@pytest.fixture(scope="session")
def server(dbrewind_db):
    db = sqlite3.connect(dbrewind_db.path, isolation_level=None)
    db.execute("SELECT * FROM sqlite_schema").fetchall()
    yield db
    db.close()
"""
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_it(server, dbrewind, turn):
            server.execute("DELETE FROM users")
            assert server.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        """
    )
    run(pytester).assert_outcomes(passed=2)


@pytest.mark.parametrize("caught", [True, False])
def test_a_connection_that_a_traceback_keeps(pytester: pytest.Pytester, caught: bool) -> None:
    """With a transaction open: neither the end of that test nor the next one waits for it in vain."""
    pytester.makeconftest(CONFTEST)
    body = "with pytest.raises(ValueError) as caught: charge(dbrewind.path)" if caught else "charge(dbrewind.path)"
    pytester.makepyfile(
        f"""
        import sqlite3

        import pytest

        def charge(path):
            app = sqlite3.connect(path)
            app.execute("DELETE FROM users")
            raise ValueError

        def test_charges(dbrewind):
            {body}

        def test_next(dbrewind, app):
            assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
        """
    )
    run(pytester).assert_outcomes(passed=2 if caught else 1, failed=0 if caught else 1)


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("ends", ["raise ValueError", "raise KeyboardInterrupt", "pytest.skip('not today')"])
def test_a_set_up_that_fails_leaves_what_it_found(pytester: pytest.Pytester, mode: str, ends: str) -> None:
    """And nobody takes its session for one that was killed. Its traceback keeps a transaction open."""
    path = create(pytester.path / "test.db", mode)
    with closing(sqlite3.connect(path)) as db:
        before = list(db.iterdump())
    pytester.makeconftest(
        OVERRIDE.format(body="return 'test.db'").replace("@pytest", "import pytest, sqlite3\n\n@pytest", 1)
        + f"""
@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    db = sqlite3.connect(dbrewind_db.path)
    db.execute("DELETE FROM orders")
    db.commit()
    db.execute("DELETE FROM users")
    {ends}
"""
    )
    pytester.makepyfile("def test_one(dbrewind): pass\ndef test_two(dbrewind): pass")
    for _ in range(2):
        result = run(pytester, "-W", "error")
        assert "killed" not in result.stdout.str() + result.stderr.str()
        assert "is not as it was found" not in result.stdout.str() + result.stderr.str()
        with closing(sqlite3.connect(path)) as db:
            assert list(db.iterdump()) == before
    with dbrewind.open(path) as handle:
        assert handle.marks() == []


def test_a_further_database_whose_filling_fails_is_filled_again(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import sqlite3
from contextlib import closing
from dbrewind.testing import fixture

tries = []

def fill(target):
    with closing(sqlite3.connect(target.path, isolation_level=None)) as db:
        db.execute("CREATE TABLE logs(id)")
        tries.append(1)
        assert len(tries) == 2, "the first one fails"

logs_db = fixture("logs_db", url="sqlite:///test_logs.db", setup=fill)
""")
    pytester.makepyfile("def test_one(logs_db): pass\ndef test_two(logs_db): pass")
    result = run(pytester, "-W", "error")
    result.assert_outcomes(errors=1, passed=1)
