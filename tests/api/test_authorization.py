"""Who has no right learns nothing: not whether a thing is there, nor its id, name or owner, whatever he asks for.

Each operation, asked for what is there and for what is not, by its name and by its id. Only apps tell that they are
there, as Heroku's do: 403 instead of 404, since their names are host names (services.access).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from api_rig import Client, People, basic, deploy
from operations import OF_AN_APP, OTHERS
from sqlalchemy import select, update

from pogo.model import App, Authorization, Base, User, utcnow
from pogo.services import access, apps, people
from pogo.services.database import Database

UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann@laptop"
NAMES = ("shop", "shop-live", "team-shop", "guild", "main-line", "www.example.com", "hidden-client", "hidden-token")
ABSENT = "no-such-thing"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
WORD = r"(?<![\w.-])(?:%s)(?![\w-])"
NAMED = re.compile(WORD % "|".join(map(re.escape, (*NAMES, "ann@example.com"))))
#: What anybody may ask for.
PUBLIC = {"feature", "size", "stack", "region", "generation", "service"}
BLOB = {"url": "http://127.0.0.1:9/x.tgz"}

#: Bodies that name something: `{app}`, `{pipeline}`, `{team}` of somebody else.
BODIES: dict[str, Any] = {
    "PATCH /account/app-transfers/{transfer}": {"state": "accepted"},
    "PATCH /account/passkeys/{passkey}": {"name": "x"},
    "PATCH /pipeline-couplings/{coupling}": {"stage": "test"},
    "GET /api/v2": {"app": "{app}"},
    "PUT /api/v2/{dyno}": {"app": "{app}", "client_key": "ssh-ed25519 AAAA"},
    "POST /account/app-transfers": {"app": "{app}", "recipient": "eve@example.com"},
    "POST /app-setups": {"source_blob": BLOB, "app": {"organization": "{team}"}},
    "POST /filters/apps": {"in": {"id": ["{app}"]}},
    "POST /pipeline-couplings": {"app": "{app}", "pipeline": "{pipeline}", "stage": "staging"},
    "POST /pipeline-promotions": {
        "pipeline": {"id": "{pipeline}"},
        "source": {"app": {"id": "{app}"}},
        "targets": [{"app": {"id": "{app}"}}],
    },
    "POST /pipeline-transfers": {"pipeline": {"id": "{pipeline}"}, "new_owner": {"id": "{team}", "type": "team"}},
    "POST /pipelines": {"name": "stolen", "owner": {"id": "{team}", "type": "team"}},
    "POST /review-apps": {"branch": "b", "pipeline": "{pipeline}", "source_blob": BLOB},
    "POST /teams/apps": {"name": "stolen", "team": "{team}"},
    "POST /teams/apps/{app}/collaborators": {"user": "~"},
    "PATCH /users/{user}": {"admin": True},
    "POST /users": {"email": "x@example.com"},
    "POST /invitations": {"email": "x@example.com"},
    "POST /buildpack-mirrors": {"prefix": "https://a/", "url": "https://b/"},
    "PUT /buildpacks/{namespace}/{name}": {"url": "https://example.com/x.git"},
}
#: Those that are about an app before anything else.
BY_APP = {"POST /account/app-transfers", "GET /api/v2", "PUT /api/v2/{dyno}"}


class Asked(NamedTuple):
    """names: by placeholder; what is not in it is asked for as it is called."""

    names: dict[str, str]

    def fill(self, text: str) -> str:
        return PLACEHOLDER.sub(lambda found: self.names.get(found[1], ABSENT), text)

    def ask(self, client: Client, key: str, body: Any = None) -> Any:
        method, _, path = key.partition(" ")
        headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
        if client.token and "/api/v2" in path:  # ps:exec names the app so
            headers["Authorization"] = basic(self.fill("{app}"), client.token)
        content = None if body is None else self.fill(json.dumps(body))
        return client.http.request(method, self.fill(path), headers=headers, content=content)

    def without(self, text: str, key: str, body: Any) -> str:
        """An answer apart from what was asked for."""
        used = {self.fill(found[0]) for found in PLACEHOLDER.finditer(key + json.dumps(body))}
        return re.sub(WORD % "|".join(map(re.escape, used)), "*", text) if used else text


NOTHING = Asked({"number": "999"})


@pytest.fixture
def ours(everyone: People, db: Database, app: App) -> tuple[Asked, Asked]:
    """Ann's things: by name, by id."""
    ann = everyone.ann
    deploy(db, app, everyone.users["ann"])
    apps.create_app(db, everyone.users["ann"], "shop-live", "pogo-13", 10)

    def made(path: str, body: Any, client: Client = ann) -> dict[str, Any]:
        answer = client.post(path, body)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    team = made("/teams", {"name": "guild"})
    made("/teams/apps", {"name": "team-shop", "team": "guild"})
    invitation = ann.put("/teams/guild/invitations", {"email": "root@example.com", "role": "member"}).json()
    pipeline = made("/pipelines", {"name": "main-line"})
    couplings = [
        made("/pipeline-couplings", {"app": name, "pipeline": "main-line", "stage": stage})
        for name, stage in (("shop", "staging"), ("shop-live", "production"))
    ]
    promotion = made(
        "/pipeline-promotions",
        {
            "pipeline": {"id": pipeline["id"]},
            "source": {"app": {"id": "shop"}},
            "targets": [{"app": {"id": "shop-live"}}],
        },
    )
    key = made("/account/keys", {"public_key": PUBLIC_KEY})
    client = made("/oauth/clients", {"name": "hidden-client", "redirect_uri": "https://c.example.com/"})
    token = made("/oauth/authorizations", {"description": "hidden-token"})
    transfer = made("/account/app-transfers", {"app": "shop", "recipient": "bob@example.com"})
    domain = made("/apps/shop/domains", {"hostname": "www.example.com", "sni_endpoint": None})
    drain = made("/apps/shop/log-drains", {"url": "https://logs.example.com/x"})
    webhook = made(
        "/apps/shop/webhooks", {"url": "https://hooks.example.com/x", "include": ["api:app"], "level": "notify"}
    )
    release = ann.get("/apps/shop/releases").json()[-1]
    ids = {
        "app": app.id,
        "team": team["id"],
        "pipeline": pipeline["id"],
        "user": everyone.users["ann"].id,
        "member": everyone.users["ann"].id,
        "invitation": invitation["id"],
        "coupling": couplings[0]["id"],
        "promotion": promotion["id"],
        "key": key["id"],
        "client": client["id"],
        "authorization": token["id"],
        "session": token["id"],
        "token": token["access_token"]["id"],
        "transfer": transfer["id"],
        "domain": domain["id"],
        "drain": drain["id"],
        "webhook": webhook["id"],
        "release": release["id"],
        "slug": release["slug"]["id"],
        "stage": "review",
        "number": "1",
    }
    names = {
        "app": "shop",
        "team": "guild",
        "pipeline": "main-line",
        "user": "ann@example.com",
        "member": "ann@example.com",
    }
    more = {"transfer": "shop", "domain": "www.example.com", "type": "web", "release": "v2", "key": "ann@laptop"}
    return Asked({**ids, **names, **more}), Asked(ids)


def operations() -> Iterator[tuple[str, str, Any]]:
    """(operation, who may, body)"""
    for key, (permission, _, body) in OF_AN_APP.items():
        yield key.replace(" ", " /apps/{app}", 1), permission, body
    for key, (who, _) in OTHERS.items():
        if who != "open":
            yield key, who, BODIES.get(key, {})


def faulty_tokens(everyone: People, db: Database) -> dict[str, Client]:
    """Of ann herself, but for the first two."""
    ann, owner = everyone.ann, everyone.users["ann"]
    expired = people.authorize(db, owner, expires_in=60)
    with db.write() as session:
        past = utcnow() - timedelta(seconds=1)
        session.execute(update(Authorization).where(Authorization.id == expired[0].id).values(expires_at=past))
    revoked = people.authorize(db, owner)
    people.revoke(db, owner, revoked[0].id)
    tokens = {"none": None, "wrong": "HRKU-wrong", "expired": expired[1], "revoked": revoked[1]}
    return {name: Client(ann.http, ann.schema, token) for name, token in tokens.items()}


def test_without_a_token_that_holds(everyone: People, db: Database, ours: tuple[Asked, Asked]) -> None:
    """One and the same answer for everything."""
    answers = set()
    for name, client in faulty_tokens(everyone, db).items():
        for key, _, body in operations():
            for asked in (ours[0], NOTHING) if name == "wrong" else ours[:1]:
                answer = asked.ask(client, key, body)
                assert answer.status_code == 401, (name, key)
                answers.add(answer.text)
    assert [json.loads(text)["id"] for text in answers] == ["unauthorized"], answers


def test_a_narrow_token_learns_nothing(everyone: People, db: Database, ours: tuple[Asked, Asked]) -> None:
    """Not even of its owner's things."""
    ann = everyone.ann
    narrow = Client(ann.http, ann.schema, people.authorize(db, everyone.users["ann"], scope=["identity"])[1])
    answers = set()
    for key, _, body in operations():
        if key not in ("GET /account", "GET /users/~"):
            for asked in (ours[0], NOTHING):
                answer = asked.ask(narrow, key, body)
                assert answer.status_code == 403, (key, answer.text)
                answers.add(answer.text)
    assert len(answers) == 1, answers


@pytest.fixture
def outsider(everyone: People, db: Database, app: App, ours: tuple[Asked, Asked]) -> Client:
    """The admin of another team, who collaborated and was in the team, and is no more."""
    ann, user = everyone.ann, people.create_user(db, "gone@example.com", "correct horse")
    gone = Client(ann.http, ann.schema, people.authorize(db, user)[1])
    assert gone.post("/teams", {"name": "rivals"}).status_code == 201
    access.add_collaborator(db, app, "gone@example.com")
    assert ann.put("/teams/guild/members", {"email": "gone@example.com", "role": "member"}).status_code == 201
    paths = ("/apps/shop", "/teams/guild", "/pipelines/main-line")
    assert [gone.get(path).status_code for path in paths] == [200, 200, 200]
    assert ann.delete("/teams/guild/members/gone@example.com").status_code == 200
    assert ann.delete("/apps/shop/collaborators/gone@example.com").status_code == 200
    return gone


def ids_of_others(db: Database, email: str) -> set[str]:
    """Of all that is in the database and not this user's."""
    found: set[str] = set()
    own: set[str] = set()
    with db.read() as session:
        user = session.scalars(select(User).where(User.email == email)).one()
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)).mappings():
                ids = {value for value in row.values() if isinstance(value, str) and UUID.fullmatch(value)}
                (own if user.id in ids else found).update(ids)
    return found - own


def complaints(client: Client, key: str, who: str, body: Any, ours: tuple[Asked, Asked], ids: set[str]) -> list[str]:
    """What an outsider could learn by an operation."""
    named = set(PLACEHOLDER.findall(key + json.dumps(body))) - PUBLIC
    if not named and not key.startswith("GET"):
        return []  # he may, for himself
    asked_for = [*ours, NOTHING] if named and who != "caller" else [NOTHING]
    answers = [(asked, asked.ask(client, key, body)) for asked in asked_for]
    found, texts = [], []
    for asked, answer in answers:
        told = asked.without(f"{answer.text} {dict(answer.headers)}", key, body)
        leaked = [*(ids & set(UUID.findall(told))), *NAMED.findall(told)]
        found += [f"{key}: {answer.status_code} tells {one}: {answer.text[:300]}" for one in leaked]
        texts.append(asked.without(answer.text, key, body))
    if len(answers) > 1:
        of_app = "{app}" in key or key in BY_APP
        expected = [[403, 403, 404]] if of_app else [[403] * 3, [404] * 3]
        statuses = [answer.status_code for _, answer in answers]
        if statuses not in expected or len(set(texts[:2] if of_app else texts)) > 1:
            found.append(f"{key}: {statuses} {texts}")
    return found


def test_an_outsider_learns_nothing(outsider: Client, ours: tuple[Asked, Asked], db: Database) -> None:
    ids = ids_of_others(db, "gone@example.com")
    wrong = [one for key, who, body in operations() for one in complaints(outsider, key, who, body, ours, ids)]
    assert not wrong, "\n".join(wrong)


def test_an_app_that_is_asked_for_by_its_id_does_not_tell_its_name(everyone: People, app: App) -> None:
    refused = everyone.eve.get(f"/apps/{app.id}")
    assert (refused.status_code, app.id in refused.text, "shop" in refused.text) == (403, True, False)


def test_answers_about_passwords_are_the_same_for_everybody(everyone: People) -> None:
    known, unknown = (
        everyone.nobody.post("/password-resets", {"email": f"{name}@example.com"}) for name in ("ann", "none")
    )
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
