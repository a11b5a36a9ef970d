"""Certificates, and orders at an authority"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from pogo.model.base import EncryptedJson, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def record(*columns: sa.Column[Any]) -> list[sa.Column[Any]]:
    return [
        *columns,
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "sni_endpoints",
        *record(
            sa.Column("app_id", sa.String(), nullable=True),
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("cert_id", sa.String(), nullable=False),
            sa.Column("chain", sa.String(), nullable=False),
            sa.Column("key", EncryptedJson(), nullable=False),
            sa.Column("names", sa.JSON(), nullable=False),
            sa.Column("issuer", sa.String(), nullable=False),
            sa.Column("subject", sa.String(), nullable=False),
            sa.Column("starts_at", UtcDateTime(timezone=True), nullable=False),
            sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
            sa.Column("trusted", sa.Boolean(), nullable=False),
            sa.Column("acm", sa.Boolean(), nullable=False),
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_sni_endpoints_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sni_endpoints")),
        sa.UniqueConstraint("name", name=op.f("uq_sni_endpoints_name")),
    )
    op.create_index(op.f("ix_sni_endpoints_app_id"), "sni_endpoints", ["app_id"], unique=False)
    op.create_table(
        "acme_accounts",
        *record(
            sa.Column("directory", sa.String(), nullable=False),
            sa.Column("key", EncryptedJson(), nullable=False),
            sa.Column("url", sa.String(), nullable=True),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acme_accounts")),
        sa.UniqueConstraint("directory", name=op.f("uq_acme_accounts_directory")),
    )
    op.create_table(
        "acme_orders",
        *record(
            sa.Column("target", sa.String(), nullable=False),
            sa.Column("names", sa.JSON(), nullable=False),
            sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
            sa.Column("url", sa.String(), nullable=True),
            sa.Column("key", EncryptedJson(), nullable=True),
            sa.Column("challenges", EncryptedJson(), nullable=False),
            sa.Column("deadline", UtcDateTime(timezone=True), nullable=True),
            sa.Column("failures", sa.Integer(), nullable=False),
            sa.Column("troubles", sa.Integer(), nullable=False),
            sa.Column("reason", sa.String(), nullable=True),
            sa.Column("tried_at", UtcDateTime(timezone=True), nullable=True),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acme_orders")),
        sa.UniqueConstraint("target", name=op.f("uq_acme_orders_target")),
    )
    op.create_index(op.f("ix_acme_orders_due_at"), "acme_orders", ["due_at"], unique=False)
    with op.batch_alter_table("apps", schema=None) as batch_op:
        batch_op.add_column(sa.Column("acm", sa.Boolean(), server_default="0", nullable=False))
    with op.batch_alter_table("domains", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sni_endpoint_id", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_domains_sni_endpoint_id"), ["sni_endpoint_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_domains_sni_endpoint_id"), "sni_endpoints", ["sni_endpoint_id"], ["id"], ondelete="SET NULL"
        )
