"""bin/up of a newer version on a platform that serves, and of an older one, which is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, reserve
from load import Load
from waiting import eventually
from wreckage import answered

from pogo import __version__
from pogo.services.database import newest_revision

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


@pytest.fixture
def own() -> Iterator[Installation]:
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
def test_a_newer_version_and_then_an_older_one(own: Installation, platform: Installation) -> None:
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
