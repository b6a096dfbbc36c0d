"""A peer (see protocol.rs) over Python's SQLite: connections only, no recording."""

import hashlib
import json
import sqlite3
import sys
from pathlib import Path

connection = None
cursor = expected = seen = None


def text(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"blob of {len(value)} {hashlib.sha256(value).hexdigest()}"
    return str(value)


def statements(sql):
    part = ""
    for piece in sql.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            if part.strip(" ;\n"):
                yield part
            part = ""
    if part.strip(" ;\n"):
        yield part


def handle(ask):
    global connection, cursor, expected, seen
    what = ask["do"]
    if what == "open":
        connection = None
        vfs = "?vfs=" + ask["vfs"] if ask["vfs"] else ""
        connection = sqlite3.connect(
            "file:" + ask["path"] + vfs, uri=True, isolation_level=None, timeout=ask["busy"] / 1000
        )
        return {"is": "done"}
    if what == "close":
        connection.close()
        connection = None
        return {"is": "done"}
    if what == "sql":
        rows = []
        for statement in statements(ask["sql"]):
            rows = connection.execute(statement).fetchall()
        return {"is": "rows", "rows": [[text(value) for value in row] for row in rows]}
    if what == "cursor":
        connection.execute("BEGIN")
        try:
            expected = connection.execute(ask["sql"]).fetchall()
            cursor = connection.execute(ask["sql"])
            seen = [row for row in [cursor.fetchone()] if row]
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
        return {"is": "done"}
    if what == "end_cursor":
        try:
            same = seen + cursor.fetchall() == expected
        finally:
            cursor = None
            connection.execute("COMMIT")
        return {"is": "done"} if same else {"is": "failed", "code": "stale", "text": "half-read cursor"}
    if what == "image":
        # Before a connection has read something, it does not know that the page size has changed.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        data = bytearray(connection.serialize())
        cookie = int.from_bytes(data[40:44], "big")
        for start, end in (18, 20), (24, 28), (40, 44), (92, 100):
            data[start:end] = bytes(end - start)
        # Another hash than ours: compared through the dumped pages only.
        Path(ask["dump"]).write_bytes(data)
        return {
            "is": "pages",
            "page_size": size,
            "pages": len(data) // size,
            "digest": "",
            "live": "",
            "cookie": cookie,
        }
    return {"is": "failed", "code": "peer", "text": "not in Python: " + what}


for line in sys.stdin:
    try:
        answer = handle(json.loads(line))
    except sqlite3.Error as error:
        answer = {"is": "failed", "code": str(getattr(error, "sqlite_errorcode", "peer")), "text": str(error)}
    except Exception as error:
        answer = {"is": "failed", "code": "peer", "text": repr(error)}
    print(json.dumps(answer), flush=True)
