"""The loop of builds over a real agent, real containers and a real store; what a build does is a shell script."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from containers_lxc import STACK, AgentProcess

import threads
from pogo.containers.agent import AgentContainers
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops.builds import Builds
from pogo.model import App, Build, User
from pogo.model.base import new_id
from pogo.router.memory import MemoryRouter
from pogo.services import apps, builds, people
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.files import FileStore

PACK = {
    "bin/detect": "#!/bin/sh\necho Script\n",
    "bin/compile": '#!/bin/sh\nexport BUILD="$1" CACHE="$2"\nexec bash "$1/script"\n',
    "bin/release": "#!/bin/sh\necho 'default_process_types: {web: serve}'\n",
}


class Service:
    """A platform whose daemon is the loop of builds; it can be killed and started again."""

    def __init__(
        self, agent: AgentProcess, db: Database, directory: Path, store: BlobStore | None = None, **settings: Any
    ) -> None:
        self.agent = agent
        self.directory = directory
        self.store = store or FileStore(directory / "store")
        self.settings = Settings(state_dir=directory, default_stack=STACK, **settings)
        self.settings.tmp_dir.mkdir(exist_ok=True)
        self.db = db
        self.containers = AgentContainers(agent.installation.socket)
        self.platform = self._platform()
        self.ann = people.create_user(db, "ann@example.com")
        self.app = apps.create_app(db, self.ann, "shop", STACK, 10)
        self.loop: asyncio.Task[None] | None = None

    def _platform(self) -> Platform:
        return Platform(
            settings=self.settings,
            db=self.db,
            store=self.store,
            logs=FileLogs(self.directory / "logs", 1000),
            transcripts=Transcripts(self.directory / "transcripts"),
            containers=self.containers,
            router=MemoryRouter(),
            node="here",
        )

    def start(self) -> Builds:
        """A new daemon: nothing in memory."""
        self.platform = self._platform()
        self.platform.hints.bind(asyncio.get_running_loop())
        builds.drop_claims(self.db, "here")
        made = Builds(self.platform)
        self.threads = threads.begin(self.platform)
        self.loop = asyncio.create_task(made.run())
        return made

    async def kill(self) -> None:
        if self.loop is not None:
            self.loop.cancel()
            await asyncio.gather(self.loop, return_exceptions=True)
            await threads.end(self.platform, self.threads)

    def push(self, script: str, app: App | None = None, user: User | None = None) -> Build:
        """Queue a build of an app that carries its buildpack and what that runs."""
        app, id = app or self.app, new_id()
        key = f"sources/{id}.tar"
        self.platform.store.put(key, [self._source(script)])
        with self.db.write() as session:
            pack = f"file:///tmp/build_{id.replace('-', '')}/pack.git"
            row = Build(
                id=id,
                app=session.get_one(App, app.id),
                user=session.get_one(User, (user or self.ann).id),
                source=key,
                source_version="a" * 40,
                stack=STACK,
                buildpacks=[pack],
            )
            session.add(row)
        self.platform.hints.wake("builds")
        return row

    def _source(self, script: str) -> bytes:
        bare = self.directory / "pack.git"
        if not bare.exists():
            tree = self.directory / "pack"
            identity = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
            for name, text in PACK.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(text)
            env = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null"}
            for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "1"]):
                subprocess.run(["git", *command], cwd=tree, env=env, check=True)
            subprocess.run(["git", "clone", "-q", "--bare", tree, bare], env=env, check=True)
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(bare, arcname="pack.git")
            info = tarfile.TarInfo("script")
            info.size = len(script.encode())
            tar.addfile(info, io.BytesIO(script.encode()))
        return file.getvalue()

    def now(self, build: Build) -> Build:
        found = builds.get_build(self.db, build.id)
        assert found
        return found

    def output(self, build: Build) -> str:
        transcripts = self.platform.transcripts
        assert isinstance(transcripts, Transcripts)
        return transcripts.read(build.id).decode() if transcripts.exists(build.id) else ""

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)

    async def said(self, build: Build, text: str) -> None:
        await self.until(lambda: text in self.output(build))

    async def ended(self, build: Build, seconds: float = 60) -> Build:
        """Wait until it has ended and nothing is left of it but its output."""
        await self.until(lambda: self.now(build).cleared_at, seconds)
        assert [one.id for one in await self.containers.list() if one.labels.get("build") == build.id] == []
        assert build.source not in self.platform.store.list("sources/")
        if not any(one.status == "pending" for one in builds.list_builds(self.db, self.app)):
            assert list(self.settings.tmp_dir.iterdir()) == []
        return self.now(build)


@asynccontextmanager
async def service(
    agent: AgentProcess, db: Database, directory: Path, store: BlobStore | None = None, **settings: Any
) -> AsyncIterator[Service]:
    made = Service(agent, db, directory, store, **settings)
    try:
        yield made
    finally:
        await made.kill()
        for seen in await made.containers.list():
            await made.containers.remove(seen.id)
