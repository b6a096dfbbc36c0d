"""What the plugin adds to a session of pytest that does not use it: import, and its part of the start. Records nothing.

    python benches/plugin_start.py [ROUNDS]

Each round is a process that loads the plugin as pytest does, other plugins left out: `import dbrewind.pytest_plugin`,
its registration (in which pytest calls `pytest_addhooks` and `pytest_addoption`), and `pytest_configure`. Then two
sessions with one empty test, one with the plugin and one without it, each in a process of its own: what they take
differs by all that the plugin does in them. By turns, so that both meet the same weather of the machine. Medians,
quartiles, and the least, which a busy machine raises least.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

BAR = 10.0  # of the import, in milliseconds
STEPS = """
import json, sys
from time import perf_counter

import pytest
from _pytest.config import get_config

config = get_config([])
before = set(sys.modules)
times = [perf_counter()]

import dbrewind.pytest_plugin as plugin
times.append(perf_counter())
config.pluginmanager.register(plugin, "dbrewind")
times.append(perf_counter())
config.parse([])
config.getini("dbrewind_django")
times.append(perf_counter())
plugin.pytest_configure(config)
times.append(perf_counter())
loaded = sorted(name for name in set(sys.modules) - before if name.startswith("dbrewind"))
steps = [1e3 * (b - a) for a, b in zip(times, times[1:])]
print(json.dumps({"import": steps[0], "register": steps[1], "configure": steps[3], "modules": loaded}))
"""


def main(rounds: int) -> None:
    times: dict[str, list[float]] = {"import": [], "register": [], "configure": []}
    session: dict[str, list[float]] = {"with": [], "without": []}
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_it.py").write_text("def test_it(): pass\n")
        (Path(folder) / "pytest.ini").touch()
        for turn in range(rounds + 1):
            one = json.loads(_run([sys.executable, "-c", STEPS], folder, environment))
            took = {}
            for name, plugin in (("with", ["-p", "dbrewind.pytest_plugin"]), ("without", [])):
                begun = perf_counter()
                _run([sys.executable, "-m", "pytest", "-q", *plugin], folder, environment)
                took[name] = 1e3 * (perf_counter() - begun)
            if turn:  # the first one reads all from the disk
                for name, samples in times.items():
                    samples.append(one[name])
                for name, samples in session.items():
                    samples.append(took[name])
    print(f"milliseconds, median of {rounds} processes (quartiles)\n")
    for name, what in (
        ("import", "import dbrewind.pytest_plugin"),
        ("register", "its registration: addhooks, addoption"),
        ("configure", "pytest_configure"),
    ):
        print(f"{what:<42}{_shown(times[name])}")
    total = [sum(step) for step in zip(*times.values(), strict=True)]
    print(f"{'together':<42}{_shown(total)}")
    added = [a - b for a, b in zip(session["with"], session["without"], strict=True)]
    print(f"{'a session with one test: what it adds':<42}{_shown(added)}")
    print(f"\nmodules that this loads: {', '.join(one['modules'])}")
    verdict = "within" if statistics.median(times["import"]) <= BAR else "over"
    print(f"the import is {verdict} the bar of {BAR:.0f} ms")


def _run(command: list[str], folder: str, environment: dict[str, str]) -> str:
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def _shown(samples: list[float]) -> str:
    low, middle, high = statistics.quantiles(samples, n=4)
    return f"{middle:7.2f} ({low:.2f}..{high:.2f}; least {min(samples):.2f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
