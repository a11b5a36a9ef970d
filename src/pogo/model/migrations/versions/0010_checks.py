"""How the web dynos of an app are checked"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not by a batch: that would make the table anew, and lose what hangs on its rows.
    op.add_column("apps", sa.Column("checks", sa.JSON(), server_default="{}", nullable=False))
