"""`pogo admin:migrate-store`: copies every object to another store, checks it there, and switches.

May be interrupted anywhere and begun again: until the switch, which is one rename of the file of settings, the
old store is the store. It is only read, and stays as it was.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pogo.errors import NotFound, PogoError
from pogo.install import configuration, parts, places, stores
from pogo.install.progress import Say, line, step
from pogo.install.supervision import Supervisor, up_to_date
from pogo.settings import Settings
from pogo.store import BlobStore

CHUNK = 1 << 20
# Their names have the digest of their bytes, and an object is there whole or not at all.
UNCHANGING = "slugs/"


def move(target: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """target: settings of the new store, by name. As root. Raises PogoError."""
    config = Path(environ["POGO_CONFIG"])
    settings = configuration.load(config, environ)
    new = Settings(**{**settings.model_dump(), **target})
    if (new.store, new.store_endpoint) == (settings.store, settings.store_endpoint):
        line(f"The objects are in {settings.store} already.")
        return
    user = pwd.getpwnam(settings.user)
    keys = stores.given_keys(environ)
    if new.store.startswith("s3:") and keys is None and not settings.store_keys.exists():
        raise PogoError("The keys of the new store are missing: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    stores.ensure(settings, {}, user)
    source, destination = stores.opened(settings, None), stores.opened(new, keys)
    supervisor = parts.supervisor(settings, Path(sys.prefix))
    with step("Copying") as say:
        say(copied(source, destination, say))
    with step("Switching") as say:
        supervisor.stop("pogod")  # nobody writes any more; requests to apps go on
        try:
            say(copied(source, destination, say))
            if lacking := set(source.list("")) - set(destination.list("")):
                raise PogoError(f"{new.store} lacks {len(lacking)} objects, as {min(lacking)!r}. Nothing was switched.")
            stores.give(destination, user)
            if keys:
                stores.save_keys(settings, keys, user)
            variables = {f"POGO_{name.upper()}": value for name, value in target.items()}
            text = configuration.recorded(config.read_text(), variables)
            places.write(config, text, mode=0o640, group=user.pw_gid)
            settings = new
        finally:
            _start(settings, supervisor, config)
    line(f"The objects are in {new.store} now. Those in the old store are still there; nothing reads them.")


def copied(source: BlobStore, destination: BlobStore, say: Say) -> str:
    """Bring over what is missing or differs, and read it back. Says how much. What vanishes meanwhile is left out."""
    count = size = 0
    for key in list(source.list("")):
        say(f"{count} objects, {size >> 20} MB")
        try:
            if _is_there(key, source, destination):
                continue
            digest = hashlib.sha256()
            size += destination.put(key, _digested(source, key, digest))
        except NotFound as error:
            if error.resource != "object" or key in source.list(key):
                raise
            continue
        if _sum(destination, key) != digest.hexdigest():
            raise PogoError(f"{key!r} does not come back from the new store as it was put. Nothing was switched.")
        count += 1
    return f"{count} objects, {size >> 20} MB copied and read back"


def _is_there(key: str, source: BlobStore, destination: BlobStore) -> bool:
    try:
        if destination.size(key) != source.size(key):
            return False
    except NotFound:
        return False
    return key.startswith(UNCHANGING) or _sum(destination, key) == _sum(source, key)


def _sum(store: BlobStore, key: str) -> str:
    digest = hashlib.sha256()
    for _ in _digested(store, key, digest):
        pass
    return digest.hexdigest()


def _digested(store: BlobStore, key: str, digest: hashlib._Hash) -> Iterator[bytes]:
    with store.open(key) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            yield chunk


def _start(settings: Settings, supervisor: Supervisor, config: Path) -> None:
    environment = (settings.state_dir / "env").resolve()
    services = parts.services(settings, environment, config)
    supervisor.install(services)
    for service in services:
        if service.name != "router" and not up_to_date(supervisor, service):
            supervisor.start(service.name)


def from_command_line(url: str, endpoint: str, region: str, ca: str) -> None:
    target = {"store_url": url, "store_endpoint": endpoint, "store_region": region, "store_ca": ca}
    move(target, dict(os.environ))
