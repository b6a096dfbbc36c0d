"""Small applications and their suites, tests/python/apps: they commit as their frameworks do, and none is patched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"


@pytest.mark.parametrize(
    ("app", "needs", "tests"),
    [
        ("flask_notes", "flask_sqlalchemy", 10),
        ("fastapi_orders", "fastapi", 12),
        ("starlette_tickets", "starlette", 5),
        ("peewee_ledger", "peewee", 9),
        ("aiosqlite_jobs", "aiosqlite", 5),
    ],
)
def test_a_suite(app: str, needs: str, tests: int, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    command = [sys.executable, "-m", "pytest", f"--basetemp={tmp_path / 'base'}"]
    done = subprocess.run(command, cwd=APPS / app, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    assert done.returncode == 0
    assert f" {tests} passed" in done.stdout
