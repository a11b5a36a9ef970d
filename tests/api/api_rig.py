"""Who calls in the tests of the API, and what they find there."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from heroku_schema import HerokuSchema
from starlette.testclient import TestClient

from pogo.api import signed_urls
from pogo.model import App, Build, Release, User
from pogo.services import builds
from pogo.services.database import Database
from pogo.services.platform import Hints, Platform
from pogo.settings import Settings

TYPES = {"web": "python app.py", "worker": "python work.py"}


class RecordedHints(Hints):
    """Remembers which loops were woken."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: set[str] = set()

    def wake(self, *names: str) -> None:
        self.woken.update(names)
        super().wake(*names)

    def taken(self) -> set[str]:
        woken, self.woken = self.woken, set()
        return woken


@dataclass
class Client:
    """Calls as one user; each answer with a schema is validated."""

    http: TestClient
    schema: HerokuSchema
    token: str | None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        content = None if body is None else json.dumps(body)
        response: Any = self.http.request(method, path, headers=headers, content=content)
        if response.status_code < 300:
            self.schema.check(method, path, response)
        elif response.status_code >= 400:
            assert set(response.json()) >= {"id", "message"}, response.text
            assert response.headers["content-type"] == "application/json"
        found: httpx2.Response = response
        return found

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None) -> httpx2.Response:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> httpx2.Response:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> httpx2.Response:
        return self.call("DELETE", path)


def basic(user: str, secret: str) -> str:
    return "Basic " + b64encode(f"{user}:{secret}".encode()).decode()


@dataclass
class People:
    """ann owns the app; bob collaborates on it; eve is a stranger; root is the operator."""

    ann: Client
    bob: Client
    eve: Client
    root: Client
    nobody: Client
    users: Mapping[str, User]


def deploy(db: Database, app: App, user: User, types: dict[str, str] = TYPES, version: str = "a" * 40) -> Release:
    build = queue(db, app, user, version)
    release = builds.finish_build(db, build, builds.Built("slugs/x", "0" * 64, 10, types, "Python", ["heroku/python"]))
    assert release
    return release


def queue(db: Database, app: App, user: User, version: str = "a" * 40) -> Build:
    builds.start_build(db, app, user, "sources/x", version)
    build = builds.claim_build(db, "node")
    assert build
    return build


def said(platform: Platform, app: App) -> list[str]:
    """Lines of the platform in the app's log."""
    return [line.text for _, line in platform.logs.recent(app.id, 100) if line.dyno == "api"]


def path_of(settings: Settings, url: str) -> str:
    """The path and query of a URL that the API gave."""
    base = signed_urls.api_url(settings)
    assert url.startswith(base), url
    return url.removeprefix(base)
