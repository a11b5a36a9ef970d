"""A platform that serves moves to PostgreSQL, killed on the way; gets a newer version; and refuses an older one."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, reserve
from load import Load
from sqlalchemy import create_engine, text
from waiting import eventually
from wreckage import answered

from pogo import __version__
from pogo.services.database import newest_revision
from pogo.services.postgres import driver_url
from postgres_server import Server

SEED = int(os.environ.get("POGO_TEST_SEED") or random.randrange(1 << 32))
SERVICES = ("agent", "pogod", "router")
MIGRATION = '''"""A table that this version does not know."""

import sqlalchemy as sa
from alembic import op

revision = "{newer}"
down_revision = "{present}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.String(), primary_key=True))
'''


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        server.directory.chmod(0o755)  # for pogod's user
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def own(server: Server) -> Iterator[Installation]:
    """A platform of its own: afterwards it is one of a version that no other test knows."""
    own = reserve()
    try:
        own.up()
        eventually(lambda: own.get("hello").status == 200)
        yield own
    finally:
        own.remove()


def dynos(platform: Installation) -> dict[str, str]:
    """Their containers."""
    found = answered(platform, "/apps/hello/dynos?extended=true")
    return {dyno["name"]: dyno["extended"]["instance"] for dyno in found}


def settled(platform: Installation) -> bool:
    """Whether nothing of the app is being replaced."""
    found = answered(platform, "/apps/hello/dynos")
    newest = answered(platform, "/apps/hello/releases")[-1]["version"]
    return bool(found) and all(dyno["state"] == "up" and dyno["release"]["version"] == newest for dyno in found)


def make_newer(checkout: Path) -> tuple[str, str]:
    """Version and schema of the checkout from now on."""
    present = newest_revision()
    newer = f"{int(present) + 1:04}"
    (checkout / "src/pogo/model/migrations/versions" / f"{newer}_later.py").write_text(
        MIGRATION.format(newer=newer, present=present)
    )
    version = "99.0.0"
    for name, before in (("src/pogo/__init__.py", "__version__ = "), ("pyproject.toml", "version = ")):
        file = checkout / name
        file.write_text(file.read_text().replace(f'{before}"{__version__}"', f'{before}"{version}"', 1))
    return version, newer


@pytest.mark.timeout(600)
def test_the_database_is_moved_though_the_move_is_killed(own: Installation, server: Server) -> None:
    print(f"POGO_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    own.pogo("config:set", "KEPT=yes", "-a", "hello")
    before, url = dynos(own), server.database()
    for longest in (1.0, 2.0, 4.0):
        command = ("pogo", "admin:migrate-database")
        with subprocess.Popen(
            command, env=own.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        ) as moving:
            assert moving.stdin is not None
            moving.stdin.write(f"{url}\n".encode())
            moving.stdin.close()
            time.sleep(chance.uniform(0, longest))
            os.killpg(moving.pid, signal.SIGKILL)
        if chance.random() < 0.5:  # either goes on from there
            own.run("bin/up", cwd=own.checkout, env={"POGO_STATE_DIR": str(own.state)})
            assert "KEPT" in own.pogo("config", "-a", "hello")
    assert "The database is postgresql://" in own.run("pogo", "admin:migrate-database", input=f"{url}\n")
    assert "KEPT" in own.pogo("config", "-a", "hello")
    before_that = rows(url, "releases")
    own.pogo("config:set", "SINCE=yes", "-a", "hello")
    assert rows(url, "releases") == before_that + 1
    eventually(lambda: settled(own))
    assert rows(url, "apps") and dynos(own).keys() == before.keys()


def rows(url: str, table: str) -> int:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return int(found)


@pytest.mark.timeout(600)
def test_a_newer_version_and_then_an_older_one(own: Installation, platform: Installation) -> None:
    eventually(lambda: settled(own))
    before, pids = dynos(own), {name: own.pid(name) for name in SERVICES}
    version, schema = make_newer(own.checkout)
    with Load(own, "hello") as load:
        said = own.up()
        assert dynos(own) == before
    assert load.requests > 20 and load.failures == []
    assert re.search(r"Backup before the upgrade .*\d{8}t\d{6}z-\w{8}", said), said
    assert f'"version": "{version}", "schema": "{schema}"' in (own.state / "installed.json").read_text()
    assert own.pid("pogod") != pids["pogod"] and own.pid("router") == pids["router"]
    assert "Backup before" not in own.up()

    pids = {name: own.pid(name) for name in SERVICES}
    done = own.call("bin/up", cwd=platform.checkout, env=own.settings)
    assert done.returncode == 1
    assert f"This is Pogoapp {__version__}" in done.stdout
    assert f"what is installed is newer: {version} (schema {schema}). Nothing was changed" in done.stdout
    assert {name: own.pid(name) for name in SERVICES} == pids and dynos(own) == before
    assert own.get("hello").status == 200
