"""What an override of `dbrewind_db` may name, and how many there may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_scene import run

SHOP = """
import sqlite3
from contextlib import closing

import pytest

@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory):
    return tmp_path_factory.mktemp("NAME") / "NAME.db"

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.execute("CREATE TABLE NAME(id INTEGER PRIMARY KEY)")
        db.commit()
"""
TEST = """
import sqlite3
from contextlib import closing

import pytest

@pytest.mark.parametrize("turn", range(2))
def test_it(dbrewind, dbrewind_db, turn):
    assert dbrewind.path == dbrewind_db.path
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        assert db.execute("INSERT INTO NAME DEFAULT VALUES RETURNING id").fetchone() == (1,)
"""


def packages(pytester: pytest.Pytester, *names: str) -> None:
    for name in names:
        folder = pytester.mkpydir(name)
        (folder / "conftest.py").write_text(SHOP.replace("NAME", name))
        (folder / f"test_{name}.py").write_text(TEST.replace("NAME", name))


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]])
def test_two_folders_with_a_database_each_are_refused(pytester: pytest.Pytester, arguments: list[str]) -> None:
    """The second one's tests would write to theirs, and nothing would be rewound."""
    if arguments:
        pytest.importorskip("xdist")
    packages(pytester, "orders", "users")
    (pytester.path / "test_other.py").write_text("def test_other(): pass")
    result = run(pytester, *arguments, plugins=("xdist",))
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(
        ["dbrewind: *users/conftest.py:7 overrides dbrewind_db, and so does *orders/conftest.py:7, *testing.fixture*"]
    )
    run(pytester, *arguments, "users", "test_other.py", plugins=("xdist",)).assert_outcomes(passed=3)
    run(pytester, *arguments, "-k", "orders or other", plugins=("xdist",)).assert_outcomes(passed=3)


def test_a_folder_that_is_not_there_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest

        @pytest.fixture(scope="session")
        def dbrewind_db():
            return "sqlite:///instance/test.db"
    """)
    pytester.makepyfile("def test_it(dbrewind): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    folder = pytester.path / "instance"
    result.stdout.fnmatch_lines([f"dbrewind: there is no folder {folder} for test.db*begins at {Path(pytester.path)}*"])
