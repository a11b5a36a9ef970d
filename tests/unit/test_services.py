"""The verbs, on a real SQLite file."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from pogo.errors import Forbidden, InvalidParams, NotFound, Unauthorized
from pogo.model import App, User
from pogo.services import (
    access,
    apps,
    builds,
    domains,
    dynos,
    formation,
    leases,
    people,
    releases,
    snapshot,
)
from pogo.services.database import Database

TYPES = {"web": "python app.py", "worker": "python work.py"}


@pytest.fixture
def user(db: Database) -> User:
    return people.create_user(db, "Ann@Example.com", "correct horse")


@pytest.fixture
def app(db: Database, user: User) -> App:
    return apps.create_app(db, user, "shop", "pogo-13", 10)


def deploy(
    db: Database, app: App, user: User, types: dict[str, str] = TYPES, version: str = "a" * 40
) -> releases.Release:
    builds.start_build(db, app, user, "sources/x.tar", version)
    build = builds.claim_build(db, "node")
    assert build
    release = builds.finish_build(db, build, builds.Built("slugs/x", "x" * 64, 10, types, "Python", ["heroku/python"]))
    assert release
    return release


def test_password_and_token(db: Database, user: User) -> None:
    assert people.check_password(db, "ann@example.com", "correct horse").id == user.id
    for email, password in (("ann@example.com", "wrong"), ("bob@example.com", "correct horse")):
        with pytest.raises(Unauthorized):
            people.check_password(db, email, password)
    authorization, token = people.authorize(db, user, "laptop")
    assert token not in str(vars(authorization))
    assert people.whose_token(db, token).user.email == "ann@example.com"
    people.revoke(db, user, authorization.id)
    with pytest.raises(Unauthorized):
        people.whose_token(db, token)
    _, short = people.authorize(db, user, "x", expires_in=-1)
    with pytest.raises(Unauthorized):
        people.whose_token(db, short)


def test_an_app_of_somebody_else(db: Database, app: App) -> None:
    stranger = people.create_user(db, "eve@example.com")
    with pytest.raises(Forbidden):
        access.find_app(db, stranger, "shop")
    with pytest.raises(NotFound):
        access.find_app(db, stranger, "nothing")
    access.add_collaborator(db, app, "eve@example.com")
    assert access.find_app(db, stranger, app.id).name == "shop"
    access.remove_collaborator(db, app, "eve@example.com")
    with pytest.raises(Forbidden):
        access.find_app(db, stranger, "shop")


@pytest.mark.parametrize("name", ["", "a", "Shop", "1shop", "shop-", "sh_op", "x" * 31, "api", "shop"])
def test_names_that_are_refused(db: Database, user: User, app: App, name: str) -> None:
    with pytest.raises(InvalidParams):
        apps.create_app(db, user, name, "pogo-13", 10)


def test_a_destroyed_app_frees_its_name_at_once_and_its_slot_later(db: Database, user: User, app: App) -> None:
    deploy(db, app, user)
    apps.destroy_app(db, app)
    again = apps.create_app(db, user, "shop", "heroku-24", 10)
    assert again.slot != app.slot
    assert again.stack == "pogo-13"
    assert not next(state for state in snapshot.read(db) if state.id == app.id).wants
    apps.forget_app(db, app.id)
    apps.forget_app(db, again.id)  # not destroyed: stays
    assert [state.id for state in snapshot.read(db)] == [again.id]


def test_every_change_is_a_release(db: Database, user: User, app: App) -> None:
    assert releases.change_config(db, app, user, {"A": "1", "B": "x\ny"}) == {"A": "1", "B": "x\ny"}
    deploy(db, app, user)
    releases.change_config(db, app, user, {"A": "2", "B": None})
    releases.change_config(db, app, user, {"A": "2"})  # nothing changes: no release
    with pytest.raises(InvalidParams):
        releases.change_config(db, app, user, {"C": "1", "bad name": "1"})
    history = releases.list_releases(db, app)
    assert [(r.version, r.description) for r in history] == [
        (1, "Initial release"),
        (2, "Set A, B config vars"),
        (3, "Deploy aaaaaaaa"),
        (4, "Set A config vars and remove B config vars"),
    ]
    back = releases.rollback(db, app, user, history[2])
    assert (back.version, back.description, back.config) == (5, "Rollback to v3", {"A": "1", "B": "x\ny"})
    with pytest.raises(InvalidParams):
        releases.rollback(db, app, user, history[0])
    with pytest.raises(NotFound):
        releases.find_release(db, app, "v9")


def test_a_release_phase_decides_whether_the_release_goes_live(db: Database, user: User, app: App) -> None:
    first = deploy(db, app, user)
    second = deploy(db, app, user, {**TYPES, "release": "migrate"}, "b" * 40)
    assert second.status == "pending"
    live = releases.current_release(db, app.id)
    assert live and live.id == first.id
    dyno = dynos.start_release_phase(db, second.id)
    assert dyno and dyno.name.startswith("release.")
    same = dynos.start_release_phase(db, second.id)
    assert same and same.id == dyno.id
    assert releases.conclude(db, second.id, succeeded=False)
    assert not releases.conclude(db, second.id, succeeded=True)
    live = releases.current_release(db, app.id)
    assert live and live.id == first.id


def test_pending_releases_come_one_by_one(db: Database, user: User, app: App) -> None:
    types = {**TYPES, "release": "migrate"}
    first, second = deploy(db, app, user, types), deploy(db, app, user, types)
    assert [release.id for release in releases.pending_releases(db)] == [first.id]
    releases.conclude(db, first.id, succeeded=True)
    assert [release.id for release in releases.pending_releases(db)] == [second.id]


def test_scale(db: Database, user: User, app: App) -> None:
    with pytest.raises(NotFound, match="nothing is deployed"):
        formation.scale(db, app, [formation.Change("web", "1")])
    deploy(db, app, user)
    assert [(v.row.type, v.row.quantity) for v in formation.list_formation(db, app)] == [("web", 1), ("worker", 0)]
    formation.scale(db, app, [formation.Change("web", "+2", "standard-2x"), formation.Change("worker", "1")])
    assert [(v.row.quantity, v.row.size) for v in formation.list_formation(db, app)] == [
        (3, "Standard-2X"),
        (1, "Basic"),
    ]
    for bad in ("-4", "101", "x", "1.5", ""):
        with pytest.raises(InvalidParams):
            formation.scale(db, app, [formation.Change("worker", "5"), formation.Change("web", bad)])
    assert [v.row.quantity for v in formation.list_formation(db, app)] == [3, 1]  # all or nothing
    with pytest.raises(InvalidParams):
        formation.scale(db, app, [formation.Change("web", None, "huge")])


def test_builds_of_an_app_queue_and_claims_expire(db: Database, user: User, app: App) -> None:
    first = builds.start_build(db, app, user, "sources/1", None)
    second = builds.start_build(db, app, user, "sources/2", None)
    mine = builds.claim_build(db, "one")
    assert mine and mine.id == first.id
    assert builds.claim_build(db, "two") is None  # the second waits for the first
    builds.drop_claims(db, "one")
    other = builds.claim_build(db, "two")
    assert other and other.id == first.id
    assert not builds.keep_claim(db, mine)
    assert builds.keep_claim(db, other)
    assert not builds.fail_build(db, mine, "too late")
    assert builds.finish_build(db, mine, builds.Built("s", "c", 1, TYPES, None)) is None
    assert builds.fail_build(db, other, "compile failed")
    third = builds.claim_build(db, "two")
    assert third and third.id == second.id


def test_one_off_dynos(db: Database, user: User, app: App) -> None:
    with pytest.raises(InvalidParams, match="no code yet"):
        dynos.run(db, app, dynos.RunRequest("bash"))
    deploy(db, app, user)
    dyno, secret = dynos.run(db, app, dynos.RunRequest("worker --once", attach=True))
    assert dyno.command == "python work.py --once"
    assert dynos.claim_attach(db, secret).id == dyno.id
    with pytest.raises(NotFound):
        dynos.claim_attach(db, secret)
    assert dynos.change(db, dyno.id, "starting", state="up")
    assert not dynos.change(db, dyno.id, "starting", state="crashed")


def test_domains(db: Database, user: User, app: App) -> None:
    assert domains.add_domain(db, app, "WWW.Example.com.", "apps.test").hostname == "www.example.com"
    assert domains.add_domain(db, app, "bücher.example", "apps.test").hostname == "xn--bcher-kva.example"
    domains.add_domain(db, app, "*.example.org", "apps.test")
    for bad in ("www.example.com", "x", "a..b", "-a.example", "shop.apps.test", "http://x.example", "a.*.example"):
        with pytest.raises(InvalidParams):
            domains.add_domain(db, app, bad, "apps.test")
    domains.remove_domain(db, app, "www.example.com")
    with pytest.raises(NotFound):
        domains.remove_domain(db, app, "www.example.com")


def test_leases(db: Database) -> None:
    assert leases.hold(db, {"dynos"}, "a:1").keys() == {"dynos"}
    assert leases.hold(db, {"dynos", "router"}, "a:1").keys() == {"dynos", "router"}
    assert leases.hold(db, {"dynos", "builds"}, "b:1").keys() == {"builds"}
    leases.let_go_of_node(db, "a")
    assert leases.hold(db, {"dynos", "builds"}, "b:1").keys() == {"dynos", "builds"}


def test_concurrent_changes_are_all_kept(db: Database, user: User, app: App) -> None:
    def change(n: int) -> None:
        for i in range(5):
            releases.change_config(db, app, user, {f"K{n}_{i}": "1"})

    threads = [threading.Thread(target=change, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = releases.list_releases(db, app)
    assert [release.version for release in history] == list(range(1, 42))
    assert len(history[-1].config) == 40


def test_an_answer_is_remembered_until_somebody_writes(db: Database) -> None:
    asked = []

    def question(db: Database) -> int:
        asked.append(1)
        with db.read() as session:
            return session.scalar(select(func.count()).select_from(User)) or 0

    assert [db.remembered(question) for _ in range(3)] == [0, 0, 0]
    assert len(asked) == 1
    people.create_user(db, "ann@example.com")
    assert [db.remembered(question) for _ in range(3)] == [1, 1, 1]
    assert len(asked) == 2
    other = Database(db.url)  # of another process
    people.create_user(other, "bob@example.com")
    other.close()
    assert db.remembered(question) == 2
    assert len(asked) == 3
