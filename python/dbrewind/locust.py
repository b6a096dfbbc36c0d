"""Load tests with Locust: every run finds the same database, and the application is not restarted.

In the locustfile:

>>> import dbrewind.locust
>>> dbrewind.locust.rewind("/srv/app/app.db")

Locust runs beside the database then, on the same machine. The database must be in WAL mode: the application needs
nothing there, and stays connected.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Literal

from locust import events
from locust.runners import MasterRunner, WorkerRunner

if TYPE_CHECKING:
    import os

    from dbrewind import Database, Lsn

__all__ = ["rewind"]

_log = logging.getLogger("dbrewind.locust")


def rewind(
    path: str | os.PathLike[str],
    *,
    when: Literal["after", "before", "never"] = "after",
    mark: str = "locust",
    timeout: float = 30.0,
    pause: float = 0.0,
    **options: Any,
) -> None:
    """Rewind this database around each run of this process (headless, or each start and stop in the browser).

    - `when="after"`: at the end of each run, to the state at its beginning.
    - `when="before"`: at the beginning of each run, to the mark `mark`. What a run did stays to be looked at. If there
      is no such mark, the first run sets it.
    - `when="never"`: nothing is rewound; the beginning of each run is marked: "locust 1", "locust 2".

    `timeout`: seconds that a rewind waits for transactions that the application still has open. `options` are those of
    `dbrewind.open`. In a distributed test the master rewinds, workers do not, and need not see the database.

    `pause`: for an application that goes on committing after its answers (a queue of mails, a worker): the rewind after
    a run waits until nothing has been committed for so many seconds, or, with a warning, for `timeout`.

    Where no `--stop-timeout` was given, users get `timeout` to end what they are at: what they had asked for would be
    committed after the rewind.
    """
    around = _Around(path, when, mark, timeout, pause, options)
    events.test_start.add_listener(around.start)  # type: ignore[no-untyped-call]
    events.test_stop.add_listener(around.stop)  # type: ignore[no-untyped-call]
    events.quitting.add_listener(around.close)  # type: ignore[no-untyped-call]


class _Around:
    def __init__(self, path: Any, when: str, mark: str, timeout: float, pause: float, options: dict[str, Any]) -> None:
        if when not in ("after", "before", "never"):
            raise ValueError(f'when: expected "after", "before" or "never", not {when!r}')
        self.path, self.when, self.mark, self.timeout, self.options = path, when, mark, timeout, options
        self.pause = pause
        self.db: Database | None = None
        self.begin: Lsn | None = None

    def start(self, environment: Any, **_: object) -> None:
        if isinstance(environment.runner, WorkerRunner):
            return
        self.stop(environment)  # The run before, if somebody starts this one during its pause.
        if self.when != "never" and not environment.stop_timeout:
            environment.stop_timeout = self.timeout  # a master's workers get it with their first job
        if self.db is None:
            import dbrewind

            self.db = dbrewind.open(self.path, **self.options)
        # One that is lost, too: to set it anew would make whatever is there what each later run begins with.
        names = {mark.name for mark in self.db.marks()}
        if self.when == "before" and self.mark in names:
            self._go(self.mark)
        elif self.when == "before":
            self.db.mark(self.mark, pin=True)
        elif self.when == "never":
            # Numbers only grow, whatever was dropped meanwhile.
            begun = f"{self.mark} "
            ends = [name.removeprefix(begun) for name in names if name.startswith(begun)]
            number = 1 + max((int(end) for end in ends if end.isdecimal()), default=0)
            self.db.mark(f"{begun}{number}")
        self.begin = self.db.now()

    def stop(self, environment: Any, **_: object) -> None:
        begin = self.begin
        if begin is None:
            return
        if isinstance(environment.runner, MasterRunner):
            _end_workers(environment, self.timeout)
        if self.when == "after":
            self._rest(begin)
        # During the pause the process may end, or the next run begin: whoever is here first rewinds.
        if self.begin is begin:
            self.begin = None
            if self.when == "after":
                self._go(begin)

    def close(self, environment: Any, **_: object) -> None:
        if self.begin is not None and not isinstance(environment.runner, MasterRunner):
            # Ctrl-C. Locust ends its users, too, but only when this has returned.
            environment.runner.stop()
        # That of a master; or of a run whose users have ended, and its pause not.
        self.stop(environment)
        if self.db is not None:
            self.db.close()

    def _go(self, to: str | Lsn) -> None:
        assert self.db is not None
        done = self.db.rewind(to, timeout=self.timeout)
        _log.info("rewound %s: %d pages in %.2f ms", self.db.path.name, done.pages, done.seconds * 1e3)

    def _rest(self, begin: Lsn) -> None:
        """Until nothing has been committed for the pause, or somebody else has rewound."""
        end = time.monotonic() + self.timeout
        last = None
        while self.pause and self.begin is begin:
            assert self.db is not None
            now = self.db.now()
            if now == last:
                return
            if time.monotonic() > end:
                _log.warning("%s is still written to after %g s; rewound all the same", self.db.path.name, self.timeout)
                return
            last = now
            time.sleep(self.pause)


def _end_workers(environment: Any, seconds: float) -> None:
    """A master that ends with its run says so before it has told its workers, whose users go on meanwhile."""
    master: MasterRunner = environment.runner
    # In the browser's runs they have ended by now, and are needed for the next one.
    if master.user_count == 0 and not getattr(environment.parsed_options, "headless", False):
        return
    master.send_message("quit")
    end = time.monotonic() + max(seconds, environment.stop_timeout) + 30
    while master.worker_count:
        if time.monotonic() > end:
            _log.warning("%d workers have not ended: what they commit comes after the rewind", master.worker_count)
            return
        time.sleep(0.05)
