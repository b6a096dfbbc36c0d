"""Small applications and their suites, tests/python/apps: they commit as their frameworks do, and none is patched.

Each runs with two workers of pytest-xdist, then again from the base that those have built, then in DELETE mode.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_scene import OTHERS

APPS = Path(__file__).parent / "apps"
SUITES = [
    ("flask_notes", "flask_sqlalchemy", 13),
    ("fastapi_orders", "fastapi", 19),
    ("starlette_tickets", "starlette", 8),
    ("sqlalchemy_loans", "alembic", 12),
    ("peewee_ledger", "peewee", 14),
    ("aiosqlite_jobs", "aiosqlite", 12),
]
each_suite = pytest.mark.parametrize(("app", "needs", "tests"), SUITES, ids=[app for app, _, _ in SUITES])


def run(folder: Path, scratch: Path, *arguments: str, journal: str = "wal") -> str:
    """What the suite in this folder says, all of whose tests passed. Its cache lasts as long as `scratch`."""
    without = [part for name in OTHERS if name not in ("xdist", "anyio") for part in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *without, "-o", f"cache_dir={scratch / 'cache'}"]
    outside = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [*command, f"--basetemp={scratch / 'base'}", *arguments],
        cwd=folder,
        env={**outside, "JOURNAL": journal, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    return done.stdout


@each_suite
def test_two_workers_build_one_base_and_the_next_run_takes_it(app: str, needs: str, tests: int, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    first = run(APPS / app, tmp_path, "-n", "2")
    assert f" {tests} passed" in first
    (summary,) = (line for line in first.splitlines() if " rewinds, " in line or " rewinds; " in line)
    assert (summary.count('" built in '), summary.count('" cached (')) == (1, 1)
    again = run(APPS / app, tmp_path)
    assert f" {tests} passed" in again
    assert "built" not in again
    assert "polluted" not in again


@each_suite
def test_a_suite_in_delete_mode(app: str, needs: str, tests: int, tmp_path: Path) -> None:
    """Servers that it starts record what they write themselves; nothing else differs."""
    pytest.importorskip(needs)
    said = run(APPS / app, tmp_path, journal="delete")
    assert f" {tests} passed" in said
    assert "polluted" not in said


@pytest.mark.parametrize(
    ("app", "needs", "migration"),
    [
        ("sqlalchemy_loans", "alembic", "alembic/versions/0003_reminders.py"),
        ("aiosqlite_jobs", "aiosqlite", "migrations/0002_workers.sql"),
    ],
)
def test_a_migration_that_changes_builds_the_base_anew(app: str, needs: str, migration: str, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    copied = Path(shutil.copytree(APPS, tmp_path / "apps", ignore=shutil.ignore_patterns("__pycache__", ".*"))) / app
    one = ("-k", "services or share")
    assert '" built in ' in run(copied, tmp_path, *one)
    assert '" cached (' in run(copied, tmp_path, *one)
    changed = copied / migration
    changed.write_text(changed.read_text() + "\n")
    assert '" built in ' in run(copied, tmp_path, *one)
