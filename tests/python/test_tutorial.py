"""The tutorial, as it stands: from the wheel, in a fresh virtual environment, to the first green test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "python/docs/pages/tutorial.md").read_text()
BLOCK = re.compile(r'^```(\w+) title="([\w.]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)


def test_by_its_commands_alone(tmp_path: Path) -> None:
    """A fresh environment knows nothing of the one that runs this, but where cargo is."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (ROOT / "dist").mkdir(exist_ok=True)
    for old in (ROOT / "dist").glob("dbrewind-*.whl"):
        old.unlink()
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL"))
    }
    outside["CHECKOUT"] = str(ROOT)
    said = ""
    for kind, title, text in BLOCK.findall(TUTORIAL):
        if kind == "python":
            (shop / title).write_text(text)
            continue
        assert kind == "console"
        for line in text.splitlines():
            assert line.startswith("$ ")
            assert title == "shop"
            done = subprocess.run(
                ["/bin/sh", "-ec", line[2:]], cwd=shop, env=outside, capture_output=True, text=True, check=False
            )
            said += f"{line}\n{done.stdout}{done.stderr}"
            if done.returncode != 0:
                pytest.fail(said)
    assert "6 passed" in said
    assert said.endswith("(1,)\n(0,)\n")


def test_every_block_is_run() -> None:
    assert len(BLOCK.findall(TUTORIAL)) == 7
    assert TUTORIAL.count("\n```") == 2 * 7
