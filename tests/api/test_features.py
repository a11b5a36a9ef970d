"""Features of apps, and the operator's metrics."""

from __future__ import annotations

import asyncio

from api_rig import Client, People

from pogo.containers import ContainerSpec, Limits
from pogo.containers.memory import MemoryContainers
from pogo.loops.usage import UsageLoop
from pogo.model import App, Release
from pogo.rules.usage import Sample, Usage
from pogo.services import dynos
from pogo.services.platform import Platform

MB = 1 << 20


def test_switched_on_and_off(ann: Client, app: App) -> None:
    found = {one["name"]: one for one in ann.get("/apps/shop/features").json()}
    assert {name: one["enabled"] for name, one in found.items()} == {
        "http-session-affinity": False,
        "log-runtime-metrics": False,
        "runtime-heroku-exec": True,
    }
    feature = found["log-runtime-metrics"]
    for identity in (feature["name"], feature["id"]):
        assert ann.get(f"/apps/shop/features/{identity}").json() == feature
    switched = ann.patch("/apps/shop/features/log-runtime-metrics", {"enabled": True})
    assert switched.json()["enabled"] is True
    assert ann.get(f"/apps/shop/features/{feature['id']}").json()["enabled"] is True
    assert ann.patch(f"/apps/shop/features/{feature['id']}", {"enabled": False}).json()["enabled"] is False
    for on in (False, True):
        changed = ann.patch("/apps/shop/features/runtime-heroku-exec", {"enabled": on})
        assert changed.json()["enabled"] is on
        assert ann.get("/apps/shop/features/runtime-heroku-exec").json()["enabled"] is on
    assert ann.patch("/apps/shop/features/other", {"enabled": True}).status_code == 404
    assert ann.patch("/apps/shop/features/log-runtime-metrics", {"enabled": "perhaps"}).status_code == 422


def test_metrics_are_the_operators(everyone: People, app: App, platform: Platform) -> None:
    platform.samples = [Sample("shop", "web.1", "Basic", 512 * MB, Usage(20 * MB, MB, 0, 1.5, 3))]
    assert everyone.ann.get("/metrics").status_code == 403
    assert everyone.nobody.get("/metrics").status_code == 401
    text = everyone.root.http.get("/metrics", headers={"Authorization": f"Bearer {everyone.root.token}"}).text
    labels = 'app="shop",dyno="web.1",size="Basic"'
    assert (
        f"pogo_dyno_memory_bytes{{{labels.replace(',size', ',kind=QrssQ,size').replace('Q', chr(34))}}} 2.097152e+07"
        in text
    )
    assert f"pogo_dyno_cpu_seconds_total{{{labels}}} 1.5" in text
    assert "pogo_apps 1.0" in text
    assert "process_resident_memory_bytes" in text


def test_a_dyno_over_its_quota_is_told_so(everyone: People, app: App, release: Release, platform: Platform) -> None:
    containers = platform.containers
    assert isinstance(containers, MemoryContainers)
    everyone.ann.patch("/apps/shop/features/log-runtime-metrics", {"enabled": True})
    values = {"app_id": app.id, "release_id": release.id, "type": "web", "number": 1, "size": "Basic", "command": "x"}
    dynos.create(platform.db, [values])
    (row,) = dynos.list_dynos(platform.db, app)
    dynos.change(platform.db, row.id, "starting", container="c-1", state="up")

    async def usage() -> dict[str, Usage]:
        return {"c-1": Usage(600 * MB, 0, 0, 1.0, 2), "stray": Usage(1, 1, 1, 1, 1)}

    containers.usage = usage  # type: ignore[method-assign]
    asyncio.run(UsageLoop(platform).turn())
    texts = [line.text for _, line in platform.logs.recent(app.id, 10) if line.dyno == "web.1"]
    assert [text.partition(" sample#")[0] for text in texts] == [
        f"source=web.1 dyno=heroku.{row.id}",
        f"source=web.1 dyno=heroku.{row.id}",
        "Process running mem=600M(117.2%)",
        "Error R14 (Memory quota exceeded)",
    ]
    assert [(sample.app, sample.dyno) for sample in platform.samples] == [("shop", "web.1")]


def test_a_dyno_that_thrashes_is_killed_for_its_memory(app: App, release: Release, platform: Platform) -> None:
    containers = platform.containers
    assert isinstance(containers, MemoryContainers)
    values = {"app_id": app.id, "release_id": release.id, "type": "web", "number": 1, "size": "Basic", "command": "x"}
    dynos.create(platform.db, [values])
    (row,) = dynos.list_dynos(platform.db, app)
    dynos.change(platform.db, row.id, "starting", container="c-1", state="up")

    async def scenario() -> None:
        await containers.start(ContainerSpec("c-1", 0, "any", ("x",), {}, Limits(memory=1024 * MB)))
        loop = UsageLoop(platform)
        for faults in (0, 10**9):
            assert containers.processes["c-1"].exit is None
            containers.used["c-1"] = Usage(1000 * MB, 0, 0, 1.0, 2, faults)
            await loop.turn()
        await asyncio.sleep(0.1)
        end = containers.processes["c-1"].exit
        assert end is not None
        assert (end.status, end.oom) == (137, True)

    asyncio.run(scenario())
