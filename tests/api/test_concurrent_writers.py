"""Several at the same time change the same thing: each change is applied or refused, none is lost, nothing breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from api_rig import Client, People, deploy

from pogo.errors import NotFound
from pogo.model import App, Release
from pogo.services import domains
from pogo.services.database import Database

WRITERS = 6


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Answers of calls that begin at the same moment; none is a fault of ours."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(run, calls))
    assert [one.text for one in answers if one.status_code >= 500] == []
    return answers


def statuses(answers: Sequence[Any]) -> list[int]:
    return sorted(one.status_code for one in answers)


def versions(client: Client, app: str = "shop") -> list[int]:
    return [one["version"] for one in client.get(f"/apps/{app}/releases").json()]


def test_config_vars_of_several_writers_are_all_kept(ann: Client, release: Release) -> None:
    answers = together(
        *(lambda n=n: ann.patch("/apps/shop/config-vars", {f"KEY_{n}": str(n)}) for n in range(WRITERS))  # type: ignore[misc]
    )
    assert statuses(answers) == [200] * WRITERS
    found = ann.get("/apps/shop/config-vars").json()
    assert {key: value for key, value in found.items() if key.startswith("KEY_")} == {
        f"KEY_{n}": str(n) for n in range(WRITERS)
    }
    assert versions(ann) == list(range(1, 3 + WRITERS)), "no gap, no number twice"
    last = ann.get(f"/apps/shop/releases/{2 + WRITERS}/config-vars").json()
    assert last == found, "the newest release has them all"


def test_one_name_is_given_once(everyone: People, app: App) -> None:
    ann, eve = everyone.ann, everyone.eve
    for path in ("/apps", "/pipelines", "/teams"):
        answers = together(*(lambda who=who, path=path: who.post(path, {"name": "wanted"}) for who in [ann, eve] * 3))  # type: ignore[misc]
        assert statuses(answers)[0] == 201 and all(one in (409, 422) for one in statuses(answers)[1:]), path
    assert sum(one["name"] == "wanted" for one in everyone.root.get("/apps").json()) == 1


def test_renaming_to_one_name(ann: Client, everyone: People) -> None:
    names = ["one", "two", "three"]
    for name in names:
        assert ann.post("/apps", {"name": f"app-{name}"}).status_code == 201
    answers = together(*(lambda name=name: ann.patch(f"/apps/app-{name}", {"name": "wanted"}) for name in names))  # type: ignore[misc]
    assert statuses(answers)[0] == 200 and all(one in (409, 422) for one in statuses(answers)[1:])
    listed = [one["name"] for one in ann.get("/apps").json()]
    assert listed.count("wanted") == 1 and len(set(listed)) == 4
    # A chain: who comes second finds the old name gone, or the new one still taken.
    for answer in together(
        lambda: ann.patch("/apps/wanted", {"name": "other"}), lambda: ann.patch("/apps/shop", {"name": "wanted"})
    ):
        assert answer.status_code in (200, 409, 422)


def test_scaling_at_the_same_time(ann: Client, release: Release) -> None:
    def more() -> Any:
        return ann.patch("/apps/shop/formation", {"updates": [{"type": "worker", "quantity": "+1"}]})

    assert statuses(together(*[more] * WRITERS)) == [200] * WRITERS
    assert ann.get("/apps/shop/formation/worker").json()["quantity"] == WRITERS
    sizes = together(
        *(lambda n=n: ann.patch("/apps/shop/formation/worker", {"quantity": n}) for n in range(WRITERS))  # type: ignore[misc]
    )
    assert statuses(sizes) == [200] * WRITERS
    assert ann.get("/apps/shop/formation/worker").json()["quantity"] in range(WRITERS)


def test_releases_of_several_kinds(ann: Client, release: Release, app: App, db: Database, everyone: People) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: ann.patch("/apps/shop/config-vars", {"A": "1"}),
        lambda: ann.post("/apps/shop/releases", {"release": "2"}),
        lambda: ann.patch("/apps/shop/config-vars", {"B": "1"}),
        lambda: ann.post("/apps/shop/releases", {"slug": release.slug_id}),
    ]
    with ThreadPoolExecutor(1) as pool:
        deployed = pool.submit(deploy, db, app, everyone.users["ann"])
        assert max(statuses(together(*calls))) < 300
        deployed.result(30)
    assert versions(ann) == list(range(1, len(versions(ann)) + 1))
    assert len(versions(ann)) == 2 + len(calls) + 1


def test_the_same_thing_twice(everyone: People, app: App, release: Release) -> None:
    """What can be there once: added once; removed once; the app destroyed while others work on it."""
    ann = everyone.ann
    for path, body in (
        ("/apps/shop/collaborators", {"user": "eve@example.com"}),
        ("/apps/shop/domains", {"hostname": "www.example.com", "sni_endpoint": None}),
        ("/apps/shop/log-drains", {"url": "syslog://192.0.2.1:514"}),
    ):
        answers = together(*[lambda path=path, body=body: ann.post(path, body)] * 3)  # type: ignore[misc]
        assert statuses(answers)[0] in (200, 201), path
        assert all(one in (200, 201, 409, 422) for one in statuses(answers)), path
    gone = together(*[lambda: ann.delete("/apps/shop/domains/www.example.com")] * 3)
    assert statuses(gone) == [200, 404, 404]
    answers = together(
        lambda: ann.delete("/apps/shop"),
        lambda: ann.patch("/apps/shop/config-vars", {"A": "1"}),
        lambda: ann.patch("/apps/shop", {"name": "shop-two"}),
        lambda: ann.patch("/apps/shop/formation", {"updates": [{"type": "web", "quantity": 2}]}),
        lambda: ann.post("/apps/shop/domains", {"hostname": "w.example.com", "sni_endpoint": None}),
    )
    assert statuses(answers)[0] in (200, 201)
    assert all(one in (200, 201, 404, 409, 422) for one in statuses(answers))


def test_what_is_gone_meanwhile_is_not_found(db: Database, app: App) -> None:
    """Read before the transaction, removed by another one, then deleted or changed: no row is an answer, too."""
    found = domains.add_domain(db, app, "www.example.com", "localhost")
    domains.remove_domain(db, app, "www.example.com")
    with pytest.raises(NotFound, match="removed meanwhile"), db.write() as session:
        session.delete(found)
    found.hostname = "other.example.com"
    with pytest.raises(NotFound, match="removed meanwhile"), db.write() as session:
        session.add(found)
