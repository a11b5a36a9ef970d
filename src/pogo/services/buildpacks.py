"""Names of buildpacks and mirrors that the operator has added to the built-in ones."""

from __future__ import annotations

from sqlalchemy import select

from pogo.errors import InvalidParams, NotFound
from pogo.model import BuildpackName, Mirror
from pogo.rules import buildpacks
from pogo.rules.buildpacks import Registry
from pogo.services.database import Database


def registry(db: Database) -> Registry:
    """What builds resolve names by, as it is now."""
    with db.read() as session:
        names = {row.name: row.url for row in session.scalars(select(BuildpackName))}
        mirrors = {row.prefix: row.url for row in session.scalars(select(Mirror))}
    return Registry(names, mirrors)


def list_names(db: Database) -> list[BuildpackName]:
    """The operator's names in alphabetical order."""
    with db.read() as session:
        return list(session.scalars(select(BuildpackName).order_by(BuildpackName.name)))


def register(db: Database, name: str, url: str, description: str) -> BuildpackName:
    """Give a name to a URL, or another URL to a name; also to a built-in one, which is then hidden.

    InvalidParams: the name is malformed, or the URL is none of a buildpack.
    """
    try:
        buildpacks.check_name(name)
        if buildpacks.registry_name(url):
            raise buildpacks.UnknownBuildpack("A name stands for a URL, not for another name.")
        buildpacks.BUILT_IN.resolve(url)
    except buildpacks.UnknownBuildpack as unknown:
        raise InvalidParams(str(unknown)) from None
    with db.write() as session:
        row = session.scalar(select(BuildpackName).where(BuildpackName.name == name))
        if row is None:
            row = BuildpackName(name=name, url=url.strip(), description=description)
            session.add(row)
        else:
            row.revision += row.url != url.strip()
            row.url, row.description = url.strip(), description or row.description
        session.flush()
        return row


def unregister(db: Database, name: str) -> BuildpackName:
    """Take an operator's name away; a built-in one of the same name is seen again. NotFound."""
    with db.write() as session:
        row = session.scalar(select(BuildpackName).where(BuildpackName.name == name))
        if row is None:
            built_in = " It is a part of the platform." if name in buildpacks.BUILT_IN.known() else ""
            raise NotFound("buildpack", f"No buildpack was registered as {name}.{built_in}")
        session.delete(row)
        return row


def list_mirrors(db: Database) -> list[Mirror]:
    with db.read() as session:
        return list(session.scalars(select(Mirror).order_by(Mirror.prefix)))


def add_mirror(db: Database, prefix: str, url: str) -> Mirror:
    """Fetch from `url` what has an address that begins with `prefix`; replaces an earlier one. InvalidParams."""
    for name, text in (("prefix", prefix), ("url", url)):
        if not text.startswith(("https://", "http://", "git://", "ssh://")) or any(map(str.isspace, text)):
            raise InvalidParams(f"The {name} of a mirror is a URL, such as https://github.com/: {text!r} is none.")
    if prefix.endswith("/") != url.endswith("/"):
        raise InvalidParams("The prefix and the URL of a mirror either both end in a slash, or neither does.")
    with db.write() as session:
        row = session.scalar(select(Mirror).where(Mirror.prefix == prefix))
        if row is None:
            row = Mirror(prefix=prefix, url=url)
            session.add(row)
        row.url = url
        session.flush()
        return row


def remove_mirror(db: Database, prefix_or_id: str) -> Mirror:
    with db.write() as session:
        match = (Mirror.prefix == prefix_or_id) | (Mirror.id == prefix_or_id)
        row = session.scalar(select(Mirror).where(match))
        if row is None:
            raise NotFound("mirror", f"There is no mirror of {prefix_or_id}.")
        session.delete(row)
        return row
