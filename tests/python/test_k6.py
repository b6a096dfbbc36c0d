"""A real k6, as the how-to says: the application is not restarted, and its database is what it was before the run.

k6 writes nothing itself: it sends requests to an application that knows nothing of it, nor of dbrewind.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from load_scene import orders
from test_site import blocks, commands

SCRIPT = """
import http from 'k6/http';
import {{ check }} from 'k6';

export const options = {{ vus: 2, iterations: 20, thresholds: {{ checks: ['rate==1'] }} }};

export default function () {{
    check(http.post('{url}/orders'), {{ ordered: (answer) => answer.status === {status} }});
}}
"""
ORDERS = 20
# What k6 exits with when a threshold was missed.
MISSED = 99

pytestmark = pytest.mark.optional  # see .ci/prepare: no registry has it under its makers' name


def environment() -> dict[str, str]:
    """With this package's command, and the k6 that is beside it or on the machine. It tells nobody of its use."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if shutil.which("k6", path=path) is None:
        pytest.skip("there is no k6; install one, or `CI=true .ci/prepare k6`")
    return {**os.environ, "PATH": path, "K6_NO_USAGE_REPORT": "true"}


def shell(line: str, database: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=database.parent, env=environment(), check=False, capture_output=True, text=True
    )


def write_script(shop: tuple[Path, str], status: int = 201) -> None:
    database, url = shop
    (database.parent / "script.js").write_text(SCRIPT.format(url=url, status=status))


@pytest.fixture
def watch(shop: tuple[Path, str]) -> Generator[str, None, None]:
    """The how-to's first line for `--rewind=before`, until the test is done. Gives the block."""
    block = blocks("howto/load.md")[2]
    line = commands(block)[0].partition("&")[0]
    folder = shop[0].parent
    with subprocess.Popen(line.split(), cwd=folder, env=environment(), stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        yield block
        watching.terminate()


def test_after_a_run_the_orders_are_gone(shop: tuple[Path, str]) -> None:
    database, url = shop
    write_script(shop)
    orders(url, "POST")
    (line,) = commands(blocks("howto/load.md")[1])
    for _ in range(2):
        done = shell(line, database)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{ORDERS} complete" in done.stdout
        assert "undo: dbrewind rewind app.db " in done.stderr
        assert orders(url) == 1


def test_before_a_run_the_orders_of_the_last_one_are_gone(shop: tuple[Path, str], watch: str) -> None:
    database, url = shop
    write_script(shop)
    orders(url, "POST")
    _, mark, run = commands(watch)
    assert shell(mark, database).returncode == 0
    for _ in range(2):
        done = shell(run, database)
        assert done.returncode == 0, done.stdout + done.stderr
        assert orders(url) == 1 + ORDERS


def test_a_missed_threshold_is_the_command_s_status(shop: tuple[Path, str]) -> None:
    """So a pipeline fails as with k6 alone; the database is rewound all the same."""
    database, url = shop
    write_script(shop, status=500)
    done = shell("dbrewind run --json --rewind=after app.db -- k6 run --quiet script.js", database)
    assert done.returncode == MISSED, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["exit"] == MISSED
    assert last["rewound"]["pages"] > 0
    assert orders(url) == 0


def test_in_a_rollback_mode_it_says_what_to_do(shop: tuple[Path, str]) -> None:
    """k6 is linked statically, so it could not record if it wrote. Refused before it has sent anything."""
    database, url = shop
    other = database.with_name("delete.db")
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY)")
    write_script(shop)
    done = shell("dbrewind run --rewind=after delete.db -- k6 run script.js", database)
    assert done.returncode == 4
    assert "k6 is linked statically" in done.stderr
    assert "--journal wal" in done.stderr
    assert orders(url) == 0
