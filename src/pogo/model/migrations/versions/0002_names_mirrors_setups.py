"""Buildpack names, mirrors, app setups, uploaded slugs"""

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "buildpack_names",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buildpack_names")),
        sa.UniqueConstraint("name", name=op.f("uq_buildpack_names_name")),
    )
    op.create_table(
        "mirrors",
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirrors")),
        sa.UniqueConstraint("prefix", name=op.f("uq_mirrors_prefix")),
    )
    op.create_table(
        "app_setups",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("build_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("manifest_errors", sa.JSON(), nullable=False),
        sa.Column("formation", sa.JSON(), nullable=False),
        sa.Column("postdeploy", sa.String(), nullable=True),
        sa.Column("dyno_id", sa.String(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("success_url", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_app_setups_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_app_setups_build_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_app_setups_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_setups")),
    )
    with op.batch_alter_table("app_setups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_app_setups_app_id"), ["app_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_app_setups_status"), ["status"], unique=False)

    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(), server_default="app", nullable=False))

    with op.batch_alter_table("slugs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("commit_description", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("status", sa.String(), server_default="ready", nullable=False))
