"""Going into running dynos: who may, which ones, and what the official client is told."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncssh
import pytest
from api_rig import Client, People, basic, said

from pogo.containers import ContainerSpec, Limits
from pogo.containers.memory import MemoryContainers
from pogo.errors import PogoError
from pogo.model import App, Release
from pogo.services import audit, dynos
from pogo.services.guests import KEY_SECONDS, Guests
from pogo.services.inside import SECRET_SECONDS, Opening, Openings
from pogo.services.platform import Platform

KEY = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC = KEY.export_public_key().decode()


@pytest.fixture
def web(platform: Platform, app: App, release: Release) -> str:
    """web.1 is up, in the container `web-1`."""
    containers = platform.containers
    assert isinstance(containers, MemoryContainers)
    spec = ContainerSpec("web-1", app.slot, "pogo-13", ("web",), {}, Limits(1 << 29))
    started = asyncio.run(containers.start(spec))
    (row,) = [one for one in dynos.list_dynos(platform.db, app) if one.name == "web.1"] or [_make(platform, release)]
    assert dynos.change(platform.db, row.id, row.state, state="up", container="web-1", address=started.address)
    return "web.1"


def _make(platform: Platform, release: Release) -> object:
    values = {"app_id": release.app_id, "release_id": release.id, "type": "web", "number": 1, "size": "Basic"}
    dynos.create(platform.db, [{**values, "command": "python app.py", "state": "starting", "port": 5000}])
    (row,) = dynos.list_dynos(platform.db, release.app)
    return row


def test_a_process_inside(everyone: People, app: App, platform: Platform, web: str) -> None:
    answer = everyone.ann.post("/apps/shop/dynos/web.1", {"command": "bash", "env": {"TERM": "xterm"}})
    assert answer.status_code == 201
    assert answer.json()["name"] == "web.1"
    assert "Running `bash` inside web.1 by user ann@example.com" in said(platform, app)
    secret = urlsplit(answer.json()["attach_url"]).path.lstrip("/")
    opening = platform.openings.take(secret)
    assert opening is not None and opening.tty
    assert platform.openings.take(secret) is None
    asyncio.run(opening.open())  # type: ignore[arg-type]
    containers = platform.containers
    assert isinstance(containers, MemoryContainers)
    (execution,) = containers.processes["web-1"].executions
    assert execution.window == (24, 80)
    assert execution.spec.command[-1] == "bash"
    assert {"DYNO": "web.1", "PORT": "5000", "TERM": "xterm"}.items() <= execution.spec.env.items()


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("web.9", {"command": "ls"}, 404, "Couldn't find that dyno"),
        ("web.1", {"command": "ls", "attach": False}, 422, "attach"),
        ("web.1", {"command": " "}, 422, "needs a command"),
        ("web.1", {}, 422, "command"),
        ("web.1/actions/copy", {"path": "a\0"}, 422, "NUL"),
        ("web.1/actions/forward", {"port": 70000}, 422, "port"),
    ],
)
def test_refusals(ann: Client, app: App, web: str, path: str, body: object, status: int, why: str) -> None:
    refused = ann.post(f"/apps/shop/dynos/{path}", body)
    assert refused.status_code == status
    assert why in refused.json()["message"]


def test_a_dyno_that_is_not_up_and_an_app_that_forbids_it(ann: Client, app: App, platform: Platform, web: str) -> None:
    row = dynos.find_dyno(platform.db, app, "web.1")
    dynos.change(platform.db, row.id, "up", state="crashed")
    assert "web.1 is crashed" in ann.post("/apps/shop/dynos/web.1", {"command": "ls"}).json()["message"]
    dynos.change(platform.db, row.id, "crashed", state="up")
    ann.patch("/apps/shop/features/runtime-heroku-exec", {"enabled": False})
    for path, body in (("", {"command": "ls"}), ("/actions/copy", {"path": "x"}), ("/actions/forward", {"port": 1})):
        refused = ann.post(f"/apps/shop/dynos/web.1{path}", body)
        assert refused.status_code == 422
        assert "features:enable runtime-heroku-exec" in refused.json()["message"]


def test_the_exec_manager(everyone: People, app: App, platform: Platform, web: str) -> None:
    settings = platform.settings
    mine = {"Authorization": basic("shop", everyone.ann.token or "")}
    assert everyone.ann.get("/api/v2", **mine).json() == [{"dyno_name": "web.1"}]
    refused = everyone.ann.call("PUT", "/api/v2/web.1", {"client_key": PUBLIC}, **mine)
    assert "POGO_SSH_ADDRESS" in refused.json()["message"]

    settings.ssh_address = "127.0.0.9"
    settings.ssh_host_key.parent.mkdir(parents=True, exist_ok=True)
    settings.ssh_host_key.with_suffix(".pub").write_text("ssh-ed25519 AAAA\n")
    answer = everyone.ann.call("PUT", "/api/v2/web.1", {"client_key": PUBLIC}, **mine).json()
    assert (answer["tunnel_host"], answer["proxy_public_key"]) == ("127.0.0.9", "ssh-ed25519 AAAA")
    key = KEY.public_data
    assert platform.guests.enter(platform.db, answer["client_user"], key).address == answer["dyno_ip"]
    with pytest.raises(PogoError):
        platform.guests.enter(platform.db, answer["client_user"], b"another")
    with pytest.raises(PogoError):
        platform.guests.enter(platform.db, "dyno-unknown", key)
    everyone.ann.patch("/apps/shop/features/runtime-heroku-exec", {"enabled": False})
    with pytest.raises(PogoError):
        platform.guests.enter(platform.db, answer["client_user"], key)

    for token, app_name, status in (
        ("HRKU-wrong", "shop", 401),
        (everyone.eve.token or "", "shop", 403),
        (everyone.ann.token or "", "nowhere", 404),
    ):
        other = {"Authorization": basic(app_name, token)}
        assert everyone.ann.call("PUT", "/api/v2/web.1", {"client_key": PUBLIC}, **other).status_code == status
    assert everyone.ann.put("/api/v2/web.1", {"client_key": PUBLIC}).status_code == 422  # by Bearer: which app?
    assert everyone.ann.call("PUT", "/api/v2/web.1", {"client_key": "ssh-rsa x"}, **mine).status_code == 422


def test_who_goes_into_a_dyno_is_on_record(everyone: People, app: App, platform: Platform, web: str) -> None:
    settings = platform.settings
    settings.ssh_address = "127.0.0.9"
    settings.ssh_host_key.parent.mkdir(parents=True, exist_ok=True)
    settings.ssh_host_key.with_suffix(".pub").write_text("ssh-ed25519 AAAA\n")
    run = everyone.ann.post("/apps/shop/dynos", {"command": "bash -c secret-words"}).json()["name"]
    assert run in str(audit.events(platform.db, limit=1)[0].changes)
    inside = "/apps/shop/dynos/web.1"
    mine = {"Authorization": basic("shop", everyone.ann.token or "")}
    for method, path, body, headers in (
        ("POST", inside, {"command": "echo secret-words"}, {}),
        ("POST", f"{inside}/actions/copy", {"path": "secret-words"}, {}),
        ("POST", f"{inside}/actions/forward", {"port": 80}, {}),
        ("PUT", "/api/v2/web.1", {"client_key": PUBLIC}, mine),
    ):
        assert everyone.ann.call(method, path, body, **headers).status_code < 300, path
        event = audit.events(platform.db, limit=1)[0]
        assert event.action == f"{method} {path.replace('shop', '{app}').replace('web.1', '{dyno}')}"
        assert (event.email, event.app_name, event.ip != "") == ("ann@example.com", "shop", True)
        assert [(one["type"], one["change"], one["fields"]) for one in event.changes] == [("dynos", "enter", ["web.1"])]
    assert "secret-words" not in str([event.changes for event in audit.events(platform.db)])


def test_secrets_and_keys_end(everyone: People, app: App, platform: Platform, web: str) -> None:
    now = 0.0
    openings: Openings[str] = Openings(lambda: now)

    async def opened() -> str:
        return "open"

    secret = openings.offer(Opening(opened, tty=False))
    now = SECRET_SECONDS + 1.0
    assert openings.take(secret) is None
    guests = Guests(lambda: now)
    name = guests.invite(everyone.users["ann"], app, "web.1", b"key")
    now += KEY_SECONDS - 1
    assert guests.enter(platform.db, name, b"key").dyno == "web.1"
    now += KEY_SECONDS - 1
    assert guests.enter(platform.db, name, b"key").dyno == "web.1"
    now += KEY_SECONDS + 1
    with pytest.raises(PogoError):
        guests.enter(platform.db, name, b"key")
