from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

book = sa.table("book", sa.column("title"), sa.column("copies"))


def upgrade() -> None:
    op.bulk_insert(book, [{"title": "Emma", "copies": 2}, {"title": "Ulysses", "copies": 1}])


def downgrade() -> None:
    op.execute(book.delete().where(book.c.title.in_(["Emma", "Ulysses"])))
