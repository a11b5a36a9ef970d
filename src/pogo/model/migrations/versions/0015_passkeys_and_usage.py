"""Passkeys; dyno time"""

from typing import Any

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _record() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "passkeys",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("credential", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("used_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True),
        *_record(),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passkeys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential", name=op.f("uq_passkeys_credential")),
    )
    op.create_index(op.f("ix_passkeys_user_id"), "passkeys", ["user_id"])
    op.create_table(
        "passkey_secrets",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("expires_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passkey_secrets_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey_secrets")),
        sa.UniqueConstraint("sha256", name=op.f("uq_passkey_secrets_sha256")),
    )
    op.create_index(op.f("ix_passkey_secrets_user_id"), "passkey_secrets", ["user_id"])
    op.create_table(
        "dyno_intervals",
        sa.Column("dyno_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("app_name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.Column("started_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", pogo.model.base.UtcDateTime(timezone=True), nullable=True),
        *_record(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dyno_intervals")),
    )
    op.create_index(op.f("ix_dyno_intervals_app_id"), "dyno_intervals", ["app_id"])
    op.create_index(op.f("ix_dyno_intervals_ended_at"), "dyno_intervals", ["ended_at"])
    op.create_index("ix_dyno_intervals_open", "dyno_intervals", ["dyno_id", "ended_at"])
    op.create_index(op.f("ix_dyno_intervals_owner"), "dyno_intervals", ["owner"])
    op.create_table(
        "dyno_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.Column("app_name", sa.String(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "owner", "app_id", "type", "size", name=op.f("pk_dyno_days")),
    )
