"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ceph import Ceph, running
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import settings

from pogo.model import Base
from pogo.model.base import EncryptedJson
from pogo.services.database import Database, migrate
from postgres_server import Server

# A busy machine is slow; how slow is not what these tests are about.
settings.register_profile("pogo", deadline=None)
settings.load_profile("pogo")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL, of this run (of this worker) alone."""
    server = Server()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """A real Ceph with a gateway, of this run (of this worker) alone."""
    with running(memory=True) as found:
        yield found


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied. Migrating it takes seconds; test_migrations shows that it comes to the same."""
    file = tmp_path_factory.mktemp("schema") / "empty.db"
    empty = Database(f"sqlite:///{file}")
    Base.metadata.create_all(empty.engine)
    empty.close()
    return file


@pytest.fixture(scope="session")
def shared_database(postgres_server: Server) -> str:
    """A migrated database on PostgreSQL, which tests find empty one after the other."""
    url = postgres_server.database()
    migrate(url)
    return url


@pytest.fixture
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of this test alone: SQLite, or PostgreSQL with POGO_TEST_DATABASE=postgresql."""
    EncryptedJson.use_keys(MultiFernet([Fernet(Fernet.generate_key())]))
    if os.environ.get("POGO_TEST_DATABASE") == "postgresql":
        url: str = request.getfixturevalue("shared_database")
        request.getfixturevalue("postgres_server").empty(url)
    else:
        schema: Path = request.getfixturevalue("schema")
        file = tmp_path / "pogo.db"
        file.write_bytes(schema.read_bytes())
        url = f"sqlite:///{file}"
    database = Database(url)
    yield database
    database.close()
