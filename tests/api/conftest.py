"""The API over a real SQLite file, real logs, transcripts and store; answers are checked against Heroku's schema."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audited
import pytest
import uvicorn
from answered import SEEN, Recorder
from api_rig import Client, People, RecordedHints, deploy
from argon2 import PasswordHasher
from heroku_schema import HerokuSchema, load
from starlette.testclient import TestClient

from pogo.api.app import create_app
from pogo.api.show.webhooks import describer
from pogo.containers.memory import MemoryContainers
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.model import App, Release
from pogo.router.memory import MemoryRouter
from pogo.services import access, apps, people
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store.files import FileStore


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config))


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with little work: a hash takes 50 ms otherwise."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(people, "hasher", quick)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(state_dir=tmp_path, http_port=8080, https_port=8443, rendezvous_port=5055)
    for directory in (settings.tmp_dir, tmp_path / "keys"):
        directory.mkdir()
    (tmp_path / "keys" / "url.key").write_text("k" * 64)
    return settings


@pytest.fixture
def hints() -> RecordedHints:
    return RecordedHints()


@pytest.fixture
def platform(settings: Settings, db: Database, hints: RecordedHints) -> Platform:
    state = settings.state_dir
    db.describe = describer(settings)
    return Platform(
        settings=settings,
        db=db,
        store=FileStore(state / "store"),
        logs=FileLogs(state / "logs", 1000),
        transcripts=Transcripts(state / "transcripts"),
        containers=MemoryContainers(),
        router=MemoryRouter(),
        node="test",
        hints=hints,
    )


@pytest.fixture(scope="session")
def heroku_schema(request: pytest.FixtureRequest) -> HerokuSchema:
    schema = load()
    schema.seen = request.config.stash[SEEN]
    return schema


@pytest.fixture(scope="session")
def server() -> Iterator[TestClient]:
    """One application for all tests, since making it takes longer than most of them; see `http`."""
    nothing: Any = None
    with TestClient(create_app(nothing), base_url="http://localhost:8080") as client:
        yield client


@pytest.fixture(scope="session")
def live(server: TestClient) -> Iterator[int]:
    """Port of a real HTTP server with the same application, for streams that have no end."""
    config = uvicorn.Config(server.app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    listener = config.bind_socket()
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    running.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def http(server: TestClient, platform: Platform, request: pytest.FixtureRequest) -> TestClient:
    application: Any = server.app
    application.state.platform = platform
    server.event_hooks = {"response": [audited.Watch(platform.db, request.config.stash[audited.SEEN])]}
    return server


@pytest.fixture
def everyone(http: TestClient, db: Database, heroku_schema: HerokuSchema) -> People:
    users = {
        name: people.create_user(db, f"{name}@example.com", "correct horse", admin=name == "root")
        for name in ("ann", "bob", "eve", "root")
    }
    clients = {
        name: Client(http, heroku_schema, people.authorize(db, user, "laptop")[1]) for name, user in users.items()
    }
    return People(**clients, nobody=Client(http, heroku_schema, None), users=users)


@pytest.fixture
def ann(everyone: People, app: App) -> Client:
    """The owner of the app `shop`."""
    return everyone.ann


@pytest.fixture
def app(db: Database, everyone: People) -> App:
    app = apps.create_app(db, everyone.users["ann"], "shop", "pogo-13", 10)
    access.add_collaborator(db, app, "bob@example.com")
    return app


@pytest.fixture
def release(db: Database, app: App, everyone: People) -> Release:
    """Two process types deployed, as v2."""
    return deploy(db, app, everyone.users["ann"])
