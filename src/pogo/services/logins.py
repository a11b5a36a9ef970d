"""Logging in by e-mail and password: locked for a while after too many failures; also by way of a browser."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, func, select

from pogo.errors import RateLimited, TwoFactorRequired, Unauthorized, Unavailable
from pogo.model import BrowserLogin, FailedLogins, User, utcnow
from pogo.services import audit, people, two_factor
from pogo.services.database import Database
from pogo.services.people import sha256

WINDOW = timedelta(minutes=15)  # failures are remembered so long, and a lock lasts so long
MOST_FROM_ONE_ADDRESS = 10  # failures for one e-mail
MOST = 50  # of all addresses: so that nobody locks others out by ten tries of his own
BROWSER_LOGIN = timedelta(minutes=10)
MOST_BROWSER_LOGINS = 1000


def log_in(db: Database, email: str, password: str, code: str | None, address: str) -> User:
    """The user. address: where the try comes from.

    Unauthorized, whatever was wrong; TwoFactorRequired where the password is right and the code missing or
    wrong; RateLimited after too many failures, whether there is such a user or not.
    """
    user = _checked(db, email, password, address)
    if user.totp_since:
        if not code:
            raise TwoFactorRequired
        if not two_factor.take(db, user, code):
            _failed(db, email, address)
            raise TwoFactorRequired("The two-factor code is wrong, or was used already. Wait for the next one.")
    _succeeded(db, user, email, address)
    return user


def confirm(db: Database, user: User, password: str, address: str) -> bool:
    """Whether this is the password of a user who is logged in. Raises RateLimited."""
    try:
        _checked(db, user.email, password, address)
    except Unauthorized:
        return False
    return True


def _checked(db: Database, email: str, password: str, address: str) -> User:
    _refuse_locked(db, email, address)
    user = people.verify(db, email, password)
    if user is None:
        _failed(db, email, address)
        raise Unauthorized("Invalid credentials provided.")
    return user


def _keys(email: str, address: str) -> dict[str, int]:
    """What failures are counted by, and how many are forgiven. Hashed: what people mistype may be a password."""
    email = email.strip().lower()
    return {sha256(f"{email}\n{address}"): MOST_FROM_ONE_ADDRESS, sha256(email): MOST}


def _refuse_locked(db: Database, email: str, address: str) -> None:
    with db.read() as session:
        query = select(func.max(FailedLogins.locked_until)).where(FailedLogins.key.in_(_keys(email, address)))
        until = session.scalar(query)
    seconds = (until - utcnow()).total_seconds() if until else 0
    if seconds > 0:
        minutes = int(seconds // 60) + 1
        raise RateLimited(
            f"Too many failed logins for this e-mail. Try again in {minutes} minute{'s' * (minutes > 1)}; "
            "tokens and sessions go on working.",
            seconds,
        )


def _failed(db: Database, email: str, address: str) -> None:
    now = utcnow()
    with db.write() as session:
        session.execute(delete(FailedLogins).where(FailedLogins.since < now - 2 * WINDOW))
        for key, most in _keys(email, address).items():
            row = session.get(FailedLogins, key)
            if row is None or row.since < now - WINDOW:
                row = session.merge(FailedLogins(key=key, count=0, since=now, locked_until=None))
            row.count += 1
            if row.count >= most:
                row.locked_until, row.count, row.since = now + WINDOW, 0, now
                audit.tell(session, "logins", None, "lock", [email[:254]])


def _succeeded(db: Database, user: User, email: str, address: str) -> None:
    with db.write() as session:
        session.execute(delete(FailedLogins).where(FailedLogins.key.in_(_keys(email, address))))
        session.get_one(User, user.id).last_login = utcnow()


def begin_in_browser(db: Database, description: str) -> tuple[str, str]:
    """Secrets of a new login: of its page, and of the client that waits for it. Raises Unavailable."""
    page, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    now = utcnow()
    with db.write() as session:
        session.execute(delete(BrowserLogin).where(BrowserLogin.expires_at < now))
        if (session.scalar(select(func.count(BrowserLogin.id))) or 0) >= MOST_BROWSER_LOGINS:
            raise Unavailable("Too many logins are under way. Try again in ten minutes, or use: login -i")
        session.add(
            BrowserLogin(
                description=description,
                page_sha256=sha256(page),
                token_sha256=sha256(token),
                expires_at=now + BROWSER_LOGIN,
            )
        )
    return page, token


def in_browser(db: Database, page: str) -> BrowserLogin | None:
    """The login of a page, None where there is none or it is over."""
    with db.read() as session:
        mine = (BrowserLogin.page_sha256 == sha256(page), BrowserLogin.expires_at > utcnow())
        return session.scalar(select(BrowserLogin).where(*mine))


def waiting_for(db: Database, token: str) -> BrowserLogin | None:
    """The login that a client waits for."""
    with db.read() as session:
        mine = (BrowserLogin.token_sha256 == sha256(token), BrowserLogin.expires_at > utcnow())
        return session.scalar(select(BrowserLogin).where(*mine))


def end_in_browser(db: Database, login: BrowserLogin, token: str | None) -> None:
    """token: what the client gets; None where the person refused."""
    with db.write() as session:
        row = session.get(BrowserLogin, login.id)
        if row is not None:
            row.token, row.refused = token, token is None


def fetched(db: Database, login: BrowserLogin) -> None:
    """The client has its token: the platform forgets it."""
    with db.write() as session:
        session.execute(delete(BrowserLogin).where(BrowserLogin.id == login.id))
