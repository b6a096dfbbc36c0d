"""A second, unmodified process: plain Python with the standard `sqlite3`, one connection that stays open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sqlite3, sys
if len(sys.argv) > 2:
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.execute("SELECT load_extension(?)", (sys.argv[2],))
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

    def __init__(self, path: Path, extension: Path | None = None, python: str = sys.executable) -> None:
        # -I and no site packages of ours: it could not import this package if it wanted to.
        loads = [] if extension is None else [str(extension)]
        self._child = subprocess.Popen(
            [python, "-I", "-S", "-c", PROGRAM, str(path), *loads],
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


class Shell:
    """The stock `sqlite3` shell: it loads the extension, then opens the database and stays connected."""

    def __init__(self, path: Path, extension: Path) -> None:
        # A terminal for its output, which it would hold back in a pipe.
        self._output, slave = os.openpty()
        begin = [f".load {extension}", f".open {path}", ".timeout 10000"]
        commands = [part for command in begin for part in ("-cmd", command)]
        shell = shutil.which("sqlite3")
        assert shell, "the sqlite3 shell is missing: .ci/prepare shell"
        self._child = subprocess.Popen(
            [shell, "-batch", "-bail", *commands, ":memory:"],
            stdin=subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            text=True,
        )
        os.close(slave)
        self._text = ""

    def __call__(self, statement: str) -> list[list[Any]]:
        """Run it, and return the rows, all values as text."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{statement};\n.print -- end\n")
        self._child.stdin.flush()
        end = "-- end\r\n"
        while not self._text.endswith(end):
            try:
                self._text += os.read(self._output, 65536).decode()
            except OSError:
                raise RuntimeError(f"the shell ended at {statement!r}: {self._text}") from None
        lines, self._text = self._text.removesuffix(end).splitlines(), ""
        return [line.split("|") for line in lines]

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)
        os.close(self._output)
