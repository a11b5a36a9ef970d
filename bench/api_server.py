"""`python -m bench.api_server KIND PLACE` serves the API of a platform with a thousand apps, or the same bytes bare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.fernet import Fernet, MultiFernet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pogo.api.app import create_app
from pogo.containers.memory import MemoryContainers
from pogo.logs.memory import MemoryLogs
from pogo.logs.transcripts import Transcripts
from pogo.model import App, Base, Release, Slug
from pogo.model.base import EncryptedJson
from pogo.router.memory import MemoryRouter
from pogo.services import people
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store.files import FileStore

APPS = 1000
RELEASES = 5  # of each app
CONFIG = {f"SETTING_{number}": "value" * 8 for number in range(10)}


def serve(application: Any, place: Path) -> None:
    """Until SIGTERM; the port is in PLACE/port when requests are taken."""
    config = uvicorn.Config(application, port=0, log_config=None, access_log=False, lifespan="off", loop="uvloop")
    listener = config.bind_socket()
    listener.listen()
    (place / "port.new").write_text(str(listener.getsockname()[1]))
    (place / "port.new").rename(place / "port")
    uvicorn.Server(config).run(sockets=[listener])


def pogo(place: Path) -> Any:
    EncryptedJson.use_keys(MultiFernet([Fernet(Fernet.generate_key())]))
    settings = Settings(state_dir=place, http_port=8080, https_port=8443, rendezvous_port=5055, api_rate=0)
    settings.tmp_dir.mkdir()
    db = Database(f"sqlite:///{place / 'pogo.db'}")
    Base.metadata.create_all(db.engine)
    user = people.create_user(db, "ann@example.com", "correct horse")
    (place / "token").write_text(people.authorize(db, user, "bench")[1])
    with db.write() as session:
        session.add_all(one for number in range(APPS) for one in _app(number, user.id))
    return create_app(
        Platform(
            settings=settings,
            db=db,
            store=FileStore(place / "store"),
            logs=MemoryLogs(),
            transcripts=Transcripts(place / "transcripts"),
            containers=MemoryContainers(),
            router=MemoryRouter(),
            node="bench",
        )
    )


def _app(number: int, owner: str) -> list[Any]:
    app = App(
        id=f"00000000-0000-4000-8000-{number:012}",
        name=f"app-{number:04}",
        slot=number + 1,
        owner_id=owner,
        stack="pogo-13",
        build_stack="pogo-13",
        detected="Python",
        config=CONFIG,
        repo_size=10_000 + number,
    )
    slug = Slug(
        app_id=app.id,
        blob=f"slugs/{number}",
        checksum="0" * 64,
        size=10_000_000 + number,
        stack="pogo-13",
        process_types={"web": "python app.py"},
    )
    releases = [
        Release(
            app_id=app.id,
            version=version,
            status="succeeded",
            description="Deploy",
            user_id=owner,
            slug=slug,
            config=CONFIG,
        )
        for version in range(1, RELEASES + 1)
    ]
    return [app, slug, *releases]


def bare(place: Path) -> Any:
    """Answers what the API has answered: PLACE/answers.json, by `X-Kind`."""
    answers = json.loads((place / "answers.json").read_text())
    known = {kind: (one["body"].encode("latin-1"), one["status"], one["headers"]) for kind, one in answers.items()}

    async def answer(request: Request) -> Response:
        return Response(*known[request.headers["x-kind"]])

    return Starlette(routes=[Route("/{path:path}", answer)])


if __name__ == "__main__":
    place = Path(sys.argv[2])
    serve({"pogo": pogo, "bare": bare}[sys.argv[1]](place), place)
