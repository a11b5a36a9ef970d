"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import settings

from pogo.model import Base
from pogo.model.base import EncryptedJson
from pogo.services.database import Database

# A busy machine is slow; how slow is not what these tests are about.
settings.register_profile("pogo", deadline=None)
settings.load_profile("pogo")


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied. Migrating it takes seconds; test_migrations shows that it comes to the same."""
    file = tmp_path_factory.mktemp("schema") / "empty.db"
    empty = Database(f"sqlite:///{file}")
    Base.metadata.create_all(empty.engine)
    empty.close()
    return file


@pytest.fixture
def db(schema: Path, tmp_path: Path) -> Iterator[Database]:
    """A database of this test alone."""
    EncryptedJson.use_keys(MultiFernet([Fernet(Fernet.generate_key())]))
    file = tmp_path / "pogo.db"
    file.write_bytes(schema.read_bytes())
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()
