"""Pipelines"""

import sqlalchemy as sa
from alembic import op

import pogo.model.base

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipelines",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("team_id", sa.String(), nullable=True),
        sa.Column("config", pogo.model.base.EncryptedJson(), nullable=False),
        sa.Column("review", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_pipelines_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_pipelines_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipelines")),
        sa.UniqueConstraint("name", name=op.f("uq_pipelines_name")),
    )
    with op.batch_alter_table("pipelines", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pipelines_team_id"), ["team_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pipelines_user_id"), ["user_id"], unique=False)

    op.create_table(
        "pipeline_couplings",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_pipeline_couplings_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_pipeline_couplings_pipeline_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_couplings")),
        sa.UniqueConstraint("app_id", name=op.f("uq_pipeline_couplings_app_id")),
    )
    with op.batch_alter_table("pipeline_couplings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pipeline_couplings_pipeline_id"), ["pipeline_id"], unique=False)

    op.create_table(
        "pipeline_promotions",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_pipeline_promotions_app_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_pipeline_promotions_pipeline_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["releases.id"], name=op.f("fk_pipeline_promotions_release_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_pipeline_promotions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_promotions")),
    )
    with op.batch_alter_table("pipeline_promotions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pipeline_promotions_app_id"), ["app_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pipeline_promotions_pipeline_id"), ["pipeline_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pipeline_promotions_release_id"), ["release_id"], unique=False)

    op.create_table(
        "review_apps",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=True),
        sa.Column("setup_id", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("pr_number", sa.Integer(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_review_apps_app_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name=op.f("fk_review_apps_pipeline_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["setup_id"], ["app_setups.id"], name=op.f("fk_review_apps_setup_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_review_apps_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_apps")),
    )
    with op.batch_alter_table("review_apps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_apps_app_id"), ["app_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_apps_pipeline_id"), ["pipeline_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_apps_setup_id"), ["setup_id"], unique=False)

    op.create_table(
        "pipeline_promotion_targets",
        sa.Column("promotion_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("release_id", sa.String(), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pogo.model.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_pipeline_promotion_targets_app_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["promotion_id"],
            ["pipeline_promotions.id"],
            name=op.f("fk_pipeline_promotion_targets_promotion_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["releases.id"], name=op.f("fk_pipeline_promotion_targets_release_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_promotion_targets")),
    )
    with op.batch_alter_table("pipeline_promotion_targets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pipeline_promotion_targets_app_id"), ["app_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pipeline_promotion_targets_promotion_id"), ["promotion_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pipeline_promotion_targets_release_id"), ["release_id"], unique=False)
