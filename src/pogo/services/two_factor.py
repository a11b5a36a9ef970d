"""Two-factor logins: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

import hmac
import secrets
import time

import pyotp
from sqlalchemy import delete
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams
from pogo.model import Authorization, Passkey, PasskeySecret, User, utcnow
from pogo.services import audit
from pogo.services.database import Database
from pogo.services.people import sha256

PERIOD = 30  # seconds that a code is good for
RECOVERY_CODES = 10


def begin(db: Database, user: User) -> str:
    """A new secret, which does nothing until `confirm`. InvalidParams where two factors are on already."""
    with db.write() as session:
        row = session.get_one(User, user.id)
        if row.totp_since:
            raise InvalidParams("Two-factor authentication is on already. Switch it off first, to begin anew.")
        row.totp = pyotp.random_base32()
        return row.totp


def address(user: User, secret: str, issuer: str) -> str:
    """The otpauth:// URL that authenticators take, mostly as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer)


def confirm(db: Database, user: User, code: str) -> list[str]:
    """Switch it on, by a first code: the recovery codes, which are not kept. Raises InvalidParams."""
    with db.write() as session:
        row = session.get_one(User, user.id)
        if row.totp_since or not row.totp:
            raise InvalidParams("There is nothing to confirm: begin with POST /account/two-factor.")
        if not _is_next(row, code):
            raise InvalidParams("The code is wrong. Is the clock of the device right?")
        row.totp_since = utcnow()
        return _new_codes(row)


def renew_codes(db: Database, user: User) -> list[str]:
    with db.write() as session:
        row = session.get_one(User, user.id)
        if not row.totp_since:
            raise InvalidParams("Two-factor authentication is off.")
        return _new_codes(row)


def switch_off(db: Database, user: User) -> None:
    with db.write() as session:
        row = session.get_one(User, user.id)
        row.totp, row.totp_since, row.totp_step, row.recovery = None, None, 0, []


def forget(db: Database, user: User) -> User:
    """For who has lost them: the password alone is enough again. TOTP and passkeys go, sessions end, tokens stay."""
    with db.write() as session:
        row = session.get_one(User, user.id)
        row.totp, row.totp_since, row.totp_step, row.recovery = None, None, 0, []
        for table in (Passkey, PasskeySecret):
            session.execute(delete(table).where(table.user_id == user.id))
        mine = (Authorization.user_id == user.id, Authorization.session.is_(True))
        session.execute(delete(Authorization).where(*mine))
        return row


def take(db: Database, user: User, code: str) -> bool:
    """Whether the code is right: one of the authenticator that was not used yet, or a recovery code."""
    with db.write() as session:
        row = session.get_one(User, user.id)
        return _is_next(row, code) or _is_recovery(session, row, code)


def _is_next(row: User, code: str) -> bool:
    """Also the code before and the one after: clocks differ. Each is taken once."""
    totp = pyotp.TOTP(row.totp or "")
    now = int(time.time()) // PERIOD
    for step in (now - 1, now, now + 1):
        if step > row.totp_step and hmac.compare_digest(totp.generate_otp(step).encode(), code.strip().encode()):
            row.totp_step = step
            return True
    return False


def _is_recovery(session: Session, row: User, code: str) -> bool:
    digest = sha256(_plain(code))
    if digest not in row.recovery:
        return False
    row.recovery = [one for one in row.recovery if one != digest]
    if who := audit.actor():
        who.user = row
    return True


def _new_codes(row: User) -> list[str]:
    codes = ["-".join(secrets.token_hex(2) for _ in range(4)) for _ in range(RECOVERY_CODES)]
    row.recovery = [sha256(_plain(code)) for code in codes]
    return codes


def _plain(code: str) -> str:
    return "".join(char for char in code.lower() if char.isalnum())
