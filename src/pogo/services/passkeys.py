"""Passkeys (WebAuthn Level 2): made on a page that their user asked for, and good as both factors of a login.

The library `webauthn` checks what an authenticator says; here are the rules: a challenge is good once and for
minutes, the device has to have recognised its user, and a counter never goes back.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound, Unauthorized, Unavailable
from pogo.model import Passkey, PasskeySecret, User, utcnow
from pogo.services import audit
from pogo.services.database import Database
from pogo.services.people import sha256

PAGE, MAKE, LOGIN = "page", "make", "login"
LIFETIME = {PAGE: timedelta(minutes=10), MAKE: timedelta(minutes=5), LOGIN: timedelta(minutes=5)}
MOST_SECRETS = 1000
MOST = 50  # of one user
LONGEST_NAME = 100
_OVER = "This took too long, or was done already. Try again."


@dataclass(frozen=True)
class Party:
    """Who a passkey is made for (the "relying party"). host: its id; origins: of the pages it may be used on."""

    host: str
    origins: list[str]


def list_passkeys(db: Database, user: User) -> list[Passkey]:
    with db.read() as session:
        return list(session.scalars(select(Passkey).where(Passkey.user_id == user.id).order_by(Passkey.created_at)))


def rename(db: Database, user: User, id_or_name: str, name: str) -> Passkey:
    with db.write() as session:
        row = _mine(session, user, id_or_name)
        row.name = _checked_name(name)
        return row


def remove(db: Database, user: User, id_or_name: str) -> Passkey:
    with db.write() as session:
        row = _mine(session, user, id_or_name)
        session.delete(row)
        return row


def _mine(session: Session, user: User, id_or_name: str) -> Passkey:
    mine = list(session.scalars(select(Passkey).where(Passkey.user_id == user.id)))
    found = [row for row in mine if row.id == id_or_name] or [row for row in mine if row.name == id_or_name]
    if not found:
        raise NotFound("passkey")
    if len(found) > 1:
        raise InvalidParams(f"Several passkeys are named {id_or_name}: give the id.")
    return found[0]


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidParams(f"The name of a passkey has 1 to {LONGEST_NAME} characters.")
    return name


def begin(db: Database, user: User) -> tuple[PasskeySecret, str]:
    """The secret of a page on which the user can make one passkey, wherever. Raises InvalidParams, Unavailable."""
    if len(list_passkeys(db, user)) >= MOST:
        raise InvalidParams(f"You have {MOST} passkeys. Remove one first.")
    return _new_secret(db, PAGE, user.id)


def page(db: Database, secret: str) -> User:
    """Whose passkey is made on the page of this secret. Raises NotFound."""
    with db.read() as session:
        row = _living(session, PAGE, secret)
        user = session.get(User, row.user_id) if row else None
    if user is None:
        raise NotFound("page", "This page is not valid any more. Ask for a new one: pogo passkeys:add")
    return user


def creation_options(db: Database, party: Party, secret: str) -> dict[str, Any]:
    """What the browser needs to make a passkey, as JSON of WebAuthn. Raises NotFound, Unavailable."""
    import webauthn
    from webauthn.helpers import structs

    user = page(db, secret)
    _, challenge = _new_secret(db, MAKE, user.id)
    options = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name=f"Pogoapp ({party.host})",
        user_id=user.id.encode(),
        user_name=user.email,
        user_display_name=user.name or user.email,
        challenge=challenge.encode(),
        timeout=int(LIFETIME[MAKE].total_seconds() * 1000),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(webauthn.base64url_to_bytes(one.credential))
            for one in list_passkeys(db, user)
        ],
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def login_options(db: Database, party: Party) -> dict[str, Any]:
    """What the browser needs to log in: no user is named, the authenticator shows those that it knows."""
    import webauthn
    from webauthn.helpers import structs

    _, challenge = _new_secret(db, LOGIN, None)
    options = webauthn.generate_authentication_options(
        rp_id=party.host,
        challenge=challenge.encode(),
        timeout=int(LIFETIME[LOGIN].total_seconds() * 1000),
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def make(db: Database, party: Party, secret: str, credential: str, name: str) -> Passkey:
    """Keep the passkey that the browser has made on the page of this secret, which is over then.

    credential: JSON as of PublicKeyCredential.toJSON(). Raises NotFound, InvalidParams.
    """
    import webauthn
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    user, name = page(db, secret), _checked_name(name or "Passkey")
    challenge, given = _challenge(credential), _json(credential)
    if not _take(db, MAKE, challenge, user.id):
        raise InvalidParams(_OVER)
    try:
        made = webauthn.verify_registration_response(
            credential=given,
            expected_challenge=challenge.encode(),
            expected_rp_id=party.host,
            expected_origin=party.origins,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as failure:
        raise InvalidParams(f"The passkey cannot be taken: {failure}") from failure
    with db.write() as session:
        row = _living(session, PAGE, secret)
        if row is None:
            raise NotFound("page", _OVER)
        session.delete(row)
        id = bytes_to_base64url(made.credential_id)
        if session.scalar(select(Passkey.id).where(Passkey.credential == id)):
            raise InvalidParams("This passkey is known already.")
        passkey = Passkey(
            user=session.get_one(User, user.id),
            name=name,
            credential=id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=_transports(given),
            backed_up=made.credential_backed_up,
            used_at=None,
        )
        session.add(passkey)
        session.flush()
        return passkey


def log_in(db: Database, party: Party, credential: str) -> User:
    """The user whose passkey has signed the challenge. Unauthorized, whatever was wrong."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    challenge, given = _challenge(credential), _json(credential)
    if not _take(db, LOGIN, challenge, None):
        raise Unauthorized(_OVER)
    with db.read() as session:
        row = session.scalar(select(Passkey).where(Passkey.credential == str(given.get("id"))))
    if row is None:
        raise Unauthorized("This passkey is not known here, or was removed.")
    try:
        whose = webauthn.base64url_to_bytes(given["response"]["userHandle"])
        used = webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=challenge.encode(),
            expected_rp_id=party.host,
            expected_origin=party.origins,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as failure:
        _refused(db, row, str(failure))
        raise Unauthorized("This passkey was not accepted.") from failure
    if whose != row.user_id.encode():
        raise Unauthorized("This passkey was not accepted.")
    with db.write() as session:
        now, fresh = utcnow(), session.get(Passkey, row.id)
        if fresh is None or fresh.sign_count != row.sign_count:  # used, or removed, at this very moment
            raise Unauthorized(_OVER)
        fresh.sign_count, fresh.backed_up, fresh.used_at = used.new_sign_count, used.credential_backed_up, now
        fresh.user.last_login = now
        return fresh.user


def _refused(db: Database, row: Passkey, why: str) -> None:
    """On record, since a counter that goes back may be that of a copy."""
    with db.write() as session:
        audit.tell(session, "passkeys", row.id, "refuse", [why[:200]])


def _new_secret(db: Database, kind: str, user_id: str | None) -> tuple[PasskeySecret, str]:
    secret, now = secrets.token_urlsafe(32), utcnow()
    with db.write() as session:
        session.execute(delete(PasskeySecret).where(PasskeySecret.expires_at < now))
        same = select(func.count(PasskeySecret.id)).where(PasskeySecret.kind == kind)
        if (session.scalar(same) or 0) >= MOST_SECRETS:
            raise Unavailable("Too many logins are under way. Try again in ten minutes.")
        row = PasskeySecret(kind=kind, sha256=sha256(secret), user_id=user_id, expires_at=now + LIFETIME[kind])
        session.add(row)
        session.flush()
        return row, secret


def _living(session: Session, kind: str, secret: str) -> PasskeySecret | None:
    mine = (PasskeySecret.kind == kind, PasskeySecret.sha256 == sha256(secret), PasskeySecret.expires_at > utcnow())
    return session.scalar(select(PasskeySecret).where(*mine))


def _take(db: Database, kind: str, challenge: str, user_id: str | None) -> bool:
    """Whether the challenge was given out and lives; it never does again, whatever comes of it."""
    with db.write() as session:
        row = _living(session, kind, challenge)
        if row is None or row.user_id != user_id:
            return False
        session.delete(row)
        return True


def _json(credential: str) -> dict[str, Any]:
    try:
        found = json.loads(credential)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise InvalidParams("This is no passkey.")
    return found


def _challenge(credential: str) -> str:
    """The challenge that the browser says it has answered; whether it has is checked with the signature."""
    import webauthn

    try:
        client = json.loads(webauthn.base64url_to_bytes(_json(credential)["response"]["clientDataJSON"]))
        return webauthn.base64url_to_bytes(client["challenge"]).decode("ascii")
    except (ValueError, TypeError, KeyError, AttributeError) as failure:
        raise InvalidParams("This is no passkey.") from failure


def _transports(given: dict[str, Any]) -> list[str]:
    found = given["response"].get("transports")
    return [str(one)[:20] for one in found[:8]] if isinstance(found, list) else []
