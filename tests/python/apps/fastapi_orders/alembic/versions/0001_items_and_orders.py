from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    item = op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("stock", sa.Integer, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item", sa.Integer, sa.ForeignKey("item.id"), nullable=False),
        sa.Column("customer", sa.String, nullable=False),
        sa.Column("mailed", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.bulk_insert(item, [{"name": "bread", "stock": 3}, {"name": "wine", "stock": 1}])


def downgrade() -> None:
    op.drop_table("orders")
    op.drop_table("item")
