"""Terms of leases; numbers of bytes may pass 2 GiB (SQLite's integers always could)"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("term", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        for table, column in (("slugs", "size"), ("apps", "repo_size"), ("builds", "preamble")):
            op.alter_column(table, column, type_=sa.BigInteger())
