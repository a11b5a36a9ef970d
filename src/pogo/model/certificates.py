"""Certificates, and how far those from a public authority (ACME) are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from pogo.model.base import Base, EncryptedJson, Record, new_id


class SniEndpoint(Record, Base):
    """A certificate with its key. It is served for the domains that name it.

    app_id: None for one of the platform itself, which is served for all its names. cert_id: changes with the
    certificate. chain: PEM. key: PEM. names: what it is good for. trusted: by this machine. acm: got by the platform.
    """

    __tablename__ = "sni_endpoints"

    app_id: Mapped[str | None] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(unique=True)
    cert_id: Mapped[str] = mapped_column(default=new_id)
    chain: Mapped[str]
    key: Mapped[str] = mapped_column(EncryptedJson)
    names: Mapped[list[str]] = mapped_column(JSON)
    issuer: Mapped[str]
    subject: Mapped[str]
    starts_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    trusted: Mapped[bool]
    acm: Mapped[bool] = mapped_column(default=False)


class AcmeAccount(Record, Base):
    """Of this installation with one authority. url: None until it is registered; key: PEM."""

    __tablename__ = "acme_accounts"

    directory: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(EncryptedJson)
    url: Mapped[str | None]


class AcmeOrder(Record, Base):
    """A certificate that an authority shall give and renew; the row stays as long as it is wanted.

    target: the host name, or `platform`. due_at: when something is to be done next. url: of the order that runs
    at the authority, None between two. key: PEM, of the certificate that is ordered. challenges: what proves to
    the authority that the names are ours (`rules.acme.Challenge`), while it looks. deadline: of the order that runs.
    failures: validations in a row that failed; troubles: times in a row that the authority did not answer.
    reason: of the last failure or trouble. tried_at: when the last order was made.
    """

    __tablename__ = "acme_orders"

    target: Mapped[str] = mapped_column(unique=True)
    names: Mapped[list[str]] = mapped_column(JSON)
    due_at: Mapped[datetime] = mapped_column(index=True)
    url: Mapped[str | None]
    key: Mapped[str | None] = mapped_column(EncryptedJson)
    challenges: Mapped[list[dict[str, Any]]] = mapped_column(EncryptedJson, default=list)
    deadline: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    troubles: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None]
    tried_at: Mapped[datetime | None]
