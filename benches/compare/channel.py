"""Requests and answers between the processes of the benchmark: one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]
PACKAGE_PARENT = Path(__file__).resolve().parent.parent


class ChildError(Exception):
    """The child process reported an error or ended. `kind` is the name of its exception."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class Child:
    """A child process of this package that answers requests."""

    def __init__(self, module: str, *arguments: str) -> None:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = str(PACKAGE_PARENT)
        # DoltLite leaves this behind to say "already loaded"; in a child it is not.
        environment.pop("_DOLTLITE_BOOTSTRAPPED", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ask(self, request: str, /, **fields: Any) -> Message:
        """Send a request and wait for its answer; raises `ChildError`."""
        self.send(request, **fields)
        return self.receive()

    def send(self, request: str, /, **fields: Any) -> None:
        """Send a request without waiting."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": request, **fields}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError("Ended", f"exit status {self._process.wait()}") from None

    def receive(self) -> Message:
        """Wait for the answer to the request sent last."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError("Ended", f"exit status {self._process.wait()}")
        answer: Message = json.loads(line)
        if "error" in answer:
            raise ChildError(str(answer["error"]), str(answer.get("text", "")))
        return answer

    def kill(self) -> None:
        """End the child at once, without giving it a chance to close anything."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Ask the child to end and wait for it; kills it after ten seconds."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve(handlers: dict[str, Callable[..., Message]]) -> None:
    """Answer requests from standard input until it ends. An exception becomes an error answer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # A library that prints must not garble the answers.
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request.pop("do")](**request)
        except Exception as error:
            if os.environ.get("BENCH_TRACE"):
                traceback.print_exc()
            answer = {"error": type(error).__name__, "text": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
