"""An HTTP application under load that is reset between runs without a restart, and what both cost.

    python python/examples/load_test/load_test.py --runs 40 --seconds 0.5 --clients 4

Runs alternate between two applications, each on its own copy of the database. One is recorded and rewound after each
run, while its clients stay connected; the other is not, and is reset as people do today: stop it, copy the file back,
start it. Printed are the time of both resets, and the requests a second and their latency with and without recording.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import application
import dbrewind


class Server:
    """The application in a process of its own."""

    def __init__(self, database: Path) -> None:
        command = [sys.executable, application.__file__, str(database)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        """It holds nothing that a kill could hurt."""
        self.process.kill()
        self.process.communicate()


class Clients:
    """Connections that stay open from one run to the next."""

    def __init__(self, server: Server, count: int) -> None:
        self.connections = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(count)]

    def ask(self, connection: http.client.HTTPConnection, method: str) -> int:
        """One request; answers the number in the answer."""
        connection.request(method, "/orders")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method}: {answer.status}")
        return int(body)

    def load(self, seconds: float) -> list[float]:
        """Orders, from all connections at once; answers the seconds that each took."""
        took: list[float] = []
        end = time.perf_counter() + seconds

        def work(connection: http.client.HTTPConnection) -> None:
            begun = time.perf_counter()
            while begun < end:
                self.ask(connection, "POST")
                took.append(time.perf_counter() - begun)
                begun = time.perf_counter()

        threads = [threading.Thread(target=work, args=(connection,)) for connection in self.connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return took

    def count(self) -> int:
        """What each connection sees; they must agree."""
        seen = {self.ask(connection, "GET") for connection in self.connections}
        if len(seen) != 1:
            raise RuntimeError(f"connections see different states: {seen}")
        return seen.pop()


def quantile(values: list[float], part: float) -> float:
    """The value below which this part lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def recording() -> float:
    """CPU seconds that the threads have used so far that record in this process."""
    used = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            name, _, numbers = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # a client's, which has ended
            continue
        if name.startswith("dbrewind"):
            used += sum(map(int, numbers.split()[11:13]))
    return used / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.5, help="of load in each run")
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), asked.runs, asked.seconds, asked.clients)


def compare(folder: Path, runs: int, seconds: float, count: int) -> None:
    """Recorded and plain runs in turn."""
    template, recorded, plain = (folder / f"{name}.db" for name in ("template", "recorded", "plain"))
    application.create(template)
    shutil.copy(template, recorded)
    shutil.copy(template, plain)
    server, other = Server(recorded), Server(plain)
    rates: dict[str, list[float]] = {"recorded": [], "plain": []}
    latencies: dict[str, list[float]] = {"recorded": [], "plain": []}
    rewinds: list[float] = []
    restarts: list[float] = []
    work = 0.0
    try:
        with dbrewind.open(recorded) as db:
            base = db.mark("base")
            digest = db.digest()
            clients, others = Clients(server, count), Clients(other, count)
            for _ in range(runs):
                begun = recording()
                took = clients.load(seconds)
                work += recording() - begun
                rates["recorded"].append(len(took) / seconds)
                latencies["recorded"] += took
                begun = time.perf_counter()
                db.rewind(base)
                rewinds.append(time.perf_counter() - begun)
                if clients.count() != 0:
                    raise RuntimeError("a connection still sees orders of the run")

                took = others.load(seconds)
                rates["plain"].append(len(took) / seconds)
                latencies["plain"] += took
                begun = time.perf_counter()
                other.stop()
                for name in ("plain.db-wal", "plain.db-shm"):
                    (folder / name).unlink(missing_ok=True)
                shutil.copy(template, plain)
                other = Server(plain)
                others = Clients(other, count)
                others.count()
                restarts.append(time.perf_counter() - begun)
            if db.digest() != digest:
                raise RuntimeError("the database is not what it was")
        if server.process.poll() is not None:
            raise RuntimeError("the application ended")
    finally:
        server.stop()
        other.stop()
    print(f"{runs} runs of {seconds} s each, {count} clients, synchronous=NORMAL")
    say("reset by rewind, nothing restarted", rewinds)
    say("reset by stop, copy, start", restarts)
    for name in rates:
        say(f"a request, {name}", latencies[name])
        print(f"{'requests/s, ' + name:<36} median {median(rates[name]):.0f}")
    ratios = [r / p for r, p in zip(rates["recorded"], rates["plain"], strict=True)]
    spread = f"p10 {quantile(ratios, 0.1):.3f}x, p90 {quantile(ratios, 0.9):.3f}x"
    print(f"{'throughput, recorded of plain':<36} median {median(ratios):.3f}x, {spread}")
    spent = 1e6 * work / max(1, len(latencies["recorded"]))
    print(f"{'recording, CPU time of its own':<36} {spent:.0f} us an order")
    print(f"server, clients and recording share {os.cpu_count()} cores; load average {os.getloadavg()[0]:.1f}")
    print(f"process {server.process.pid} served all recorded runs; digest after {runs} rewinds: equal")


def say(what: str, took: list[float]) -> None:
    """Quantiles in milliseconds."""
    print(f"{what:<36} p50 {quantile(took, 0.5) * 1e3:.3f} ms, p99 {quantile(took, 0.99) * 1e3:.3f} ms")


if __name__ == "__main__":
    main()
