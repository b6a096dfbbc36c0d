"""The shop of tests/python/apps/django_shop, and a session in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

APP = Path(__file__).parent / "apps/django_shop"


def copied(folder: Path) -> Path:
    """A copy, so that nothing is left beside the sources."""
    return Path(shutil.copytree(APP, folder / "shop", ignore=shutil.ignore_patterns("__pycache__")))


def run(shop: Path, *command: str, said: str = "", **variables: str) -> str:
    """What `python COMMAND` says there, if this is said to it; its exit status in the first line."""
    environment = os.environ | variables
    call = [sys.executable, *command]
    done = subprocess.run(call, cwd=shop, input=said, env=environment, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"
