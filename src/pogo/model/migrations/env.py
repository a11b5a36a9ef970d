"""Alembic's entry: run the migrations on the database that `services.database.migrate` names."""

from alembic import context
from sqlalchemy import engine_from_config, pool

from pogo.model import Base

engine = engine_from_config(
    {"sqlalchemy.url": context.config.get_main_option("sqlalchemy.url")}, poolclass=pool.NullPool
)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
