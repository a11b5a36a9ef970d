"""What must be so after every round of kills, whatever was killed: in the API, the database, on the machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from installation import HIGHEST_APPS, Installation
from owners import Ledger
from sqlalchemy import select
from victims import Kill
from wreckage import Requests, answered, git_leftovers, log, releases

from pogo.install import processes
from pogo.model import App, Build, Lease, Release, Slug
from pogo.services.database import Database, now
from pogo.store import BlobStore

# Seconds after a kill in which requests may fail: of the router, until the next one listens; of a web dyno, until
# the others alone are asked, or, where all are dead, one is up again.
WINDOWS = {"router": 15.0, "web": 12.0}
# Seconds around a kill in which requests ended whose lines may be missing in the log: what a dying pogod had been
# given and not written yet, on a machine with much to do; what HAProxy had not passed on.
UNREAD = 1.5


def acknowledged(platform: Installation, app: str, ledger: Ledger) -> Iterator[str]:
    """Changes that were acknowledged and are not there."""
    config = answered(platform, f"/apps/{app}/config-vars")
    for name, values in ledger.config.items():
        if config.get(name) not in values:
            yield f"config var {name} is {config.get(name)!r}, not {values}"
    for path, key, known in (("domains", "hostname", ledger.domains), ("collaborators", "email", ledger.people)):
        rows = answered(platform, f"/apps/{app}/{path}")
        there = {(row["user"] if path == "collaborators" else row)[key] for row in rows}
        yield from (
            f"{path}: {name}: {name in there}, not {so}" for name, so in known.items() if (name in there) not in so
        )
    (formation,) = (one for one in answered(platform, f"/apps/{app}/formation") if one["type"] == "web")
    if formation["quantity"] not in ledger.quantity:
        yield f"web={formation['quantity']}, not {ledger.quantity}"


def history(platform: Installation, app: str, ledger: Ledger, kills: Iterable[Kill]) -> Iterator[str]:
    """Releases and builds: none twice, none half, none lost."""
    made, builds = releases(platform, app), answered(platform, f"/apps/{app}/builds")
    parts = {kill.part for kill in kills}
    if [one["version"] for one in made] != list(range(1, len(made) + 1)):
        yield f"versions of releases: {[one['version'] for one in made]}"
    for what, rows, excuse in (("release", made, "release"), ("build", builds, "build's process")):
        bad = Counter(one["status"] for one in rows if one["status"] != "succeeded")
        if bad and not (excuse in parts and set(bad) == {"failed"}):
            ends = [_end(platform, one["id"]) for one in rows if one["status"] != "succeeded"]
            yield f"{what}s: {dict(bad)}: {ends}"
    good = [one for one in builds if one["status"] == "succeeded"]
    known = {one["id"] for one in made}
    named = Counter(one["release"]["id"] for one in good)
    yield from (f"release {id} of {count} builds" for id, count in named.items() if count > 1)
    yield from (f"release {id} of a build is not there" for id in named if id not in known)
    deployed = Counter(one["source_blob"]["version"] for one in good)
    yield from (f"commit {commit} was built {count} times" for commit, count in deployed.items() if count > 1)
    yield from (f"push of {commit} is lost" for commit, sure in ledger.commits if sure and not deployed[commit])


def _end(platform: Installation, id: str) -> str:
    file = platform.state / "transcripts" / f"{id}.txt"
    return file.read_text(errors="replace")[-300:] if file.exists() else ""


def one_offs(platform: Installation, app: str, ledger: Ledger, kills: Iterable[Kill], since: float) -> Iterator[str]:
    """One-off dynos that were acknowledged ran once; those that were not, at most once."""
    text = Counter(line.text for line in log(platform, app, since) if line.dyno.startswith("run."))
    # A nursery that is killed takes with it the monitors that it is just starting.
    spared = not any(kill.part in ("run", "run's process", "nursery") for kill in kills)
    for word, sure in ledger.runs.items():
        if text[word] > 1 or (sure and spared and not text[word]):
            yield f"a one-off dyno said {word!r} {text[word]} times"


def stored(db: Database, store: BlobStore) -> Iterator[str]:
    """Releases whose slug is not there."""
    there = set(store.list("slugs/"))
    with db.read() as session:
        query = select(Release.version, Slug.blob).join(Slug, Slug.id == Release.slug_id)
        rows = session.execute(query.where(Release.status != "failed", Slug.pruned_at.is_(None))).all()
    yield from (f"the slug of v{version} is not in the store: {blob}" for version, blob in rows if blob not in there)


def nameless(platform: Installation, db: Database, store: BlobStore) -> list[str]:
    """Objects and files that no row names: to be asked after a collection."""
    with db.read() as session:
        slugs = set(session.scalars(select(Slug.blob)))
        apps = set(session.scalars(select(App.id)))
    objects = {key for key in store.list("slugs/") if key not in slugs}
    objects |= {key for key in store.list("caches/") if key.removeprefix("caches/") not in apps}
    objects |= set(store.list("sources/"))
    files = [path for name in ("git", "logs") for path in (platform.state / name).iterdir() if path.stem not in apps]
    return sorted(objects) + [str(path) for path in files]


def leases(db: Database) -> Iterator[str]:
    """More than one daemon that holds leases, or work that a dead one still claims."""
    with db.read() as session:
        moment = now(session)
        held = Counter(session.scalars(select(Lease.token).where(Lease.token != "", Lease.expires_at > moment)))
        claimed = session.execute(select(Build.id, Build.claim_token).where(Build.claim_token.is_not(None))).all()
    if len(held) != 1:
        yield f"holders of leases: {dict(held)}"
    yield from (f"build {id} is claimed by {token}" for id, token in claimed)


def transcripts(platform: Installation, db: Database) -> Iterator[str]:
    """Output of builds and release phases that is of none, or has no end."""
    with db.read() as session:
        builds = {id: status != "pending" for id, status in session.execute(select(Build.id, Build.status))}
        phases = {id: status != "pending" for id, status in session.execute(select(Release.id, Release.status))}
    ended = {**builds, **phases}
    there = {path.stem: path for path in (platform.state / "transcripts").glob("*.txt")}
    yield from (f"transcript {id} is of nothing" for id in there if id not in ended)
    yield from (f"transcript {id} has no end" for id, path in there.items() if not path.with_suffix(".end").exists())


def uids(platform: Installation) -> Iterator[str]:
    """Processes with a uid of the installation's apps that are below no monitor."""
    base = int(platform.settings["POGO_UID_BASE"])
    monitors = set()
    for place in (platform.state / "run/c").glob("*/pid"):
        monitors.add(int(place.read_text()))
    for pid in processes.pids():
        ours = base <= processes.owner(pid) < base + HIGHEST_APPS * 65536 and not processes.ended(pid)
        if ours and not processes.descends(pid, monitors):
            yield f"process {pid} of an app: {processes.command(pid)}"


# Below these, files come and go, and others of these checks look at them.
_LIVELY = {"run/c", "scratch", "git", "logs", "log", "transcripts", "store", "copies", "service", "traffic"}


def inventory(state: Path) -> set[str]:
    """The files of a state directory that shall be the same after every round."""
    found = set()
    for directory, below, files in os.walk(state):
        here = Path(directory).relative_to(state)
        below[:] = [
            name for name in below if str(here / name) not in _LIVELY and name not in ("objects", "__pycache__")
        ]
        found |= {str(here / name) for name in files}
    return found


def requests(load: Requests, kills: list[Kill], failed: Counter[str]) -> Iterator[str]:
    """Requests that failed though nothing they need was killed. failed: where those of each part killed are counted."""
    for one in load.failed:
        for kill in reversed(kills):
            kind = "router" if kill.of_router else "web" if kill.of_web else ""
            if kind and kill.at <= one.ended and one.began <= kill.at + WINDOWS[kind]:
                failed[kill.part] += 1
                break
        else:
            failed["nothing"] += 1
            yield f"{one.path} was answered {one.status} at {one.began:.2f}, within {one.ended - one.began:.2f} s"


def routed(platform: Installation, app: str, load: Requests, kills: list[Kill], since: float) -> Iterator[str]:
    """Requests that are in the log twice, or, too many, not at all."""
    lines = " ".join(line.text for line in log(platform, app, since) if line.dyno == "router")
    words = Counter(word for word in lines.split() if load.mark in word)
    good = {f'path="{one.path}"': one for one in load.asked if one.status == 200}
    yield from (f"{path} is in the log {words[path]} times" for path in good if words[path] > 1)
    missing = [
        f"{path} ({one.ended:.2f})" for path, one in good.items() if not words[path] and not _lost(one.ended, kills)
    ]
    if missing:
        yield f"{len(missing)} answered requests are not in the log: {missing[:5]} … {missing[-1]}"


def _lost(ended: float, kills: list[Kill]) -> bool:
    """Whether the line of a request was on its way to a pogod, or waited in a router, that was killed then."""
    away = [kill.at for kill in kills if kill.of_pogod]
    for kill in kills:
        # A router that is killed may have kept lines for a pogod that had been killed before.
        since = min([kill.at, *(at for at in away if kill.of_router and kill.at - 12 < at <= kill.at)])
        if (kill.of_pogod or kill.of_router) and since - UNREAD <= ended <= kill.at + UNREAD:
            return True
    return False


def of_git(platform: Installation, app: str) -> Iterator[str]:
    yield from (f"left by git: {path}" for path in git_leftovers(platform, app))


def of_state(platform: Installation, before: set[str]) -> Iterator[str]:
    yield from (f"new file in the state directory: {name}" for name in inventory(platform.state) - before)


def rows(*found: Iterable[Any]) -> list[str]:
    return [str(one) for some in found for one in some]
