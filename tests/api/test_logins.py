"""Logging in: lockout, two factors, invitations, resets, and the pages in a browser."""

from __future__ import annotations

import json
import threading
from typing import Any

import pyotp
import pytest
from api_rig import Client, People, basic
from sqlalchemy import select, update

from pogo.errors import Unauthorized
from pogo.model import FailedLogins, Passkey, User, utcnow
from pogo.rules import passwords
from pogo.services import audit, logins, people, two_factor
from pogo.services.budgets import Budgets
from pogo.services.database import Database
from pogo.services.platform import Platform

PASSWORD = "correct horse"


def log_in(everyone: People, email: str = "ann@example.com", password: str = PASSWORD, **headers: str) -> Any:
    headers["Authorization"] = basic(email, password)
    return everyone.nobody.post("/oauth/authorizations", {"description": "cli"}, **headers)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests come from one address; how many of its tries are answered has a test of its own."""
    monkeypatch.setattr("pogo.services.budgets.TRIES_A_MINUTE", 1000)


def test_too_many_failures_lock_for_a_while(everyone: People, db: Database) -> None:
    for email in ("ann@example.com", "none@example.com"):
        for _ in range(logins.MOST_FROM_ONE_ADDRESS):
            assert log_in(everyone, email, "wrong").status_code == 401
        locked = log_in(everyone, email)
        assert (locked.status_code, locked.json()["id"]) == (429, "rate_limit"), "also with the right password"
        assert 0 < int(locked.headers["retry-after"]) <= 15 * 60
        assert "15 minutes" in locked.json()["message"]
    assert log_in(everyone, "bob@example.com").status_code == 201, "others are not locked out"
    assert everyone.ann.get("/account").status_code == 200, "tokens go on"
    with db.write() as session:
        session.execute(update(FailedLogins).values(locked_until=utcnow()))
    assert log_in(everyone).status_code == 201
    told = [change for event in everyone.root.get("/audit-events").json() for change in event["changes"]]
    assert {"type": "logins", "id": None, "change": "lock", "fields": ["ann@example.com"]} in told


def test_a_success_forgets_failures(everyone: People, db: Database) -> None:
    for _ in range(2):
        for _ in range(logins.MOST_FROM_ONE_ADDRESS - 1):
            log_in(everyone, password="wrong")
        assert log_in(everyone).status_code == 201
    with db.read() as session:
        assert list(session.scalars(select(FailedLogins))) == []


def test_who_has_a_token_cannot_try_passwords_for_ever(everyone: People) -> None:
    body = {"password": "wrong", "new_password": "battery staple"}
    answers = [everyone.ann.patch("/account", body).status_code for _ in range(logins.MOST_FROM_ONE_ADDRESS + 1)]
    assert set(answers[:-1]) == {422} and answers[-1] == 429


def test_a_changed_password_ends_other_sessions(everyone: People) -> None:
    session = log_in(everyone).json()
    assert session["session"] == {"id": session["id"]}
    other = Client(everyone.ann.http, everyone.ann.schema, session["access_token"]["token"])
    assert [one["id"] for one in other.get("/oauth/sessions").json()] == [session["id"]]
    mine = Client(everyone.ann.http, everyone.ann.schema, log_in(everyone).json()["access_token"]["token"])
    assert mine.patch("/account", {"password": PASSWORD, "new_password": "battery staple"}).status_code == 200
    assert other.get("/account").status_code == 401
    assert mine.get("/account").status_code == 200, "the one that changed it goes on"
    assert everyone.ann.get("/account").status_code == 200, "so do authorizations"
    assert mine.delete(f"/oauth/sessions/{mine.get('/oauth/sessions').json()[0]['id']}").status_code == 200
    assert mine.get("/account").status_code == 401


@pytest.mark.parametrize(
    ("password", "fine"),
    [
        ("1234567", False),
        ("password", False),
        ("Password123", False),
        ("aaaaaaaaaa", False),
        ("abababab", False),
        ("annette@example.com", False),
        ("Passw0rd2024!", False),
        ("dr4gon2026!!", False),
        ("Summer 1999", False),
        ("1qaz2wsx3edc", False),
        ("annette, of course", False),
        ("@nn3tte, of course", False),
        ("zebra pogoapp lion", False),
        ("x" * 1001, False),
        ("korrekt pferd", True),
        ("lé mot de passe", True),
    ],
)
def test_passwords(password: str, fine: bool) -> None:
    assert (passwords.complaint(password, "annette@example.com") is None) == fine


@pytest.fixture
def authenticator(everyone: People) -> pyotp.TOTP:
    """ann's, switched on."""
    begun = everyone.ann.post("/account/two-factor", {"password": PASSWORD}).json()
    totp = pyotp.TOTP(begun["secret"])
    assert begun["url"].startswith("otpauth://totp/") and begun["secret"] in begun["url"]
    return totp


def at(totp: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch, step: int) -> str:
    """The code of a moment, which it then is."""
    monkeypatch.setattr("pogo.services.two_factor.time.time", lambda: step * two_factor.PERIOD + 1.0)
    return totp.generate_otp(step)


def test_who_has_lost_both_factors(
    everyone: People, authenticator: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch, db: Database
) -> None:
    ann, user = everyone.ann, everyone.users["ann"]
    code = at(authenticator, monkeypatch, 60_000_000)
    ann.post("/account/two-factor/actions/confirm", {"code": code})
    with db.write() as session:
        row = Passkey(user_id=user.id, name="Phone", credential="x", public_key=b"x", sign_count=0, backed_up=False)
        session.add(row)
    _, login = people.authorize(db, user, "login", session=True)
    path = "/users/ann@example.com/two-factor"
    assert everyone.eve.delete(path).status_code == ann.delete(path).status_code == 403
    assert everyone.root.delete(path.replace("ann", "none")).status_code == 404
    assert log_in(everyone).json()["id"] == "two_factor"
    assert everyone.root.delete(path).json()["two_factor_authentication"] is False
    event = audit.events(db, limit=1)[0]
    assert (event.email, event.action) == ("root@example.com", "DELETE /users/{user}/two-factor")
    assert {"passkeys", "authorizations"} < {one["type"] for one in event.changes}
    assert any(one["id"] == user.id and "totp" in one["fields"] for one in event.changes)
    assert log_in(everyone).status_code == 201
    assert ann.get("/account/passkeys").json() == []
    with pytest.raises(Unauthorized):
        people.whose_token(db, login)


def test_two_factors(everyone: People, authenticator: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = everyone.ann
    assert log_in(everyone).status_code == 201, "nothing is on before a first code"
    confirm = "/account/two-factor/actions/confirm"
    assert ann.post(confirm, {"code": "abc"}).status_code == 422
    first = at(authenticator, monkeypatch, 60_000_000)
    codes = ann.post(confirm, {"code": first}).json()["recovery_codes"]
    assert len(set(codes)) == two_factor.RECOVERY_CODES
    assert ann.get("/account").json()["two_factor_authentication"] is True
    asked = log_in(everyone)
    assert (asked.status_code, asked.json()["id"]) == (403, "two_factor")
    header = "Heroku-Two-Factor-Code"
    assert log_in(everyone, **{header: first}).json()["id"] == "two_factor", "a code is good for one use"
    second = at(authenticator, monkeypatch, 60_000_001)
    assert log_in(everyone, **{header: second}).status_code == 201
    late = authenticator.generate_otp(60_000_000)
    assert log_in(everyone, **{header: late}).status_code == 403, "nor is an older one"
    assert log_in(everyone, **{header: codes[0].upper()}).status_code == 201
    assert log_in(everyone, **{header: codes[0]}).status_code == 403
    new = ann.post("/account/two-factor/actions/renew-recovery-codes", {"password": PASSWORD}).json()
    assert log_in(everyone, **{header: codes[1]}).status_code == 403
    assert log_in(everyone, **{header: new["recovery_codes"][1]}).status_code == 201
    assert ann.post("/account/two-factor", {"password": PASSWORD}).status_code == 422
    assert ann.post("/account/two-factor/actions/disable", {"password": "wrong"}).status_code == 422
    assert ann.post("/account/two-factor/actions/disable", {"password": PASSWORD}).json() == {"enabled": False}
    assert log_in(everyone).status_code == 201
    events = json.dumps(everyone.root.get("/audit-events").json())
    assert not any(secret in events for secret in (authenticator.secret, PASSWORD, codes[0], str(ann.token)))


def test_wrong_codes_lock_too(everyone: People, authenticator: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch) -> None:
    code = at(authenticator, monkeypatch, 60_000_000)
    everyone.ann.post("/account/two-factor/actions/confirm", {"code": code})
    for _ in range(logins.MOST_FROM_ONE_ADDRESS):
        assert log_in(everyone, **{"Heroku-Two-Factor-Code": "000000x"}).status_code == 403
    assert log_in(everyone).status_code == 429


def test_the_secret_of_two_factors_is_encrypted(everyone: People, authenticator: pyotp.TOTP, db: Database) -> None:
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT totp FROM users WHERE totp IS NOT NULL").fetchall()
    assert len(rows) == 1 and authenticator.secret.encode() not in rows[0][0]


def test_an_invitation(everyone: People, platform: Platform) -> None:
    root, nobody = everyone.root, everyone.nobody
    made = root.post("/invitations", {"email": " New@Example.com "}).json()
    assert made["url"].endswith(f"/join/{made['token']}") and made["email"] == "new@example.com"
    assert [one["email"] for one in root.get("/invitations").json()] == ["new@example.com"]
    path = f"/invitations/{made['token']}"
    assert nobody.get(path).json()["kind"] == "account"
    assert nobody.post(f"{path}/actions/accept", {"password": "short"}).status_code == 422
    wrong = {"password": "battery staple", "password_confirmation": "battery stable"}
    assert nobody.post(f"{path}/actions/accept", wrong).status_code == 422
    account = nobody.post(f"{path}/actions/accept", {"password": "battery staple", "name": "New"})
    assert (account.status_code, account.json()["email"], account.json()["name"]) == (201, "new@example.com", "New")
    assert nobody.post(f"{path}/actions/accept", {"password": "battery staple"}).status_code == 404, "once"
    assert log_in(everyone, "new@example.com", "battery staple").status_code == 201
    assert root.post("/invitations", {"email": "new@example.com"}).status_code == 422
    again = root.post("/invitations", {"email": "other@example.com"}).json()
    assert root.delete("/invitations/other@example.com").status_code == 200
    assert nobody.get(f"/invitations/{again['token']}").status_code == 404
    assert root.post("/invitations", {"email": "nobody"}).status_code == 422


def test_a_password_reset(everyone: People) -> None:
    nobody, root = everyone.nobody, everyone.root
    refused = nobody.post("/password-resets", {"email": "ann@example.com"})
    assert refused.status_code == 403 and "sends no mail" in refused.json()["message"]
    assert everyone.bob.post("/password-resets", {"email": "ann@example.com"}).status_code == 403
    made = root.post("/password-resets", {"email": "ann@example.com"}).json()
    assert made["user"]["email"] == "ann@example.com"
    assert (
        nobody.post(f"/invitations/{made['token']}/actions/accept", {"password": "battery staple"}).status_code == 404
    )
    body = {"password": "battery staple", "password_confirmation": "battery staple"}
    path = f"/password-resets/{made['token']}/actions/finalize"
    assert nobody.post(path, body).json()["user"]["email"] == "ann@example.com"
    assert nobody.post(path, body).status_code == 404
    assert log_in(everyone).status_code == 401
    assert log_in(everyone, password="battery staple").status_code == 201


def test_users_come_and_go(everyone: People, app: object) -> None:
    root = everyone.root
    assert [one["email"] for one in root.get("/users").json()] == [
        f"{n}@example.com" for n in ("ann", "bob", "eve", "root")
    ]
    assert everyone.ann.delete("/account").json()["message"].startswith("ann@example.com still owns apps: shop")
    assert root.delete("/users/root@example.com").status_code == 422, "the last operator stays"
    assert everyone.bob.delete("/account").json()["email"] == "bob@example.com"
    assert everyone.bob.get("/account").status_code == 401
    assert root.get("/users/bob@example.com").status_code == 404
    assert [one["user"]["email"] for one in everyone.ann.get("/apps/shop/collaborators").json()] == ["ann@example.com"]
    assert root.delete("/users/eve@example.com").status_code == 200
    assert root.post("/users", {"email": "bob@example.com"}).status_code == 201, "the address is free again"


def post_form(everyone: People, path: str, **fields: str) -> Any:
    return everyone.nobody.http.post(path, data=fields, follow_redirects=False)


def test_login_in_a_browser(everyone: People) -> None:
    """`heroku login`: begin, wait, log in on the page, take the token, once."""
    begun = everyone.nobody.post("/auth", {"description": "Heroku CLI <login>"}).json()
    page, wait = begun["browser_url"], {"Authorization": f"Bearer {begun['token']}"}
    shown = everyone.nobody.http.get(page)
    assert "Heroku CLI &lt;login&gt;" in shown.text and shown.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(everyone.nobody.get(begun["cli_url"], **wait)))
    waiting.start()
    wrong = post_form(everyone, page, email="ann@example.com", password="wrong", go="on")
    assert wrong.status_code == 401 and "Invalid credentials" in wrong.text
    done = post_form(everyone, page, email="ann@example.com", password=PASSWORD, go="on")
    assert done.status_code == 200 and "ann@example.com" in done.text and "HRKU" not in done.text
    waiting.join(20)
    token = answers[0].json()["access_token"]
    assert everyone.nobody.get("/account", Authorization=f"Bearer {token}").json()["email"] == "ann@example.com"
    assert everyone.nobody.get(begun["cli_url"], **wait).status_code == 404
    assert everyone.nobody.http.get(page).status_code == 404


def test_a_login_that_is_refused_in_the_browser(everyone: People) -> None:
    begun = everyone.nobody.post("/auth").json()
    assert post_form(everyone, begun["browser_url"], go="refuse").status_code == 200
    answer = everyone.nobody.get(begun["cli_url"], Authorization=f"Bearer {begun['token']}")
    assert "refused" in answer.json()["error"]
    assert everyone.nobody.get("/auth/token", Authorization="Bearer nothing").status_code == 404


def test_two_factors_in_the_browser(
    everyone: People, authenticator: pyotp.TOTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = at(authenticator, monkeypatch, 60_000_000)
    everyone.ann.post("/account/two-factor/actions/confirm", {"code": first})
    page = everyone.nobody.post("/auth").json()["browser_url"]
    fields = {"email": "ann@example.com", "password": PASSWORD, "go": "on"}
    assert "Type the two-factor code" in post_form(everyone, page, **fields).text
    code = at(authenticator, monkeypatch, 60_000_001)
    assert post_form(everyone, page, **fields, code=code).status_code == 200


def test_an_oauth_client_from_first_to_last(everyone: People) -> None:
    """The page, the code, the token, its renewal, its end."""
    client = everyone.bob.post(
        "/oauth/clients", {"name": "<Bot>", "redirect_uri": "https://bot.example.com/cb?x=1"}
    ).json()
    page = f"/oauth/authorize?client_id={client['id']}&response_type=code&scope=read-protected&state=st%26te"
    shown = everyone.nobody.http.get(page).text
    assert "&lt;Bot&gt;" in shown and "bot.example.com" in shown and "their config vars" in shown
    back = post_form(everyone, page, email="ann@example.com", password=PASSWORD, go="on")
    assert back.status_code == 303
    assert back.headers["location"].startswith("https://bot.example.com/cb?x=1&code=")
    assert back.headers["location"].endswith("&state=st%26te")
    code = back.headers["location"].partition("code=")[2].partition("&")[0]
    body = {"grant": {"type": "authorization_code", "code": code}, "client": {"secret": client["secret"]}}
    assert everyone.nobody.post("/oauth/tokens", body | {"client": {"secret": "wrong"}}).status_code == 401
    made = everyone.nobody.post("/oauth/tokens", body)
    assert made.status_code == 201
    assert everyone.nobody.post("/oauth/tokens", body).status_code == 401, "a code is good once"
    token, refresh = made.json()["access_token"]["token"], made.json()["refresh_token"]["token"]
    bot = Client(everyone.ann.http, everyone.ann.schema, token)
    assert bot.get("/account").json()["email"] == "ann@example.com"
    assert bot.post("/apps").status_code == 403
    renewal = {
        "grant": {"type": "refresh_token"},
        "client": {"secret": client["secret"]},
        "refresh_token": {"token": refresh},
    }
    new = everyone.nobody.post("/oauth/tokens", renewal).json()
    assert bot.get("/account").status_code == 401, "the old token ends with its renewal"
    bot.token = new["access_token"]["token"]
    assert bot.get("/account").status_code == 200
    listed = [one for one in everyone.ann.get("/oauth/authorizations").json() if one["client"]]
    assert [one["client"]["name"] for one in listed] == ["<Bot>"]
    assert everyone.ann.delete(f"/oauth/tokens/{new['access_token']['id']}").status_code == 200
    assert bot.get("/account").status_code == 401
    assert "error=access_denied" in post_form(everyone, page, go="refuse").headers["location"]
    assert everyone.nobody.http.get("/oauth/authorize?client_id=none").status_code == 404


def test_an_invitation_in_the_browser(everyone: People) -> None:
    made = everyone.root.post("/invitations", {"email": "new@example.com"}).json()
    path = f"/join/{made['token']}"
    assert "new@example.com" in everyone.nobody.http.get(path).text
    twice = {"password": "battery staple", "password_confirmation": "battery staple"}
    assert "not the same" in post_form(everyone, path, **twice | {"password": "other words"}).text
    assert "at least 8" in post_form(everyone, path, password="x", password_confirmation="x").text
    assert "Log in" in post_form(everyone, path, name="New", **twice).text
    assert log_in(everyone, "new@example.com", "battery staple").status_code == 201
    assert post_form(everyone, path, **twice).status_code == 404


def test_tries_from_one_address_are_counted(everyone: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pogo.services.budgets.TRIES_A_MINUTE", 3)
    answers = [everyone.nobody.get("/invitations/guess").status_code for _ in range(5)]
    assert answers == [404, 404, 404, 429, 429]
    assert everyone.ann.get("/account").status_code == 200


def test_the_budget_of_calls(everyone: People, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform.settings, "api_rate", 3)
    platform.budgets = Budgets()
    ann, bob = everyone.ann, everyone.bob
    left = [int(ann.get("/account").headers["ratelimit-remaining"]) for _ in range(3)]
    assert left == [2, 1, 0]
    assert ann.get("/account/rate-limits").json() == {"remaining": 0}, "asking is free"
    over = ann.get("/account")
    assert (over.status_code, over.json()["id"]) == (429, "rate_limit")
    assert 0 < int(over.headers["retry-after"]) <= 7200
    assert bob.get("/account").headers["ratelimit-multiplier"] == "1"
    monkeypatch.setattr(platform.settings, "api_rate", 0)
    assert "ratelimit-remaining" not in ann.get("/account").headers


def test_last_login_is_noted(everyone: People, db: Database) -> None:
    with db.write() as session:
        session.execute(update(User).values(last_login=utcnow().replace(year=2020)))
    assert log_in(everyone).status_code == 201
    assert not everyone.ann.get("/account").json()["last_login"].startswith("2020")
