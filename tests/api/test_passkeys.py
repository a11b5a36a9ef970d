"""Passkeys, by an authenticator in software: how they are made, log in, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from api_rig import People
from authenticator import PRESENT, Authenticator, decode, encode
from sqlalchemy import update

from pogo.model import AuditEvent, Passkey, PasskeySecret, utcnow
from pogo.services import audit
from pogo.services.database import Database

PASSWORD = "correct horse"
ORIGIN = "http://localhost:8080"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pogo.services.budgets.TRIES_A_MINUTE", 1000)


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN)


def options(everyone: People, page: str | None = None) -> dict[str, Any]:
    answer = everyone.nobody.post("/auth/passkey-options", {"page": page})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def send(everyone: People, path: str, credential: str, **fields: str) -> Any:
    return everyone.nobody.http.post(path, data={"passkey": credential, **fields}, follow_redirects=False)


def page_of(everyone: People) -> str:
    url: str = everyone.ann.post("/account/passkeys", {"password": PASSWORD}).json()["url"]
    assert url.startswith(f"{ORIGIN}/auth/passkeys/")
    return url.rpartition("/")[2]


def register(everyone: People, device: Authenticator, name: str = "Phone") -> Any:
    page = page_of(everyone)
    return send(everyone, f"/auth/passkeys/{page}", device.make(options(everyone, page)), name=name)


def log_in(everyone: People, credential: str) -> tuple[int, str]:
    """Status of the page, and the token that the waiting client gets, or ""."""
    begun = everyone.nobody.post("/auth").json()
    answer = send(everyone, begun["browser_url"], credential)
    if answer.status_code != 200:
        return answer.status_code, ""
    waited = everyone.nobody.get(begun["cli_url"], Authorization=f"Bearer {begun['token']}").json()
    return 200, waited["access_token"]


def test_a_passkey_from_first_to_last(everyone: People, device: Authenticator) -> None:
    page = page_of(everyone)
    shown = everyone.nobody.http.get(f"/auth/passkeys/{page}")
    assert "ann@example.com" in shown.text and "script-src 'sha256-" in shown.headers["content-security-policy"]
    asked = options(everyone, page)
    assert (asked["rp"]["id"], asked["attestation"]) == ("localhost", "none")
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    done = send(everyone, f"/auth/passkeys/{page}", device.make(asked), name=" My  <phone> ")
    assert done.status_code == 200 and "My &lt;phone&gt; is a passkey of ann@example.com" in done.text
    assert everyone.nobody.http.get(f"/auth/passkeys/{page}").status_code == 404, "good for one"

    asked = options(everyone)
    assert asked["userVerification"] == "required" and not asked.get("allowCredentials")
    status, token = log_in(everyone, device.sign(asked))
    assert status == 200
    assert everyone.nobody.get("/account", Authorization=f"Bearer {token}").json()["email"] == "ann@example.com"
    (mine,) = everyone.ann.get("/account/passkeys").json()
    assert mine["name"] == "My <phone>" and mine["used_at"] and mine["transports"] == ["internal"]
    assert set(mine) == {"backed_up", "created_at", "id", "name", "transports", "used_at"}, "no key, no counter"

    assert everyone.bob.get("/account/passkeys").json() == []
    assert everyone.bob.delete(f"/account/passkeys/{mine['id']}").status_code == 404
    assert everyone.bob.patch(f"/account/passkeys/{mine['id']}", {"name": "x"}).status_code == 404
    assert everyone.ann.patch(f"/account/passkeys/{mine['id']}", {"name": " "}).status_code == 422
    assert everyone.ann.patch(f"/account/passkeys/{mine['id']}", {"name": "Key"}).json()["name"] == "Key"
    assert everyone.ann.delete("/account/passkeys/Key").json()["id"] == mine["id"]
    assert log_in(everyone, device.sign(options(everyone)))[0] == 401
    assert everyone.ann.delete("/account/passkeys/Key").status_code == 404


def test_a_passkey_is_both_factors_and_no_lock_holds_it(everyone: People, device: Authenticator, db: Database) -> None:
    import pyotp

    secret = everyone.ann.post("/account/two-factor", {"password": PASSWORD}).json()["secret"]
    everyone.ann.post("/account/two-factor/actions/confirm", {"code": pyotp.TOTP(secret).now()})
    assert register(everyone, device).status_code == 200
    page = everyone.nobody.post("/auth").json()["browser_url"]
    for _ in range(10):
        everyone.nobody.http.post(page, data={"email": "ann@example.com", "password": "wrong"})
    locked = everyone.nobody.http.post(page, data={"email": "ann@example.com", "password": PASSWORD})
    assert locked.status_code == 429 and "Too many failed logins" in locked.text
    assert log_in(everyone, device.sign(options(everyone)))[0] == 200
    recorded = [event.email for event in audit.events(db) if event.action == "POST /auth/browser/{page}"]
    assert recorded[0] == "ann@example.com"


def test_an_oauth_client_is_let_in_by_a_passkey(everyone: People, device: Authenticator) -> None:
    register(everyone, device)
    client = everyone.bob.post("/oauth/clients", {"name": "Bot", "redirect_uri": "https://bot.example.com/cb"}).json()
    page = f"/oauth/authorize?client_id={client['id']}&response_type=code&scope=read"
    back = send(everyone, page, device.sign(options(everyone)))
    assert back.status_code == 303 and "?code=" in back.headers["location"]


def test_a_password_login_offers_a_passkey(everyone: People, device: Authenticator) -> None:
    page = everyone.nobody.post("/auth").json()["browser_url"]
    done = everyone.nobody.http.post(page, data={"email": "ann@example.com", "password": PASSWORD, "go": "on"})
    offered = re.findall(r'href="/auth/passkeys/([\w-]+)"', done.text)[0]
    made = send(everyone, f"/auth/passkeys/{offered}", device.make(options(everyone, offered)))
    assert made.status_code == 200 and len(everyone.ann.get("/account/passkeys").json()) == 1


def test_who_may_make_one(everyone: People, device: Authenticator, db: Database) -> None:
    assert everyone.ann.post("/account/passkeys", {"password": "wrong"}).status_code == 422
    assert everyone.ann.post("/account/passkeys", {}).status_code == 422
    assert everyone.nobody.post("/account/passkeys", {"password": PASSWORD}).status_code == 401
    assert everyone.nobody.post("/auth/passkey-options", {"page": "guess"}).status_code == 404
    assert everyone.nobody.http.get("/auth/passkeys/guess").status_code == 404
    page = page_of(everyone)
    asked = options(everyone, page)
    with db.write() as session:
        session.execute(update(PasskeySecret).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert send(everyone, f"/auth/passkeys/{page}", device.make(asked)).status_code == 404
    register(everyone, device)
    assert register(everyone, device).status_code == 422, "known already"


def wrong_makers() -> dict[str, Authenticator]:
    return {
        "another place": Authenticator("https://shop.localhost:8080"),
        "another host": Authenticator(ORIGIN, host="shop.localhost"),
        "a user who was not recognised": Authenticator(ORIGIN, flags=PRESENT),
    }


def test_what_is_refused_when_one_is_made(everyone: People, device: Authenticator) -> None:
    for what, other in wrong_makers().items():
        page = page_of(everyone)
        credential = other.make(options(everyone, page))
        assert send(everyone, f"/auth/passkeys/{page}", credential).status_code == 422, what
    page = page_of(everyone)
    stale, fresh = options(everyone, page), options(everyone, page)
    assert send(everyone, f"/auth/passkeys/{page}", device.make(options(everyone))).status_code == 422, "of a login"
    wrong = device.make(stale).replace('"type": "public-key"', '"type": "private"')
    assert send(everyone, f"/auth/passkeys/{page}", wrong).status_code == 422
    assert send(everyone, f"/auth/passkeys/{page}", device.make(stale)).status_code == 422, "a challenge is good once"
    for junk in ("", "{", "[]", "{}", '{"response": {"clientDataJSON": "x"}}', '{"response": {"clientDataJSON": 1}}'):
        assert send(everyone, f"/auth/passkeys/{page}", junk).status_code == 422, junk
    assert everyone.ann.get("/account/passkeys").json() == []
    assert send(everyone, f"/auth/passkeys/{page}", device.make(fresh)).status_code == 200


def test_what_is_refused_at_a_login(everyone: People, device: Authenticator, db: Database) -> None:
    register(everyone, device)
    for what, other in wrong_makers().items():
        other.key, other.user = device.key, device.user
        assert log_in(everyone, other.sign(options(everyone)))[0] == 401, what
    once = device.sign(options(everyone))
    assert log_in(everyone, once)[0] == 200
    assert log_in(everyone, once)[0] == 401, "a challenge is good once"
    assert log_in(everyone, device.sign({"challenge": encode(b"made up")}))[0] == 401
    thief = Authenticator(ORIGIN, user=device.user, count=device.count + 5)
    assert log_in(everyone, thief.sign(options(everyone)))[0] == 401, "another key"
    forged = json.loads(device.sign(options(everyone)))
    forged["response"]["userHandle"] = encode(everyone.users["bob"].id.encode())
    assert log_in(everyone, json.dumps(forged))[0] == 401, "of another user"
    del forged["response"]["userHandle"]
    assert log_in(everyone, json.dumps(forged))[0] == 401
    device.count = 0
    assert log_in(everyone, device.sign(options(everyone)))[0] == 401, "a counter never goes back"
    told: AuditEvent = audit.events(db)[0]
    assert told.changes[0]["type"] == "passkeys" and told.changes[0]["change"] == "refuse"
    with db.read() as session:
        assert session.query(Passkey).one().sign_count == 1
    device.count = 9
    assert log_in(everyone, device.sign(options(everyone)))[0] == 200


def test_it_goes_with_its_user(everyone: People, device: Authenticator) -> None:
    register(everyone, device)
    assert decode(encode(device.user)).decode() == everyone.users["ann"].id
    assert everyone.ann.delete("/account").status_code == 200
    assert log_in(everyone, device.sign(options(everyone)))[0] == 401
