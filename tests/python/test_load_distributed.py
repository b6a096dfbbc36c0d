"""Locust with its users in other processes: headless, in the browser, and ended by Ctrl-C. The master alone rewinds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from serving import ask, free_port, until

from load_scene import EXAMPLE, needs, orders


class Distributed:
    """A master of Locust beside the database, and a worker that could not even find it."""

    def __init__(self, database: Path, *master: str) -> None:
        bind = str(free_port())
        locust = [sys.executable, "-m", "locust", "-f", str(EXAMPLE / "locustfile.py"), "--stop-timeout", "5"]
        self.master = self._start([*locust, "--master", "--master-bind-port", bind, *master], database)
        away = database.with_name("elsewhere") / "app.db"
        self._worker = self._start([*locust, "--worker", "--master-host", "127.0.0.1", "--master-port", bind], away)

    def _start(self, command: list[str], database: Path) -> subprocess.Popen[str]:
        environment = {**os.environ, "DATABASE": str(database)}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def said(self) -> tuple[str, str]:
        """What the master and the worker have said, when both have ended well."""
        said = []
        for process in (self.master, self._worker):
            output, errors = process.communicate(timeout=120)
            sys.stdout.write(output + errors)
            assert process.returncode == 0
            said.append(errors)
        return said[0], said[1]

    def __enter__(self) -> Distributed:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.master, self._worker):
            process.kill()
            process.communicate()


def test_a_master_of_locust_rewinds_and_its_worker_does_not(shop: tuple[Path, str]) -> None:
    """The application and its connections outlast both runs; each run begins with the same next number."""
    needs("locust")
    database, url = shop
    first = orders(url, "POST")
    for _ in range(2):
        load = ["--headless", "--expect-workers", "1", "-u", "2", "-r", "2", "-t", "1s", "--host", url]
        with Distributed(database, *load) as distributed:
            master, worker = distributed.said()
        assert re.search(r"rewound app\.db: [1-9]\d* pages", master)
        assert "rewound" not in worker
        assert orders(url) == 1
    assert orders(url, "POST") == first + 1


class Browser:
    """What a page of Locust's master asks it for."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> int:
        """How often a worker has said that it is: at its beginning, and some time after each run."""
        return sum("reported as ready" in line for line in self._get("logs").get("master", []))

    def users(self) -> int:
        """How many are at work."""
        return int(self._get("stats/requests").get("user_count", 0))

    def swarm(self, users: int) -> None:
        """Start, or change the number of users."""
        answer = self._post("swarm", f"user_count={users}&spawn_rate={users}")
        assert answer["success"], answer

    def stop(self) -> None:
        """The answer comes when the run is over."""
        assert self._post("stop", "")["success"]

    def _get(self, what: str) -> dict[str, Any]:
        """Nothing as long as nobody listens."""
        try:
            _, answer, _ = ask(f"{self._url}/{what}")
        except OSError:
            return {}
        return dict(answer)

    def _post(self, what: str, form: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/{what}", form.encode(), timeout=120) as answer:  # noqa: S310
            return json.load(answer)


def test_each_start_and_stop_in_the_browser_is_a_run(shop: tuple[Path, str]) -> None:
    """Neither the application nor Locust's master and worker are restarted, and other users are no other run."""
    needs("locust")
    database, url = shop
    first = orders(url, "POST")
    port = free_port()
    browser = Browser(port)
    with Distributed(database, "--web-host", "127.0.0.1", "--web-port", str(port), "--host", url) as distributed:
        for turn in range(2):
            until(lambda: browser.ready() > turn)  # noqa: B023 - called before the next turn
            browser.swarm(2)
            until(lambda: orders(url) > 5)
            browser.swarm(3)
            until(lambda: browser.users() == 3)
            browser.stop()
            assert orders(url) == 1, "when the answer is there the next run may begin"
        assert orders(url, "POST") == first + 1
        until(lambda: browser.ready() == 3)  # else the master's end does not reach it
        distributed.master.terminate()
        master, worker = distributed.said()
    assert len(re.findall(r"rewound app\.db: [1-9]\d* pages", master)) == 2
    assert "rewound" not in worker


@pytest.mark.parametrize("where", ["beside", "workers"])
def test_ctrl_c_ends_a_run_too(shop: tuple[Path, str], where: str) -> None:
    needs("locust")
    database, url = shop
    orders(url, "POST")
    more = ["--headless", "-u", "2", "-r", "2", "--host", url]
    if where == "workers":
        with Distributed(database, *more, "--expect-workers", "1") as distributed:
            until(lambda: orders(url) > 5)
            distributed.master.send_signal(signal.SIGINT)
            said, _ = distributed.said()
    else:
        command = [sys.executable, "-m", "locust", "-f", str(EXAMPLE / "locustfile.py"), *more]
        environment = {**os.environ, "DATABASE": str(database)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as alone:
            until(lambda: orders(url) > 5)
            alone.send_signal(signal.SIGINT)
            _, said = alone.communicate(timeout=120)
        assert alone.returncode == 0
    assert re.search(r"rewound app\.db: [1-9]\d* pages", said)
    assert orders(url) == 1
