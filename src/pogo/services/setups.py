"""App setups: an app made from a source with an app.json, as `POST /app-setups` asks for it.

Made at once: the app, its config vars and buildpacks, and its first build. What comes after the build
(formation, postdeploy) `loops.setups` does, step by step from what is recorded here.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import select

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, AppSetup, Build, Dyno, Formation, User, utcnow
from pogo.rules import sizes
from pogo.rules.app_json import Manifest
from pogo.services import releases
from pogo.services.access import find_app
from pogo.services.database import Database

POSTDEPLOY = "postdeploy"
POSTDEPLOY_HOURS = 1


def stack_of(manifest: Manifest, default: str) -> str:
    """The stack that app.json names, where this platform has it: an old app may name one of long ago."""
    try:
        return sizes.find_stack(manifest.stack or default).name
    except InvalidParams:
        return default


def record(db: Database, user: User, app: App, build: Build, manifest: Manifest) -> AppSetup:
    """Note what is to be done when the build has succeeded."""
    with db.write() as session:
        setup = AppSetup(
            app=session.get_one(App, app.id),
            user_id=user.id,
            build=session.get_one(Build, build.id),
            formation={type: dict(one) for type, one in manifest.formation.items()},
            postdeploy=manifest.postdeploy or None,
            success_url=manifest.success_url or None,
        )
        session.add(setup)
        session.flush()
        return setup


def find_setup(db: Database, user: User, setup_id: str) -> AppSetup:
    """NotFound, Forbidden."""
    with db.read() as session:
        setup = session.get(AppSetup, setup_id)
    if setup is None:
        raise NotFound("app_setup", "Couldn't find that app setup.")
    find_app(db, user, setup.app_id)
    return setup


def pending_setups(db: Database) -> list[AppSetup]:
    with db.read() as session:
        query = select(AppSetup).where(AppSetup.status == "pending").order_by(AppSetup.created_at)
        return [setup for setup in session.scalars(query) if setup.app.destroyed_at is None]


def after_release(db: Database, setup_id: str) -> AppSetup:
    """Set the formation and begin the postdeploy script, both once, in one transaction."""
    with db.write() as session:
        setup = session.get_one(AppSetup, setup_id)
        if setup.status != "pending" or setup.dyno_id:
            return setup
        for row in session.scalars(select(Formation).where(Formation.app_id == setup.app_id)):
            wanted = setup.formation.get(row.type, {})
            row.quantity = min(int(str(wanted.get("quantity", row.quantity))), sizes.MAX_DYNOS)
            row.size = _size(str(wanted.get("size") or row.size), row.size)
        release = releases.current(session, setup.app_id)
        if not setup.postdeploy or release is None:
            setup.status = "succeeded"
            return setup
        dyno = Dyno(
            app_id=setup.app_id,
            release=release,
            kind="run",
            type=POSTDEPLOY,
            number=1000 + secrets.randbelow(9000),
            size=sizes.DEFAULT_SIZE,
            command=setup.postdeploy,
            state_at=utcnow(),
            expires_at=utcnow() + timedelta(hours=POSTDEPLOY_HOURS),
        )
        session.add(dyno)
        session.flush()
        setup.dyno_id = dyno.id
        return setup


def _size(name: str, otherwise: str) -> str:
    """A size of this platform; app.json may name one that only Heroku has."""
    try:
        return sizes.find_size(name).name
    except InvalidParams:
        return otherwise


def conclude(
    db: Database, setup_id: str, failure: str | None, *, exit_code: int | None = None, output: str = ""
) -> None:
    """End a setup. failure: why it failed, None for success."""
    with db.write() as session:
        setup = session.get(AppSetup, setup_id)
        if setup and setup.status == "pending":
            setup.status, setup.failure = "failed" if failure else "succeeded", failure
            setup.exit_code, setup.output = exit_code, output
