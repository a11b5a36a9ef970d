"""The migrations make exactly the schema of the model."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from pogo.model import Base
from pogo.services.database import migrate


def test_migrations_and_model_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/migrated.db"
    migrate(url)
    with create_engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
