"""Every operation that changes something leaves one record of who did what, from where: looked at in every
call of every test of the API. A whole run fails that has not seen such a record of each operation.
"""

from __future__ import annotations

from typing import Any

import pytest
from operations import OF_AN_APP, OTHERS
from sqlalchemy import func, select

from pogo.model import AuditEvent
from pogo.rules.operations import SAFE
from pogo.services.database import Database

SEEN = pytest.StashKey[set[str]]()

#: What leaves no record, and why.
SILENT = {
    "POST /apps/{app}/addons": "there are no add-ons",
    "POST /actions/addon-attachments/resolve": "there are no add-ons",
    "POST /actions/addons/resolve": "there are no add-ons",
    "POST /filters/apps": "it reads",
    "POST /apps/{app}/log-sessions": "it reads",
    "POST /sources": "a place for a file; what is made of it is recorded",
    "POST /apps/{app}/sources": "a place for a file; what is made of it is recorded",
    "PUT /uploads/{name}": "a file, sent with a signed URL; what is made of it is recorded",
    "POST /auth": "a page is offered; who logs in there is recorded",
    "POST /auth/passkey-options": "a question for a passkey; what comes of it is recorded",
    "POST /account/passkeys": "a page is offered; the passkey that is made there is recorded",
    "PATCH /teams/{team}/preferences": "there is nothing to choose",
}
#: Several transactions, each recorded in itself, with the same request id; so nothing is lost when one fails.
IN_STEPS = {
    "POST /app-setups": "an app, its config vars, a build, the setup",
    "POST /review-apps": "an app, its config vars, a build, the setup",
    "POST /oauth/authorizations": "a recovery code is used up, a token is made",
    "POST /auth/browser/{page}": "a recovery code is used up, a token is made",
}
#: Without a token: the record names the address, and the user where one has logged in.
NAMELESS = {key for key, (who, _) in OTHERS.items() if who == "open"}


def changing() -> set[str]:
    every = {key.replace(" ", " /apps/{app}", 1) for key in OF_AN_APP} | OTHERS.keys()
    return {key for key in every if key.partition(" ")[0] not in SAFE}


class Watch:
    """Looks at each answer that a test gets."""

    def __init__(self, db: Database, seen: set[str]) -> None:
        self._db, self._seen, self._changing = db, seen, changing()
        with db.read() as session:
            self._before = session.scalar(select(func.max(AuditEvent.number))) or 0

    def __call__(self, answer: Any) -> None:
        method, path = answer.request.method, answer.request.url.path
        if method in SAFE or answer.status_code >= 400 or "request-id" not in answer.headers:
            return
        with self._db.read() as session:
            same = AuditEvent.request_id == answer.headers["request-id"][-500:]
            found = list(session.scalars(select(AuditEvent).where(same, AuditEvent.number > self._before)))
        told = f"{method} {path}: {[(one.action, one.changes) for one in found]}"
        for one in found:
            action = one.action.replace(":path", "")
            assert len(found) == 1 or action in IN_STEPS, f"one record for each change: {told}"
            assert action in self._changing and action not in SILENT, told
            assert one.ip and one.changes, told
            assert action in NAMELESS or (one.user_id and one.email), f"nobody has done it: {told}"
            self._seen.add(action)
