"""Webhooks"""

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("include", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", sa.JSON(), nullable=False),
        sa.Column("data", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("previous", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
    )
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_events_app_id"), ["app_id"], unique=False)

    op.create_table(
        "webhooks",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("url", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("include", sa.JSON(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("secret", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("authorization", pogo.model.base.EncryptedJson(), nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhooks_app_id"), ["app_id"], unique=False)

    op.create_table(
        "webhook_deliveries",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("next_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=True),
        sa.Column("attempt_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_events.id"], name=op.f("fk_webhook_deliveries_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_app_id"), ["app_id"], unique=False)
        batch_op.create_index("ix_webhook_deliveries_due", ["webhook_id", "next_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_event_id"), ["event_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_next_at"), ["next_at"], unique=False)
