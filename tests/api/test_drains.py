"""Log drains through the API."""

from __future__ import annotations

from urllib.parse import quote

from api_rig import Client, People, RecordedHints

from pogo.logs import Line
from pogo.model import App
from pogo.services import drains
from pogo.services.platform import Platform

URL = "https://me:secret@logs.example.com/in?x=1"


def test_a_drain_from_first_to_last(ann: Client, app: App, platform: Platform, hints: RecordedHints) -> None:
    platform.logs.append(app.id, [Line(1.0, "app", "web.1", "said before")])
    [(last, _)] = platform.logs.recent(app.id, 1)
    made = ann.post("/apps/shop/log-drains", {"url": URL})
    assert made.status_code == 201
    assert "drains" in hints.taken()
    drain = made.json()
    assert drain["token"].startswith("d.")
    assert ann.get("/apps/shop/log-drains").json() == [drain]
    assert [row.position for row in drains.all_drains(platform.db)] == [last]
    for identity in (drain["id"], drain["token"], URL):
        assert ann.get(f"/apps/shop/log-drains/{quote(identity, safe='')}").json() == drain
    again = ann.post("/apps/shop/log-drains", {"url": URL})
    assert (again.status_code, again.json()["id"]) == (422, "invalid_params")
    assert ann.delete(f"/apps/shop/log-drains/{quote(URL, safe='')}").json() == drain
    assert ann.get("/apps/shop/log-drains").json() == []
    assert ann.delete(f"/apps/shop/log-drains/{drain['id']}").status_code == 404


def test_what_is_refused(everyone: People, app: App) -> None:
    for url in ("ftp://x", "", 5):
        assert everyone.ann.post("/apps/shop/log-drains", {"url": url}).status_code == 422
    assert everyone.eve.get("/apps/shop/log-drains").status_code in (403, 404)
    assert everyone.eve.post("/apps/shop/log-drains", {"url": URL}).status_code in (403, 404)


def test_only_the_operator_may_send_into_the_network_of_the_machine(
    everyone: People, app: App, platform: Platform
) -> None:
    for client in (everyone.ann, everyone.root):
        client.post(
            "/apps/shop/log-drains", {"url": f"syslog://127.0.0.1:{5140 + len(drains.all_drains(platform.db))}"}
        )
    assert [row.private for row in drains.all_drains(platform.db)] == [False, True]
