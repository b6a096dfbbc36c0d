from __future__ import annotations

from collections.abc import Generator
from typing import Any

import notes
import pytest
import serving
from flask import Flask
from journal import dbrewind_db as dbrewind_db
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
    with serving.thread(make_server("127.0.0.1", 0, app, threaded=True)) as url:
        yield url


@pytest.mark.parametrize("turn", range(3))
def test_a_server_goes_on(url: str, turn: int) -> None:
    for number in (1, 2, 3):
        assert serving.ask(f"{url}/notes", {"author": "bob", "body": f"note {number}"})[:2] == (201, {"id": number})


@pytest.fixture(scope="module")
def gunicorn(dbrewind_module: Any) -> Generator[str, None, None]:
    """It forks two workers, and stays for all tests with both."""
    command = ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--log-level", "warning"]
    with serving.process(dbrewind_module.path, *command, f"notes:create_app({dbrewind_module.url!r})") as url:
        yield url


WORKERS: list[set[str]] = []


@pytest.mark.parametrize("turn", range(3))
def test_workers_that_were_forked(gunicorn: str, turn: int) -> None:
    """Each sees what the tests before have left, which is nothing; both write; neither is started again."""
    seen = serving.of_two_workers(f"{gunicorn}/notes")
    assert [notes for answers in seen.values() for notes in answers if notes] == []
    written = serving.of_two_workers(f"{gunicorn}/notes", {"author": "ann", "body": "milk"})
    ids = sorted(answer["id"] for answers in written.values() for answer in answers)
    assert ids == list(range(1, len(ids) + 1))
    assert serving.ask(f"{gunicorn}/notes")[1] == ["milk"] * len(ids)
    WORKERS.append({*seen, *written})
    assert len(set.union(*WORKERS)) == 2


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
