"""From source to running processes: builds, slugs, releases, dynos; and the leases of the loops."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.apps import App
from pogo.model.base import Base, Bytes, EncryptedJson, Record
from pogo.model.people import User


class Slug(Record, Base):
    """blob: key of the squashfs image in the object store. checksum: its SHA-256. size: bytes.

    status: ready; before that awaited for one that is uploaded (`POST /slugs`): then checksum is that of
    the archive, as the client gave it, or empty.
    pruned_at: since when it is no longer kept (settings.keep_slugs); its blob is empty once that is deleted.
    """

    __tablename__ = "slugs"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    blob: Mapped[str]
    checksum: Mapped[str]
    size: Mapped[int] = mapped_column(Bytes)
    stack: Mapped[str]
    process_types: Mapped[dict[str, str]] = mapped_column(JSON)
    commit: Mapped[str | None]
    commit_description: Mapped[str | None]
    detected: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="ready", server_default="ready")
    pruned_at: Mapped[datetime | None]


class Build(Record, Base):
    """status: pending, succeeded, failed. source: key of the source archive in the object store.

    kind: app, or slug: the source is a slug's archive (`slug_id`), which is only checked and packed.

    claim_*: which daemon works on it, until when (conditional UPDATE; see services.leases).
    attempt: counts runs cut short by a fault of the platform; part of the containers' ids.
    failure: the message the pusher saw last, for a failed build.
    waits: what the pusher was told last of why it waits. preamble: bytes of output from before it started.
    troubles: faults of the platform so far. steps: seconds of compile, pack and store; peak: bytes of memory.
    cleared_at: when containers and source were gone, after its end.
    """

    __tablename__ = "builds"
    __table_args__ = (Index("ix_builds_pending", "status", "created_at"),)

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(default="app", server_default="app")
    status: Mapped[str] = mapped_column(default="pending")
    source: Mapped[str]
    source_version: Mapped[str | None]
    stack: Mapped[str]
    buildpacks: Mapped[list[str]] = mapped_column(JSON, default=list)
    slug_id: Mapped[str | None]
    release_id: Mapped[str | None]
    failure: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    waits: Mapped[str | None]
    preamble: Mapped[int | None] = mapped_column(Bytes)
    troubles: Mapped[int] = mapped_column(default=0, server_default="0")
    steps: Mapped[dict[str, float]] = mapped_column(JSON, default=dict, server_default="{}")
    cleared_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    claim_token: Mapped[str | None]
    claim_until: Mapped[datetime | None]
    app: Mapped[App] = relationship(lazy="joined")
    user: Mapped[User] = relationship(lazy="joined")


class Release(Record, Base):
    """A slug with config vars, numbered. status: pending (release phase runs), succeeded, failed.

    The current release of an app is its newest that succeeded.
    """

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("app_id", "version"),)

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"))
    version: Mapped[int]
    status: Mapped[str]
    description: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    slug_id: Mapped[str | None] = mapped_column(ForeignKey("slugs.id"))
    config: Mapped[dict[str, str]] = mapped_column(EncryptedJson, default=dict)
    app: Mapped[App] = relationship(lazy="joined")
    user: Mapped[User] = relationship(lazy="joined")
    slug: Mapped[Slug | None] = relationship(lazy="joined")


class Dyno(Record, Base):
    """One process to be, being or having been in a container.

    kind: formation, run (one-off) or release (release phase). name: `web.1`; during a switch the old
    and the new dyno both have it. container: id of its present container; a crashed dyno that is
    started again gets a new one.
    state: starting, up, crashed, down (stopped by a user), draining (gets no new requests),
    stopping (SIGTERM sent), complete (a one-off that ended). state_at: since when.
    retired: why a formation dyno shall go: `replaced` (deploy, restart: once its successors serve),
    `removed` (scaled down: at once) or `sick` (no longer answers: at once); else None.
    restarts: crashes in a row; next_start: not before; expires_at: a one-off's time limit.
    stop_by: when SIGKILL is due.
    crash: of the last one, see rules.crash; it stays while the dyno is started again.
    """

    __tablename__ = "dynos"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("releases.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    type: Mapped[str]
    number: Mapped[int]
    size: Mapped[str]
    command: Mapped[str]
    env: Mapped[dict[str, str]] = mapped_column(EncryptedJson, default=dict)
    state: Mapped[str] = mapped_column(default="starting")
    state_at: Mapped[datetime]
    container: Mapped[str | None] = mapped_column(unique=True)
    address: Mapped[str | None]
    port: Mapped[int | None]
    retired: Mapped[str | None]
    restarts: Mapped[int] = mapped_column(default=0)
    next_start: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    stop_by: Mapped[datetime | None]
    exit_status: Mapped[int | None]
    crash: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    attach: Mapped[bool] = mapped_column(default=False)
    tty_rows: Mapped[int | None]
    tty_columns: Mapped[int | None]
    attach_sha256: Mapped[str | None] = mapped_column(index=True)
    app: Mapped[App] = relationship(lazy="joined")
    release: Mapped[Release] = relationship(lazy="joined")

    @property
    def name(self) -> str:
        return f"{self.type}.{self.number}"


class LogDrain(Record, Base):
    """Where an app's log is sent to. url: `https://…`, `syslog+tls://host:port` or `syslog://host:port`.

    token: tells its lines from others', at the receiver. private: it may lie in this machine's network.
    position: id of the last line that was delivered; the log itself is the queue.
    """

    __tablename__ = "log_drains"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(EncryptedJson)
    token: Mapped[str] = mapped_column(unique=True)
    private: Mapped[bool] = mapped_column(default=False)
    position: Mapped[str] = mapped_column(default="")


class Lease(Base):
    """Which daemon runs a loop (`dynos`, `router` …), until when. term: counts the changes of its holder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    expires_at: Mapped[datetime]
    term: Mapped[int] = mapped_column(default=0, server_default="0")
