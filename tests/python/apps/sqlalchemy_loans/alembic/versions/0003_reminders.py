from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("loan", recreate="always", table_kwargs={"sqlite_autoincrement": True}) as loan:
        loan.add_column(sa.Column("reminders", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("loan", table_kwargs={"sqlite_autoincrement": True}) as loan:
        loan.drop_column("reminders")
