"""`make demo` on a small file: it must be true at any size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[1] / "demo" / "demo.py"


def test_the_demo_is_true(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--megabytes", "8", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.count("    ok  ") == 7
    assert list(tmp_path.iterdir()) == []
