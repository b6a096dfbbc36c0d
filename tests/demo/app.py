"""The application of the demo: plain Python, plain `sqlite3`, plain path. It has never heard of dbrewind.

It opens one connection, keeps it, and runs the statements that come in, one line each; a line
beginning with SELECT is answered with its rows. Every statement is committed.
"""

import json
import sqlite3
import sys


def main() -> None:
    """Serve until the input ends."""
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    for line in sys.stdin:
        rows = connection.execute(line).fetchall()
        print(json.dumps(rows if line.startswith("SELECT") else connection.total_changes), flush=True)


if __name__ == "__main__":
    main()
