"""A shop over HTTP that has never heard of dbrewind: `python application.py app.db` prints its port and serves.

POST /orders takes one from the stock and writes an order, in a transaction; GET /orders counts. Standard library only.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, stock INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, item INTEGER NOT NULL REFERENCES item, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO item SELECT i, 'item ' || i, 1000000 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO orders (item, note) SELECT 1 + i % 10000, hex(randomblob(50)) FROM n;
"""
_local = threading.local()


def create(path: Path) -> None:
    """A database of about 3 MB."""
    db = sqlite3.connect(path)
    db.executescript(SCHEMA)
    db.close()


class Shop(BaseHTTPRequestHandler):
    """One thread for each client, each with a connection of its own that stays open."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    path_of_database = ""

    def _database(self) -> sqlite3.Connection:
        if not hasattr(_local, "db"):
            _local.db = sqlite3.connect(self.path_of_database, isolation_level=None, timeout=30)
            _local.db.execute("PRAGMA synchronous=NORMAL")
        return _local.db  # type: ignore[no-any-return]

    def do_POST(self) -> None:
        """Place an order."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        db = self._database()
        db.execute("BEGIN IMMEDIATE")
        (item,) = db.execute("SELECT 1 + abs(random()) % 10000").fetchone()
        db.execute("UPDATE item SET stock = stock - 1 WHERE id = ?", (item,))
        number = db.execute("INSERT INTO orders (item, note) VALUES (?, 'by HTTP')", (item,)).lastrowid
        db.execute("COMMIT")
        self._answer(201, str(number))

    def do_GET(self) -> None:
        """Count orders by HTTP."""
        (count,) = self._database().execute("SELECT count(*) FROM orders WHERE note = 'by HTTP'").fetchone()
        self._answer(200, str(count))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    Shop.path_of_database = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    print(server.server_port, flush=True)
    server.serve_forever()
