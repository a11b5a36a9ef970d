"""How the router treats the requests of an app"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("apps", sa.Column("router", sa.LargeBinary(), nullable=True))
