"""The queue of builds, their steps, and what is pruned"""

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("waits", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("preamble", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("troubles", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("steps", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("cleared_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True))

    op.execute("UPDATE builds SET cleared_at = updated_at WHERE status != 'pending'")

    with op.batch_alter_table("slugs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pruned_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True))

    with op.batch_alter_table("apps", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cache_purged_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True))
