"""The plugin beside those who hold the database as well: another session, an application, a traceback."""

from __future__ import annotations

import pytest

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
