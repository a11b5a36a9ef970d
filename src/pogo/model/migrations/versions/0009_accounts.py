"""Accounts: keys, OAuth, invitations, two-factor logins, the audit record"""

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("authorization_id", sa.String(), nullable=True),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("app", sa.String(), nullable=True),
        sa.Column("app_name", sa.String(), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_events_id")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_events_app"), ["app"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_user_id"), ["user_id"], unique=False)

    op.create_table(
        "browser_logins",
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("page_sha256", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("expires_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("token", pogo.model.base.EncryptedJson(), nullable=True),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browser_logins")),
        sa.UniqueConstraint("page_sha256", name=op.f("uq_browser_logins_page_sha256")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_browser_logins_token_sha256")),
    )
    op.create_table(
        "failed_logins",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("since", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("locked_until", pogo.model.base.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_failed_logins")),
    )
    op.create_table(
        "invitations",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("invited_by", sa.String(), nullable=False),
        sa.Column("expires_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitations_token_sha256")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitations_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_invitations_user_id"), ["user_id"], unique=False)

    op.create_table(
        "keys",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("user_id", "fingerprint", name=op.f("uq_keys_user_id")),
    )
    op.create_table(
        "oauth_clients",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("secret", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_oauth_clients_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
    )
    with op.batch_alter_table("oauth_clients", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_clients_user_id"), ["user_id"], unique=False)

    op.create_table(
        "oauth_grants",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("code_sha256", sa.String(), nullable=False),
        sa.Column("expires_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_clients.id"], name=op.f("fk_oauth_grants_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_oauth_grants_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_grants")),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_oauth_grants_code_sha256")),
    )
    with op.batch_alter_table("oauth_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oauth_grants_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_oauth_grants_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("authorizations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("session", sa.Boolean(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("client_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("refresh_sha256", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_authorizations_client_id"), ["client_id"], unique=False)
        batch_op.create_unique_constraint(batch_op.f("uq_authorizations_refresh_sha256"), ["refresh_sha256"])
        batch_op.create_foreign_key(
            batch_op.f("fk_authorizations_client_id"), "oauth_clients", ["client_id"], ["id"], ondelete="CASCADE"
        )

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("totp", pogo.model.base.EncryptedJson(), nullable=True))
        batch_op.add_column(sa.Column("totp_since", pogo.model.base.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("recovery", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("preferences", sa.JSON(), server_default="{}", nullable=False))

    with op.batch_alter_table("collaborators", schema=None) as batch_op:
        default = '["deploy", "operate", "view"]'
        batch_op.add_column(sa.Column("permissions", sa.JSON(), server_default=default, nullable=False))

    op.create_table(
        "app_transfers",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("recipient_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_app_transfers_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_app_transfers_owner_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["users.id"], name=op.f("fk_app_transfers_recipient_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_transfers")),
    )
    with op.batch_alter_table("app_transfers", schema=None) as batch_op:
        for column in ("app_id", "owner_id", "recipient_id"):
            batch_op.create_index(batch_op.f(f"ix_app_transfers_{column}"), [column], unique=False)
