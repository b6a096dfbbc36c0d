from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Generator
from typing import Any

import notes
import pytest
from flask import Flask
from notes import Author, db
from werkzeug.serving import make_server

import dbrewind.sqlalchemy

pytestmark = pytest.mark.usefixtures("dbrewind")


@pytest.fixture(scope="session")
def app(dbrewind_db: Any) -> Flask:
    """One application, with one pool, for the whole session."""
    app = notes.create_app(dbrewind_db.url)
    dbrewind.sqlalchemy.bind(notes.db.session)
    return app


@pytest.fixture(scope="session")
def dbrewind_setup(app: Flask) -> None:
    notes.migrate(app)


@pytest.mark.parametrize("turn", range(3))
def test_a_note_is_written(app: Flask, turn: int) -> None:
    client = app.test_client()
    assert client.get("/notes").json == []
    answer = client.post("/notes", json={"author": "ann", "body": "milk"})
    assert (answer.status_code, answer.json) == (201, {"id": 1})
    with app.app_context():
        assert db.session.get_one(Author, 1).notes == 1


@pytest.mark.parametrize("turn", range(2))
def test_a_dropped_table_is_there_again(app: Flask, turn: int) -> None:
    assert app.test_client().delete("/notes").status_code == 204


@pytest.fixture(scope="module")
def url(app: Flask) -> Generator[str, None, None]:
    """A server of threads that stays for all tests."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/notes"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("turn", range(3))
def test_a_server_goes_on(url: str, turn: int) -> None:
    for number in (1, 2, 3):
        body = json.dumps({"author": "bob", "body": f"note {number}"}).encode()
        sent = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(sent) as answer:  # noqa: S310
            assert json.load(answer) == {"id": number}


@pytest.fixture(scope="module")
def context(app: Flask) -> Generator[None, None, None]:
    with app.app_context():
        yield


@pytest.mark.parametrize("turn", range(2))
def test_a_session_that_stays_reads_anew(context: None, turn: int) -> None:
    author = db.session.get_one(Author, 1)
    assert author.name == "ann"
    author.name = "anna"
    db.session.commit()
    assert author.name == "anna"  # loaded, and kept by the session
