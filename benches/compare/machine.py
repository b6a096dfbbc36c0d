"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from .database import SCRATCH


def facts() -> dict[str, str]:
    """Processor, memory, kernel, file system, interpreter and commit."""
    memory = int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)") or 0)
    return {
        "machine": name(),
        "processor": _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.*)"),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 1e6:.1f} GB",
        "kernel": platform.release(),
        "file system": _run("findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", str(SCRATCH.parent)),
        "python": platform.python_version(),
        "commit": _run("git", "-C", str(SCRATCH.parent), "describe", "--always", "--dirty"),
    }


def name() -> str:
    """A short name for the record's file: architecture, cores, and processor family."""
    model = re.sub(r"[^a-z0-9]+", "-", _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.*)").lower())
    return f"{platform.machine()}-{os.cpu_count()}core-{model.strip('-') or 'cpu'}"


def load() -> str:
    """The load average now."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _first(path: Path, pattern: str) -> str:
    try:
        found = re.search(pattern, path.read_text())
    except OSError:
        return ""
    return found.group(1).strip() if found else ""


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
