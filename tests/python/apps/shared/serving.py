"""Servers that the tests of a suite share, and that nobody restarts between them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from journal import recorded

SECONDS = 60


def free_port() -> int:
    """One at which nobody listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def process(database: Path, *module: str) -> Generator[str, None, None]:
    """`python -m MODULE`, which knows nothing of tests; `{port}` in an argument is the port. Gives the URL."""
    port = free_port()
    command = [sys.executable, "-m", *(part.replace("{port}", str(port)) for part in module)]
    environment = {**os.environ, "DATABASE": str(database)}
    with subprocess.Popen(recorded(database, *command), env=environment) as server:
        try:
            until(lambda: server.poll() is not None or _listens(port))
            assert server.poll() is None, f"{module[0]} ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def thread(server: TCPServer) -> Generator[str, None, None]:
    """A server of the standard library's kind, in a thread of this process. Gives the URL."""
    running = threading.Thread(target=server.serve_forever)
    running.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        running.join()
        server.server_close()


def until(happened: Callable[[], object]) -> None:
    """Wait for what a server does after it has answered."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def ask(url: str, send: object = None) -> tuple[int, Any, str]:
    """GET, or POST as JSON: the status, the answer, and which worker it is from, if it says."""
    body = None if send is None else json.dumps(send).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return answer.status, json.load(answer), answer.headers.get("X-Worker", "")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused), refused.headers.get("X-Worker", "")


def of_two_workers(url: str, send: object = None) -> dict[str, list[Any]]:
    """Ask, four at a time, until two workers have answered: by worker, what each one answered."""
    answers: dict[str, list[Any]] = {}
    deadline = time.monotonic() + SECONDS
    with ThreadPoolExecutor(4) as clients:
        while len(answers) < 2:
            assert time.monotonic() < deadline, f"only one worker answers: {list(answers)}"
            for _, answer, worker in clients.map(lambda _: ask(url, send), range(4)):
                answers.setdefault(worker, []).append(answer)
    return answers
