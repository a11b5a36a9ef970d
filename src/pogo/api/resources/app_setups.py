"""App setups: a new app from a source with an app.json, with the config vars and buildpacks that it names."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from pogo import archive
from pogo.api import announce, downloads
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me
from pogo.api.resources.buildpacks import checked
from pogo.api.resources.builds import SourceBlob
from pogo.api.show import setups as show
from pogo.api.streaming import file_chunks, spool
from pogo.errors import InvalidParams
from pogo.model import AppSetup, Team
from pogo.rules import app_json, names
from pogo.services import apps, builds, releases, setups

router = resource_router()
FILE = "app.json"
T = TypeVar("T")


class NewApp(Body):
    name: str | None = None
    stack: str | None = None


class Override(Body):
    url: str


class Overrides(Body):
    buildpacks: list[Override] | None = None
    env: dict[str, str] | None = None


class NewSetup(Body):
    source_blob: SourceBlob
    app: NewApp | None = None
    overrides: Overrides | None = None


@router.post("/app-setups")
async def create(me: Me, body: NewSetup) -> Response:
    """202 with a setup that is pending. What app.json asks wrongly is refused before anything is made."""
    setup = await set_up(me, body.source_blob, partial(_make, me, body))
    return answer(show.app_setup(me.platform.settings, setup), 202)


async def set_up(me: Caller, blob: SourceBlob, make: Callable[[app_json.Manifest, str], T], environment: str = "") -> T:
    """Fetch a source, read its app.json and call `make` with it and with the key of the stored source."""
    platform = me.platform
    chunks = await downloads.open_source(platform, blob.url, private=me.user.admin)
    source = f"sources/{uuid.uuid4()}"
    with tempfile.NamedTemporaryFile(dir=platform.settings.tmp_dir) as file:
        opened = cast(BinaryIO, file.file)
        digest = await spool(chunks, opened, platform.settings.slug_max_mb << 20)
        expected = (blob.checksum or "").lower().removeprefix("sha256:")
        if expected and expected != digest:
            raise InvalidParams(f"The checksum of the source does not match: it is SHA256:{digest}.")
        manifest = await asyncio.to_thread(_manifest, Path(file.name), environment)
        await platform.ask_store(platform.store.put, source, file_chunks(opened))
    try:
        made = await run_in_threadpool(make, manifest, source)
    except BaseException:
        await platform.ask_store(platform.store.delete, source)
        raise
    platform.hints.wake("builds", "router")
    return made


def _manifest(path: Path, environment: str) -> app_json.Manifest:
    """What the app.json of a source says. InvalidParams. A review app needs none."""
    try:
        contents = archive.examine(path, keep=FILE)
        top = contents.top_directory()
        data = contents.kept.get(f"{top}/{FILE}" if top else FILE)
        if data is None and not environment:
            raise _invalid("the source has no app.json in its top directory")
        return app_json.parse(data or b"{}", environment)
    except archive.Refused as refused:
        raise InvalidParams(f"The source is refused: {refused}.") from None
    except app_json.InvalidManifest as invalid:
        raise _invalid(*invalid.errors) from None


def _invalid(*errors: str) -> InvalidParams:
    return InvalidParams(f"app.json is not valid: {'; '.join(errors)}.", manifest_errors=list(errors))


def _make(me: Caller, body: NewSetup, manifest: app_json.Manifest, source: str) -> AppSetup:
    wanted, overrides = body.app or NewApp(), body.overrides or Overrides()
    given = [one.url for one in overrides.buildpacks] if overrides.buildpacks else list(manifest.buildpacks)
    return begin(
        me,
        Wanted(wanted.name, wanted.stack, body.source_blob.version, overrides.env or {}, given),
        manifest,
        source,
    )


class Wanted(NamedTuple):
    """An app to be set up. env: beside and above what app.json sets."""

    name: str | None
    stack: str | None
    version: str | None
    env: Mapping[str, str]
    buildpacks: list[str]
    team: Team | None = None


def begin(me: Caller, wanted: Wanted, manifest: app_json.Manifest, source: str) -> AppSetup:
    """Make the app and begin its build. InvalidParams before anything is made."""
    platform, db = me.platform, me.platform.db
    try:
        config = manifest.config(wanted.env, partial(secrets.token_hex, 32))
    except app_json.InvalidManifest as invalid:
        raise _invalid(*invalid.errors) from None
    names.check_config(dict(config))
    packs = checked(db, wanted.buildpacks)
    stack = wanted.stack or setups.stack_of(manifest, platform.settings.default_stack)
    app = apps.create_app(db, me.user, wanted.name, stack, platform.settings.max_apps, team=wanted.team)
    announce.note(me, app, "Initial release")
    if config:
        changes: dict[str, object] = dict(config)
        releases.change_config(db, app, me.user, changes)
    app = apps.set_buildpacks(db, app, packs)
    build = builds.start_build(db, app, me.user, source, wanted.version)
    return setups.record(db, me.user, app, build, manifest)


@router.get("/app-setups/{setup}")
def info(me: Me, setup: str) -> Response:
    found: Any = setups.find_setup(me.platform.db, me.user, setup)
    return answer(show.app_setup(me.platform.settings, found))
