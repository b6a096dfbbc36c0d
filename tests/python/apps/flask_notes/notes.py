"""Notes over HTTP: Flask, Flask-SQLAlchemy, a thread that commits in the background.

`gunicorn --workers 2 "notes:create_app('sqlite:////srv/notes.db')"`
"""

from __future__ import annotations

import os
import threading
from typing import Any

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MIGRATIONS = [
    "CREATE TABLE author (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR NOT NULL UNIQUE, notes INTEGER NOT NULL)",
    "CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, author INTEGER NOT NULL REFERENCES author, body VARCHAR)",
    "INSERT INTO author (name, notes) VALUES ('ann', 0), ('bob', 0)",
]


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    notes: Mapped[int]


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[int]
    body: Mapped[str]


def migrate(app: Flask) -> None:
    """As a migration tool would: the steps not yet done, by number."""
    with app.app_context(), db.engine.begin() as connection:
        done = connection.scalar(text("PRAGMA user_version"))
        for number, step in enumerate(MIGRATIONS[done:], done + 1):
            connection.execute(text(step))
            connection.execute(text(f"PRAGMA user_version = {number}"))


def count_later(app: Flask, author: int) -> threading.Thread:
    """What a task queue does: in a thread, in a transaction of its own."""

    def work() -> None:
        with app.app_context():
            found = db.session.get_one(Author, author)
            found.notes = db.session.scalar(select(func.count()).where(Note.author == author)) or 0
            db.session.commit()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def create_app(url: str) -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)

    @app.post("/notes")
    def write() -> ResponseReturnValue:
        sent: dict[str, Any] = request.get_json()
        author = db.session.scalar(select(Author).where(Author.name == sent["author"]))
        if author is None:
            return {"error": "no such author"}, 404
        note = Note(author=author.id, body=sent["body"])
        db.session.add(note)
        db.session.commit()
        count_later(app, author.id).join()
        return {"id": note.id}, 201

    @app.get("/notes")
    def read() -> ResponseReturnValue:
        return jsonify([note.body for note in db.session.scalars(select(Note).order_by(Note.id))])

    @app.delete("/notes")
    def forget() -> ResponseReturnValue:
        db.session.execute(text("DROP TABLE note"))
        db.session.commit()
        return "", 204

    @app.after_request
    def name_the_worker(response: Response) -> Response:
        response.headers["X-Worker"] = str(os.getpid())
        return response

    return app
