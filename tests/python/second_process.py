"""A second, unmodified process: plain Python with the standard `sqlite3`, one connection that stays open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA busy_timeout = 10000")
for line in sys.stdin:
    try:
        answer = {"rows": connection.execute(json.loads(line)).fetchall()}
    except sqlite3.Error as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class SecondProcess:
    """Runs one statement a call; the connection is never opened again."""

    def __init__(self, path: Path) -> None:
        # -I and no site packages of ours: it could not import this package if it wanted to.
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def __call__(self, statement: str) -> list[list[Any]]:
        """Run it, and return the rows."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(statement) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, f"the second process ended at {statement!r}"
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        rows: list[list[Any]] = answer["rows"]
        return rows

    def __enter__(self) -> SecondProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)
