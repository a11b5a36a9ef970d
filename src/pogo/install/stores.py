"""The object store of an installation: its keys, its bucket, and that it is the one with the installation's objects."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import subprocess
from collections.abc import Mapping

from pogo.errors import NotFound, PogoError
from pogo.install import places
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.choice import open_store
from pogo.store.files import FileStore
from pogo.store.marks import MARKS, own_mark
from pogo.store.s3 import S3Store
from pogo.store.s3_signature import Keys

MOVE = "pogo admin:migrate-store moves them, and changes the setting"


def given_keys(environ: Mapping[str, str]) -> Keys | None:
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    return Keys(access, secret) if access and secret else None


def ensure(settings: Settings, environ: Mapping[str, str], user: pwd.struct_passwd) -> None:
    """The store answers, and has the mark of this installation. Before anything is changed for it.

    Raises PogoError where it is another store than the one that the objects are in.
    """
    keys = given_keys(environ)
    store = opened(settings, keys)
    _certificates_for(user, settings)
    id = settings.store_id
    try:
        if not id.exists():
            if stray := _elsewhere(settings):
                raise PogoError(f"The objects of this installation are in {stray}, not in {settings.store}. {MOVE}.")
            made = secrets.token_hex(8)
            store.put(f"{MARKS}{made}", [b"The objects here belong to an installation of Pogoapp.\n"])
            give(store, user)
            places.write(id, f"{made}\n", mode=0o644)
        else:
            store.size(own_mark(id))
    except NotFound as error:
        raise PogoError(
            f"{settings.store} is not the store with the objects of this installation: it lacks {own_mark(id)!r}."
            f" Set POGO_STORE_URL and POGO_STORE_ENDPOINT back. {MOVE}. Or has another machine taken the objects over"
            " by pogo admin:restore? Then this one has to stay down."
        ) from error
    if keys and settings.store.startswith("s3:"):
        save_keys(settings, keys, user)


def opened(settings: Settings, keys: Keys | None) -> BlobStore:
    """With its bucket, where it has one."""
    store = open_store(settings, keys)
    if isinstance(store, S3Store):
        store.ensure_bucket()
    return store


def _certificates_for(user: pwd.struct_passwd, settings: Settings) -> None:
    """Raises PogoError where root can read POGO_STORE_CA, and pogod could not."""
    if settings.store_ca and settings.store.startswith("s3:"):
        head = ["/usr/bin/head", "--bytes=1", settings.store_ca]
        done = subprocess.run(
            head, user=user.pw_uid, group=user.pw_gid, extra_groups=[], capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = done.stderr.strip().rpartition(": ")[2]
            raise PogoError(f"POGO_STORE_CA={settings.store_ca} cannot be read by the user {user.pw_name} ({why}).")


def save_keys(settings: Settings, keys: Keys, user: pwd.struct_passwd) -> None:
    places.write(settings.store_keys, keys.text(), mode=0o600, owner=user.pw_uid, group=user.pw_gid)


def give(store: BlobStore, user: pwd.struct_passwd) -> None:
    """What root has put into a directory belongs to pogod."""
    if isinstance(store, FileStore):
        for path in (store.root, *store.root.rglob("*")):
            if path.lstat().st_uid != user.pw_uid:
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def fingerprint(settings: Settings) -> str:
    """Changes with the keys."""
    keys = settings.store_keys
    return hashlib.sha256(keys.read_bytes()).hexdigest() if keys.exists() else ""


def _elsewhere(settings: Settings) -> str:
    """The directory of before there were other stores, where it has objects and is not the store that is set."""
    usual = settings.state_dir / "store"
    if settings.store == f"files:{usual}" or not usual.is_dir():
        return ""
    return f"files:{usual}" if any(FileStore(usual).list("")) else ""
