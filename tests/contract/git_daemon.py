"""A daemon with the real git part, database, store and transcripts, and a build loop that plays.

    python git_daemon.py <port>           settings from POGO_…

A pushed file `play` says what its build does, a line each: `say <text>`, `wait <file>` (until it exists),
`sleep <seconds>`, `fail <text>`, `release <file>|fail` (a release phase), `web up|crash|never`.
"""

from __future__ import annotations

import asyncio
import sys
import tarfile
import threading
import time
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI

from pogo.containers.memory import MemoryContainers
from pogo.git import bridge
from pogo.logs.memory import MemoryLogs
from pogo.logs.transcripts import Transcripts
from pogo.model import App, Build, Release
from pogo.router.memory import MemoryRouter
from pogo.services import builds, dynos, releases
from pogo.services.database import Database, load_keys
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store.files import FileStore


def platform_of(settings: Settings) -> Platform:
    load_keys(settings.state_dir / "secrets.key")
    return Platform(
        settings=settings,
        db=Database(settings.database),
        store=FileStore(settings.state_dir / "store"),
        logs=MemoryLogs(),
        transcripts=Transcripts(settings.state_dir / "transcripts"),
        containers=MemoryContainers(),
        router=MemoryRouter(),
        node="test",
    )


def play_builds(platform: Platform) -> None:
    while True:
        build = builds.claim_build(platform.db, "test")
        for id, text in builds.tell_waiting(platform.db, 100):
            platform.transcripts.append(id, f" !     {text}\n".encode())
        if build is None:
            time.sleep(0.02)
        else:
            threading.Thread(target=play, args=(platform, build), daemon=True).start()


def lines_of(platform: Platform, build: Build) -> list[str]:
    with tarfile.open(platform.store.local(build.source)) as tar:
        names = tar.getnames()
        file = tar.extractfile("play") if "play" in names else None
        lines = file.read().decode().splitlines() if file else []
    return [f"say files: {' '.join(sorted(names)[:20])}", *lines]


def play(platform: Platform, build: Build) -> None:
    def write(text: str) -> None:
        platform.transcripts.append(build.id, f"{text}\n".encode())

    platform.transcripts.restart(build.id, platform.transcripts.size(build.id))
    types, release_phase, web, failure = {"web": "serve"}, None, "up", None
    for line in lines_of(platform, build):
        verb, _, word = line.partition(" ")
        if verb == "say":
            write(word)
        elif verb == "sleep":
            time.sleep(float(word))
        elif verb == "wait":
            while not Path(word).exists() and builds.keep_claim(platform.db, build):
                time.sleep(0.02)
        elif verb == "fail":
            failure = word
        elif verb == "release":
            release_phase, types = word, types | {"release": "migrate"}
        elif verb == "web":
            web = word
    if failure:
        write(f" !     Push rejected, {failure}.")
        builds.fail_build(platform.db, build, failure)
    else:
        built = builds.Built("slugs/x", "x", 1, types, "Play")
        release = builds.finish_build(platform.db, build, built)
        if release is None:
            return
        write(f"       Released v{release.version}")
        threading.Thread(target=launch, args=(platform, build.app, release, release_phase, web), daemon=True).start()
    platform.transcripts.finish(build.id)
    platform.store.delete(build.source)


def launch(platform: Platform, app: App, release: Release, phase: str | None, web: str) -> None:
    if phase is not None:
        platform.transcripts.append(release.id, b"migrating\n")
        while phase != "fail" and not Path(phase).exists():
            time.sleep(0.02)
        releases.conclude(platform.db, release.id, succeeded=phase != "fail")
        platform.transcripts.finish(release.id)
    if web == "never" or phase == "fail":
        return
    time.sleep(0.1)
    for dyno in dynos.list_dynos(platform.db, app):
        dynos.forget(platform.db, dyno.id)
    fields = {"app_id": app.id, "release_id": release.id, "type": "web", "number": 1, "size": "basic"}
    state = "up" if web == "up" else "crashed"
    dynos.create(platform.db, [{**fields, "command": "serve", "state": state}])


async def serve(port: int) -> None:
    settings = Settings()
    platform = platform_of(settings)
    platform.hints.bind(asyncio.get_running_loop())
    builds.drop_claims(platform.db, "test")
    app = FastAPI()
    app.router.routes.extend(bridge.routes(platform))
    threading.Thread(target=play_builds, args=(platform,), daemon=True).start()
    options = {"log_config": None, "access_log": False, "lifespan": "off", "timeout_graceful_shutdown": 1}
    inner = uvicorn.Server(uvicorn.Config(app, uds=str(settings.daemon_socket), **options))  # type: ignore[arg-type]
    outer = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **options))  # type: ignore[arg-type]
    await asyncio.gather(inner.serve(), outer.serve())


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
