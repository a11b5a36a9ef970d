"""Log sessions are their URLs: there is no table of them any more"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("log_sessions")
