"""The README's Python blocks, run as they stand."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def named(name: str) -> str:
    (block,) = [block for block in BLOCKS if block.startswith(f"# {name}\n")]
    return str(block)


def test_every_block_is_tested_here() -> None:
    names = [block.split("\n", 1)[0] for block in BLOCKS]
    assert names[:2] == ["# conftest.py", "# test_shop.py"]
    assert len(BLOCKS) == 4


def test_the_conftest_is_short() -> None:
    block = named("conftest.py").strip().split("\n")
    assert len([line for line in block if line and not line.startswith("#")]) <= 7


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("app.db")) as new:
        db = new.cursor()
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
        db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob')")
        db.execute("INSERT INTO orders VALUES (1), (2)")
        new.commit()
    names: dict[str, Any] = {}
    for block in BLOCKS[2:]:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    printed = capsys.readouterr().out.split()
    assert int(printed[0]) > 0
    assert float(printed[1]) > 0
    # The last step of the story went forward again, and the block after it was taken back.
    assert names["app"].execute("SELECT count(*) FROM users").fetchone() == (0,)
    names["app"].close()
    names["db"].close()


def test_the_plugin_story(pytester: pytest.Pytester) -> None:
    """Pasted as it stands; a second test finds what the first one found."""
    pytester.makeconftest(named("conftest.py"))
    block = named("test_shop.py")
    pytester.makepyfile(block + block.replace("test_refund", "test_refund_again"))
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
