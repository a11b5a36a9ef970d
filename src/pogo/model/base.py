"""What all tables share: ids, UTC times, secrets that are encrypted at rest."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from cryptography.fernet import MultiFernet
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


def utcnow() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid.uuid4())


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None if dialect.name == "sqlite" else UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


#: A number of bytes. SQLite has one type of integers, of 64 bits.
Bytes = BigInteger().with_variant(Integer(), "sqlite")


class EncryptedJson(TypeDecorator[Any]):
    """JSON encrypted with the installation's keys, newest first (`use_keys`)."""

    impl = LargeBinary
    cache_ok = True
    fernet: MultiFernet | None = None

    @classmethod
    def use_keys(cls, fernet: MultiFernet) -> None:
        cls.fernet = fernet

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        assert self.fernet, "EncryptedJson.use_keys was not called"
        return None if value is None else self.fernet.encrypt(json.dumps(value).encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return self.decrypted(value)

    @classmethod
    def decrypted(cls, value: bytes | None) -> Any:
        assert cls.fernet, "EncryptedJson.use_keys was not called"
        return None if value is None else json.loads(cls.fernet.decrypt(value))


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, str: String}


class Record:
    """id: UUID in lower case."""

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
