"""OAuth: clients, the codes that users grant them, and the tokens that they make of these."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound, Unauthorized
from pogo.model import Authorization, Client, Grant, User, utcnow
from pogo.services.database import Database
from pogo.services.people import new_token, sha256

GRANT_SECONDS = 300
TOKEN_SECONDS = 8 * 3600  # Heroku: tokens of clients last eight hours


def list_clients(db: Database, user: User) -> list[Client]:
    with db.read() as session:
        query = select(Client).where(Client.user_id == user.id).order_by(Client.created_at, Client.id)
        return list(session.scalars(query))


def find_client(db: Database, user: User, id: str) -> Client:
    """One of the user's own."""
    with db.read() as session:
        return _own(session, user, id)


def _own(session: Session, user: User, id: str) -> Client:
    client = session.get(Client, id)
    if client is None or client.user_id != user.id:
        raise NotFound("client")
    return client


def any_client(db: Database, id: str) -> Client:
    """Anybody's: a client asks other people for tokens."""
    with db.read() as session:
        client = session.get(Client, id)
    if client is None:
        raise NotFound("client")
    return client


def create_client(db: Database, user: User, name: str, redirect_uri: str) -> Client:
    with db.write() as session:
        client = Client(user_id=user.id, name=name, redirect_uri=redirect_uri, secret=secrets.token_urlsafe(32))
        session.add(client)
        session.flush()
        return client


def update_client(db: Database, user: User, id: str, name: str | None, redirect_uri: str | None) -> Client:
    with db.write() as session:
        client = _own(session, user, id)
        client.name = name or client.name
        client.redirect_uri = redirect_uri or client.redirect_uri
        return client


def rotate_secret(db: Database, user: User, id: str) -> Client:
    with db.write() as session:
        client = _own(session, user, id)
        client.secret = secrets.token_urlsafe(32)
        return client


def delete_client(db: Database, user: User, id: str) -> Client:
    """Its grants and tokens end with it."""
    with db.write() as session:
        client = _own(session, user, id)
        session.execute(delete(Authorization).where(Authorization.client_id == client.id))
        session.execute(delete(Grant).where(Grant.client_id == client.id))
        session.delete(client)
        return client


def grant(db: Database, user: User, client: Client, scope: list[str]) -> tuple[Grant, str]:
    """A code for the client; it is good for GRANT_SECONDS, and once."""
    code = secrets.token_urlsafe(32)
    now = utcnow()
    with db.write() as session:
        session.execute(delete(Grant).where(Grant.expires_at < now))
        row = Grant(
            user_id=user.id,
            client_id=client.id,
            scope=scope,
            code_sha256=sha256(code),
            expires_at=now + timedelta(seconds=GRANT_SECONDS),
        )
        session.add(row)
        session.flush()
        return row, code


def exchange(db: Database, code: str, client_secret: str) -> tuple[Authorization, str, str]:
    """A code for a token: the authorization, the token, the refresh token. Raises Unauthorized."""
    with db.write() as session:
        row = session.scalar(select(Grant).where(Grant.code_sha256 == sha256(code), Grant.expires_at > utcnow()))
        client = session.get(Client, row.client_id) if row else None
        if row is None or client is None or not secrets.compare_digest(client.secret, client_secret):
            raise Unauthorized("The code or the client's secret is wrong, or the code was used or is too old.")
        token, refresh = new_token(), new_token()
        authorization = Authorization(
            user=session.get_one(User, row.user_id),
            description=client.name,
            scope=row.scope,
            token_sha256=sha256(token),
            refresh_sha256=sha256(refresh),
            expires_at=utcnow() + timedelta(seconds=TOKEN_SECONDS),
            client=client,
        )
        session.delete(row)
        session.add(authorization)
        session.flush()
        return authorization, token, refresh


def refresh(db: Database, refresh_token: str, client_secret: str) -> tuple[Authorization, str, str]:
    """A new token, and a new refresh token, in place of the old ones. Raises Unauthorized."""
    with db.write() as session:
        query = select(Authorization).where(Authorization.refresh_sha256 == sha256(refresh_token))
        found = session.scalar(query)
        if found is None or found.client is None or not secrets.compare_digest(found.client.secret, client_secret):
            raise Unauthorized("The refresh token or the client's secret is wrong.")
        token, new = new_token(), new_token()
        found.token_sha256, found.refresh_sha256 = sha256(token), sha256(new)
        found.expires_at = utcnow() + timedelta(seconds=TOKEN_SECONDS)
        return found, token, new


def regenerate(db: Database, user: User, authorization_id: str) -> tuple[Authorization, str]:
    """A new token in place of the old one, for as long as that one had."""
    with db.write() as session:
        row = _own_authorization(session, user, authorization_id)
        token = new_token()
        if row.expires_at:
            row.expires_at = utcnow() + (row.expires_at - row.updated_at)
        row.token_sha256 = sha256(token)
        return row, token


def update_authorization(
    db: Database, user: User, authorization_id: str, description: str | None, client: tuple[str, str] | None
) -> Authorization:
    """client: id and secret of the client that it shall be of. Raises Unauthorized where they do not fit."""
    with db.write() as session:
        row = _own_authorization(session, user, authorization_id)
        if client:
            found = session.get(Client, client[0])
            if found is None or not secrets.compare_digest(found.secret, client[1]):
                raise Unauthorized("There is no such client with that secret.")
            row.client = found
        if description is not None:
            row.description = description
        return row


def _own_authorization(session: Session, user: User, id: str) -> Authorization:
    row = session.get(Authorization, id)
    if row is None or row.user_id != user.id:
        raise NotFound("authorization")
    return row


def checked_redirect(uri: str) -> str:
    """Where a browser is sent with a code: https, or http on the person's own machine. Raises InvalidParams."""
    scheme, separator, rest = uri.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].partition(":")[0]
    local = scheme == "http" and host in ("localhost", "127.0.0.1")
    if not separator or not host or not (scheme == "https" or local) or any(c <= " " for c in uri) or len(uri) > 2000:
        raise InvalidParams("redirect_uri must be an https:// URL (http:// only to localhost).")
    return uri
